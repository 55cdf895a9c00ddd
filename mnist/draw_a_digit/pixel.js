"use strict";

// --- Ask a pixel ---------------------------------------------------------------------------------

const MOST_TERMS = 3; // of a convolution, shown one by one
const MOST_COLUMNS = 7; // of numbers, as wide as a phone

let pointed; // the pixel under the mouse, shown while it is there
let anchor; // where the pixel was before the layer was changed: {layer, map, x, y}

/** Read "layer.map.row.column"; undefined where the network has no such pixel. */
function readPixel(text) {
  if (!/^\d{1,4}(\.\d{1,4}){3}$/.test(text)) return undefined;
  const [layer, map, row, column] = text.split(".").map(Number);
  const { maps, side } = NETWORK[layer] ?? { maps: 0 };
  return map < maps && row < side && column < side ? { layer, map, row, column } : undefined;
}

function pixelText({ layer, map, row, column }) {
  return [layer, map, row, column].join(".");
}

function shownPixel() {
  return pointed ?? readPixel(settings.pixel);
}

function choosePixel(pixel) {
  anchor = undefined;
  setPixel(pixel);
}

function setPixel(pixel) {
  change({ pixel: pixelText(pixel) });
  const words = ["map-name", "seen-name"].map((id) => document.getElementById(id).textContent);
  tellWhenStill("pixel-told", words.join(". "));
}

/** Go to the same place in another layer. */
function chooseLayer(layer) {
  const pixel = readPixel(settings.pixel);
  const { top, left, size } = cone(pixel)[0];
  anchor ??= { layer: pixel.layer, map: pixel.map, x: left + size / 2, y: top + size / 2 };
  const isEntered = isOfDigits(layer) && !isOfDigits(anchor.layer);
  const map = isEntered ? answer() : Math.min(anchor.map, NETWORK[layer].maps - 1);
  const [row, column] = [nearest(layer, anchor.y), nearest(layer, anchor.x)];
  setPixel({ layer, map, row, column });
}

/** Move within the layer, as far as there are pixels and maps. */
function movePixel(pixel, { rows = 0, columns = 0, maps = 0 }) {
  const layer = NETWORK[pixel.layer];
  const within = (place, most) => Math.min(Math.max(place, 0), most - 1);
  choosePixel({
    layer: pixel.layer,
    map: within(pixel.map + maps, layer.maps),
    row: within(pixel.row + rows, layer.side),
    column: within(pixel.column + columns, layer.side),
  });
}

function valueOf({ layer, map, row, column }) {
  const { side } = NETWORK[layer];
  return values[layer][(map * side + row) * side + column];
}

function short(value) {
  return significant(value, 3).replaceAll("-", "−");
}

// --- Its pictures ----------------------------------------------------------------------------------

/** Show the pixel in its map, what it sees of the image, and how it was computed. */
function showPixel() {
  const pixel = shownPixel();
  const square = cone(pixel)[0];
  drawMap(pixel);
  markSight(square);
  markPad(square);
  const { layer, map, row, column } = pixel;
  const { side, maps } = NETWORK[layer];
  const name = layer === 0 ? "The image" : `Layer ${layer}, ${mapName(layer, map)}`;
  const where = side > 1 ? `, row ${row + 1}, column ${column + 1}` : "";
  document.getElementById("map-name").replaceChildren(`${name}${where}: `, html("strong", {}, short(valueOf(pixel))));
  document.getElementById("seen-name").replaceChildren(...sightWords(square));
  showSliders(pixel, maps);
  document.getElementById("fact").replaceChildren(...whyWords(pixel));
  document.getElementById("how").replaceChildren(...HOW[NETWORK[layer].kind](pixel));
  for (const figure of document.querySelectorAll(".layer")) {
    figure.classList.toggle("chosen", Number(figure.dataset.layer) === layer);
  }
}

function drawMap({ layer, map, row, column }) {
  const { side } = NETWORK[layer];
  const own = values[layer].subarray(map * side ** 2, (map + 1) * side ** 2);
  const most = mostOf(values[layer]);
  paintPixels(document.getElementById("map"), Uint32Array.from(own, (value) => colourOf(value, most)), side);
  const mark = document.getElementById("map-mark");
  mark.setAttribute("viewBox", `0 0 ${side} ${side}`);
  mark.replaceChildren(...["halo", "mark"].map((looks) =>
    svg("rect", { x: column, y: row, width: 1, height: 1, class: looks })));
}

/** Outline on the image what the pixel sees, and dim the rest. */
function markSight({ top, left, size }) {
  const box = { x: left, y: top, width: size, height: size };
  const [outside, ...outlines] = document.getElementById("seen-mark").children;
  const whole = SIDE + 2 * RIM;
  outside.setAttribute("d", `M${-RIM} ${-RIM}h${whole}v${whole}h${-whole}zM${left} ${top}v${size}h${size}v${-size}z`);
  for (const outline of outlines.filter((it) => it.matches(".halo, .mark"))) filled(outline, box, []);
}

/** Say how much of the image a pixel sees. */
function sightWords(square) {
  if (isWhole(square)) return ["It sees ", html("strong", {}, "the whole image")];
  const { size } = square;
  const seen = html("strong", {}, size === 1 ? "1 pixel" : `${size}×${size} pixels`);
  return ["It sees ", seen, isWithin(square, SIDE) ? ` of the image’s ${SIDE}×${SIDE}` : ", some of them padding beyond the image’s edge"];
}

function showSliders({ layer, map }, maps) {
  const show = (id, value, most, words) => {
    const slider = document.getElementById(id);
    Object.assign(slider, { max: most, value });
    slider.setAttribute("aria-valuetext", words);
    return words;
  };
  const last = NETWORK.length - 1;
  document.getElementById("layer-told").textContent = show("layer", layer, last, `${layer} of ${last}: ${nameOf(layer)}`);
  const words = isOfDigits(layer) ? mapName(layer, map) : `${map + 1} of ${maps}`;
  document.getElementById("map-told").textContent = show("map-number", map, maps - 1, words);
  document.getElementById("map-number").disabled = maps === 1;
}

// --- Why it sees so much -----------------------------------------------------------------------------

let jump; // {from, to}: how far the page was scrolled before and after a person asked why

/** On a small screen: bring the explanation into view, far above the last layers, or go back. */
function showWhy() {
  if (jump) {
    scrollTo(0, jump.from);
    setJump(undefined);
    return;
  }
  const from = scrollY;
  document.querySelector(".inside").scrollIntoView();
  document.querySelector(".how").focus({ preventScroll: true });
  if (scrollY !== from) setJump({ from, to: scrollY });
}

/** Offer no way back to someone who scrolled on. */
function forgetWhy() {
  if (jump && Math.abs(scrollY - jump.to) > innerHeight) setJump(undefined);
}

function setJump(next) {
  jump = next;
  document.getElementById("why").textContent = jump ? "Back" : "Why?";
}

/** Explain how a pixel's receptive field grows, layer by layer, down to the image. */
function whyWords(pixel) {
  if (pixel.layer === 0) return [html("p", {}, "This is a pixel of the image itself.")];
  const squares = cone(pixel);
  const steps = squares.slice(0, -1).map((square, layer) => ({ square, layer }))
    .filter(({ square, layer }) => square.size !== squares[layer + 1].size).reverse();
  if (!steps.length) return [html("p", {}, "It depends on the one pixel of the image in the same place.")];
  const words = ({ square, layer }, index) => {
    const { stride, before } = NETWORK[layer + 1];
    const beyond = isWithin(square, before.side) ? [] : [html("span", { class: "beyond" }, ", padding included")];
    const place = layer === 0 ? "the image" : index === steps.length - 1
      ? `layer ${layer} and so of the image` : `layer ${layer}`;
    return html("li", {}, html("strong", {}, `${square.size}×${square.size}`), ` pixels of ${place}`, ...beyond,
      `, through ${nameOf(layer + 1)}`,
      stride > 1 ? ` with stride ${stride}` : "");
  };
  return [html("p", {}, "Traced back to the image, this pixel depends on:"), html("ol", {}, ...steps.map(words))];
}

// --- How it was computed -----------------------------------------------------------------------------

/** For each kind of layer: how one of its pixels was computed, in the numbers of this image. */
const HOW = {
  "image": howImage,
  "convolution": howConvolution,
  "ReLU": (pixel) => [oneLine("ReLU replaces negative values by 0: ", ["max(0, ", before(pixel), ")"], pixel)],
  "batch norm": howNorm,
  "max pooling": (pixel) => howPool(pixel, "The largest value in its window: ", true),
  "dropout": (pixel) => [oneLine("Dropout acts only in training; here it changes nothing: ", [before(pixel)], pixel)],
  "average pooling": (pixel) => howPool(pixel, "The mean of its window: ", false),
  "log-softmax": howSoftmax,
};

/** The value of the layer before at the same place. */
function before({ layer, map, row, column }) {
  return exact(valueOf({ layer: layer - 1, map, row, column }));
}

/** Show a number short, keeping all its digits. */
function exact(value, looks = "") {
  return html("data", { value, class: looks, title: value }, short(value));
}

function total(pixel) {
  const value = valueOf(pixel);
  return exact(value, `total ${value < 0 ? "negative" : "positive"}`);
}

function oneLine(words, formula, pixel) {
  return html("p", {}, words, ...formula, " = ", total(pixel));
}

function howImage(pixel) {
  const ink = image[pixel.row * SIDE + pixel.column];
  return [oneLine(`Ink ${ink} of 255, normalised as in training`, [], pixel)];
}

function howNorm(pixel) {
  const { mean, deviation, factor, shift } = statistics(NETWORK[pixel.layer], pixel.map);
  const formula = ["(", before(pixel), " − ", bracketed(mean), ") / ", exact(deviation), " · ",
    bracketed(factor), " + ", bracketed(shift)];
  return [oneLine("Batch norm subtracts the mean that this map had in training and divides by its standard deviation, then multiplies by a learned factor and adds a learned shift: ", formula, pixel)];
}

function bracketed(value) {
  return value < 0 ? html("span", {}, "(", exact(value), ")") : exact(value);
}

function windowAt(pixel, map) {
  return windowOf(NETWORK[pixel.layer], values[pixel.layer - 1], map, pixel.row, pixel.column);
}

function howPool(pixel, words, isMax) {
  const seen = windowAt(pixel, pixel.map);
  const marked = isMax ? seen.indexOf(largest(seen)) : -1;
  const columns = NETWORK[pixel.layer].kernel;
  return [html("p", {}, words, total(pixel)), grid(seen, columns, mostOf(values[pixel.layer - 1]), marked)];
}

function howSoftmax(pixel) {
  const sums = logSum(values[pixel.layer - 1]);
  const share = html("strong", {}, percent(Math.exp(valueOf(pixel))));
  return [oneLine("Log-softmax subtracts the logarithm of the sum of e^score over all digits from the score of this digit: ",
    [before(pixel), " − ", bracketed(sums)], pixel),
  html("p", {}, `The exponential of this value is the probability of a ${pixel.map}: `, share)];
}

/** A convolution: the maps that add most, window by kernel; the rest together; the bias. */
function howConvolution(pixel) {
  const layer = NETWORK[pixel.layer];
  const terms = Array.from({ length: layer.before.maps }, (_, from) => {
    const seen = windowAt(pixel, from);
    const weights = kernelOf(layer, pixel.map, from);
    return { from, seen, weights, value: sum(seen.map((it, tap) => (it ?? 0) * weights[tap])) };
  });
  terms.sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
  const [shown, rest] = [terms.slice(0, MOST_TERMS), terms.slice(MOST_TERMS)];
  const most = mostOf(values[pixel.layer - 1]);
  const rows = shown.flatMap((term) => [
    html("div", { class: "term" }, html("span", {}, pixel.layer === 1 ? "image" : mapName(pixel.layer - 1, term.from)),
      grid(term.seen, layer.kernel, most), "×", grid([...term.weights], layer.kernel, mostOf(layer.kernels))),
    html("span", {}, exact(term.value, "part"))]);
  const line = (words, value) => [html("span", {}, words), html("span", {}, value)];
  if (rest.length) rows.push(...line(`the other ${rest.length} maps`, exact(sum(rest.map(({ value }) => value)), "part")));
  rows.push(...line("bias", exact(layer.bias[pixel.map], "part")), ...line("total", total(pixel)));
  const maps = layer.before.maps;
  const sums = "Each number of the window is multiplied by the kernel’s number in the same place, and all products are added up";
  const words = maps === 1 ? `${sums}:` : `${sums}, over all ${maps} maps of layer ${pixel.layer - 1}${rest.length ? ". The maps that contribute most" : ""}:`;
  return [html("p", {}, words), html("div", { class: "sum" }, ...rows)];
}

/** Show numbers in rows, each on the colour of its value; the colours alone if they are many. */
function grid(numbers, columns, most, marked = -1) {
  const isFine = columns > MOST_COLUMNS;
  const cells = numbers.map((value, index) => {
    const looks = index === marked ? "largest" : value === undefined ? "padding" : "";
    const cell = html("span", { class: looks, title: value ?? "padding" }, isFine ? "" : tiny(value ?? 0));
    const colour = value < 0 ? "negative" : "positive";
    const share = 40 * Math.sqrt(Math.abs(value ?? 0) / most) || 0;
    cell.style.background = `color-mix(in srgb, var(--${colour}) ${share}%, var(--card))`;
    return cell;
  });
  const box = html("div", { class: isFine ? "grid fine" : "grid" }, ...cells);
  box.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
  return box;
}

/** Write a number in the little room of a grid. */
function tiny(value) {
  const text = Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
  return (Number(text) === 0 ? "0" : text).replace("-", "−");
}
