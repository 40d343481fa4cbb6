// The experiment as it stands in the address.

/** What decides which images are drawn: what the server is asked. */
export const DRAWN = ["network", "method", "budget", "class", "guidance", "solver", "steps", "seed", "images"];

/** What decides what is looked at. */
const SHOWN = ["sample", "step", "block", "unsure"];

/** The words of the address, as text. */
export function readAddress() {
  const words = new URLSearchParams(location.search);
  const known = [...DRAWN, ...SHOWN].filter((key) => words.has(key));
  return Object.fromEntries(known.map((key) => [key, words.get(key)]));
}

/** Words in the form of an address. */
export function query(words, keys = DRAWN) {
  const given = keys.filter((key) => words[key] !== undefined && words[key] !== "");
  return new URLSearchParams(given.map((key) => [key, words[key]])).toString();
}

/** Puts words into the address, without a new entry in the history. */
export function writeAddress(words) {
  history.replaceState(null, "", `?${query(words, [...DRAWN, ...SHOWN])}`);
}
