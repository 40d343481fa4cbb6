// The study's trade-off, and where the slider stands in it.

import { curveColour } from "./colours.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 52, right: 12, top: 12, bottom: 40 };

function make(name, attributes, text) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The chart of the study. */
export class Chart {
  constructor(element, note, study) {
    this.element = element;
    this.note = note;
    this.study = study.chart;
    this.legend = element.parentElement.appendChild(document.createElement("ul"));
    this.legend.className = "legend";
    note.before(this.legend);
    new ResizeObserver(() => this.draw()).observe(element);
  }

  /** The points of a method's own settings, which their texts begin with. */
  points(method) {
    const all = this.study.series.flatMap(({ points }) => points);
    const own = all.filter(({ text }) => method.settings.some((setting) => text.startsWith(`${setting}:`)));
    return own.sort((a, b) => a.x - b.x);
  }

  /** Marks where a method stands at a setting, or between which measured ones. */
  place(method, setting, saved) {
    const points = this.points(method);
    const exact = points.find(({ text }) => text.startsWith(`${setting}:`));
    this.here = null;
    if (exact) {
      this.here = { ...exact, isMeasured: true };
      this.note.textContent = `The slider: ${exact.text}`;
    } else if (saved !== undefined && points.length > 0) {
      const after = points.findIndex(({ x }) => x >= saved);
      const [low, high] = [points[after - 1], points[after]];
      if (low && high) {
        const part = (saved - low.x) / Math.max(high.x - low.x, 1e-9);
        this.here = { x: saved, y: low.y * (high.y / low.y) ** part, isMeasured: false };
        this.note.textContent = `The slider stands between what was measured: ${low.text}; and ${high.text}`;
      } else {
        this.here = { x: saved, y: null };
        this.note.textContent = "The study did not measure this rule as far as the slider stands.";
      }
    } else {
      this.note.textContent = points.length > 0 ? "The study did not measure this setting: draw to see what it saves." : "The study has no points of this rule.";
    }
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width === 0) return;
    const points = this.study.series.flatMap(({ points }) => points);
    const least = Math.min(...points.map(({ y, spread }) => Math.max(y - (spread ?? 0), 1)));
    const most = Math.max(...points.map(({ y }) => y));
    const right = Math.ceil(Math.max(...points.map(({ x }) => x)) / 10) * 10;
    const [from, to] = [Math.log10(least * 0.93), Math.log10(most * 1.08)];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const x = (value) => MARGIN.left + (value / right) * inner.width;
    const y = (value) => MARGIN.top + (1 - (Math.log10(value) - from) / (to - from)) * inner.height;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.study.title });
    for (let value = 0; value <= right; value += right > 60 ? 20 : 10) {
      svg.append(make("line", { class: "grid", x1: x(value), x2: x(value), y1: MARGIN.top, y2: height - MARGIN.bottom }));
      svg.append(make("text", { class: "faint", x: x(value), y: height - MARGIN.bottom + 16, "text-anchor": "middle" }, value));
    }
    for (const value of [10, 20, 30, 50, 100, 200, 300, 500, 1000]) {
      if (Math.log10(value) < from || Math.log10(value) > to) continue;
      svg.append(make("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
      svg.append(make("text", { class: "faint", x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, value));
    }
    svg.append(make("text", { x: MARGIN.left + inner.width / 2, y: height - 6, "text-anchor": "middle" }, this.study.x.label));
    svg.append(make("text", { x: -(MARGIN.top + inner.height / 2), y: 14, transform: "rotate(-90)", "text-anchor": "middle" }, this.study.y.label));
    for (const series of this.study.series) this.drawCurve(svg, series, x, y);
    if (this.here) this.drawHere(svg, x, y, height);
    this.element.replaceChildren(svg);
    this.legend.replaceChildren(...this.study.series.map((series) => {
      const item = document.createElement("li");
      const mark = make("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" });
      mark.append(this.marker(series));
      item.append(mark, ` ${series.name}`);
      return item;
    }));
  }

  drawCurve(svg, series, x, y) {
    const path = series.points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(" ");
    svg.append(make("polyline", { class: "curve", points: path, ...this.colour(series, "stroke") }));
    for (const point of series.points) {
      const mark = this.marker(series);
      mark.setAttribute("transform", `translate(${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)})`);
      mark.append(make("title", {}, point.text));
      svg.append(mark);
    }
  }

  drawHere(svg, x, y, height) {
    const { x: saved, y: distance } = this.here;
    svg.append(make("line", { class: "guide", x1: x(saved), x2: x(saved), y1: MARGIN.top, y2: height - MARGIN.bottom }));
    if (distance !== null) svg.append(make("circle", { class: "here", cx: x(saved), cy: y(distance), r: 9 }));
  }

  colour({ style }, attribute) {
    const colour = curveColour(style.curve ?? 0);
    return colour === null ? { "data-black": attribute } : { [attribute]: colour };
  }

  /** Curves stay apart without colours: by the number of their corners, filled or not. */
  marker(series) {
    const look = series.style.curve ?? 0;
    const [corners, isFilled] = [(look % 4) + 2, look < 4 || look % 2 === 0];
    const colours = { ...this.colour(series, "stroke"), ...(isFilled ? this.colour(series, "fill") : { fill: "none" }) };
    if (corners === 2) return make("circle", { r: 4, "stroke-width": 1.5, ...colours });
    const points = Array.from({ length: corners }, (_, corner) => {
      const angle = (2 * Math.PI * corner) / corners - Math.PI / 2;
      return `${(5.5 * Math.cos(angle)).toFixed(2)},${(5.5 * Math.sin(angle)).toFixed(2)}`;
    });
    return make("polygon", { points: points.join(" "), "stroke-width": 1.5, ...colours });
  }
}
