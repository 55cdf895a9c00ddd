"use strict";

// --- The drawing -------------------------------------------------------------------------------

const PAD_SIDE = 280; // ten times the image's
const PEN = 22; // how thick a line is, close to MNIST's once it is made small
const KEY_STEP = 10; // how far an arrow key moves the pen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WHOLE = { left: 0, top: 0, width: PAD_SIDE / SIDE, height: PAD_SIDE / SIDE };

const pad = document.getElementById("pad").getContext("2d", { willReadFrequently: true });
let drawing = { strokes: [], taken: new Uint8Array(SIDE ** 2) }; // strokes, or an image
let earlier = []; // drawings, for undo
let onPad; // the drawing's 28x28 pixels as text
let place = WHOLE; // of the image's pixels on the pad: x starts at left + x * width
let pen; // of the keyboard: {x, y, down}
let frame = 0; // the browser's, in which the drawing will be read

/** Replace the drawing by another, which can be undone. */
function redraw(next) {
  earlier.push(drawing);
  drawing = next;
  readSoon();
}

function startStroke(point) {
  redraw({ strokes: [...drawing.strokes, [point]] });
}

function extendStroke(points) {
  drawing.strokes.at(-1).push(...points);
  readSoon();
}

function undo() {
  drawing = earlier.pop() ?? drawing;
  readSoon();
}

function clear() {
  redraw({ strokes: [] });
}

/** Put an image of 28x28 pixels on the pad, unless it was read from there. */
function takeImage(image) {
  if (imageText(image) === onPad) return;
  onPad = imageText(image);
  earlier.push(drawing);
  drawing = { strokes: [], taken: image };
  paint();
  place = WHOLE;
}

/** Read the drawing once before the browser paints next, however often it changes until then. */
function readSoon() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    onPad = imageText(readDrawing());
    change({ image: onPad });
  });
}

/** Give the drawing as the 28x28 pixels that the network gets; all 0 where there is no digit. */
function readDrawing() {
  paint();
  const pixels = pad.getImageData(0, 0, PAD_SIDE, PAD_SIDE).data;
  const found = drawing.taken ? { image: drawing.taken, ...WHOLE } : mnistLike(greyOf(pixels), PAD_SIDE);
  place = found ?? WHOLE;
  return found?.image ?? new Uint8Array(SIDE ** 2);
}

function greyOf(pixels) {
  const grey = new Uint8Array(pixels.length / 4);
  for (let index = 0; index < grey.length; index++) grey[index] = pixels[4 * index];
  return grey;
}

/** Paint the drawing, black on white. */
function paint() {
  pad.fillStyle = "#fff";
  pad.fillRect(0, 0, PAD_SIDE, PAD_SIDE);
  drawing.taken?.forEach((ink, index) => {
    pad.fillStyle = `rgb(${255 - ink} ${255 - ink} ${255 - ink})`;
    pad.fillRect((index % SIDE) * WHOLE.width, Math.floor(index / SIDE) * WHOLE.height, WHOLE.width, WHOLE.height);
  });
  Object.assign(pad, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  for (const [start, ...rest] of drawing.strokes) {
    pad.beginPath();
    pad.moveTo(...start);
    for (const point of [start, ...rest]) pad.lineTo(...point); // a single point makes a dot
    pad.stroke();
  }
}

/** Mark on the drawing the square that a pixel sees. */
function markPad({ top, left, size }) {
  const box = {
    x: place.left + left * place.width, width: size * place.width,
    y: place.top + top * place.height, height: size * place.height,
  };
  const parts = ["halo", "mark"].map((looks) => svg("rect", { ...box, class: looks }));
  if (pen) parts.push(svg("circle", { cx: pen.x, cy: pen.y, r: PEN / 2, class: pen.down ? "mark" : "rim" }));
  document.getElementById("pad-mark").replaceChildren(...parts);
}

// --- Its pens ----------------------------------------------------------------------------------

function pointOf(event) {
  const box = pad.canvas.getBoundingClientRect();
  const scale = PAD_SIDE / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

/** Draw from the press of a mouse's button, a finger or a pen until it is lifted, wherever. */
function listenToPointer() {
  let drawn; // the pointer's number
  pad.canvas.addEventListener("pointerdown", (event) => {
    if (drawn !== undefined || event.button !== 0) return;
    drawn = event.pointerId;
    startStroke(pointOf(event));
  });
  addEventListener("pointermove", (event) => {
    if (event.pointerId !== drawn) return;
    const events = event.getCoalescedEvents();
    extendStroke((events.length ? events : [event]).map(pointOf));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, (event) => {
      if (event.pointerId === drawn) drawn = undefined;
    });
  }
}

/** Draw with arrows and the space bar. */
function listenToKeys() {
  pad.canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== " ") return;
    event.preventDefault();
    pen ??= { x: PAD_SIDE / 2, y: PAD_SIDE / 4, down: false };
    if (arrow) {
      const within = (it) => Math.min(Math.max(it, PEN), PAD_SIDE - PEN);
      pen.x = within(pen.x + KEY_STEP * arrow[0]);
      pen.y = within(pen.y + KEY_STEP * arrow[1]);
      if (pen.down) extendStroke([[pen.x, pen.y]]);
    } else {
      pen.down = !pen.down;
      if (pen.down) startStroke([pen.x, pen.y]);
    }
    showPixel();
  });
  pad.canvas.addEventListener("blur", () => {
    pen = undefined;
    showPixel();
  });
}
