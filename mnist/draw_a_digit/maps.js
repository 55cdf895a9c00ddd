"use strict";

// --- The maps of every layer ---------------------------------------------------------------------

const GAP = 2; // between maps
const LINE = 15; // pixels of a line of text below a map
const ROOMY = 600; // pixels across from which maps are drawn larger

let places = []; // of each layer's maps: {columns, size, line}
let strips = []; // of each layer: its maps as a picture, one below the other
const theme = {}; // the colours of this light or dark page
const visible = new Set(); // layers on the screen

function nameOf(layer) {
  const { kind, kernel } = NETWORK[layer];
  const window_ = kernel > 1 || kind === "convolution" ? ` ${kernel}×${kernel}` : "";
  return layer === 0 ? "the image" : `${kind}${window_}`;
}

/** What a layer does, in a few words. */
function hintOf(layer) {
  const { kind, kernel, side } = NETWORK[layer];
  if (kind === "convolution" && isOfDigits(layer)) return "one map for each digit: where it is seen";
  return {
    "image": "normalised for the network",
    "convolution": kernel === 1
      ? "weighted sum of one pixel of every map of the layer before"
      : `weighted sum of ${kernel}×${kernel} pixels of every map of the layer before`,
    "ReLU": "sets negatives to 0",
    "batch norm": "brings each map to the same scale",
    "max pooling": `keeps the largest of ${kernel}×${kernel}`,
    "dropout": "acts only in training",
    "average pooling": isOfDigits(layer) && side === 1
      ? "the mean of each map: the digit’s score" : `the mean of ${kernel}×${kernel}`,
    "log-softmax": "logarithms of the probabilities",
  }[kind];
}

function sizeOf(layer) {
  const { maps, side } = NETWORK[layer];
  if (side === 1) return `${maps} numbers`;
  return `${maps} ${maps === 1 ? "map" : "maps"} of ${side}×${side}`;
}

/** From the last convolution on, there is one map for each digit. */
function isOfDigits(layer) {
  return layer >= NETWORK.findLastIndex(({ kind }) => kind === "convolution");
}

function mapName(layer, map) {
  return isOfDigits(layer) ? `digit ${map}` : `map ${map + 1}`;
}

// --- Colours -------------------------------------------------------------------------------------

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["card", "text", "muted", "positive", "negative", "mark"]) {
    theme[name] = style.getPropertyValue(`--${name}`);
  }
  const steps = Array.from({ length: 256 }, (_, index) => index / 255);
  theme.ramp = Uint32Array.from([
    ...steps.slice(1).reverse().map((share) => mixed(theme.negative, share)),
    ...steps.map((share) => mixed(theme.positive, share)),
  ]);
  theme.ink = Uint32Array.from(steps, (share) => mixed(theme.text, share));
}

/** Mix a share of a colour into the page's, as the bytes of a pixel. */
function mixed(colour, share) {
  const bytes = (text) => [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
  const paper = bytes(theme.card);
  const [red, green, blue] = bytes(colour).map((it, index) => paper[index] + share * (it - paper[index]));
  return (255 << 24) | (blue << 16) | (green << 8) | red;
}

/** The colour of a value among those of a layer; the root makes small ones visible. */
function colourOf(value, most) {
  const share = Math.round(255 * Math.sqrt(Math.abs(value) / most)) || 0;
  return theme.ramp[255 + (value < 0 ? -share : share)];
}

function mostOf(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** Paint pixels of these colours, `side` in a row, into a canvas. */
function paintPixels(canvas, colours, side) {
  Object.assign(canvas, { width: side, height: colours.length / side });
  const pixels = new Uint8ClampedArray(colours.buffer);
  canvas.getContext("2d").putImageData(new ImageData(pixels, side), 0, 0);
  return canvas;
}

function stripOf(layer) {
  const most = mostOf(values[layer]);
  const colours = Uint32Array.from(values[layer], (value) => colourOf(value, most));
  return paintPixels(document.createElement("canvas"), colours, NETWORK[layer].side);
}

// --- Layout of the maps ----------------------------------------------------------------------------

/** Lay out the maps of all layers: as many in a row as fit, the rows of one length. */
function layOut() {
  const ratio = devicePixelRatio;
  places = NETWORK.map(({ maps, side }, layer) => {
    const wanted = isOfDigits(layer) ? 63 : innerWidth < ROOMY ? 40 : 52;
    const canvas = canvasOf(layer);
    const size = (Math.max(1, Math.round((wanted * ratio) / side)) * side) / ratio;
    const fitting = Math.max(1, Math.floor((canvas.parentElement.clientWidth + GAP) / (size + GAP)));
    const columns = Math.ceil(maps / Math.ceil(maps / fitting));
    const line = size + LINE * captionOf(layer, 0).length + GAP;
    const [width, height] = [columns * (size + GAP) - GAP, Math.ceil(maps / columns) * line - GAP];
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    return { columns, size, line };
  });
  showMaps();
}

function canvasOf(layer) {
  return document.querySelector(`.layer[data-layer="${layer}"] canvas`);
}

function cornerOf(layer, map) {
  const { columns, size, line } = places[layer];
  return [(map % columns) * (size + GAP), Math.floor(map / columns) * line];
}

/** Find the pixel of a map under the pointer. */
function pixelUnder(event, layer) {
  const { maps, side } = NETWORK[layer];
  const { columns, size, line } = places[layer];
  const column = Math.floor(event.offsetX / (size + GAP));
  const map = Math.floor(event.offsetY / line) * columns + column;
  const [x, y] = cornerOf(layer, map);
  const within = (offset) => Math.min(Math.max(Math.floor((offset / size) * side), 0), side - 1);
  if (column < 0 || column >= columns || map < 0 || map >= maps) return undefined;
  return { layer, map, row: within(event.offsetY - y), column: within(event.offsetX - x) };
}

// --- Drawing them ----------------------------------------------------------------------------------

function showMaps() {
  for (const layer of visible) drawLayer(layer);
}

function drawLayer(layer) {
  const { maps, side } = NETWORK[layer];
  const { size } = places[layer];
  strips[layer] ??= stripOf(layer);
  const canvas = canvasOf(layer);
  const context = canvas.getContext("2d");
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  for (let map = 0; map < maps; map++) {
    const [x, y] = cornerOf(layer, map);
    context.drawImage(strips[layer], 0, map * side, side, side, x, y, size, size);
    context.strokeStyle = theme.muted;
    context.globalAlpha = 0.35;
    context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
    context.globalAlpha = 1;
    captionMap(context, layer, map);
  }
  drawCone(context, layer);
}

function captionMap(context, layer, map) {
  const [x, y] = cornerOf(layer, map);
  const { size } = places[layer];
  context.fillStyle = theme.text;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  captionOf(layer, map).forEach((line, index) =>
    context.fillText(line, x + size / 2, y + size + LINE * (index + 1) - 3));
}

/** The lines below a map: the digit that it stands for, its value where it is a single number. */
function captionOf(layer, map) {
  if (!isOfDigits(layer)) return [];
  return NETWORK[layer].side === 1 ? [map, tiny(values[layer][map])] : [map];
}

/** Outline in a layer what the shown pixel, of this or a later layer, depends on. */
function drawCone(context, layer) {
  const pixel = shownPixel();
  if (layer > pixel.layer) return;
  const { size } = places[layer];
  const scale = size / NETWORK[layer].side;
  const square = cone(pixel)[layer];
  const looks = layer === pixel.layer ? [[theme.card, 6], [theme.mark, 3]] : [[theme.card, 3.5], [theme.mark, 1.5]];
  for (let map = 0; map < NETWORK[layer].maps; map++) {
    if (map !== pixel.map && !mixesMaps(layer, pixel.layer)) continue;
    const [x, y] = cornerOf(layer, map);
    context.save();
    context.beginPath();
    context.rect(x - 1, y - 1, size + 2, size + 2);
    context.clip();
    for (const [colour, width] of looks) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(x + square.left * scale, y + square.top * scale, square.size * scale, square.size * scale);
    }
    context.restore();
  }
}

/** Whether a pixel of a later layer depends on all maps of an earlier one, or on one alone. */
function mixesMaps(earlier, later) {
  return NETWORK.slice(earlier + 1, later + 1).some(({ kind }) => MIXING.includes(kind));
}

const MIXING = ["convolution", "log-softmax"];

/** Make a figure for each layer, under the name of its block in model.py. */
function buildLayers() {
  const figures = NETWORK.flatMap(({ block }, layer) => {
    const canvas = html("canvas", { role: "img", "aria-label": `${sizeOf(layer)}, of layer ${layer}` });
    const figure = html("figure", { class: "layer", "data-layer": layer },
      html("figcaption", {},
        html("b", {}, layer === 0 ? "The image" : `${layer} ${nameOf(layer)}`),
        html("span", { class: "hint" }, hintOf(layer)),
        html("span", {}, sizeOf(layer)), html("span", { class: "sees" }, sightIcon(layer), sightText(layer))),
      html("div", {}, canvas));
    const begins = block && block !== NETWORK[layer - 1]?.block;
    return begins ? [html("h3", { class: "block" }, `Block ${block}`), figure] : [figure];
  });
  document.getElementById("layers").append(...figures);
}

function sightText(layer) {
  const size = sightOf(layer);
  if (size === 1) return "a pixel sees itself";
  const last = NETWORK[layer].side - 1;
  const all = [0, last].every((row) => isWhole(cone({ layer, row, column: row })[0]));
  return all ? "a pixel sees the whole image" : `a pixel sees ${size}×${size}`;
}

/** Draw to scale how much of the image the pixel in the middle of a layer sees. */
function sightIcon(layer) {
  const middle = Math.floor(NETWORK[layer].side / 2);
  const { top, left, size } = cone({ layer, row: middle, column: middle })[0];
  return svg("svg", { viewBox: `${-RIM} ${-RIM} ${SIDE + 2 * RIM} ${SIDE + 2 * RIM}`, "aria-hidden": "true" },
    svg("rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "image" }),
    svg("rect", { x: left, y: top, width: size, height: size, class: "square" }));
}

/** How far beyond the image's rim a pixel can see. */
const RIM = Math.max(...NETWORK.map(({ side }, layer) => {
  const [first, last] = [0, side - 1].map((row) => cone({ layer, row, column: row })[0]);
  return Math.max(-first.top, last.top + last.size - SIDE);
}));
