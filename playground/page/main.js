// The page: one drawing at a time, as the address has it.

import { query, readAddress, writeAddress } from "./address.js";
import { Chart } from "./chart.js";
import { gradient } from "./colours.js";
import { Controls } from "./controls.js";
import { ExitMap } from "./exit_map.js";
import { events } from "./feed.js";
import { Lane } from "./lanes.js";
import { Look } from "./look.js";

const byId = (id) => document.getElementById(id);
const status = byId("status");
const given = readAddress();
const choices = await (await fetch("/api/choices")).json();
const controls = new Controls(choices, given);

/** What is looked at: which sample, which step and block of it, from 0. */
let chosen = [Number(given.sample) || 0, (Number(given.step) || Infinity) - 1, (Number(given.block) || 1) - 1];
/** The drawing that is shown, in the words of the address. */
let drawn = null;
/** How to end the one that is going on. */
let going = null;
let saved;

const full = new Lane(byId("full"), (sample) => choose(sample, chosen[1], chosen[2]));
const method = new Lane(byId("method-lane"), (sample) => choose(sample, chosen[1], chosen[2]));
const map = new ExitMap(byId("map"), choose, point);
const look = new Look(choose);
const chart = new Chart(byId("chart"), byId("chart-note"), await (await fetch("/api/study")).json());
document.querySelector(".key i").style.background = gradient();

/** How often the network is evaluated for a step. */
const branches = (words) => (Number(words.guidance) === 0 ? 1 : 2);

function words() {
  const [sample, step, block] = chosen;
  const unsure = byId("overlay").checked ? "1" : "";
  return { ...controls.words(), sample, step: Number.isFinite(step) ? step + 1 : "", block: block + 1, unsure };
}

function showChart() {
  const isStudied = controls.network.studied;
  byId("study").hidden = !isStudied;
  if (!isStudied) return;
  const setting = controls.method.settings[byId("budget").value / choices.budget_step - 1];
  const isDrawn = drawn !== null && query(drawn) === query(controls.words());
  chart.place(controls.method, setting, isDrawn ? saved : undefined);
}

/** Makes room for a drawing before anything of it is there. */
function prepare({ images }, label = controls.method.label) {
  const { blocks, steps } = controls.network;
  full.prepare(images, "Full network");
  method.prepare(images, label);
  full.last = method.last = undefined;
  map.prepare(images, Number(byId("steps").value) || steps, blocks, 1);
  const all = Number(byId("steps").value) || steps;
  scrub(all);
  look.bound(images, all, blocks);
  showStep();
}

/** Puts the scrubber where the chosen step is, of so many. */
function scrub(all) {
  byId("step").max = all;
  byId("step").value = Math.min(chosen[1] + 1, all);
}

/** Shows the step where the scrubber stands. */
function showStep() {
  const step = byId("step");
  const [done, all] = [step.valueAsNumber, Number(step.max)];
  const overlay = byId("overlay").checked;
  full.show(done, all, false);
  method.show(done, all, overlay);
  const timestep = method.steps[done - 1]?.timestep;
  let told = `after ${done} of ${all} steps`;
  if (timestep !== undefined) told += `, t = ${timestep.toFixed(0)}`;
  byId("step-output").value = told;
}

/** The end of a drawing that is going on. */
function stop() {
  going?.abort();
}

async function draw() {
  if (!byId("controls").reportValidity()) return;
  stop();
  const ending = new AbortController();
  going = ending;
  const asked = controls.words();
  writeAddress(words());
  look.clear();
  // Whoever looks at the end looks at the end of the next drawing too.
  if (chosen[1] + 1 >= Number(byId("step").max)) chosen[1] = Infinity;
  prepare({ images: Number(asked.images) });
  byId("stop").disabled = false;
  status.textContent = "Asking …";
  try {
    for await (const event of events(`/api/draw?${query(asked)}`, ending.signal)) {
      await tell(event, asked, ending.signal);
    }
  } catch (error) {
    if (going === ending) status.textContent = ending.signal.aborted ? "Stopped." : `This cannot be drawn: ${error.message}`;
  } finally {
    if (going === ending) {
      going = null;
      byId("stop").disabled = true;
    }
  }
}

let seconds = {};

/** Shows one event of a drawing, unless that has been ended meanwhile. */
async function tell(event, asked, signal) {
  const lane = event.lane === "full" ? full : method;
  if (event.event === "step") await lane.addStep(event);
  if (event.event === "drawn") await lane.finish(event);
  if (event.event === "inside") await method.addMaps(event);
  if (signal.aborted) return;
  switch (event.event) {
    case "queued":
      status.textContent = event.ahead === 1 ? "Another visitor is drawing: yours is next." : `${event.ahead} drawings come before yours.`;
      break;
    case "stage":
      status.textContent = `First ${event.what}: ${event.done.toLocaleString("en")}${event.expected > event.done ? ` of ${event.expected.toLocaleString("en")}` : ""} evaluations …`;
      break;
    case "started":
      begin(event, asked);
      break;
    case "step":
      lane.progress(event.step + 1, lane.last);
      lane.numbers({ seconds: event.seconds });
      if (lane === method) map.addStep(event);
      showStep();
      break;
    case "drawn":
      seconds[event.lane] = event.seconds;
      finish(lane, event);
      showStep();
      break;
    case "inside":
      map.addInside(event);
      break;
    case "done":
      done(asked);
      break;
  }
}

function begin({ label, blocks, steps: [all, own], calibrated }, asked) {
  seconds = {};
  saved = undefined;
  method.prepare(full.images, label);
  full.last = all;
  method.last = own;
  map.prepare(full.images, own, blocks, branches(asked));
  look.bound(full.images, own, blocks);
  // A method in fewer steps has the last of them in common with the full network.
  const step = chosen[1] >= own ? own - 1 : chosen[1];
  chosen = [Math.min(chosen[0], full.images - 1), step, Math.min(chosen[2], blocks - 1)];
  byId("step").max = own;
  byId("step").value = step + 1;
  const reached = calibrated === null ? "" : ` Its exits were calibrated to skip ${(100 * calibrated).toFixed(1)} % of the blocks.`;
  status.textContent = `Drawing …${reached}`;
}

const costs = {};

function finish(lane, event) {
  costs[event.lane] = event;
  lane.numbers({ blocks: event.blocks_mean, gflops: event.gflops, seconds: event.seconds });
  if (seconds.full !== undefined && seconds.method !== undefined) {
    const { full: whole, method: part } = costs;
    saved = 100 * (1 - part.gflops / whole.gflops);
    method.numbers({ blocks: part.blocks_mean, gflops: part.gflops, seconds: part.seconds, speedup: whole.seconds / part.seconds });
    const faster = (whole.seconds / part.seconds).toFixed(2);
    status.textContent = `Drawn ${faster} times as fast, with ${saved.toFixed(0)} % fewer operations.`;
  }
}

function done(asked) {
  drawn = asked;
  map.draw();
  const most = map.most;
  byId("key-most").textContent = most === null ? "–" : most.toFixed(2);
  showStep();
  showTable();
  showChart();
  choose(...chosen);
}

function showTable() {
  if (byId("lane-table").closest("details").open) map.table(byId("lane-table"), chosen[0]);
}

/** Looks into a sample, a step and a block. */
function choose(...place) {
  chosen = place;
  writeAddress(words());
  full.mark(place[0]);
  method.mark(place[0]);
  map.mark(...place);
  scrub(Number(byId("step").max));
  showStep();
  showTable();
  if (drawn === null) return;
  look.show(drawn, place, (block) => map.cell(place[0], place[1], block)).catch((error) => {
    if (error.name !== "AbortError") status.textContent = `This cannot be looked at: ${error.message}`;
  });
}

/** Tells of the cell under the pointer. */
function point(sample, step, block) {
  const cell = sample === undefined ? null : map.cell(sample, step, block);
  let told = "\u00a0";
  if (cell !== null) {
    told = `sample ${sample}, step ${step + 1}, block ${block + 1}: ${cell.isRun ? "run" : cell.isForecast ? "skipped, with a forecast of what it would have added" : "skipped"}`;
    if (cell.error !== undefined) told += `, estimated error ${cell.uncertainty.toFixed(4)}, true error ${cell.error.toFixed(4)}`;
  }
  byId("pointed").textContent = told;
}

byId("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  draw();
});
byId("controls").addEventListener("change", () => {
  writeAddress(words());
  showChart();
  if (drawn !== null || going !== null) draw();
});
byId("another").addEventListener("click", () => {
  byId("seed").value = String(Math.floor(Math.random() * 1e6));
  draw();
});
byId("stop").addEventListener("click", stop);
byId("step").addEventListener("input", () => choose(chosen[0], byId("step").valueAsNumber - 1, chosen[2]));
byId("overlay").checked = given.unsure === "1";
byId("overlay").addEventListener("change", () => {
  writeAddress(words());
  showStep();
});
byId("lane-table").closest("details").addEventListener("toggle", showTable);
for (const radio of document.querySelectorAll("[name='colour']")) {
  radio.addEventListener("change", () => {
    map.colourBy(radio.value);
    byId("key-most").textContent = map.most === null ? "–" : map.most.toFixed(2);
  });
}
prepare({ images: Number(byId("images").value) });
for (const part of document.querySelectorAll("main, footer")) part.hidden = false;
showChart();
if (location.search !== "") draw();
