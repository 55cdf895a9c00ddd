// --- The drawing -------------------------------------------------------------------------------

const PAD_SIDE = 280; // ten times the image's
const PEN = 22; // how thick a line is, close to MNIST's once it is made small
const KEY_STEP = 10; // how far an arrow key moves the pen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WHOLE = { left: 0, top: 0, width: PAD_SIDE / SIDE, height: PAD_SIDE / SIDE };

/**
 * The pad on which one draws. It keeps its strokes as points, and makes its ink from them: some
 * browsers falsify what is read from a canvas.
 */
class Pad {
  drawing; // {strokes, taken}: strokes, or an image that was taken
  earlier = []; // drawings, for undo
  image; // the 28x28 pixels that were last read or taken
  place = WHOLE; // of the image's pixels on the pad: x starts at left + x * width
  pen; // of the keyboard: {x, y, down, stroke}
  #growing; // the stroke that is being drawn
  #pointer; // the one that draws: {id, type}
  #penIsNear = false; // it is down, or over the page
  #inked = new WeakMap(); // of each stroke: its ink, and how many of its points are in it
  #frame = 0; // the browser's, in which the drawing will be read

  /** `onDraw` is called before the browser paints next after a change, `onPen` as the keyboard's pen moves. */
  constructor(canvas, marks, { onDraw, onPen }) {
    Object.assign(this, { canvas, marks, onDraw, onPen });
    this.#listenToPointers();
    this.#listenToKeys();
  }

  /** Put an image of 28x28 pixels on the pad. */
  take(image) {
    if (this.drawing) this.earlier.push(this.drawing);
    this.drawing = { strokes: [], taken: image };
    this.image = image;
    this.place = WHOLE;
    this.#paint();
  }

  undo() {
    this.drawing = this.earlier.pop() ?? this.drawing;
    if (this.pen) this.pen.down = false;
    this.#readSoon();
  }

  clear() {
    if (this.drawing.taken || this.drawing.strokes.length) this.#replace({ strokes: [] });
  }

  /** Read the drawing as the 28x28 pixels that the network gets; all 0 where there is no digit. */
  read() {
    this.#paint();
    const found = this.drawing.taken ? undefined : mnistLike(this.ink(), PAD_SIDE);
    this.image = this.drawing.taken ?? found?.image ?? new Uint8Array(SIDE ** 2);
    this.place = found ?? WHOLE;
    return this.image;
  }

  /** The ink of the drawing, 0 to 255 in each pixel of the pad. */
  ink() {
    return this.drawing.strokes.reduce((ink, stroke) => {
      const more = this.#inkOf(stroke);
      return ink.map((value, index) => Math.max(value, more[index]));
    }, new Uint8Array(PAD_SIDE ** 2));
  }

  /** The ink of one stroke; what was inked before is not inked again. */
  #inkOf(stroke) {
    const inked = this.#inked.get(stroke) ?? { ink: new Uint8Array(PAD_SIDE ** 2), count: 0 };
    for (let index = inked.count; index < stroke.length; index++) {
      inkLine(inked.ink, stroke[Math.max(index - 1, 0)], stroke[index]);
    }
    this.#inked.set(stroke, { ...inked, count: stroke.length });
    return inked.ink;
  }

  /** Mark on the drawing the part of the image that a pixel sees, and the keyboard's pen. */
  mark({ top, left, width, height }) {
    const { place, pen } = this;
    const box = {
      x: place.left + left * place.width, width: width * place.width,
      y: place.top + top * place.height, height: height * place.height,
    };
    const parts = ["halo", "mark"].map((looks) => svg("rect", { ...box, class: looks }));
    if (pen) parts.push(svg("circle", { cx: pen.x, cy: pen.y, r: PEN / 2, class: pen.down ? "mark" : "rim" }));
    this.marks.replaceChildren(...parts);
  }

  /** Replace the drawing by another, which can be undone. */
  #replace(next) {
    this.earlier.push(this.drawing);
    this.drawing = next;
    this.#readSoon();
  }

  #start(point) {
    this.#growing = [point];
    this.#replace({ strokes: [...this.drawing.strokes, this.#growing] });
  }

  /** Add to the stroke that is being drawn; nothing, if it was undone or cleared meanwhile. */
  #extend(points) {
    if (this.drawing.strokes.at(-1) !== this.#growing) return;
    this.#growing.push(...points);
    this.#readSoon();
  }

  /** Have the drawing read once before the browser paints next, however often it changes until then. */
  #readSoon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.onDraw();
    });
  }

  #paint() {
    const paper = this.canvas.getContext("2d");
    paper.fillStyle = "#fff";
    paper.fillRect(0, 0, PAD_SIDE, PAD_SIDE);
    this.drawing.taken?.forEach((ink, index) => {
      paper.fillStyle = `rgb(${255 - ink} ${255 - ink} ${255 - ink})`;
      paper.fillRect((index % SIDE) * WHOLE.width, Math.floor(index / SIDE) * WHOLE.height, WHOLE.width, WHOLE.height);
    });
    Object.assign(paper, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    for (const [start, ...rest] of this.drawing.strokes) {
      paper.beginPath();
      paper.moveTo(...start);
      for (const point of [start, ...rest]) paper.lineTo(...point); // a single point makes a dot
      paper.stroke();
    }
  }

  /** Where a pointer is; on some devices, one event stands for several moves. */
  #pointsOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = PAD_SIDE / box.width;
    const moves = event.getCoalescedEvents?.() ?? []; // missing without HTTPS, and in older Safari
    return (moves.length ? moves : [event])
      .map(({ clientX, clientY }) => [(clientX - box.left) * scale, (clientY - box.top) * scale]);
  }

  /**
   * Draw with mouse, finger or pen from press to release, even if released off the pad. A pen takes
   * over from fingers, which are then the hand that rests on the screen.
   */
  #listenToPointers() {
    this.canvas.addEventListener("pointerdown", (event) => {
      const { pointerId: id, pointerType: type } = event;
      if (event.button !== 0 || (type === "touch" && this.#penIsNear)) return;
      if (type === "pen" && this.#pointer?.type === "touch") this.#dropStroke();
      else if (this.#pointer) return;
      this.#pointer = { id, type };
      this.#start(this.#pointsOf(event)[0]);
    });
    addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pointer?.id) return;
      if (event.buttons) this.#extend(this.#pointsOf(event));
      else this.#pointer = undefined; // it was lifted where the page could not notice
    });
    for (const end of ["pointerup", "pointercancel"]) {
      addEventListener(end, (event) => {
        if (event.pointerId === this.#pointer?.id) this.#pointer = undefined;
      });
    }
    addEventListener("pointerover", (event) => { this.#penIsNear ||= event.pointerType === "pen"; });
    addEventListener("pointerout", (event) => {
      if (event.pointerType === "pen" && !event.relatedTarget) this.#penIsNear = false;
    });
  }

  #dropStroke() {
    if (this.drawing.strokes.at(-1) === this.#growing) this.drawing = this.earlier.pop();
  }

  /** Draw with arrows and the space bar. */
  #listenToKeys() {
    this.canvas.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if ((!arrow && event.key !== " ") || !isPlain(event)) return;
      event.preventDefault();
      this.pen ??= { x: PAD_SIDE / 2, y: PAD_SIDE / 4, down: false };
      const { pen } = this;
      if (arrow) {
        pen.x = clamp(pen.x + KEY_STEP * arrow[0], PEN, PAD_SIDE - PEN);
        pen.y = clamp(pen.y + KEY_STEP * arrow[1], PEN, PAD_SIDE - PEN);
        if (pen.down && pen.stroke === this.#growing) this.#extend([[pen.x, pen.y]]);
      } else {
        pen.down = !pen.down;
        if (pen.down) this.#start([pen.x, pen.y]);
        pen.stroke = this.#growing;
      }
      this.onPen();
    });
    this.canvas.addEventListener("blur", () => {
      this.pen = undefined;
      this.onPen();
    });
  }
}

/** Ink a line with round ends, as thick as the pen; what lies beside the pad is left out. */
function inkLine(ink, [fromX, fromY], [toX, toY]) {
  const radius = PEN / 2;
  const [alongX, alongY] = [toX - fromX, toY - fromY];
  const length = alongX ** 2 + alongY ** 2;
  const range = (one, other) => [
    Math.max(0, Math.floor(Math.min(one, other) - radius)),
    Math.min(PAD_SIDE, Math.ceil(Math.max(one, other) + radius) + 1),
  ];
  const [[left, right], [top, bottom]] = [range(fromX, toX), range(fromY, toY)];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [dx, dy] = [x + 0.5 - fromX, y + 0.5 - fromY];
      const share = length && clamp((dx * alongX + dy * alongY) / length, 0, 1);
      const distance = Math.hypot(dx - share * alongX, dy - share * alongY);
      const covered = clamp(radius + 0.5 - distance, 0, 1); // of this pixel
      const index = y * PAD_SIDE + x;
      ink[index] = Math.max(ink[index], Math.round(255 * covered));
    }
  }
}

/** Whether a key is pressed alone, so that it is not one of the browser's own. */
function isPlain({ altKey, ctrlKey, metaKey }) {
  return !altKey && !ctrlKey && !metaKey;
}
