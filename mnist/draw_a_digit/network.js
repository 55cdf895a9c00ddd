"use strict";

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
  const inputs = written.inputs.map((it) => ({ shape: NETWORK[it.layer].shape, ...it }));
  const layer = { ...written, ...asMaps(written.shape), size: product(written.shape), inputs };
  if (inputs.length) layer.before = asMaps(inputs[0].shape);
  for (const name in written.weights) layer[name] = take(written.weights[name]);
  NETWORK.push(layer);
}

/** Compute the values of all layers; the last are the logarithms of the probabilities. */
function computeAll(image) {
  const values = [Float32Array.from(image, (grey) => GREY[grey])];
  for (const layer of NETWORK.slice(1)) {
    values.push(OPERATIONS[layer.operation](layer, ...layer.inputs.map((it) => values[it.layer])));
  }
  return values;
}

// --- What a pixel depends on -----------------------------------------------------------------------
// A box is the first and the last place in each dimension of a shape.

/**
 * The part of each layer that a pixel depends on: {maps: [first, last], top, left, height, width},
 * undefined for layers that it does not depend on. It may reach beyond the rim, into the padding.
 */
function cone({ layer, map, row, column }) {
  const { shape, height, width } = NETWORK[layer];
  const boxes = [];
  boxes[layer] = around([(map * height + row) * width + column], shape);
  for (let number = layer; number > 0; number--) {
    if (!boxes[number]) continue;
    for (const [from, box] of boxesBefore(NETWORK[number], boxes[number])) {
      boxes[from] = boxes[from] ? union(boxes[from], box) : box;
    }
  }
  return boxes.map((box, number) => box && partOf(box, NETWORK[number].shape));
}

/** What part of the layers before a part of a layer depends on: [number, box] of each. */
function boxesBefore({ operation, inputs, order, shape }, box) {
  let places = operation === "order" ? placesIn(box, shape).map((it) => order?.[it] ?? it) : [];
  return inputs.flatMap(({ layer, shape: seen, reach }) => {
    let before;
    if (operation === "order") {
      const own = places.filter((it) => it >= 0 && it < product(seen));
      places = places.map((it) => it - product(seen));
      before = own.length && around(own, seen);
    } else {
      before = seen.map((side, dimension) => {
        const range = reach ? reach[dimension] : [dimension, 1, 0, 1, 1, 1];
        return range ? rangeOf(range, side, box, shape) : [0, side - 1];
      });
    }
    if (!before) return [];
    const { shape: own } = NETWORK[layer];
    return [[layer, String(own) === String(seen) ? before : around(placesIn(before, seen), own)]];
  });
}

/**
 * What of one dimension of an input, as long as `side`, a box of a layer depends on, as `Range` in
 * graph.py says. What of the box is padding counts only where it reaches beyond the rim.
 */
function rangeOf([dimension, step, offset, size, group, dilation], side, box, shape) {
  const startOf = (place) => Math.floor(place / group) * step + offset;
  const reach = (size - 1) * dilation;
  const [first, last] = box[dimension].map((it) => Math.min(Math.max(it, 0), shape[dimension] - 1));
  let [lowest, highest] = [0, side - 1];
  for (let place = first; place <= last; place++) { // the first that sees anything decides
    const start = startOf(place);
    const within = start < 0 ? start + Math.ceil(-start / dilation) * dilation : start;
    if (within > Math.min(start + reach, side - 1)) continue;
    lowest = within;
    break;
  }
  for (let place = last; place >= first; place--) {
    const [start, end] = [startOf(place), startOf(place) + reach];
    const within = end >= side ? end - Math.ceil((end - side + 1) / dilation) * dilation : end;
    if (within < Math.max(start, 0)) continue;
    highest = within;
    break;
  }
  const [top, bottom] = box[dimension];
  return [lowest === 0 ? startOf(top) : lowest, highest === side - 1 ? startOf(bottom) + reach : highest];
}

function union(one, other) {
  return one.map(([first, last], dimension) =>
    [Math.min(first, other[dimension][0]), Math.max(last, other[dimension][1])]);
}

/** The places, in a shape counted through, of what lies in a box and within the shape. */
function placesIn(box, shape) {
  return shape.reduce((places, side, dimension) => {
    const first = Math.max(box[dimension][0], 0);
    const last = Math.min(box[dimension][1], side - 1);
    const along = Array.from({ length: Math.max(0, last - first + 1) }, (_, step) => first + step);
    return places.flatMap((place) => along.map((it) => place * side + it));
  }, [0]);
}

/** The box around places. */
function around(places, shape) {
  let apart = product(shape);
  return shape.map((side) => {
    apart /= side;
    let [first, last] = [side - 1, 0];
    for (const place of places) {
      const along = Math.floor(place / apart) % side;
      first = Math.min(first, along);
      last = Math.max(last, along);
    }
    return [first, last];
  });
}

/** A box as a part of a stack of maps. */
function partOf(box, shape) {
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
