// --- The network ------------------------------------------------------------------------------

const NEURONS = { // name: x, y
  i1: [38, 76], i2: [38, 260], h1: [160, 76], h2: [160, 260], o1: [290, 76], o2: [290, 260],
};
const ERRORS = { E1: [402, 76], E2: [402, 260] };
const RADIUS = 38;
const MIDDLE = 168;

/** Draw the network with the numbers of one row, and the way back to one weight. */
function drawNetwork(row, weight, step) {
  const parts = wayBack(weight);
  for (const edge of WEIGHTS) parts.push(drawEdge(edge, row));
  for (const output of ["1", "2"]) {
    const [x, y] = ERRORS[`E${output}`];
    parts.push(svg("line", { x1: NEURONS.o1[0] + RADIUS, x2: x - 36, y1: y, y2: y, class: "axis" }));
    parts.push(svg("rect", { x: x - 36, y: y - 26, width: 72, height: 52, rx: 8, class: "neuron" }));
    parts.push(...lines(x, y, [
      [`E${output}`, "name"], [short(row[`E${output}`]), ""], [`t ${short(row[`t${output}`])}`, "small"],
    ]));
  }
  parts.push(...lines(402, MIDDLE, [["E_total", "name"], [short(row.E_total), ""]]));
  for (const name in NEURONS) parts.push(...drawNeuron(name, row));
  for (const [index, link] of linksOf(weight).entries()) parts.push(drawBadge(index, link));
  const drawing = document.getElementById("network");
  drawing.setAttribute("aria-label", `At step ${step} the error is ` +
    `${rounded(row.E_total)}, and ∂E/∂${weight} is ${rounded(row[`∂E/∂${weight}`])}.`);
  drawing.replaceChildren(...parts);
}

function words(x, y, text, looks = "") {
  return svg("text", { x, y, class: looks }, text);
}

/** Write lines of [text, looks] below one another, around a middle. */
function lines(x, y, texts) {
  const top = y + 4.5 - 7.5 * (texts.length - 1);
  return texts.map(([text, looks], line) => words(x, top + 15 * line, text, looks));
}

function drawNeuron(name, row) {
  const [x, y] = NEURONS[name];
  const circle = svg("circle", { cx: x, cy: y, r: RADIUS, class: "neuron" });
  const texts = name[0] === "i"
    ? [[name, "name"], [short(row[name]), ""]]
    : [[name, "name"], [short(row[name]), "small"], [`a ${short(row[`a_${name}`])}`, ""]];
  return [circle, ...lines(x, y, texts)];
}

/** Draw a weight: its line, its value, and its gradient below. */
function drawEdge(weight, row) {
  const [[x1, y1], [x2, y2]] = EDGES[weight].map((neuron) => NEURONS[neuron]);
  const gradient = row[`∂E/∂${weight}`];
  const sign = gradient > 0 ? "positive" : gradient < 0 ? "negative" : "zero";
  const line = { x1, y1, x2, y2 };
  // Level edges have their label outside, the others beside their start, before they cross.
  const outward = y1 < MIDDLE ? -1 : 1;
  const [x, y] = y1 === y2 ? [(x1 + x2) / 2, y1 + 44 * outward] : [x1 - 1, y1 - 68 * outward];
  const plus = gradient > 0 ? "+" : "";
  return svg("g", { class: "edge", "data-weight": weight },
    svg("title", {}, `${weight}: show its chain rule`),
    svg("line", { ...line, class: "hit" }),
    svg("line", { ...line, class: sign, "stroke-width": thickness(gradient) }),
    ...lines(x, y, [
      [`${weight} ${short(row[weight])}`, "over name"], [`${plus}${short(gradient)}`, `over ${sign}`],
    ]));
}

/** The thickness of a gradient in pixels: 1 up to 0.000001, and two more for each power of ten. */
function thickness(gradient) {
  if (!Number.isFinite(gradient)) return 1;
  const powers = Math.log10(Math.max(Math.abs(gradient), 1e-6)) + 6;
  return Math.min(1 + 2 * powers, 15).toFixed(1);
}

/** List the links of a weight's chain as they are derived: {symbol, path}. */
function linksOf(weight) {
  const chain = CHAINS[`∂E/∂${weight}`];
  const [first, second] = PATHS[chain[0]] ?? [[], []];
  const join = first.length ? "both" : pathOf(chain[0]);
  return [
    ...first.map((symbol) => ({ symbol, path: "first" })),
    ...second.map((symbol) => ({ symbol, path: "second" })),
    ...chain.map((symbol) => ({ symbol, path: join })),
  ];
}

function pathOf(symbol) {
  return symbol.includes("1/") || symbol.endsWith("1") ? "first" : "second";
}

/** Find the place of a link in the drawing: on an edge, beside a neuron, before an error. */
function placeOf(symbol) {
  const [top, bottom] = symbol.split("/").map((part) => part.slice(1));
  if (bottom in EDGES) return onEdge(bottom);
  if (top.startsWith("a_")) return besideNeuron(bottom, -1);
  const neuron = bottom.slice(2);
  if (top !== "E") return onEdge(WEIGHTS.find((weight) => String(EDGES[weight]) === `${neuron},${top}`));
  return neuron[0] === "o" ? [346, NEURONS[neuron][1]] : besideNeuron(neuron, 1);
}

function onEdge(weight) {
  const [[x1, y1], [x2, y2]] = EDGES[weight].map((neuron) => NEURONS[neuron]);
  const along = y1 === y2 ? 0.5 : 0.64;
  return [x1 + along * (x2 - x1), y1 + along * (y2 - y1)];
}

function besideNeuron(neuron, side) {
  const [x, y] = NEURONS[neuron];
  return [x + 31 * side, y + (y < MIDDLE ? 31 : -31)];
}

function drawBadge(index, { symbol, path }) {
  const [x, y] = placeOf(symbol);
  return svg("g", { class: `badge ${path}`, "data-link": index },
    svg("circle", { cx: x, cy: y, r: 9 }), words(x, y + 4.5, index + 1));
}

/** Draw the way from each error that a weight acts on back to the weight. */
function wayBack(weight) {
  const [start, end] = EDGES[weight];
  const outputs = end[0] === "o" ? [end] : ["o1", "o2"];
  return outputs.map((output) => {
    const stops = [ERRORS[`E${output[1]}`], NEURONS[output], NEURONS[end], NEURONS[start]];
    const path = output === "o1" ? "first" : "second";
    return svg("polyline", { points: stops.join(" "), class: `way ${path}` });
  });
}
