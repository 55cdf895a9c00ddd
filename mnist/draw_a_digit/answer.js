// --- The answer --------------------------------------------------------------------------------------

/** The digit that the network reads. */
function answerOf(values) {
  return values.at(-1).indexOf(Math.max(...values.at(-1)));
}

/** Show the answer; `isDrawn` tells a drawing with too little ink from an empty pad. */
function showReading(image, text, values, isDrawn, theme) {
  const shares = [...values.at(-1)].map(Math.exp);
  const best = answerOf(values);
  const blank = image.every((ink) => ink === 0);
  const known = KNOWN.find((digit) => digit.image === text);
  document.getElementById("answer").replaceChildren(...(blank
    ? [html("strong", {}, "–"), isDrawn ? " too little ink: draw a larger digit" : " draw a digit"]
    : [html("strong", {}, best), html("span", {}, ` ${percent(shares[best])} sure`, ...judged(known, best))]));
  tellWhenStill("answer-told", document.getElementById("answer").textContent);
  shares.forEach((share, digit) => showBar(digit, blank ? 0 : share, !blank && digit === best));
  for (const id of ["given", "seen"]) paintInk(document.getElementById(id), image, theme);
  for (const button of document.querySelectorAll(".thumbnails button")) {
    button.setAttribute("aria-pressed", button.value === text);
  }
}

const telling = {}; // the timers of announcements to screen readers

/** Announce a text to screen readers once it has not changed for half a second. */
function tellWhenStill(id, text) {
  const told = document.getElementById(id);
  clearTimeout(telling[id]);
  telling[id] = setTimeout(() => { told.textContent = text; }, 500);
}

/** Say of a known image whether its answer is right. */
function judged(known, best) {
  if (!known) return [];
  const words = known.label === best ? "and right" : `but it is a ${known.label}`;
  return [",", html("br", {}), " ", html("span", { class: known.label === best ? "right" : "wrong" }, words)];
}

function buildBars() {
  document.getElementById("bars").append(...Array.from(Array(NETWORK.at(-1).maps), (_, digit) =>
    html("li", {}, html("span", {}), html("span", { class: "column" }, html("i", {})), html("b", {}, digit))));
}

function showBar(digit, share, isBest) {
  const bar = document.getElementById("bars").children[digit];
  bar.style.setProperty("--share", share);
  bar.classList.toggle("best", isBest);
  bar.setAttribute("aria-label", `${digit}: ${percent(share)}`);
  bar.firstChild.textContent = share < 0.005 ? "" : `${Math.round(100 * share)}%`;
}
