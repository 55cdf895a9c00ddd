// --- The network: its layers in order, written by page.py ----------------------------------------

const SIDE = 28; // of the image

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Give the next numbers of an array, as many as are asked for each time. */
function taker(numbers) {
  let taken = 0;
  return (count) => {
    taken += count;
    return numbers.subarray(taken - count, taken);
  };
}

const take = taker(new Float32Array(bytesOf(WEIGHTS).buffer));
const GREY = take(256); // what the network is given for each of a pixel's 256 values

/** A shape as a stack of maps: those of a row of numbers have one pixel each. */
function asMaps(shape) {
  const [height, width] = shape.length > 2 ? shape.slice(-2) : [1, 1];
  return { maps: product(shape) / (height * width), height, width };
}

function product(sides) {
  return sides.reduce((one, other) => one * other, 1);
}

/** All layers, the image first, with their sizes and weights, and the first input's as `before`. */
const NETWORK = [];
for (const written of LAYERS) {
  const inputs = written.inputs.map((input) => ({ shape: NETWORK[input.layer].shape, ...input }));
  const layer = { ...written, ...asMaps(written.shape), size: product(written.shape), inputs };
  if (inputs.length) layer.before = asMaps(inputs[0].shape);
  for (const name in written.weights) layer[name] = take(written.weights[name]);
  NETWORK.push(layer);
}

/** Compute the values of all layers; the last are the logarithms of the probabilities. */
function computeAll(image) {
  return computeRest([Float32Array.from(image, (grey) => GREY[grey])]);
}

/** Given the values of the first layers, compute those of all others. */
function computeRest(first) {
  const values = [...first];
  for (const layer of NETWORK.slice(first.length)) {
    const inputs = layer.inputs.map((input) => values[input.layer]);
    values.push(OPERATIONS[layer.operation](layer, ...inputs));
  }
  return values;
}

// --- What a pixel depends on -----------------------------------------------------------------------
// For each dimension of a shape a list of places, in order. Those beyond the rim are padding.

/**
 * The part of each layer that a pixel depends on: {maps: [first, last], top, left, height, width},
 * undefined for layers that it does not depend on. It may reach beyond the rim, into the padding.
 */
function cone({ layer, map, row, column }) {
  const { shape, height, width } = NETWORK[layer];
  const found = [];
  found[layer] = placesOf([(map * height + row) * width + column], shape);
  for (let number = layer; number > 0; number--) {
    if (!found[number]) continue;
    for (const [from, places] of placesBefore(NETWORK[number], found[number])) {
      const others = found[from] ?? [];
      found[from] = places.map((own, dimension) => inOrder([...own, ...(others[dimension] ?? [])]));
    }
  }
  return found.map((places, number) => places && partOf(places, NETWORK[number].shape));
}

/** The places in the layers before that places in a layer depend on: [number, places] of each. */
function placesBefore({ operation, inputs, order, shape }, places) {
  let numbers = operation === "order" ? numbersAt(places, shape).map((number) => order?.[number] ?? number) : [];
  const found = inputs.map(({ layer, shape: seen, reach }) => {
    const { shape: own } = NETWORK[layer];
    if (operation === "order") { // its numbers are counted through all inputs, one after the other
      const count = product(seen);
      const before = numbers.filter((number) => isPlace(number, count));
      numbers = numbers.map((number) => number - count);
      return [layer, placesOf(before, own)];
    }
    const before = seen.map((side, dimension) => {
      const range = reach ? reach[dimension] : [dimension, 1, 0, 1, 1, 1];
      return range ? placesSeen(range, side, places[range[0]], shape[range[0]]) : [...Array(side).keys()];
    });
    return [layer, String(own) === String(seen) ? before : placesOf(numbersAt(before, seen), own)];
  });
  return found.filter(([, before]) => before.every((along) => along.length));
}

/**
 * What of one dimension of an input, as long as `side`, places in a layer depend on, as `Range` in
 * graph.py says. Places in the padding see no pixel, but more padding.
 */
function placesSeen([, step, offset, size, group, dilation], side, places, sideOfLayer) {
  return inOrder(places.flatMap((place) => {
    const start = Math.floor(place / group) * step + offset;
    const seen = Array.from({ length: size }, (_, tap) => start + tap * dilation);
    return isPlace(place, sideOfLayer) ? seen : seen.filter((before) => !isPlace(before, side));
  }));
}

function isPlace(place, side) {
  return place >= 0 && place < side;
}

function inOrder(places) {
  return [...new Set(places)].sort((one, other) => one - other);
}

/** The numbers, in a shape counted through, at places within it. */
function numbersAt(places, shape) {
  return shape.reduce((numbers, side, dimension) => {
    const within = places[dimension].filter((place) => isPlace(place, side));
    return numbers.flatMap((number) => within.map((place) => number * side + place));
  }, [0]);
}

/** The places of numbers that are counted through. */
function placesOf(numbers, shape) {
  let apart = product(shape);
  return shape.map((side) => {
    apart /= side;
    return inOrder(numbers.map((number) => Math.floor(number / apart) % side));
  });
}

/** The part of a stack of maps that holds some places; of the padding, what is next to its pixels. */
function partOf(places, shape) {
  const box = places.map((along, dimension) => {
    const last = shape[dimension] - 1;
    const within = along.filter((place) => isPlace(place, last + 1));
    return [within[0] > 0 ? within[0] : along[0], within.at(-1) < last ? within.at(-1) : along.at(-1)];
  });
  const isStack = shape.length > 2;
  const count = (end) => shape.slice(0, isStack ? -2 : undefined)
    .reduce((number, side, dimension) => number * side + box[dimension][end], 0);
  const [[top, bottom], [left, right]] = isStack ? box.slice(-2) : [[0, 0], [0, 0]];
  return { maps: [count(0), count(1)], top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** What a pixel sees of the image. */
function sightOf(pixel) {
  return cone(pixel)[0] ?? { top: 0, left: 0, height: 0, width: 0 };
}

function middleOf(layer) {
  const { maps, height, width } = NETWORK[layer];
  return { layer, map: Math.floor(maps / 2), row: Math.floor(height / 2), column: Math.floor(width / 2) };
}

/** Whether a part covers all of a map of this size. */
function covers({ top, left, height, width }, map) {
  return top <= 0 && left <= 0 && top + height >= map.height && left + width >= map.width;
}

/** Whether a part lies within a map, and so has no padding. */
function isWithin({ top, left, height, width }, map) {
  return top >= 0 && left >= 0 && top + height <= map.height && left + width <= map.width;
}

/** The pixel of a layer that sees what lies closest to a place (x, y) in the image. */
function nearest(layer, map, { x, y }) {
  const closest = (length, pixelAt, centre, place) => {
    const distances = Array.from({ length }, (_, step) => Math.abs(centre(sightOf(pixelAt(step))) - place));
    return distances.indexOf(Math.min(...distances));
  };
  const { height, width } = NETWORK[layer];
  return {
    layer, map,
    row: closest(height, (row) => ({ layer, map, row, column: 0 }), ({ top, height: size }) => top + size / 2, y),
    column: closest(width, (column) => ({ layer, map, row: 0, column }), ({ left, width: size }) => left + size / 2, x),
  };
}
