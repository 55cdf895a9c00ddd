// --- A drawing as MNIST would hold it: as `mnist_like` in own_image.py -------------------------

const DIGIT_SIDE = 20; // of the box into which a digit is scaled
const NOISE = 0.3; // share of the darkest ink below which a pixel counts as paper
const LEAST = 0.1; // share of the drawing's side below which a digit is too small

/**
 * Turn the ink of a square drawing, up to 255, into 28x28 pixels: scaled into a box of 20x20, its
 * centre of mass in the middle. Gives the pixels, and where on the drawing each of them lies:
 * pixel x starts at `left + x * width`. Undefined where there is too little ink.
 */
function mnistLike(drawing, side) {
  const ink = drawing.map((value) => (value < 255 * NOISE ? 0 : value));
  const box = boundsOf(ink, side);
  const [width, height] = [box.right - box.left + 1, box.bottom - box.top + 1];
  if (Math.max(width, height) < LEAST * side) return undefined;
  const digit = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (box.top + y) * side + box.left;
    digit.set(ink.subarray(start, start + width), y * width);
  }
  const scale = DIGIT_SIDE / Math.max(width, height);
  const [across, down] = [width, height].map((side) => Math.max(1, roundToEven(side * scale)));
  const small = resize(digit, width, height, across, down);
  const [left, top] = [0, 1].map((axis) => toMiddle(small, across, axis));
  return {
    image: placed(small, across, down, left, top),
    left: box.left - (left * width) / across,
    top: box.top - (top * height) / down,
    width: width / across,
    height: height / down,
  };
}

function boundsOf(ink, side) {
  const box = { left: side, right: -1, top: side, bottom: -1 };
  for (let index = 0; index < ink.length; index++) {
    if (ink[index] === 0) continue;
    const x = index % side;
    const y = Math.floor(index / side);
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  return box;
}

/** Round as Python does: a half to the even number. */
function roundToEven(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

/** Resize as Pillow does with Lanczos' window: across, then down, whole numbers after each. */
function resize(pixels, width, height, newWidth, newHeight) {
  const across = resizeRows(pixels, width, height, newWidth);
  return transposed(resizeRows(transposed(across, newWidth), height, newWidth, newHeight), newHeight);
}

const PRECISION = 2 ** 22; // of Pillow's weights, which are whole numbers

function resizeRows(pixels, width, height, newWidth) {
  const resized = new Uint8ClampedArray(newWidth * height);
  for (let x = 0; x < newWidth; x++) {
    const { first, weights } = lanczosWeights(x, width, newWidth);
    for (let y = 0; y < height; y++) {
      let total = PRECISION / 2;
      for (let tap = 0; tap < weights.length; tap++) {
        total += weights[tap] * pixels[y * width + first + tap];
      }
      resized[y * newWidth + x] = Math.floor(total / PRECISION);
    }
  }
  return resized;
}

/** With which weights the old pixels from `first` on make the new pixel x. */
function lanczosWeights(x, width, newWidth) {
  const scale = width / newWidth;
  const stretch = Math.max(scale, 1);
  const centre = (x + 0.5) * scale;
  const first = Math.max(0, Math.trunc(centre - 3 * stretch + 0.5));
  const end = Math.min(width, Math.trunc(centre + 3 * stretch + 0.5));
  const weights = Array.from({ length: end - first }, (_, index) =>
    lanczos((first + index - centre + 0.5) / stretch));
  const total = sum(weights);
  return { first, weights: weights.map((weight) => awayFromZero((weight / total) * PRECISION)) };
}

function lanczos(x) {
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function awayFromZero(value) {
  return Math.trunc(value + Math.sign(value) * 0.5);
}

function transposed(pixels, width) {
  const height = pixels.length / width;
  return pixels.map((_, index) => pixels[(index % height) * width + Math.floor(index / height)]);
}

/** How far to move a digit, across (axis 0) or down, to have its centre of mass in the middle. */
function toMiddle(pixels, width, axis) {
  let [mass, moment] = [0, 0];
  pixels.forEach((value, index) => {
    mass += value;
    moment += value * ((axis === 0 ? index % width : Math.floor(index / width)) + 0.5);
  });
  return roundToEven(SIDE / 2 - moment / mass);
}

function placed(pixels, width, height, left, top) {
  const image = new Uint8Array(SIDE ** 2);
  pixels.forEach((value, index) => {
    const [x, y] = [left + (index % width), top + Math.floor(index / width)];
    if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) image[y * SIDE + x] = value;
  });
  return image;
}
