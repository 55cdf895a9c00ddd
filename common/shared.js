"use strict";

// --- Numbers as text ----------------------------------------------------------------------

/** Write a number with so many significant digits, without the zeros at its end. */
function significant(value, digits) {
  if (!Number.isFinite(value)) return notFinite(value);
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e").map(Number);
  if (exponent < -4 || exponent >= digits) {
    const sign = exponent < 0 ? "-" : "+";
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const text = value.toFixed(digits - 1 - exponent);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function notFinite(value) {
  return Number.isNaN(value) ? "not a number" : value > 0 ? "∞" : "−∞";
}

// --- Elements -----------------------------------------------------------------------------

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  return filled(element, attributes, children);
}

function html(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function filled(element, attributes, children) {
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  element.append(...children);
  return element;
}

/** Make a choice of one out of several: a radio button for each value. */
function choices(name, labels) {
  return Object.entries(labels).map(([value, label]) =>
    html("label", {}, html("input", { type: "radio", name, value }), html("span", {}, label)));
}

/** Show an error message; an empty text hides it. */
function complain(text) {
  const place = document.getElementById("message");
  place.textContent = text;
  place.hidden = text === "";
}

// --- Settings, and the URL that stores them -----------------------------------------------
// Each page defines its settings: DEFAULTS has their values; RULES says how to parse a text
// (undefined if invalid) and whether a value fits the others; `apply` shows what changed.

let settings = {};
let waiting = 0; // the timer of the address

function oneOf(words, text) {
  return words.includes(text) ? text : undefined;
}

/** Parse the URL fragment: the settings and "", or the defaults and the invalid part. */
function readAddress(fragment) {
  const read = { ...DEFAULTS };
  for (const [name, text] of new URLSearchParams(fragment)) {
    const value = Object.hasOwn(RULES, name) ? RULES[name].read(text) : undefined;
    if (value === undefined) return [DEFAULTS, `${name}=${text}`];
    read[name] = value;
  }
  const misfit = Object.keys(RULES).find((name) => RULES[name].fits?.(read) === false);
  return misfit ? [DEFAULTS, `${misfit}=${read[misfit]}`] : [read, ""];
}

/** Write all that differs from the defaults into the address. */
function writeAddress() {
  const changed = Object.entries(settings).filter(([name, value]) => value !== DEFAULTS[name]);
  history.replaceState(null, "", `#${new URLSearchParams(changed)}`);
}

/** Apply a change, and write it to the URL once no other has followed for 300 ms. */
function change(changes) {
  complain("");
  apply(changes);
  clearTimeout(waiting);
  waiting = setTimeout(writeAddress, 300);
}

/** Apply the settings of the URL. */
function followAddress() {
  const [read, damage] = readAddress(location.hash.slice(1));
  const shortened = damage.length > 60 ? `${damage.slice(0, 60)}…` : damage;
  complain(damage && `The URL contains an invalid setting, “${shortened}”. The page shows its default settings.`);
  apply(read);
}
