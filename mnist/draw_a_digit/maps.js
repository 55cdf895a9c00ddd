// --- The maps of every layer ---------------------------------------------------------------------

const GAP = 2; // between maps
const LINE = 15; // pixels of a line of text below a map
const ROOMY = 600; // pixels across from which maps are drawn larger
const FEW = 600; // single numbers, up to which they are drawn larger

// How far beyond the image's rim a pixel can see, but no further than half of it.
const RIM = Math.min(SIDE / 2, Math.max(0, ...NETWORK.map(({ height, width }, layer) => {
  const [first, last] = [sightOf({ layer, map: 0, row: 0, column: 0 }),
    sightOf({ layer, map: 0, row: height - 1, column: width - 1 })];
  return Math.max(-first.top, -first.left, last.top + last.height - SIDE, last.left + last.width - SIDE);
})));
const AROUND = `${-RIM} ${-RIM} ${SIDE + 2 * RIM} ${SIDE + 2 * RIM}`; // the image and its rim

function isSingle({ height, width }) {
  return height * width === 1;
}

/** Make a figure for each layer, under the name of its block in model.py. */
function buildLayers(box) {
  box.append(...NETWORK.flatMap(({ block, label }, layer) => {
    const canvas = html("canvas", { role: "img", "aria-label": `${sizeOf(layer)}, of layer ${layer}` });
    const title = label && label !== NETWORK[layer].name ? `${label}: ${nameOf(layer)}` : nameOf(layer);
    const figure = html("figure", { class: "layer", "data-layer": layer },
      html("figcaption", {},
        html("b", {}, layer === 0 ? "The image" : `${layer} ${title}`),
        html("span", { class: "hint" }, hintOf(layer)),
        html("span", {}, sizeOf(layer)), html("span", { class: "sees" }, sightIcon(layer), sightText(layer))),
      html("div", {}, canvas));
    const begins = block && block !== NETWORK[layer - 1]?.block;
    return begins ? [html("h3", { class: "block" }, `Block ${block}`), figure] : [figure];
  }));
}

/** Draw to scale how much of the image the pixel in the middle of a layer sees. */
function sightIcon(layer) {
  const { top, left, height, width } = sightOf(middleOf(layer));
  return svg("svg", { viewBox: AROUND, "aria-hidden": "true" },
    svg("rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "image" }),
    svg("rect", { x: left, y: top, width, height, class: "square" }));
}

function canvasOf(layer) {
  return document.querySelector(`.layer[data-layer="${layer}"] canvas`);
}

/** Lay out the maps of all layers, as many in a row as fit, the rows of one length; gives their places. */
function layOut() {
  const ratio = devicePixelRatio;
  return NETWORK.map((layer, number) => {
    const { maps, height, width, ofDigits } = layer;
    const usual = innerWidth < ROOMY ? 40 : 52;
    const wanted = ofDigits ? 63 : isSingle(layer) ? (maps > FEW ? 5 : 14) : usual;
    const canvas = canvasOf(number);
    const pixel = Math.max(1, Math.round((wanted * ratio) / Math.max(height, width))) / ratio;
    const [across, down] = [pixel * width, pixel * height];
    const fitting = Math.max(1, Math.floor((canvas.parentElement.clientWidth + GAP) / (across + GAP)));
    const columns = Math.ceil(maps / Math.ceil(maps / fitting));
    const line = down + LINE * (ofDigits ? 1 + isSingle(layer) : 0) + GAP;
    const [wide, high] = [columns * (across + GAP) - GAP, Math.ceil(maps / columns) * line - GAP];
    Object.assign(canvas, { width: wide * ratio, height: high * ratio });
    Object.assign(canvas.style, { width: `${wide}px`, height: `${high}px` });
    return { columns, pixel, across, down, line };
  });
}

function cornerOf({ columns, across, line }, map) {
  return [(map % columns) * (across + GAP), Math.floor(map / columns) * line];
}

/** Find the pixel of a map under the pointer. */
function pixelUnder(event, layer, place) {
  const { maps, height, width } = NETWORK[layer];
  const column = Math.floor(event.offsetX / (place.across + GAP));
  const map = Math.floor(event.offsetY / place.line) * place.columns + column;
  if (column < 0 || column >= place.columns || map < 0 || map >= maps) return undefined;
  const [x, y] = cornerOf(place, map);
  const within = (offset, side) => clamp(Math.floor(offset / place.pixel), 0, side - 1);
  return { layer, map, row: within(event.offsetY - y, height), column: within(event.offsetX - x, width) };
}

/** A layer's maps as a picture, one below the other. */
function stripOf(layer, values, theme) {
  const colours = coloursOf(values, mostOf(values), theme);
  return paintPixels(document.createElement("canvas"), colours, NETWORK[layer].width);
}

/** Draw the maps of a layer, and outline in them what a pixel depends on. */
function drawLayer(layer, { values, strip, place, part, isOwn, theme }) {
  const { maps, height, width } = NETWORK[layer];
  const { across, down } = place;
  const canvas = canvasOf(layer);
  const context = canvas.getContext("2d");
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  for (let map = 0; map < maps; map++) {
    const [x, y] = cornerOf(place, map);
    context.drawImage(strip, 0, map * height, width, height, x, y, across, down);
    context.strokeStyle = theme.muted;
    context.globalAlpha = 0.35;
    if (across > 8) context.strokeRect(x + 0.5, y + 0.5, across - 1, down - 1);
    context.globalAlpha = 1;
    captionMap(context, captionOf(layer, map, values), x + across / 2, y + down, theme);
  }
  if (part) outline(context, layer, place, part, isOwn, theme);
}

function captionMap(context, lines, x, y, theme) {
  context.fillStyle = theme.text;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  lines.forEach((text, index) => context.fillText(text, x, y + LINE * (index + 1) - 3));
}

/** The lines below a map: the digit that it stands for, its value where it is a single number. */
function captionOf(layer, map, values) {
  if (!NETWORK[layer].ofDigits) return [];
  return isSingle(NETWORK[layer]) ? [map, tiny(values[map])] : [map];
}

function outline(context, layer, place, part, isOwn, theme) {
  const looks = isOwn ? [[theme.card, 6], [theme.mark, 3]] : [[theme.card, 3.5], [theme.mark, 1.5]];
  const { across, down, pixel } = place;
  const { height, width } = context.canvas;
  const rect = (x, y, wide, high) => {
    for (const [colour, lineWidth] of looks) {
      Object.assign(context, { strokeStyle: colour, lineWidth });
      context.strokeRect(x, y, wide, high);
    }
  };
  if (isSingle(NETWORK[layer]) && part.maps[1] > part.maps[0] && !NETWORK[layer].ofDigits) {
    rect(0, 0, width / devicePixelRatio, height / devicePixelRatio); // many numbers: around them all
    return;
  }
  for (let map = part.maps[0]; map <= part.maps[1]; map++) {
    const [x, y] = cornerOf(place, map);
    context.save();
    context.beginPath();
    context.rect(x - 1, y - 1, across + 2, down + 2);
    context.clip();
    rect(x + part.left * pixel, y + part.top * pixel, part.width * pixel, part.height * pixel);
    context.restore();
  }
}
