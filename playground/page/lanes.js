// The two networks side by side.

import { MapStrip, Strip, pen } from "./pictures.js";

/** How much of the image a map of uncertainty hides. */
const OPACITY = 0.72;

function number(value, digits) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** One network: its images, step after step, and what they cost. */
export class Lane {
  constructor(element, choose) {
    this.element = element;
    this.samples = element.querySelector(".samples");
    this.choose = choose;
    this.prepare(0);
  }

  /** Makes room for so many images. */
  prepare(images, label) {
    this.strips = [];
    this.maps = [];
    this.steps = [];
    this.final = null;
    if (label !== undefined) this.element.querySelector("h3").textContent = label;
    if (this.samples.children.length !== images) {
      const name = this.element.querySelector("h3").textContent;
      this.samples.replaceChildren(...Array.from({ length: images }, (_, sample) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "sample";
        button.setAttribute("aria-label", `Sample ${sample} of the ${this.element.id === "full" ? "full network" : "rule"}`);
        button.append(...[0, 1].map(() => document.createElement("canvas")));
        button.title = name;
        button.addEventListener("click", () => this.choose(sample));
        return button;
      }));
    }
    for (const canvas of this.samples.querySelectorAll("canvas")) {
      pen(canvas).clearRect(0, 0, canvas.width, canvas.height);
    }
    this.numbers({});
    this.progress(0, 1);
  }

  progress(done, all) {
    const progress = this.element.querySelector("progress");
    progress.max = all;
    progress.value = done;
  }

  /** Shows numbers by their names; those that are not known yet have their place. */
  numbers({ blocks, gflops, seconds, speedup }) {
    const shown = [
      ["blocks a step", blocks === undefined ? "–" : number(blocks, 2)],
      ["GFLOPs an image", gflops === undefined ? "–" : number(gflops, 2)],
      ["seconds", seconds === undefined ? "–" : number(seconds, 3)],
    ];
    if (this.element.id !== "full") {
      shown.push(["speed-up, measured", speedup === undefined ? "–" : `${number(speedup, 2)} ×`]);
    }
    this.element.querySelector("dl").replaceChildren(...shown.map(([name, value]) => {
      const pair = document.createElement("div");
      const [term, detail] = ["dt", "dd"].map((tag) => pair.appendChild(document.createElement(tag)));
      term.textContent = name;
      detail.textContent = value;
      return pair;
    }));
  }

  get images() {
    return this.samples.children.length;
  }

  async addStep(event) {
    this.steps[event.step] = event;
    this.strips[event.step] = await Strip.read(event.images, this.images);
  }

  async addMaps(event) {
    this.maps[event.step] = await MapStrip.read(event, this.images);
  }

  async finish(event) {
    const strips = this.strips;
    const final = await Strip.read(event.images, this.images);
    if (strips === this.strips) this.final = final;
  }

  /** The largest uncertainty of all maps. */
  get brightest() {
    return Math.max(1e-6, ...this.maps.map(({ brightest }) => brightest));
  }

  /** Shows the images after `done` of `all` steps: the last ones there are, where it is not as far. */
  show(done, all, overlay) {
    const own = this.last === undefined ? this.strips.length : Math.round((done / all) * this.last);
    const isFinal = done === all && this.final !== null;
    const strip = isFinal ? this.final : this.strips[Math.min(own, this.strips.length) - 1];
    const map = overlay ? this.maps[Math.min(own, this.maps.length) - 1] : undefined;
    [...this.samples.children].forEach((button, sample) => {
      const [image, over] = button.children;
      strip?.draw(image, sample);
      over.hidden = map === undefined;
      map?.draw(over, sample, this.brightest, OPACITY);
    });
  }

  /** Marks the chosen sample. */
  mark(chosen) {
    [...this.samples.children].forEach((button, sample) => {
      button.setAttribute("aria-pressed", String(sample === chosen));
    });
  }
}
