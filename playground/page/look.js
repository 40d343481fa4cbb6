// What every block of the network would make of one sample in one step.

import { query, DRAWN } from "./address.js";
import { events } from "./feed.js";
import { MapStrip, Strip } from "./pictures.js";

const byId = (id) => document.getElementById(id);

/** What became of a block in a drawing. */
function fate(cell) {
  if (!cell) return "–";
  if (cell.isExit) return "left";
  if (cell.isRun) return "run";
  return cell.isForecast ? "forecast" : "skipped";
}

/** The view into one step. */
export class Look {
  /** `choose` is called with sample, step and block. */
  constructor(choose) {
    this.choose = choose;
    this.asked = "";
    const inputs = ["look-sample", "look-step", "look-block"].map(byId);
    for (const input of inputs) {
      input.addEventListener("change", () => {
        const [sample, step, block] = inputs.map((input) => Math.min(Math.max(Math.round(input.valueAsNumber) || 0, input.min), input.max));
        choose(sample, step - 1, block - 1);
      });
    }
  }

  /** What may be chosen. */
  bound(samples, steps, blocks) {
    for (const [id, most] of [["look-sample", samples - 1], ["look-step", steps], ["look-block", blocks]]) byId(id).max = most;
  }

  /** Forgets what is shown. */
  clear() {
    this.abort?.abort();
    this.asked = "";
    this.cells = null;
  }

  /** Shows a block of a step of a drawing, of whose blocks `cell` tells what became of them. */
  async show(words, [sample, step, block], cell) {
    byId("look-sample").value = sample;
    byId("look-step").value = step + 1;
    byId("look-block").value = block + 1;
    const asked = query({ ...words, sample, step }, [...DRAWN, "sample", "step"]);
    if (asked !== this.asked) {
      this.abort?.abort();
      this.abort = new AbortController();
      this.asked = asked;
      this.cells = null;
      for await (const event of events(`/api/look?${asked}`, this.abort.signal)) {
        if (event.event !== "cells") continue;
        const count = event.errors.length;
        this.cells = { ...event, images: await Strip.read(event.images, count), maps: await MapStrip.read(event, count) };
      }
      if (asked !== this.asked) return;
      this.strip(sample, step);
    }
    if (this.cells === null) return;
    this.cells.images.draw(byId("look-image"), block);
    this.cells.maps.draw(byId("look-map"), block, this.cells.brightest);
    this.numbers(block, fate(cell(block)));
    [...byId("look-blocks").children].forEach((button, number) => {
      const known = cell(number);
      button.setAttribute("aria-pressed", String(number === block));
      button.classList.toggle("exit", known?.isExit ?? false);
      button.classList.toggle("skipped", !(known?.isRun ?? true));
      button.lastElementChild.textContent = fate(known);
    });
  }

  /** A thumbnail for each block. */
  strip(sample, step) {
    byId("look-blocks").replaceChildren(...this.cells.errors.map((_, block) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "block";
      const canvas = document.createElement("canvas");
      this.cells.images.draw(canvas, block);
      const words = [`block ${block + 1}`, ""].map((text) => Object.assign(document.createElement("span"), { textContent: text }));
      button.append(canvas, words[0], " ", words[1]);
      button.addEventListener("click", () => this.choose(sample, step, block));
      return button;
    }));
  }

  numbers(block, became) {
    const shown = [
      ["estimated error", this.cells.uncertainty[block].toFixed(4)],
      ["true error", this.cells.errors[block].toFixed(4)],
      ["block", `${block + 1} of ${this.cells.errors.length}`],
      ["in this drawing", became],
    ];
    byId("look-numbers").replaceChildren(...shown.map(([name, value]) => {
      const pair = document.createElement("div");
      pair.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value }));
      return pair;
    }));
  }
}
