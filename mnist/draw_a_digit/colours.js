// --- Numbers as colours ----------------------------------------------------------------------------

/** The colours of the light or the dark page, a ramp of them for values, and one for ink. */
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const theme = {};
  for (const name of ["card", "text", "muted", "positive", "negative", "mark"]) {
    theme[name] = style.getPropertyValue(`--${name}`);
  }
  const steps = Array.from({ length: 256 }, (_, index) => index / 255);
  const towards = (colour) => steps.map((share) => mixed(theme.card, theme[colour], share));
  theme.ramp = Uint32Array.from([...towards("negative").slice(1).reverse(), ...towards("positive")]);
  theme.ink = Uint32Array.from(towards("text"));
  return theme;
}

/** Mix a share of a colour into another, as the bytes of a pixel. */
function mixed(paper, colour, share) {
  const bytes = (text) => [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
  const base = bytes(paper);
  const [red, green, blue] = bytes(colour).map((byte, index) => base[index] + share * (byte - base[index]));
  return (255 << 24) | (blue << 16) | (green << 8) | red;
}

/** The colours of values; the root makes small ones visible. */
function coloursOf(values, most, { ramp }) {
  return Uint32Array.from(values, (value) => {
    const share = Math.round(255 * Math.sqrt(Math.abs(value) / most)) || 0;
    return ramp[255 + (value < 0 ? -share : share)];
  });
}

function mostOf(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** Paint pixels of these colours, `width` in a row, into a canvas. */
function paintPixels(canvas, colours, width) {
  Object.assign(canvas, { width, height: colours.length / width });
  const pixels = new Uint8ClampedArray(colours.buffer);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width), 0, 0);
  return canvas;
}

/** Paint an image, the ink in the colour of text. */
function paintInk(canvas, image, { ink }) {
  return paintPixels(canvas, Uint32Array.from(image, (grey) => ink[grey]), SIDE);
}
