// --- Layers in words -----------------------------------------------------------------------------

const CHANGES = { // what functions of one number do
  relu: "sets negatives to 0", leaky_relu: "shrinks negatives", prelu: "shrinks negatives",
  elu: "bends negatives towards a limit", gelu: "a smooth ReLU", silu: "a smooth ReLU",
  mish: "a smooth ReLU", softplus: "a smooth ReLU", hardswish: "nearly a smooth ReLU",
  hardtanh: "cuts off below and above", clamp: "cuts off below and above",
  sigmoid: "to between 0 and 1", hardsigmoid: "to between 0 and 1", tanh: "to between −1 and 1",
};

function times(height, width) {
  return `${height}×${width}`;
}

function nameOf(layer) {
  const { operation, name, kernel } = NETWORK[layer];
  if (layer === 0) return "the image";
  const isWindow = kernel && (operation === "convolution" || product(kernel) > 1);
  return isWindow ? `${name} ${times(...kernel)}` : name;
}

/** What a layer does, in a few words. */
function hintOf(layer) {
  const { operation, function: name, kernel, height, width, maps, groups, before, ofDigits } = NETWORK[layer];
  if (layer === 0) return "normalised for the network";
  const spaced = NETWORK[layer].dilation?.some((step) => step > 1) ? " spaced" : "";
  const pixels = kernel && product(kernel) === 1 ? "one pixel" : kernel && `${times(...kernel)}${spaced} pixels`;
  const isOne = height * width === 1;
  const source = groups === 1 ? "every map" : groups === before?.maps ? "one map" : `${before?.maps / groups} maps`;
  const hints = {
    "convolution": ofDigits ? "one map for each digit: where it is seen"
      : `weighted sum of ${pixels} of ${source} of the layer before`,
    "linear": NETWORK[layer].shape.length > 2 ? "weighted sums along each row"
      : ofDigits ? "one weighted sum of all numbers for each digit" : "weighted sums of all numbers before",
    "norm": NETWORK[layer].mean ? "brings each map to the same scale" : `brings ${normed(NETWORK[layer])} to the same scale`,
    "max pooling": `keeps the largest of ${kernel && times(...kernel)}`,
    "average pooling": ofDigits && isOne ? "the mean of each map: the digit’s score" : `the mean of ${kernel && times(...kernel)}`,
    "pixelwise": CHANGES[name] ?? "",
    "arithmetic": CHANGES[name] ?? "pixel by pixel",
    "log-softmax": "logarithms of the probabilities",
    "softmax": "probabilities",
    "order": { "part": "some of the numbers before", "copies": "the same numbers several times" }[NETWORK[layer].name] ?? "",
    "constant": "the same for every image",
  };
  return hints[operation] ?? "";
}

/** The numbers over which a norm of an image's own takes the mean. */
function normed({ group, size, height, width }) {
  const area = height * width;
  if (group === size) return "all numbers";
  if (group === area) return "each map";
  return group % area === 0 ? `${group / area} maps at a time` : `${group} numbers at a time`;
}

function sizeOf(layer) {
  const { maps, height, width } = NETWORK[layer];
  if (height * width === 1) return `${maps.toLocaleString("en")} numbers`;
  return `${maps} ${maps === 1 ? "map" : "maps"} of ${times(height, width)}`;
}

/** A map by its name: towards the end of a network, there is one for each digit. */
function mapName(layer, map) {
  const { ofDigits, height, width } = NETWORK[layer];
  return ofDigits ? `digit ${map}` : `${height * width === 1 ? "number" : "map"} ${map + 1}`;
}

function sightText(layer) {
  const { maps, height, width } = NETWORK[layer];
  const corner = { layer, map: 0, row: 0, column: 0 };
  const sights = [corner, { layer, map: maps - 1, row: height - 1, column: width - 1 }].map(sightOf);
  if (sights.every((sight) => covers(sight, NETWORK[0]))) return "a pixel sees the whole image";
  const sight = sightOf(middleOf(layer));
  if (sight.height * sight.width === 1) return "a pixel sees itself";
  return `a pixel sees ${times(sight.height, sight.width)}`;
}

/** Say how much of the image a pixel sees. */
function sightWords(sight) {
  if (covers(sight, NETWORK[0])) return ["It sees ", html("strong", {}, "the whole image")];
  const { height, width } = sight;
  const seen = html("strong", {}, height * width === 1 ? "1 pixel" : `${times(height, width)} pixels`);
  return ["It sees ", seen, isWithin(sight, NETWORK[0])
    ? ` of the image’s ${times(SIDE, SIDE)}` : ", some of them padding beyond the image’s edge"];
}

function percent(share) {
  if (share > 0.9995) return "over 99.9\u00a0%";
  return share < 0.0005 ? "under 0.1\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;
}

function short(value) {
  return significant(value, 3).replaceAll("-", "−");
}

/** Write a number in little room. */
function tiny(value) {
  const text = Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
  return (Number(text) === 0 ? "0" : text).replace("-", "−");
}
