// --- The error ----------------------------------------------------------------------------

// In pixels of the drawing; the labels of the curves need 8 for each of their letters.
const LONGEST = Math.max(...LEARNING_RATES.map((rate) => String(rate).length));
const PLOT = { left: 66, right: 424 - 8 * LONGEST, top: 22, bottom: 176 };
const LABELS = { gap: Math.min(12, 198 / LEARNING_RATES.length), top: 8, bottom: 206 };

/** Draw the error over the steps, the exercise's rates behind it, and where we are. */
function drawErrors(errors, rivals, { eta, step: now, steps, scale }) {
  const axis = errorAxis([errors, ...rivals.map((rival) => rival.errors)].flat(), scale);
  const across = (step) => PLOT.left + (PLOT.right - PLOT.left) * (step / steps);
  const point = (error, step) => `${across(step).toFixed(1)},${axis.place(error).toFixed(1)}`;
  const curve = (values, looks) =>
    svg("polyline", { points: values.slice(0, drawable(values, scale)).map(point).join(" "), class: looks });
  const parts = axis.ticks.flatMap((value) => horizontal(axis.place(value), tick(value, scale)));
  for (const step of new Set([0, Math.round(steps / 2), steps])) {
    parts.push(words(across(step), PLOT.bottom + 17, step, step === steps ? "small right" : "small"));
  }
  parts.push(words((PLOT.left + PLOT.right) / 2, PLOT.bottom + 34, "step", "small"));
  parts.push(words(PLOT.left - 6, PLOT.top - 10, "E_total", "small right"));
  parts.push(...rivals.map((rival) => curve(rival.errors, "faint")), ...rateLabels(rivals, axis, across, scale));
  parts.push(curve(errors, "curve"));
  if (now < drawable(errors, scale)) {
    parts.push(svg("circle", { cx: across(now), cy: axis.place(errors[now]), r: 5.5, class: "here" }));
  }
  const drawing = document.getElementById("error");
  drawing.setAttribute("aria-label", `E_total at η = ${eta}: ` +
    `${rounded(errors[0])} at step 0, ${rounded(errors.at(-1))} at step ${steps}.`);
  drawing.replaceChildren(...parts);
}

/** Count the errors before the first that cannot be drawn: it is not finite, or has no logarithm. */
function drawable(errors, scale) {
  const last = errors.findIndex((error) =>
    !Number.isFinite(error) || (error === 0 && scale === "log"));
  return last < 0 ? errors.length : last;
}

/** Make the axis of the errors: its ticks, and where a value stands. */
function errorAxis(values, scale) {
  const usable = values.filter(Number.isFinite);
  const log = scale === "log";
  const smallest = Math.max(Math.min(...usable.filter((value) => value > 0), 1), 1e-30);
  const unit = log ? (value) => Math.log10(Math.max(value, smallest)) : (value) => value;
  const low = log ? Math.floor(unit(smallest)) : 0;
  const largest = Math.max(...usable, 0) || 1;
  const high = log ? Math.max(Math.ceil(unit(largest)), low + 1) : largest;
  const place = (value) =>
    PLOT.bottom - (PLOT.bottom - PLOT.top) * ((unit(value) - low) / (high - low));
  const every = Math.ceil((high - low) / 5);
  const ticks = log
    ? Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, index) => 10 ** (low + index * every))
    : multiples(high);
  return { place, ticks };
}

/** List the multiples, up to `high`, of the smallest 1, 2 or 5 times a power of ten that gives five at most. */
function multiples(high) {
  const power = 10 ** Math.floor(Math.log10(high / 5));
  const every = [1, 2, 5, 10].map((digit) => digit * power).find((multiple) => multiple >= high / 5);
  return Array.from({ length: Math.floor(high / every) + 1 }, (_, index) => index * every);
}

function tick(value, scale) {
  return scale === "log" ? withMinus(value.toExponential(0)).replace("+", "") : significant(value, 3);
}

function horizontal(y, label) {
  return [
    svg("line", { x1: PLOT.left, x2: PLOT.right, y1: y, y2: y, class: "axis" }),
    words(PLOT.left - 6, y + 4, label, "small right"),
  ];
}

/** Write each rate at the end of its curve; a label that had to move is joined to it by a line. */
function rateLabels(rivals, axis, across, scale) {
  const ends = rivals.map(({ eta, errors }) => ({ eta, last: drawable(errors, scale) - 1, errors }))
    .filter(({ last }) => last >= 0)
    .map(({ eta, last, errors }) => ({ eta, x: across(last), y: axis.place(errors[last]) }))
    .sort((a, b) => a.y - b.y);
  const places = apart(ends.map(({ y }) => y), LABELS);
  return ends.flatMap(({ eta, x, y }, index) => {
    const label = words(PLOT.right + 15, places[index] + 4, eta, "small left rate");
    const leader = { x1: x, y1: y, x2: PLOT.right + 13, y2: places[index], class: "leader" };
    return Math.abs(places[index] - y) < 2 && x === PLOT.right ? [label] : [label, svg("line", leader)];
  });
}

/** Move sorted places at least a gap apart and into bounds, each as little as possible. */
function apart(places, { gap, top, bottom }) {
  const groups = []; // of touching places: their number, and the position of the first
  for (const [index, place] of places.entries()) {
    let group = { size: 1, start: place - index * gap };
    while (groups.length && groups.at(-1).start > group.start) {
      const above = groups.pop();
      const size = above.size + group.size;
      group = { size, start: (above.size * above.start + group.size * group.start) / size };
    }
    groups.push(group);
  }
  const lowest = bottom - (places.length - 1) * gap;
  const starts = groups.flatMap(({ size, start }) => Array(size).fill(start));
  return starts.map((start, index) => Math.max(top, Math.min(start, lowest)) + index * gap);
}
