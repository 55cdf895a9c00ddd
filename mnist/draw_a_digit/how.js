// --- How a pixel was computed, and why it sees so much ---------------------------------------------
// Each is given the pixel and the values of all layers, and gives elements.

const MOST_TERMS = 3; // of a sum, shown one by one
const MOST_COLUMNS = 7; // of numbers, as wide as a phone

/** For each operation: how one of its pixels was computed, in the numbers of this image. */
const HOW = {
  "image": (pixel, values, image) => {
    const ink = image[pixel.row * SIDE + pixel.column];
    return [oneLine(`Ink ${ink} of 255, normalised as in training`, [], pixel, values)];
  },
  "convolution": howConvolution,
  "linear": howLinear,
  "norm": howNorm,
  "max pooling": (pixel, values) => howPool(pixel, values, "The largest value in its window: "),
  "average pooling": (pixel, values) => howPool(pixel, values, "The mean of its window: "),
  "reduction": (pixel, values) => [oneLine(`The ${NETWORK[pixel.layer].name} of several numbers`, [], pixel, values)],
  "pixelwise": howPixelwise,
  "arithmetic": howArithmetic,
  "softmax": howSoftmax,
  "log-softmax": howSoftmax,
  "order": (pixel, values) => [oneLine("The same number as in a layer before", [], pixel, values)],
  "constant": (pixel, values) => [oneLine("A number of the network’s own, the same for every image", [], pixel, values)],
  "matrix product": (pixel, values) => [oneLine("The products of a row of one matrix and a column of another, added up", [], pixel, values)],
};

function howPixel(pixel, values, image) {
  return HOW[NETWORK[pixel.layer].operation](pixel, values, image);
}

/** Where a pixel stands among all numbers of its layer. */
function indexOf({ layer, map, row, column }) {
  const { height, width } = NETWORK[layer];
  return (map * height + row) * width + column;
}

function valueOf(pixel, values) {
  return values[pixel.layer][indexOf(pixel)];
}

/** The values that a layer is computed from. */
function inputsOf(layer, values) {
  return NETWORK[layer].inputs.map((input) => values[input.layer]);
}

/** Show a number short, keeping all its digits. */
function exact(value, looks = "") {
  return html("data", { value, class: looks, title: value }, short(value));
}

function bracketed(value) {
  return value < 0 ? html("span", {}, "(", exact(value), ")") : exact(value);
}

function total(pixel, values) {
  const value = valueOf(pixel, values);
  return exact(value, `total ${value < 0 ? "negative" : "positive"}`);
}

function oneLine(words, formula, pixel, values) {
  return html("p", {}, words, ...formula, " = ", total(pixel, values));
}

function howPixelwise(pixel, values) {
  const { name, function: key, arguments: given } = NETWORK[pixel.layer];
  const before = exact(inputsOf(pixel.layer, values)[0][indexOf(pixel)]);
  if (key === "relu") return [oneLine("ReLU replaces negative values by 0: ", ["max(0, ", before, ")"], pixel, values)];
  return [oneLine("Each number for itself: ", [`${name}(`, before, ...given.filter(isNumber).map((argument) => `, ${argument}`), ")"], pixel, values)];
}

const SIGNS = { add: " + ", sub: " − ", mul: " · ", div: " / " };

function howArithmetic(pixel, values) {
  const { layer } = pixel;
  const { name, function: key, dynamic } = NETWORK[layer];
  const [one, other] = operandsAt(NETWORK[layer], inputsOf(layer, values), indexOf(pixel)).map(bracketed);
  const places = [...new Set(NETWORK[layer].inputs.map((input) => `layer ${input.layer}`))].join(" and ");
  const sources = dynamic.every(Boolean) ? `numbers of ${places}` : "a learned or fixed number";
  const formula = key in SIGNS ? [one, SIGNS[key], other] : [`${name}(`, one, ", ", other, ")"];
  return [oneLine(`The ${name}, with ${sources}: `, formula, pixel, values)];
}

function howNorm(pixel, values) {
  const [layer, index] = [NETWORK[pixel.layer], indexOf(pixel)];
  const [before] = inputsOf(pixel.layer, values);
  const { mean: centre, deviation } = statistics(layer, before, index);
  const place = scaleAt(layer, index);
  const formula = ["(", exact(before[index]), " − ", bracketed(centre), ") / ", exact(deviation), " · ",
    bracketed(layer.factor[place]), " + ", bracketed(layer.shift[place])];
  const name = layer.name[0].toUpperCase() + layer.name.slice(1);
  const centred = layer.mean ? "the mean that this map had in training and divides by its standard deviation"
    : `the mean of ${normed(layer)} in this image and divides by their standard deviation`;
  return [oneLine(`${name} subtracts ${centred}, then multiplies by a learned factor and adds a learned shift: `, formula, pixel, values)];
}

function howPool(pixel, values, words) {
  const layer = NETWORK[pixel.layer];
  const [before] = inputsOf(pixel.layer, values);
  const seen = windowOf(layer, before, pixel.map, pixel.row, pixel.column);
  const marked = layer.operation === "max pooling" ? seen.indexOf(largest(seen)) : -1;
  return [html("p", {}, words, total(pixel, values)), grid(seen, layer.kernel[1], mostOf(before), marked)];
}

function howSoftmax(pixel, values) {
  const [before] = inputsOf(pixel.layer, values);
  const { operation, length, apart, ofDigits } = NETWORK[pixel.layer];
  const index = indexOf(pixel);
  const first = index - (Math.floor(index / apart) % length) * apart;
  const sums = logSum(Array.from({ length }, (_, step) => before[first + step * apart]));
  if (operation === "softmax") {
    return [oneLine("Softmax takes the share of e^score in the sum over all: ", ["e^(", exact(before[index]), " − ", bracketed(sums), ")"], pixel, values)];
  }
  const [all, own] = ofDigits ? ["all digits", "this digit"] : [`${length} places`, "this one"];
  const line = oneLine(`Log-softmax subtracts the logarithm of the sum of e^score over ${all} from the score of ${own}: `,
    [exact(before[index]), " − ", bracketed(sums)], pixel, values);
  if (!ofDigits) return [line];
  const share = html("strong", {}, percent(Math.exp(valueOf(pixel, values))));
  return [line, html("p", {}, `The exponential of this value is the probability of a ${pixel.map}: `, share)];
}

/** A convolution: the maps that add most, window by kernel; the rest together; the bias. */
function howConvolution(pixel, values) {
  const layer = NETWORK[pixel.layer];
  const [before] = inputsOf(pixel.layer, values);
  const [count, first] = [layer.before.maps / layer.groups, firstOfGroup(layer, pixel.map)];
  const terms = Array.from({ length: count }, (_, index) => {
    const seen = windowOf(layer, before, first + index, pixel.row, pixel.column);
    const weights = kernelOf(layer, pixel.map, first + index);
    return { from: first + index, seen, weights, value: sum(seen.map((number, tap) => (number ?? 0) * weights[tap])) };
  });
  const source = layer.inputs[0].layer;
  const sums = "Each number of the window is multiplied by the kernel’s number in the same place, and all products are added up";
  const [most, width] = [mostOf(before), layer.kernel[1]];
  const shown = ({ seen, weights }) => [grid(seen, width, most), "×", grid([...weights], width, mostOf(layer.kernels))];
  const words = count === 1 ? `${sums}:`
    : `${sums}, over all ${count} maps${layer.groups > 1 ? " of its group" : ""} of layer ${source}${count > MOST_TERMS ? ". The maps that contribute most" : ""}:`;
  return [html("p", {}, words), sumOf(terms, "maps", source, layer.bias[pixel.map], shown, total(pixel, values))];
}

/** A linear layer: the numbers that add most; the rest together; the bias. */
function howLinear(pixel, values) {
  const layer = NETWORK[pixel.layer];
  const [before] = inputsOf(pixel.layer, values);
  const { kernels, bias } = layer;
  const count = kernels.length / bias.length;
  const row = indexOf(pixel) % bias.length;
  const start = Math.floor(indexOf(pixel) / bias.length) * count;
  const terms = Array.from({ length: count }, (_, step) => {
    const [number, weight] = [before[start + step], kernels[row * count + step]];
    return { from: start + step, number, weight, value: number * weight };
  });
  const source = layer.inputs[0].layer;
  const numbers = count === before.length ? `All ${count.toLocaleString("en")} numbers` : `The ${count.toLocaleString("en")} numbers of a row`;
  const words = `${numbers} of layer ${source} are multiplied by a weight each, and the products are added up${count > MOST_TERMS ? ". Those that contribute most" : ""}:`;
  const shown = ({ number, weight }) => [exact(number), " · ", bracketed(weight)];
  return [html("p", {}, words), sumOf(terms, "numbers", source, bias[row], shown, total(pixel, values))];
}

/** A sum as rows: the largest terms, the other ones together, the bias, and the total. */
function sumOf(terms, kind, source, bias, shown, result) {
  terms.sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
  const [most, rest] = [terms.slice(0, MOST_TERMS), terms.slice(MOST_TERMS)];
  const named = ({ from }) => (source === 0 && kind === "maps" ? "image" : kind === "maps" ? mapName(source, from) : placeName(source, from));
  const rows = most.flatMap((term) => [
    html("div", { class: "term" }, html("span", {}, named(term)), ...shown(term)),
    html("span", {}, exact(term.value, "part"))]);
  const line = (words, value) => [html("span", {}, words), html("span", {}, value)];
  if (rest.length) {
    rows.push(...line(`the other ${rest.length.toLocaleString("en")} ${kind}`, exact(sum(rest.map(({ value }) => value)), "part")));
  }
  rows.push(...line("bias", exact(bias, "part")), ...line("total", result));
  return html("div", { class: "sum" }, ...rows);
}

/** A number of a layer, counted through, by its place. */
function placeName(layer, index) {
  const { height, width } = NETWORK[layer];
  const map = Math.floor(index / (height * width));
  if (height * width === 1) return mapName(layer, map);
  const where = `row ${(Math.floor(index / width) % height) + 1}, column ${(index % width) + 1}`;
  return layer === 0 ? where : `${mapName(layer, map)}, ${where}`;
}

/** Show numbers in rows, each on the colour of its value; the colours alone if they are many. */
function grid(numbers, columns, most, marked = -1) {
  const isFine = columns > MOST_COLUMNS;
  const cells = numbers.map((value, index) => {
    const looks = index === marked ? "largest" : value === undefined ? "padding" : "";
    const cell = html("span", { class: looks, title: value ?? "padding" }, isFine ? "" : tiny(value ?? 0));
    const colour = value < 0 ? "negative" : "positive";
    const share = 40 * Math.sqrt(Math.abs(value ?? 0) / most) || 0;
    cell.style.background = `color-mix(in srgb, var(--${colour}) ${share}%, var(--card))`;
    return cell;
  });
  const box = html("div", { class: isFine ? "grid fine" : "grid" }, ...cells);
  box.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
  return box;
}

/** Explain how a pixel's receptive field grows, layer by layer, down to the image. */
function whyPixel(pixel) {
  if (pixel.layer === 0) return [html("p", {}, "This is a pixel of the image itself.")];
  const parts = cone(pixel);
  const sizeAt = (number) => times(parts[number].height, parts[number].width);
  const users = (number) => NETWORK.flatMap(({ inputs }, user) =>
    (parts[user] && inputs.some((input) => input.layer === number) ? [user] : []));
  const steps = Object.keys(parts).map(Number).filter((number) => number < pixel.layer)
    .map((number) => ({ number, through: users(number).find((user) => sizeAt(user) !== sizeAt(number)) }))
    .filter(({ number, through }) => through && users(number).every((user) => sizeAt(user) !== sizeAt(number)))
    .reverse();
  if (!steps.length) return [html("p", {}, "It depends on the one pixel of the image in the same place.")];
  const words = ({ number, through }, index) => {
    const { stride, operation } = NETWORK[through];
    const beyond = isWithin(parts[number], NETWORK[number]) ? [] : [html("span", { class: "beyond" }, ", padding included")];
    const place = number === 0 ? "the image" : index === steps.length - 1
      ? `layer ${number} and so of the image` : `layer ${number}`;
    const strides = stride && operation !== "linear" && Math.max(...stride) > 1
      ? ` with stride ${stride[0] === stride[1] ? stride[0] : times(...stride)}` : "";
    return html("li", {}, html("strong", {}, sizeAt(number)), ` pixels of ${place}`, ...beyond,
      `, through ${nameOf(through)}${strides}`);
  };
  return [html("p", {}, "Traced back to the image, this pixel depends on:"), html("ol", {}, ...steps.map(words))];
}
