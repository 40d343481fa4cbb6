// Colours that stay apart for readers with any colour vision, the same as in reports.

// Nine evenly spaced colours of matplotlib's viridis (Smith and van der Walt, 2015).
const VIRIDIS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];

// Okabe and Ito (2008), without their yellow; the first stands for the colour of text.
const CURVES = [null, "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/** Red, green and blue of a share from 0, dark, to 1, bright. */
export function sequential(share) {
  const position = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const lower = Math.min(Math.floor(position), VIRIDIS.length - 2);
  const part = position - lower;
  return VIRIDIS[lower].map((from, channel) => Math.round(from + part * (VIRIDIS[lower + 1][channel] - from)));
}

/** All of them from left to right, for a style. */
export function gradient() {
  return `linear-gradient(to right, ${VIRIDIS.map((colour) => `rgb(${colour.join(" ")})`).join(", ")})`;
}

/** The colour of a curve; none for the colour of text. */
export function curveColour(look) {
  return CURVES[look % CURVES.length];
}
