// --- What is set, and what follows from it -----------------------------------------------------------

const middle = middleOf(1);
const DEFAULTS = {
  image: TEST_DIGITS.find(({ index }) => index === 0).image,
  pixel: pixelText({ ...middle, map: 0 }),
};
const RULES = {
  image: { read: (text) => readImage(text) && imageText(readImage(text)) },
  pixel: { read: (text) => readPixel(text) && text },
};

const pad = new Pad(document.getElementById("pad"), document.getElementById("pad-mark"), {
  onDraw: () => change({ image: imageText(pad.read()) }),
  onPen: () => redraw(),
});
const state = {
  image: undefined, // 784 bytes, ink 255
  values: [], // of every layer, from this image
  strips: [], // of each layer on the screen: its maps as a picture
  places: [], // of each layer's maps
  visible: new Set(), // layers on the screen
  theme: {}, // the colours of this light or dark page
  pointed: undefined, // the pixel under the mouse, shown while it is there
};

/** Recompute what depends on the changed settings, and show it. */
function apply(changes) {
  settings = { ...settings, ...changes };
  state.pointed = undefined;
  if ("image" in changes) {
    const image = readImage(settings.image);
    if (!pad.image || imageText(pad.image) !== settings.image) pad.take(image);
    Object.assign(state, { image, values: computeAll(image), strips: [] });
    showReading(image, settings.image, state.values, pad.drawing.strokes.length > 0, state.theme);
  }
  redraw();
}

/** Show the pixel, and the layers that are on the screen. */
function redraw() {
  const pixel = shownPixel();
  const sight = sightOf(pixel);
  showPixel(pixel, sight, state);
  pad.mark(sight);
  redrawLayers(state.visible);
}

function redrawLayers(layers) {
  const pixel = shownPixel();
  const parts = cone(pixel);
  const { values, strips, places, theme } = state;
  for (const layer of layers) {
    strips[layer] ??= stripOf(layer, values[layer], theme);
    drawLayer(layer, {
      values: values[layer], strip: strips[layer], place: places[layer],
      part: parts[layer], isOwn: layer === pixel.layer, theme,
    });
  }
}

function shownPixel() {
  return state.pointed ?? readPixel(settings.pixel);
}

// --- Choosing a pixel ----------------------------------------------------------------------------------

let anchor; // where the pixel was before the layer was changed: {layer, map, x, y}

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
  const { top, left, height, width } = sightOf(pixel);
  anchor ??= { layer: pixel.layer, map: pixel.map, x: left + width / 2, y: top + height / 2 };
  const isEntered = NETWORK[layer].ofDigits && !NETWORK[anchor.layer].ofDigits;
  const map = isEntered ? answerOf(state.values) : Math.min(anchor.map, NETWORK[layer].maps - 1);
  setPixel(nearest(layer, map, anchor));
}

function point(pixel) {
  state.pointed = pixel;
  redraw();
}

// --- Controls ------------------------------------------------------------------------------------------

const MOVES = {
  ArrowLeft: { columns: -1 }, ArrowRight: { columns: 1 }, ArrowUp: { rows: -1 }, ArrowDown: { rows: 1 },
  PageUp: { maps: -1 }, PageDown: { maps: 1 },
};

/** Move the focus to another button of a row, and with it the only one that Tab reaches. */
function moveFocus(from, to) {
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

let pressed; // the element on which the pointer went down

/** Show a pixel while the mouse is over it; choose it when it is clicked, tapped or dragged to. */
function listenToMap(canvas, find) {
  canvas.addEventListener("pointermove", (event) => {
    const pixel = find(event);
    if (!pixel) return;
    const scrolls = event.pointerType === "touch" && canvas.id !== "map"; // a tap still chooses
    if (!event.buttons) point(pixel);
    else if (pressed === canvas && !scrolls) choosePixel(pixel);
  });
  canvas.addEventListener("pointerleave", () => point(undefined));
  canvas.addEventListener("click", (event) => {
    const pixel = find(event);
    if (pixel) choosePixel(pixel);
  });
}

function pixelOfPanel({ offsetX, offsetY, target }) {
  const { layer, map } = readPixel(settings.pixel);
  const { height, width } = NETWORK[layer];
  const within = (share, side) => clamp(Math.floor(share * side), 0, side - 1);
  return {
    layer, map,
    row: within(offsetY / target.clientHeight, height),
    column: within(offsetX / target.clientWidth, width),
  };
}

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

function listen() {
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, act);
  on("undo", "click", () => pad.undo());
  on("clear", "click", () => pad.clear());
  on("why", "click", showWhy);
  for (const id of ["examples", "mistakes"]) {
    on(id, "click", (event) => {
      const button = event.target.closest("button");
      if (button) change({ image: button.value });
    });
    on(id, "keydown", (event) => {
      const beside = { ArrowLeft: "previousSibling", ArrowRight: "nextSibling" }[event.key];
      if (event.target[beside] && isPlain(event)) moveFocus(event.target, event.target[beside]);
    });
  }
  const move = (steps) => choosePixel(moved(readPixel(settings.pixel), steps));
  on("layer", "input", (event) => chooseLayer(event.target.valueAsNumber));
  on("map-number", "input", (event) => move({ maps: event.target.valueAsNumber - readPixel(settings.pixel).map }));
  on("map", "keydown", (event) => {
    if (!(event.key in MOVES) || !isPlain(event)) return;
    event.preventDefault();
    move(MOVES[event.key]);
  });
  listenToMap(document.getElementById("map"), pixelOfPanel);
  NETWORK.forEach((_, layer) =>
    listenToMap(canvasOf(layer), (event) => pixelUnder(event, layer, state.places[layer])));
  addEventListener("pointerdown", (event) => { pressed = event.target; });
  addEventListener("pointerup", () => { pressed = undefined; });
  addEventListener("scroll", forgetWhy);
  addEventListener("hashchange", followAddress);
}

/** Draw only the layers that are on the screen. */
function watchScreen() {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const layer = Number(target.dataset.layer);
      if (isIntersecting) state.visible.add(layer);
      else state.visible.delete(layer);
      if (isIntersecting) redrawLayers([layer]);
    }
  });
  for (const figure of document.querySelectorAll(".layer")) observer.observe(figure);
  addEventListener("resize", place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
}

function place() {
  state.places = layOut();
  redrawLayers(state.visible);
}

/** Take the colours of the light or the dark page. */
function dress() {
  state.theme = readTheme();
  buildThumbnails(state.theme);
  apply(settings);
}

state.theme = readTheme();
buildBars();
buildSight();
buildLayers(document.getElementById("layers"));
buildThumbnails(state.theme);
followAddress();
place();
listen();
watchScreen();
