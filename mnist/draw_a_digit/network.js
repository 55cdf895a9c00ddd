"use strict";

// --- The network: the layers of model.py, in order -------------------------------------------
// The values of a layer are one Float32Array: map after map, each row by row.

const SIDE = 28; // of the image

/** Each kind of layer: how many weights it has, and what it makes of the values before it. */
const KINDS = {
  "convolution": {
    weights: ({ maps, before, kernel }) => ({ kernels: maps * before.maps * kernel ** 2, bias: maps }),
    compute: convolve,
  },
  "ReLU": { compute: (_, input) => input.map((value) => Math.max(0, value)) },
  "batch norm": {
    weights: ({ maps }) => ({ factor: maps, shift: maps, mean: maps, variance: maps }),
    compute: normalise,
  },
  "max pooling": { compute: (layer, input) => pool(layer, input, largest) },
  "dropout": { compute: (_, input) => input }, // it acts in training alone
  "average pooling": { compute: (layer, input) => pool(layer, input, mean) },
  "log-softmax": { compute: (_, input) => input.map((value) => value - logSum(input)) },
};

function convolve(layer, input) {
  const { maps, before, side, kernel } = layer;
  const output = new Float32Array(maps * side ** 2);
  const sums = new Float64Array(side ** 2);
  for (let map = 0; map < maps; map++) {
    sums.fill(layer.bias[map]);
    for (let from = 0; from < before.maps; from++) {
      const weights = kernelOf(layer, map, from);
      for (let tap = 0; tap < weights.length; tap++) {
        const values = input.subarray(from * before.side ** 2, (from + 1) * before.side ** 2);
        addTap(layer, sums, values, weights[tap], Math.floor(tap / kernel), tap % kernel);
      }
    }
    output.set(sums, map * side ** 2);
  }
  return output;
}

/** Add to every pixel of a map the contribution of one weight, at (y, x) of the kernel. */
function addTap({ before, side, stride, padding }, sums, values, weight, y, x) {
  const within = (offset) => [
    Math.max(0, Math.ceil((padding - offset) / stride)),
    Math.min(side - 1, Math.floor((before.side - 1 + padding - offset) / stride)),
  ];
  const [top, bottom] = within(y);
  const [left, right] = within(x);
  for (let row = top; row <= bottom; row++) {
    const start = (row * stride + y - padding) * before.side + x - padding;
    for (let column = left; column <= right; column++) {
      sums[row * side + column] += weight * values[start + column * stride];
    }
  }
}

/** The kernel of a convolution for one input map and one output map. */
function kernelOf({ before, kernel, kernels }, map, from) {
  const start = (map * before.maps + from) * kernel ** 2;
  return kernels.subarray(start, start + kernel ** 2);
}

function normalise(layer, input) {
  const output = new Float32Array(input.length);
  const area = layer.side ** 2;
  for (let map = 0; map < layer.maps; map++) {
    const { mean, deviation, factor, shift } = statistics(layer, map);
    for (let index = map * area; index < (map + 1) * area; index++) {
      output[index] = ((input[index] - mean) / deviation) * factor + shift;
    }
  }
  return output;
}

/** The batch-norm parameters of a map: running mean and deviation, factor and shift. */
function statistics({ mean, variance, epsilon, factor, shift }, map) {
  const deviation = Math.sqrt(variance[map] + epsilon);
  return { mean: mean[map], deviation, factor: factor[map], shift: shift[map] };
}

function pool(layer, input, reduce) {
  const { maps, side } = layer;
  const output = new Float32Array(maps * side ** 2);
  for (let index = 0; index < output.length; index++) {
    const map = Math.floor(index / side ** 2);
    const row = Math.floor(index / side) % side;
    output[index] = reduce(windowOf(layer, input, map, row, index % side));
  }
  return output;
}

function largest(values) {
  return Math.max(...values.filter((value) => value !== undefined));
}

function mean(values) {
  return sum(values) / values.length;
}

function sum(values) {
  return values.reduce((total, value) => total + (value ?? 0), 0);
}

function logSum(values) {
  const most = Math.max(...values);
  return most + Math.log(sum([...values].map((value) => Math.exp(value - most))));
}

/** What a pixel looks at in one of the maps before, row by row; undefined is the padding. */
function windowOf({ before, kernel, stride, padding }, input, map, row, column) {
  const values = [];
  for (let y = row * stride - padding; y < row * stride - padding + kernel; y++) {
    for (let x = column * stride - padding; x < column * stride - padding + kernel; x++) {
      const inside = y >= 0 && y < before.side && x >= 0 && x < before.side;
      values.push(inside ? input[(map * before.side + y) * before.side + x] : undefined);
    }
  }
  return values;
}

// --- Its weights, written by page.py -----------------------------------------------------------

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

const numbers = new Float32Array(bytesOf(WEIGHTS).buffer);
let taken = 0;

function take(count) {
  taken += count;
  return numbers.subarray(taken - count, taken);
}

const GREY = take(256); // what the network is given for each of a pixel's 256 values

/** All layers, the image first: {kind, maps, side, before}, their sizes and weights. */
const NETWORK = [{ kind: "image", block: "", maps: 1, side: SIDE }];
for (const written of [...LAYERS, { kind: "log-softmax", block: "" }]) {
  const before = NETWORK.at(-1);
  const layer = { before, maps: before.maps, kernel: 1, stride: 1, padding: 0, ...written };
  layer.side = Math.floor((before.side + 2 * layer.padding - layer.kernel) / layer.stride) + 1;
  const counts = KINDS[layer.kind].weights?.(layer) ?? {};
  for (const name in counts) layer[name] = take(counts[name]);
  NETWORK.push(layer);
}

/** Compute the values of all layers; the last are the logarithms of the probabilities. */
function computeAll(image) {
  const values = [Float32Array.from(image, (grey) => GREY[grey])];
  for (const layer of NETWORK.slice(1)) {
    values.push(KINDS[layer.kind].compute(layer, values.at(-1)));
  }
  return values;
}

// --- What a pixel can see ----------------------------------------------------------------------

/**
 * The square of each layer that a pixel depends on, from the image up to the pixel itself.
 * It may reach beyond the rim, into the padding.
 */
function cone({ layer, row, column }) {
  const squares = [{ top: row, left: column, size: 1 }];
  for (const { kernel, stride, padding } of NETWORK.slice(1, layer + 1).reverse()) {
    const { top, left, size } = squares[0];
    squares.unshift({
      top: top * stride - padding,
      left: left * stride - padding,
      size: (size - 1) * stride + kernel,
    });
  }
  return squares;
}

/** How many pixels of the image, across and down, each pixel of a layer sees. */
function sightOf(layer) {
  return cone({ layer, row: 0, column: 0 })[0].size;
}

/** Whether a square covers the whole image. */
function isWhole({ top, left, size }) {
  return [top, left].every((first) => first <= 0 && first + size >= SIDE);
}

/** Whether a square lies within maps with sides of this length, and so sees no padding. */
function isWithin({ top, left, size }, side) {
  return [top, left].every((first) => first >= 0 && first + size <= side);
}

/** The row or column of a layer whose pixels see what lies closest to a place in the image. */
function nearest(layer, place) {
  const distances = Array.from({ length: NETWORK[layer].side }, (_, row) => {
    const { top, size } = cone({ layer, row, column: 0 })[0];
    return Math.abs(top + size / 2 - place);
  });
  return distances.indexOf(Math.min(...distances));
}
