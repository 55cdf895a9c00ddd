// --- Images of digits, and those stored in the page ------------------------------------------------

/** Unpack images: a zero is followed by how many of them there are. */
function unpack(packed) {
  const pixels = [];
  for (let index = 0; index < packed.length; index++) {
    if (packed[index] === 0) pixels.push(...new Array(packed[++index]).fill(0));
    else pixels.push(packed[index]);
  }
  return Uint8Array.from(pixels);
}

/** Write an image's 784 bytes as text for an address: base64 that is safe in a URL. */
function imageText(image) {
  return btoa(String.fromCharCode(...image)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function readImage(text) {
  if (!/^[\w-]+={0,2}$/.test(text)) return undefined;
  const letters = text.replace(/=+$/, "").replaceAll("-", "+").replaceAll("_", "/");
  if (letters.length !== Math.ceil((SIDE ** 2 * 4) / 3)) return undefined;
  return bytesOf(letters);
}

const UNPACKED = unpack(bytesOf(PIXELS));
const KNOWN = EXAMPLES.map((digit, index) => {
  const pixels = UNPACKED.subarray(index * SIDE ** 2, (index + 1) * SIDE ** 2);
  return { ...digit, pixels, image: imageText(pixels) };
});
const TEST_DIGITS = KNOWN.slice(0, TESTED.digits);
const MISTAKES = KNOWN.slice(TESTED.digits);

function thumbnail({ index, label, answer, pixels, image }, isMistake, theme) {
  const canvas = paintInk(html("canvas", { "aria-hidden": "true" }), pixels, theme);
  const title = `test image ${index}, a ${label}, read as a ${answer}`;
  return html("button", { type: "button", value: image, title, "aria-label": title }, canvas,
    isMistake ? `${label} → ${answer}` : "");
}

/** Make a button for each digit; the arrow keys go to all but the first. */
function buildThumbnails(theme) {
  const fill = (id, digits, isMistake) => {
    const buttons = digits.map((digit) => thumbnail(digit, isMistake, theme));
    for (const button of buttons.slice(1)) button.tabIndex = -1;
    document.getElementById(id).replaceChildren(...buttons);
  };
  fill("examples", TEST_DIGITS, false);
  fill("mistakes", MISTAKES, true);
  const { images, wrong } = TESTED;
  const count = MISTAKES.length < wrong ? `${MISTAKES.length} of the ${wrong}` : `All ${wrong}`;
  document.getElementById("mistakes-title").textContent =
    `${count} mistakes on ${images.toLocaleString("en")} test images: label → answer`;
}
