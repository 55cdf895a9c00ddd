"use strict";

// --- The digits stored in the page -----------------------------------------------------------------

/** Unpack images: a zero is followed by how many of them there are. */
function unpack(packed) {
  const pixels = [];
  for (let index = 0; index < packed.length; index++) {
    if (packed[index] === 0) pixels.push(...new Array(packed[++index]).fill(0));
    else pixels.push(packed[index]);
  }
  return Uint8Array.from(pixels);
}

/** Write an image's 784 bytes as text for an address: base64 that is safe in a URL. */
function imageText(image) {
  return btoa(String.fromCharCode(...image)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function readImage(text) {
  if (!/^[\w-]+={0,2}$/.test(text)) return undefined;
  const letters = text.replace(/=+$/, "").replaceAll("-", "+").replaceAll("_", "/");
  if (letters.length !== Math.ceil((SIDE ** 2 * 4) / 3)) return undefined;
  return bytesOf(letters);
}

const UNPACKED = unpack(bytesOf(PIXELS));
const KNOWN = EXAMPLES.map((digit, index) => {
  const pixels = UNPACKED.subarray(index * SIDE ** 2, (index + 1) * SIDE ** 2);
  return { ...digit, pixels, image: imageText(pixels) };
});
const TEST_DIGITS = KNOWN.slice(0, TESTED.digits);
const MISTAKES = KNOWN.slice(TESTED.digits);

// --- What is set -----------------------------------------------------------------------------------

const MIDDLE = Math.floor(NETWORK[1].side / 2);
const DEFAULTS = {
  image: TEST_DIGITS.find(({ index }) => index === 0).image,
  pixel: pixelText({ layer: 1, map: 0, row: MIDDLE, column: MIDDLE }),
};
const RULES = {
  image: { read: (text) => readImage(text) && imageText(readImage(text)) },
  pixel: { read: (text) => readPixel(text) && text },
};

let image; // 784 bytes, ink 255
let values; // of every layer, from this image

/** Recompute what depends on the changed settings, and show it. */
function apply(changes) {
  settings = { ...settings, ...changes };
  pointed = undefined;
  if ("image" in changes) {
    image = readImage(settings.image);
    takeImage(image);
    values = computeAll(image);
    strips = [];
    showReading();
  }
  showPixel();
  showMaps();
}

// --- The answer --------------------------------------------------------------------------------------

function percent(share) {
  if (share > 0.9995) return "over 99.9\u00a0%";
  return share < 0.0005 ? "under 0.1\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;
}

/** The digit that the network reads. */
function answer() {
  return values.at(-1).indexOf(Math.max(...values.at(-1)));
}

function showReading() {
  const shares = [...values.at(-1)].map(Math.exp);
  const best = answer();
  const blank = image.every((ink) => ink === 0);
  const known = KNOWN.find((it) => it.image === settings.image);
  document.getElementById("answer").replaceChildren(...(blank
    ? [html("strong", {}, "–"), drawing.strokes.length ? " too little ink: draw a larger digit" : " draw a digit"]
    : [html("strong", {}, best), html("span", {}, ` ${percent(shares[best])} sure`, ...judged(known, best))]));
  tellWhenStill("answer-told", document.getElementById("answer").textContent);
  shares.forEach((share, digit) => showBar(digit, blank ? 0 : share, !blank && digit === best));
  for (const id of ["given", "seen"]) {
    paintPixels(document.getElementById(id), Uint32Array.from(image, (ink) => theme.ink[ink]), SIDE);
  }
  for (const button of document.querySelectorAll(".thumbnails button")) {
    button.setAttribute("aria-pressed", button.value === settings.image);
  }
}

const telling = {}; // the timers of announcements to screen readers

/** Announce a text to screen readers once it has not changed for half a second. */
function tellWhenStill(id, text) {
  const told = document.getElementById(id);
  clearTimeout(telling[id]);
  telling[id] = setTimeout(() => { told.textContent = text; }, 500);
}

/** Say of a known image whether its answer is right. */
function judged(known, best) {
  if (!known) return [];
  const words = known.label === best ? "and right" : `but it is a ${known.label}`;
  return [",", html("br", {}), " ", html("span", { class: known.label === best ? "right" : "wrong" }, words)];
}

function showBar(digit, share, isBest) {
  const bar = document.getElementById("bars").children[digit];
  bar.style.setProperty("--share", share);
  bar.classList.toggle("best", isBest);
  bar.setAttribute("aria-label", `${digit}: ${percent(share)}`);
  bar.firstChild.textContent = share < 0.005 ? "" : `${Math.round(100 * share)}%`;
}

// --- Repeated elements of the page -------------------------------------------------------------------

function thumbnail({ index, label, answer, pixels, image }, isMistake) {
  const canvas = html("canvas", { "aria-hidden": "true" });
  paintPixels(canvas, Uint32Array.from(pixels, (ink) => theme.ink[ink]), SIDE);
  const title = `test image ${index}, a ${label}, read as a ${answer}`;
  return html("button", { type: "button", value: image, title, "aria-label": title }, canvas,
    isMistake ? `${label} → ${answer}` : "");
}

function buildThumbnails() {
  const fill = (id, digits, isMistake) => {
    const buttons = digits.map((digit) => thumbnail(digit, isMistake));
    for (const button of buttons.slice(1)) button.tabIndex = -1; // arrow keys go there
    document.getElementById(id).replaceChildren(...buttons);
  };
  fill("examples", TEST_DIGITS, false);
  fill("mistakes", MISTAKES, true);
  const { images, wrong } = TESTED;
  const count = MISTAKES.length < wrong ? `${MISTAKES.length} of the ${wrong}` : `All ${wrong}`;
  document.getElementById("mistakes-title").textContent =
    `${count} mistakes on ${images.toLocaleString("en")} test images: label → answer`;
}

function build() {
  document.getElementById("bars").append(...Array.from(Array(NETWORK.at(-1).maps), (_, digit) =>
    html("li", {}, html("span", {}), html("span", { class: "column" }, html("i", {})), html("b", {}, digit))));
  document.getElementById("seen-mark").append(svg("path", { class: "outside", "fill-rule": "evenodd" }),
    svg("rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "rim" }),
    svg("rect", { class: "halo" }), svg("rect", { class: "mark" }));
  document.getElementById("seen-mark").setAttribute("viewBox", `${-RIM} ${-RIM} ${SIDE + 2 * RIM} ${SIDE + 2 * RIM}`);
  document.querySelector(".sight").style.padding = `${(100 * RIM) / (SIDE + 2 * RIM)}%`;
  buildLayers();
}

// --- Controls ------------------------------------------------------------------------------------------

const MOVES = {
  ArrowLeft: { columns: -1 }, ArrowRight: { columns: 1 }, ArrowUp: { rows: -1 }, ArrowDown: { rows: 1 },
  PageUp: { maps: -1 }, PageDown: { maps: 1 },
};

/** Whether a key is pressed alone, so that it is not one of the browser's own. */
function isPlain({ altKey, ctrlKey, metaKey }) {
  return !altKey && !ctrlKey && !metaKey;
}

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

function point(pixel) {
  pointed = pixel;
  showPixel();
  showMaps();
}

function listen() {
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, act);
  listenToPointer();
  listenToKeys();
  on("undo", "click", undo);
  on("clear", "click", clear);
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
  on("layer", "input", (event) => chooseLayer(event.target.valueAsNumber));
  on("map-number", "input", (event) => movePixel(readPixel(settings.pixel),
    { maps: event.target.valueAsNumber - readPixel(settings.pixel).map }));
  on("map", "keydown", (event) => {
    if (!(event.key in MOVES) || !isPlain(event)) return;
    event.preventDefault();
    movePixel(readPixel(settings.pixel), MOVES[event.key]);
  });
  listenToMap(document.getElementById("map"), (event) => {
    const { layer, map } = readPixel(settings.pixel);
    const { side } = NETWORK[layer];
    const within = (share) => Math.min(Math.max(Math.floor(share * side), 0), side - 1);
    const { clientWidth } = event.target;
    return { layer, map, row: within(event.offsetY / clientWidth), column: within(event.offsetX / clientWidth) };
  });
  NETWORK.forEach((_, layer) => listenToMap(canvasOf(layer), (event) => pixelUnder(event, layer)));
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
      if (isIntersecting) {
        visible.add(layer);
        drawLayer(layer);
      } else visible.delete(layer);
    }
  });
  for (const figure of document.querySelectorAll(".layer")) observer.observe(figure);
  addEventListener("resize", layOut);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
}

/** Take the colours of the light or the dark page. */
function dress() {
  readTheme();
  buildThumbnails();
  apply(settings);
}

readTheme();
build();
buildThumbnails();
followAddress();
layOut();
listen();
watchScreen();
