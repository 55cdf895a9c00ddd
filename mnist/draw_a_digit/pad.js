"use strict";

// --- The drawing -------------------------------------------------------------------------------

const PAD_SIDE = 280; // ten times the image's
const PEN = 22; // how thick a line is, close to MNIST's once it is made small
const KEY_STEP = 10; // how far an arrow key moves the pen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WHOLE = { left: 0, top: 0, width: PAD_SIDE / SIDE, height: PAD_SIDE / SIDE };

const pad = document.getElementById("pad").getContext("2d");
// What is read: the drawing made smaller on paper with a margin, for a digit may fill the pad.
const MARGIN = 40;
const SHRUNK = 1 - (2 * MARGIN) / PAD_SIDE;
const sheet = html("canvas", { width: PAD_SIDE, height: PAD_SIDE })
  .getContext("2d", { willReadFrequently: true });
let drawing; // {strokes, taken}: strokes, or an image that was taken
let earlier = []; // drawings, for undo
let onPad; // the drawing's 28x28 pixels as text
let place = WHOLE; // of the image's pixels on the pad: x starts at left + x * width
let growing; // the stroke that is being drawn
let pen; // of the keyboard: {x, y, down}
let frame = 0; // the browser's, in which the drawing will be read

/** Replace the drawing by another, which can be undone. */
function redraw(next) {
  earlier.push(drawing);
  drawing = next;
  readSoon();
}

function startStroke(point) {
  growing = [point];
  redraw({ strokes: [...drawing.strokes, growing] });
}

/** Add to the stroke that is being drawn; nothing, if it was undone or cleared meanwhile. */
function extendStroke(points) {
  if (drawing.strokes.at(-1) !== growing) return;
  growing.push(...points);
  readSoon();
}

function undo() {
  drawing = earlier.pop() ?? drawing;
  readSoon();
}

function clear() {
  if (drawing.taken || drawing.strokes.length) redraw({ strokes: [] });
}

/** Put an image of 28x28 pixels on the pad, unless it was read from there. */
function takeImage(image) {
  if (imageText(image) === onPad) return;
  onPad = imageText(image);
  if (drawing) earlier.push(drawing);
  drawing = { strokes: [], taken: image };
  paint(pad);
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
  paint(pad);
  place = WHOLE;
  if (drawing.taken) return drawing.taken;
  paint(sheet, MARGIN, SHRUNK);
  const found = mnistLike(greyOf(sheet.getImageData(0, 0, PAD_SIDE, PAD_SIDE).data), PAD_SIDE);
  if (found === undefined) return new Uint8Array(SIDE ** 2);
  place = {
    left: (found.left - MARGIN) / SHRUNK, width: found.width / SHRUNK,
    top: (found.top - MARGIN) / SHRUNK, height: found.height / SHRUNK,
  };
  return found.image;
}

function greyOf(pixels) {
  const grey = new Uint8Array(pixels.length / 4);
  for (let index = 0; index < grey.length; index++) grey[index] = pixels[4 * index];
  return grey;
}

/** Paint the drawing, black on white, with a margin around and so much smaller. */
function paint(paper, margin = 0, scale = 1) {
  paper.resetTransform();
  paper.fillStyle = "#fff";
  paper.fillRect(0, 0, PAD_SIDE, PAD_SIDE);
  paper.setTransform(scale, 0, 0, scale, margin, margin);
  drawing.taken?.forEach((ink, index) => {
    paper.fillStyle = `rgb(${255 - ink} ${255 - ink} ${255 - ink})`;
    paper.fillRect((index % SIDE) * WHOLE.width, Math.floor(index / SIDE) * WHOLE.height, WHOLE.width, WHOLE.height);
  });
  paper.beginPath();
  paper.rect(0, 0, PAD_SIDE, PAD_SIDE);
  paper.save();
  paper.clip(); // what was drawn beyond the pad is not seen, nor read
  Object.assign(paper, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  for (const [start, ...rest] of drawing.strokes) {
    paper.beginPath();
    paper.moveTo(...start);
    for (const point of [start, ...rest]) paper.lineTo(...point); // a single point makes a dot
    paper.stroke();
  }
  paper.restore();
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

/** Draw with mouse, finger or pen from press to release, even if released off the pad. */
function listenToPointer() {
  let drawn; // the pointer's number
  pad.canvas.addEventListener("pointerdown", (event) => {
    if (drawn !== undefined || event.button !== 0) return;
    drawn = event.pointerId;
    startStroke(pointOf(event));
  });
  addEventListener("pointermove", (event) => {
    if (event.pointerId !== drawn) return;
    if (!event.buttons) { // it was lifted where the page could not notice
      drawn = undefined;
      return;
    }
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
    if ((!arrow && event.key !== " ") || !isPlain(event)) return;
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
