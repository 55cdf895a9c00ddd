// --- The operations of a network, one small function each --------------------------------------
// Each is given the layer and the values of its inputs, and gives the layer's values: one
// Float32Array, map after map, each row by row.

const OPERATIONS = {
  "convolution": convolve,
  "linear": multiplyMatrix,
  "norm": normalise,
  "max pooling": (layer, values) => pool(layer, values, largest),
  "average pooling": (layer, values) => pool(layer, values, mean),
  "reduction": reduce,
  "pixelwise": ({ function: name, arguments: given }, values) => {
    const compute = PIXELWISE[name];
    const [one, two, three] = given; // spread for each value, they would take most of the time
    return values.map((value) => compute(value, one, two, three));
  },
  "arithmetic": combine,
  "softmax": (layer, values) => softmax(layer, values, (value, sum) => Math.exp(value - sum)),
  "log-softmax": (layer, values) => softmax(layer, values, (value, sum) => value - sum),
  "order": reorder,
  "constant": ({ values }) => values,
  "matrix product": multiplyMatrices,
};

/** Functions of one number. */
const PIXELWISE = {
  relu: (x) => Math.max(0, x),
  leaky_relu: (x, slope) => (x > 0 ? x : slope * x),
  elu: (x, alpha, scale, inside) => scale * (x > 0 ? x : alpha * Math.expm1(inside * x)),
  gelu: (x, approximate) => (approximate === "tanh"
    ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : 0.5 * x * (1 + errorFunction(x / Math.SQRT2))),
  silu: (x) => x * sigmoid(x),
  mish: (x) => x * Math.tanh(softplus(x, 1, 20)),
  softplus,
  hardtanh: clamp,
  hardswish: (x) => (x * clamp(x + 3, 0, 6)) / 6,
  hardsigmoid: (x) => clamp(x + 3, 0, 6) / 6,
  sigmoid,
  tanh: Math.tanh,
  clamp: (x, low, high) => clamp(x, low ?? -Infinity, high ?? Infinity),
  pow: (x, exponent) => x ** exponent,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  abs: Math.abs,
  neg: (x) => -x,
};

/** Functions of two numbers. */
const ARITHMETIC = {
  add: (one, other) => one + other,
  sub: (one, other) => one - other,
  mul: (one, other) => one * other,
  div: (one, other) => one / other,
  maximum: Math.max,
  minimum: Math.min,
  prelu: (x, slope) => (x > 0 ? x : slope * x),
};

function clamp(x, low, high) {
  return Math.min(Math.max(x, low), high);
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

function softplus(x, beta, threshold) {
  return beta * x > threshold ? x : Math.log1p(Math.exp(beta * x)) / beta;
}

/** The error function, with an error below 1.5e-7: Abramowitz and Stegun (1964), 7.1.26. */
function errorFunction(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const series = factors.reduce((sum, factor) => (sum + factor) * t, 0);
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

function convolve(layer, values) {
  const { maps, height, width, before, groups, kernel } = layer;
  const [area, areaBefore] = [height * width, before.height * before.width];
  const perGroup = before.maps / groups;
  const output = new Float32Array(maps * area);
  const sums = new Float64Array(area);
  for (let map = 0; map < maps; map++) {
    sums.fill(layer.bias[map]);
    for (let index = 0; index < perGroup; index++) {
      const from = firstOfGroup(layer, map) + index;
      const seen = values.subarray(from * areaBefore, (from + 1) * areaBefore);
      kernelOf(layer, map, from).forEach((weight, tap) =>
        addTap(layer, sums, seen, weight, Math.floor(tap / kernel[1]), tap % kernel[1]));
    }
    output.set(sums, map * area);
  }
  return output;
}

/** The first of the maps before that a map of a convolution is computed from. */
function firstOfGroup({ maps, before, groups }, map) {
  return Math.floor((map * groups) / maps) * (before.maps / groups);
}

/** The kernel of a convolution for one map before and one of its own. */
function kernelOf(layer, map, from) {
  const { before, groups, kernel, kernels } = layer;
  const size = kernel[0] * kernel[1];
  const start = (map * (before.maps / groups) + from - firstOfGroup(layer, map)) * size;
  return kernels.subarray(start, start + size);
}

/** Add to every pixel of a map the contribution of one weight, at (y, x) of the kernel. */
function addTap({ before, height, width, stride, padding, dilation }, sums, values, weight, y, x) {
  const within = (axis, offset, side, sideBefore) => [
    Math.max(0, Math.ceil((padding[axis] - offset) / stride[axis])),
    Math.min(side - 1, Math.floor((sideBefore - 1 + padding[axis] - offset) / stride[axis])),
  ];
  const [down, across] = [y * dilation[0], x * dilation[1]];
  const [top, bottom] = within(0, down, height, before.height);
  const [left, right] = within(1, across, width, before.width);
  const step = stride[1];
  for (let row = top; row <= bottom; row++) {
    const start = (row * stride[0] + down - padding[0]) * before.width + across - padding[1];
    const own = row * width;
    for (let column = left; column <= right; column++) {
      sums[own + column] += weight * values[start + column * step];
    }
  }
}

function multiplyMatrix({ bias, kernels }, values) {
  const count = kernels.length / bias.length;
  const output = new Float32Array((values.length / count) * bias.length);
  for (let index = 0; index < output.length; index++) {
    const row = index % bias.length;
    const start = Math.floor(index / bias.length) * count;
    let sum = bias[row];
    for (let from = 0; from < count; from++) sum += kernels[row * count + from] * values[start + from];
    output[index] = sum;
  }
  return output;
}

/** For each pair of matrices, one after the other: rows of the first by columns of the second. */
function multiplyMatrices({ along, columns, size }, one, other) {
  return Float32Array.from({ length: size }, (_, index) => {
    const row = Math.floor(index / columns);
    const pair = Math.floor((row * along) / (one.length / (other.length / (along * columns))));
    let sum = 0;
    for (let step = 0; step < along; step++) {
      sum += one[row * along + step] * other[(pair * along + step) * columns + (index % columns)];
    }
    return sum;
  });
}

function normalise(layer, values) {
  const output = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += layer.group) {
    const { mean, deviation } = statistics(layer, values, start);
    for (let index = start; index < start + layer.group; index++) {
      const place = scaleAt(layer, index);
      output[index] = ((values[index] - mean) / deviation) * layer.factor[place] + layer.shift[place];
    }
  }
  return output;
}

/** Mean and deviation of the group of numbers at a place: those of training, or its own. */
function statistics({ group, epsilon, mean: means, variance: variances }, values, index) {
  const number = Math.floor(index / group);
  if (means) {
    const map = number % means.length;
    return { mean: means[map], deviation: Math.sqrt(variances[map] + epsilon) };
  }
  const own = [...values.subarray(number * group, (number + 1) * group)];
  return { mean: mean(own), deviation: Math.sqrt(squares(own) / group + epsilon) };
}

/** Which of the learned factors and shifts of a norm belong to a place. */
function scaleAt({ each, factor }, index) {
  return Math.floor(index / each) % factor.length;
}

function pool(layer, values, summary) {
  const { maps, height, width } = layer;
  const output = new Float32Array(maps * height * width);
  for (let index = 0; index < output.length; index++) {
    const map = Math.floor(index / (height * width));
    const row = Math.floor(index / width) % height;
    output[index] = summary(windowOf(layer, values, map, row, index % width), layer);
  }
  return output;
}

function largest(values) {
  return Math.max(...values.filter(isNumber));
}

function isNumber(value) {
  return value !== undefined && value !== null;
}

/** The mean of the numbers of a window; its padding counts as 0 or not at all. */
function mean(values, { countPadding = true } = {}) {
  const counts = countPadding ? (value) => value !== null : isNumber;
  return sum(values) / values.filter(counts).length;
}

function sum(values) {
  return values.reduce((total, value) => total + (value ?? 0), 0);
}

/**
 * What a pixel looks at in one of the maps before, row by row; undefined is the padding, and null is
 * beyond it.
 */
function windowOf({ before, kernel, stride, padding, dilation }, values, map, row, column) {
  const seen = [];
  const [top, left] = [row * stride[0] - padding[0], column * stride[1] - padding[1]];
  for (let tap = 0; tap < kernel[0] * kernel[1]; tap++) {
    const y = top + Math.floor(tap / kernel[1]) * dilation[0];
    const x = left + (tap % kernel[1]) * dilation[1];
    const inside = y >= 0 && y < before.height && x >= 0 && x < before.width;
    const beyond = y >= before.height + padding[0] || x >= before.width + padding[1];
    seen.push(inside ? values[(map * before.height + y) * before.width + x] : beyond ? null : undefined);
  }
  return seen;
}

const REDUCTIONS = {
  mean: (values) => mean(values),
  sum,
  largest,
  smallest: (values) => Math.min(...values),
  variance: (values, correction) => squares(values) / (values.length - correction),
};

/** The sum of the squared differences from the mean. */
function squares(values) {
  const centre = mean(values);
  return sum(values.map((value) => (value - centre) ** 2));
}

function reduce(layer, values) {
  const { function: name, reduced, correction, inputs: [{ shape }], size } = layer;
  const kept = shape.map((side, dimension) => (reduced.includes(dimension) ? 1 : side));
  const groups = Array.from({ length: size }, () => []);
  values.forEach((value, index) => groups[spread(index, shape, kept)].push(value));
  return Float32Array.from(groups, (group) => REDUCTIONS[name](group, correction));
}

/** The place, in an array that has length 1 in some dimensions, that belongs to one in a whole array. */
function spread(index, shape, other) {
  let [place, apart, rest] = [0, 1, index];
  for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
    const along = rest % shape[dimension];
    rest = Math.floor(rest / shape[dimension]);
    if (other[dimension] > 1) place += along * apart;
    apart *= other[dimension];
  }
  return place;
}

/** The two numbers that a place of an arithmetic layer is computed from. */
function operandsAt({ shape, shapes, dynamic, constant }, values, index) {
  const computed = [...values];
  return dynamic.map((isComputed, operand) =>
    (isComputed ? computed.shift() : constant)[spread(index, shape, shapes[operand])]);
}

function combine(layer, ...values) {
  const compute = ARITHMETIC[layer.function];
  return Float32Array.from({ length: layer.size }, (_, index) =>
    compute(...operandsAt(layer, values, index)));
}

function softmax({ length, apart }, values, summary) {
  const output = new Float32Array(values.length);
  for (let index = 0; index < values.length; index++) {
    if (Math.floor(index / apart) % length) continue; // it belongs to one before
    const along = Array.from({ length }, (_, step) => index + step * apart);
    const total = logSum(along.map((place) => values[place]));
    for (const place of along) output[place] = summary(values[place], total);
  }
  return output;
}

function logSum(values) {
  const most = Math.max(...values);
  return most + Math.log(sum([...values].map((value) => Math.exp(value - most))));
}

function reorder({ order, fill }, ...inputs) {
  const values = inputs.flatMap((input) => [...input]);
  return order ? order.map((place) => (place < 0 ? fill : values[place])) : Float32Array.from(values);
}
