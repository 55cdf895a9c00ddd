// --- Numbers as text ----------------------------------------------------------------------

/** Write a number in the little room of a drawing. */
function short(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "?" : notFinite(value);
  const plain = value === 0 || (Math.abs(value) >= 1e-2 && Math.abs(value) < 1e3);
  return withMinus(plain ? value.toFixed(4) : value.toExponential(2));
}

function rounded(value) {
  return withMinus(significant(value, 6));
}

function withMinus(text) {
  return text.replaceAll("-", "−");
}

/** Read a finite number that fits, with a point or a comma; undefined if the text is none. */
function number(text, fits) {
  const plain = text.trim().replaceAll("−", "-").replace(",", ".");
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return undefined;
  const value = Number(plain);
  return Number.isFinite(value) && fits(value) ? value : undefined;
}

/** Read a whole number that the page can compute; 1,000 is not read as 1. */
function whole(text, least) {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  return value >= least && value <= MOST_STEPS ? value : undefined;
}
