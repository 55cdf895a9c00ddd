// --- The derivation -----------------------------------------------------------------------

/** Make a piece of a formula. Lines break between pieces, since browsers do not break <math>. */
function math(markup) {
  const box = html("template", {});
  box.innerHTML = `<math>${markup}</math>`;
  return box.content.firstChild;
}

/** Write a text with symbols for its gaps, such as {w5}. */
function said(text) {
  return text.split(/\{([^}]+)\}/).map((part, index) => (index % 2 ? math(SYMBOLS[part]) : part));
}

/** Fill the gaps of a formula, such as {w5}, with what `write` makes of each name. */
function filledIn(formula, write) {
  return formula.replace(/\{([^}]+)\}/g, (_, name) => write(name));
}

/** Write a number as mathematics: all its digits, or so many. */
function numeral(value, digits) {
  if (!Number.isFinite(value)) return `<mtext>${notFinite(value)}</mtext>`;
  const signed = (text) => (text.startsWith("-") ? `<mo>−</mo><mn>${text.slice(1)}</mn>` : `<mn>${text}</mn>`);
  const [mantissa, power] = (digits ? significant(value, digits) : String(value)).split("e");
  const tens = power ? `<mo>×</mo><msup><mn>10</mn><mrow>${signed(String(Number(power)))}</mrow></msup>` : "";
  return `<mrow>${signed(mantissa)}${tens}</mrow>`;
}

/** Write a factor of a product: with brackets if it is negative. */
function factor(value) {
  const number = numeral(value, 10);
  return value < 0 ? `<mrow><mo>(</mo>${number}<mo>)</mo></mrow>` : number;
}

const EQUALS = "<mo>=</mo>";
const PLUS = '<mo form="infix">+</mo>'; // also where a piece begins with it
const TIMES = "<mo>·</mo>";

/** Put a sign before the first piece, and another before each that follows. */
function withSigns(first, following, pieces) {
  return pieces.map((piece, index) => (index ? following : first) + piece);
}

/** Derive a weight's gradient from one row, as `python -m backprop explain` does. */
function deriveWeight(row, weight, eta) {
  const gradient = `∂E/∂${weight}`;
  const chain = CHAINS[gradient];
  const factors = linksOf(weight).map((link, index) => linkLine(link, index, row));
  const both = PATHS[chain[0]];
  const inSymbols = (links) => [links.map((link) => SYMBOLS[link]).join(TIMES)];
  const inNumbers = (links) => withSigns("", TIMES, links.map((link) => factor(LINKS[link].value(row))));
  const parts = [html("p", { class: "why" }, ...said(why(weight))), heading("The chain rule")];
  const is = SYMBOLS[gradient] + EQUALS;
  parts.push(line(is + inSymbols(chain)));
  if (both) {
    const sum = ([first, second]) => [...withSigns(SYMBOLS[chain[0]] + EQUALS, "", first), ...withSigns(PLUS, "", second)];
    parts.push(heading(`The hidden activation affects both outputs, so {${chain[0]}} has two terms`));
    parts.push(line(...sum(both.map(inSymbols))), ...factors.slice(0, 6));
    parts.push(line(...sum(both.map(inNumbers)), EQUALS + numeral(LINKS[chain[0]].value(row), 10)));
  }
  parts.push(heading("Factor by factor"), ...factors.slice(-3));
  parts.push(heading("The gradient, as in the table"));
  parts.push(line(...withSigns(is, "", inNumbers(chain)), EQUALS + numeral(row[gradient])));
  const { formula, value } = UPDATES[weight];
  const numbers = (name) => (name === "η" ? numeral(eta, 6) : factor(row[name]));
  parts.push(heading("The updated weight"));
  parts.push(line(`${SYMBOLS[weight]}<mo>←</mo>${filledIn(formula, (name) => SYMBOLS[name])}`));
  parts.push(line(EQUALS + filledIn(formula, numbers), EQUALS + numeral(value(row, eta))));
  renew(document.getElementById("derivation"), parts);
}

/** Show other parts in a box. Where they are as many as before, each stays, and keeps the focus. */
function renew(box, parts) {
  if (box.childElementCount !== parts.length) return box.replaceChildren(...parts);
  for (const [index, { className, childNodes }] of parts.entries()) {
    box.children[index].className = className;
    box.children[index].replaceChildren(...childNodes);
  }
}

/** Say on how many paths a weight acts on the error. */
function why(weight) {
  const [, end] = EDGES[weight];
  if (end[0] === "o") {
    return `{${weight}} affects only {${end}}, and so only {E${end[1]}}: a single path leads back.`;
  }
  const weights = WEIGHTS.filter((other) => EDGES[other][0] === end).map((other) => `{${other}}`);
  return `{${weight}} affects {${end}} and, through ${weights.join(" and ")}, both outputs. Each ` +
    "output has its own error, so two paths lead back, and their contributions add up.";
}

function heading(text) {
  return html("h3", {}, ...said(text));
}

function line(...pieces) {
  return html("p", {}, ...pieces.flatMap((piece) => [math(piece), html("wbr", {})]));
}

/** Write one link: its symbol, its formula, the numbers put in, its value. */
function linkLine({ symbol, path }, index, row) {
  const { formula, value } = LINKS[symbol];
  const sides = [numeral(value(row), 10)];
  if (formula) {
    const numbers = filledIn(formula, (name) => factor(row[name]));
    if (numbers !== factor(value(row))) sides.unshift(numbers);
    sides.unshift(filledIn(formula, (name) => SYMBOLS[name]));
  }
  const [first, ...others] = sides.map((side) => EQUALS + side);
  const attributes = { class: `link ${path}`, "data-link": index, tabindex: 0 };
  const written = filled(line(SYMBOLS[symbol] + first, ...others), attributes, formula ? [] : [" (from above)"]);
  written.prepend(html("b", { class: "mark", "aria-hidden": "true" }, index + 1));
  return written;
}
