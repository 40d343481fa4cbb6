// Which blocks were run for which sample at which step.

import { sequential } from "./colours.js";

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The lanes of all samples. */
export class ExitMap {
  /** `choose` is called with sample, step and block; `point` with the same, or nothing, while a pointer moves. */
  constructor(element, choose, point) {
    this.element = element;
    this.choose = choose;
    this.point = point;
    this.prepare(0, 1, 1, 1);
    new ResizeObserver(() => this.draw()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Makes room for samples that run `blocks` blocks in `steps` steps, of `branches` evaluations each. */
  prepare(samples, steps, blocks, branches) {
    Object.assign(this, { samples, steps, blocks, branches, run: [], inside: [], forecasts: [] });
    if (this.element.children.length !== samples) {
      this.element.replaceChildren(...Array.from({ length: samples }, (_, sample) => this.lane(sample)));
    }
    this.draw();
  }

  lane(sample) {
    const lane = document.createElement("div");
    lane.className = "lane-map";
    const title = document.createElement("p");
    title.textContent = `sample ${sample}`;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const cell = (event) => {
      const { width, height } = canvas.getBoundingClientRect();
      const step = Math.floor((event.offsetX / width) * this.steps);
      const block = Math.floor((event.offsetY / height) * this.blocks);
      return [sample, Math.min(step, this.steps - 1), Math.min(block, this.blocks - 1)];
    };
    canvas.addEventListener("pointermove", (event) => this.point(...cell(event)));
    canvas.addEventListener("pointerleave", () => this.point());
    canvas.addEventListener("click", (event) => this.choose(...cell(event)));
    lane.append(title, canvas);
    return lane;
  }

  addStep({ step, blocks, forecasts }) {
    this.run[step] = blocks.map((run) => Math.ceil(run / this.branches));
    this.forecasts[step] = forecasts;
    this.drawStep(step);
  }

  addInside({ step, uncertainty, errors }) {
    this.inside[step] = { uncertainty, errors };
  }

  /** What is known of a cell. */
  cell(sample, step, block) {
    const run = this.run[step]?.[sample];
    if (run === undefined) return null;
    const inside = this.inside[step];
    // With a forecast, so many blocks are run before the skipped ones, and so many after them.
    const forecast = this.forecasts[step][sample];
    const [before, after] = forecast ?? [run, 0];
    const isRun = block < before || block >= this.blocks - after;
    return {
      isRun,
      isExit: block === before - 1,
      isForecast: forecast !== null && !isRun,
      uncertainty: inside?.uncertainty[block][sample],
      error: inside?.errors[block][sample],
    };
  }

  /** Shows what the colours mean from now on. */
  colourBy(what) {
    this.what = what;
    this.draw();
  }

  /** The value that is brightest. */
  get most() {
    const values = this.inside.flatMap((inside) => inside[this.what ?? "uncertainty"].flat());
    return values.length > 0 ? values.reduce((most, value) => Math.max(most, value), 1e-6) : null;
  }

  /** Marks a cell. */
  mark(sample, step, block) {
    this.marked = [sample, step, block];
    this.draw();
  }

  draw() {
    const most = this.most;
    for (let sample = 0; sample < this.samples; sample++) {
      const canvas = this.element.children[sample].lastElementChild;
      const ratio = devicePixelRatio || 1;
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
      for (let step = 0; step < this.steps; step++) this.drawCells(canvas, sample, step, most);
      this.drawMark(canvas, sample);
    }
  }

  drawStep(step) {
    for (let sample = 0; sample < this.samples; sample++) {
      this.drawCells(this.element.children[sample].lastElementChild, sample, step, this.most);
    }
  }

  /** Left, top, width and height of a cell. */
  place(canvas, step, block) {
    const [width, height] = [canvas.width / this.steps, canvas.height / this.blocks];
    const gap = Math.min(2, width / 6);
    return [step * width, block * height, width - gap, height - Math.min(2, height / 5)];
  }

  drawCells(canvas, sample, step, most) {
    const context = canvas.getContext("2d");
    const [left, , width] = this.place(canvas, step, 0);
    context.clearRect(left, 0, width, canvas.height);
    for (let block = 0; block < this.blocks; block++) {
      const place = this.place(canvas, step, block);
      const cell = this.cell(sample, step, block);
      if (cell?.isRun) {
        const value = this.what === "errors" ? cell.error : cell.uncertainty;
        const known = value !== undefined && most !== null;
        context.fillStyle = known ? `rgb(${sequential(value / most).join(" ")})` : style("--run");
        context.fillRect(...place);
      } else {
        context.strokeStyle = style("--line");
        context.lineWidth = 1;
        context.strokeRect(place[0] + 0.5, place[1] + 0.5, place[2] - 1, place[3] - 1);
      }
      if (cell?.isForecast) this.drawForecast(context, place);
    }
  }

  /** A dot: what the block would have added was forecast, not computed. */
  drawForecast(context, [left, top, width, height]) {
    context.fillStyle = style("--faint");
    context.beginPath();
    context.arc(left + width / 2, top + height / 2, Math.min(width, height) / 4, 0, 2 * Math.PI);
    context.fill();
  }

  drawMark(canvas, sample) {
    const [marked, step, block] = this.marked ?? [];
    if (marked !== sample || step >= this.steps || block >= this.blocks) return;
    const context = canvas.getContext("2d");
    const [left, top, width, height] = this.place(canvas, step, block);
    context.strokeStyle = style("--page");
    context.lineWidth = 4;
    context.strokeRect(left, top, width, height);
    context.strokeStyle = style("--method");
    context.lineWidth = 2;
    context.strokeRect(left, top, width, height);
  }

  /** Fills a table with the lane of a sample. */
  table(table, sample) {
    const cell = (tag, text, scope) => {
      const made = document.createElement(tag);
      made.textContent = text;
      if (scope) made.scope = scope;
      return made;
    };
    const row = (cells) => {
      const made = document.createElement("tr");
      made.append(...cells);
      return made;
    };
    const all = (count) => Array.from({ length: count }, (_, place) => place);
    const caption = cell("caption", `Sample ${sample}: estimated and true error of each block; (skipped) where it was not run, (forecast) where it was foretold`);
    const head = document.createElement("thead");
    head.append(row([cell("th", "step", "col"), cell("th", "blocks run", "col"), ...all(this.blocks).map((block) => cell("th", `block ${block + 1}`, "col"))]));
    const body = document.createElement("tbody");
    for (const step of all(this.steps)) {
      if (this.run[step] === undefined) continue;
      const cells = all(this.blocks).map((block) => {
        const known = this.cell(sample, step, block);
        const numbers = known.error === undefined ? "" : `${known.uncertainty.toFixed(3)} / ${known.error.toFixed(3)}`;
        const made = cell("td", known.isRun ? numbers || "run" : `(${known.isForecast ? "forecast" : "skipped"}) ${numbers}`);
        if (!known.isRun) made.className = "skipped";
        return made;
      });
      body.append(row([cell("th", String(step + 1), "row"), cell("td", String(this.run[step][sample])), ...cells]));
    }
    table.replaceChildren(caption, head, body);
  }
}
