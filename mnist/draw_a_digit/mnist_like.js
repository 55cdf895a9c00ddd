"use strict";

// --- A drawing as MNIST would hold it: the same steps as own_image.py --------------------------

const DIGIT_SIDE = 20; // of the box into which a digit is scaled
const NOISE = 0.3; // share of the darkest ink below which a pixel counts as paper

/**
 * Turn a square drawing into 28x28 pixels, ink 255: the ink scaled into a box of 20x20, its
 * centre of mass in the middle. Gives the pixels, and where on the drawing each of them lies:
 * pixel x starts at `left + x * width`. Undefined where there is too little ink.
 */
function mnistLike(grey, side) {
  const ink = inkOf(grey, side);
  const box = boundsOf(ink, side);
  if (box.right < box.left) return undefined;
  const [width, height] = [box.right - box.left + 1, box.bottom - box.top + 1];
  const digit = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (box.top + y) * side + box.left;
    for (let x = 0; x < width; x++) digit[y * width + x] = Math.round(255 * ink[start + x]);
  }
  const scale = DIGIT_SIDE / Math.max(width, height);
  const [across, down] = [width, height].map((it) => Math.max(1, roundToEven(it * scale)));
  const small = resize(digit, width, height, across, down);
  const [left, top] = [across, down].map((_, axis) => toMiddle(small, across, axis));
  return {
    image: placed(small, across, down, left, top),
    left: box.left - (left * width) / across,
    top: box.top - (top * height) / down,
    width: width / across,
    height: height / down,
  };
}

/** Tell ink (up to 1) from paper (0), whichever is darker. */
function inkOf(grey, side) {
  const contrast = contrastOf(grey, side);
  const [low, high] = [percentile(contrast, 1), percentile(contrast, 99)];
  const sign = high < -low ? -1 : 1;
  const strongest = Math.max(high, -low);
  const rim = new Float64Array(rimOf(side).map((index) => Math.abs(contrast[index])));
  const visible = strongest >= 10 && strongest >= 8 * percentile(rim, 50);
  for (let index = 0; index < contrast.length; index++) {
    const ink = Math.min((sign * contrast[index]) / strongest, 1);
    contrast[index] = visible && ink >= NOISE ? ink : 0;
  }
  return contrast;
}

/** How much darker each pixel is than paper: a plane through the rim, fitted by least squares. */
function contrastOf(grey, side) {
  const middle = (side - 1) / 2; // from which x and y are counted, so that their sums are 0
  let [count, total, momentX, momentY, spread] = [0, 0, 0, 0, 0];
  for (const index of rimOf(side)) {
    const x = (index % side) - middle;
    const y = Math.floor(index / side) - middle;
    count += 1;
    total += grey[index];
    momentX += grey[index] * x;
    momentY += grey[index] * y;
    spread += x * x; // and as much for y, the rim being square
  }
  const contrast = new Float64Array(side * side);
  let index = 0;
  for (let y = -middle; y <= middle; y++) {
    for (let x = -middle; x <= middle; x++) {
      const paper = total / count + (momentX / spread) * x + (momentY / spread) * y;
      contrast[index] = paper - grey[index];
      index += 1;
    }
  }
  return contrast;
}

/** Index the pixels of the rim, a tenth of the drawing wide. */
function rimOf(side) {
  const width = Math.floor(side / 10) + 1;
  const indices = [];
  for (let y = 0; y < side; y++) {
    const whole = y < width || y >= side - width;
    for (let x = 0; x < side; x++) {
      if (whole || x < width || x >= side - width) indices.push(y * side + x);
    }
  }
  return indices;
}

function percentile(values, percent) {
  const place = (percent / 100) * (values.length - 1);
  const low = ranked(values, Math.floor(place));
  return low + (ranked(values, Math.ceil(place)) - low) * (place % 1);
}

/** Find the value that would be at `rank` if they were sorted, which would take too long. */
function ranked(values, rank) {
  const pivot = values[values.length >> 1];
  let [below, above] = [0, 0];
  for (let index = 0; index < values.length; index++) {
    if (values[index] < pivot) below += 1;
    if (values[index] > pivot) above += 1;
  }
  const upTo = values.length - above;
  if (rank < below) return ranked(values.filter((value) => value < pivot), rank);
  return rank < upTo ? pivot : ranked(values.filter((value) => value > pivot), rank - upTo);
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
