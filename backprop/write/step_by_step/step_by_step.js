// --- What is set, and the address that keeps it -------------------------------------------

const DEFAULTS = {
  eta: LEARNING_RATE, step: 0, steps: STEPS, weight: "w1", scale: "linear", ...GIVEN,
};
const RULES = {
  eta: { says: "Enter a number above 0, for example 0.5", read: (text) => number(text, (value) => value > 0) },
  step: { read: (text) => whole(text, 0), fits: (read) => read.step <= read.steps },
  steps: { says: `Enter a whole number from 1 to ${MOST_STEPS}`, read: (text) => whole(text, 1) },
  weight: { read: (text) => oneOf(WEIGHTS, text) },
  scale: { read: (text) => oneOf(["linear", "log"], text) },
};
for (const name in GIVEN) {
  RULES[name] = { says: "Enter a number, for example 0.25", read: (text) => number(text, () => true) };
}

let rows = [];
let rivals = []; // the exercise's learning rates, each with its errors
let wantedStep = 0; // shown as soon as there are so many: the first digit of 200 is 2

/** Compute what the changed settings change, and show it. */
function apply(changes) {
  settings = { ...settings, ...changes };
  if (Object.keys(changes).join() !== "steps") wantedStep = settings.step;
  settings.step = Math.min(wantedStep, settings.steps);
  const given = Object.fromEntries(Object.keys(GIVEN).map((name) => [name, settings[name]]));
  const changed = Object.keys(changes);
  const problem = changed.some((name) => name === "steps" || name in GIVEN);
  if (problem || "eta" in changes) rows = descend(given, settings.eta, settings.steps);
  if (problem) {
    rivals = LEARNING_RATES.map((eta) => ({ eta, errors: errorsOf(descend(given, eta, settings.steps)) }));
  }
  show(changed);
}

// --- Controls -----------------------------------------------------------------------------

const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const STEP_MS = { moving: 120, still: 1000 }; // of Play; still is one picture after another
let playing = 0;

/** Show everything; the boxes whose settings changed are written anew. */
function show(changed) {
  const { eta, step, steps, weight } = settings;
  drawNetwork(rows[step], weight, step);
  drawErrors(errorsOf(rows), rivals, settings);
  deriveWeight(rows[step], weight, eta);
  ringBadge();
  showRow(rows, step);
  showControls(eta, step, steps);
  for (const name of changed) {
    const box = document.getElementById(name);
    if (box?.type === "text" && box !== document.activeElement) {
      box.value = settings[name];
      markBox(box, true);
    }
  }
}

function showControls(eta, step, steps) {
  const slider = document.getElementById("eta-slider");
  slider.value = Math.log10(eta);
  slider.setAttribute("aria-valuetext", eta);
  for (const button of document.querySelectorAll("#rates button")) {
    button.setAttribute("aria-pressed", Number(button.value) === eta);
  }
  const stepSlider = document.getElementById("step");
  stepSlider.max = steps;
  stepSlider.value = step;
  document.getElementById("back").disabled = step === 0;
  document.getElementById("forward").disabled = step === steps;
  document.getElementById("readout").textContent =
    `${step} of ${steps}: E_total ${rounded(rows[step].E_total)}`;
  for (const name of ["weight", "scale"]) {
    document.querySelector(`[name="${name}"][value="${settings[name]}"]`).checked = true;
  }
  const broken = rows.findIndex((row) => !COLUMNS.every((column) => Number.isFinite(row[column])));
  if (broken >= 0) {
    complain(`The numbers overflow at step ${broken}. Use a smaller learning rate or smaller numbers.`);
  }
}

/** Use the number in a box; where it is wrong, mark the box and change nothing else. */
function readBox(box) {
  const value = RULES[box.id].read(box.value);
  markBox(box, value !== undefined);
  if (value !== undefined) change({ [box.id]: value });
}

function markBox(box, right) {
  box.setAttribute("aria-invalid", !right);
  document.getElementById(`${box.id}-wrong`).textContent = right ? "" : RULES[box.id].says;
}

/** Read the slider: snap to a stop nearby, else round to three significant digits. */
function readSlider(power) {
  const stop = LEARNING_RATES.find((rate) => Math.abs(Math.log10(rate) - power) < 0.025);
  change({ eta: stop ?? Number((10 ** power).toPrecision(3)) });
}

function play() {
  if (settings.step === settings.steps) change({ step: 0 });
  playing = setInterval(() => {
    if (settings.step < settings.steps) change({ step: settings.step + 1 });
    else pause();
  }, STILL.matches ? STEP_MS.still : STEP_MS.moving);
  document.getElementById("play").textContent = "Pause";
}

function pause() {
  clearInterval(playing);
  playing = 0;
  document.getElementById("play").textContent = "Play";
}

let pointedLink; // the link under the pointer or the focus

function pointAt(element) {
  pointedLink = element?.closest?.("#derivation [data-link]")?.dataset.link;
  ringBadge();
}

/** Ring the badge of the pointed link in the drawing. */
function ringBadge() {
  for (const badge of document.querySelectorAll(".badge")) {
    badge.classList.toggle("chosen", badge.dataset.link === pointedLink);
  }
}

// --- Repeated elements of the page --------------------------------------------------------

/** Make a box for a number. Its keyboard is the one with letters: others lack the minus or the point. */
function numberBox(name, attributes) {
  return html("input", {
    type: "text", id: name, inputmode: "text", autocomplete: "off", autocapitalize: "off",
    autocorrect: "off", spellcheck: "false", "aria-describedby": `${name}-wrong`, ...attributes,
  });
}

function field(name) {
  const meanings = { t: "target", i: "input", w: "starting weight", s: "number of" };
  return html("div", {}, html("label", { for: name }, `${meanings[name[0]]} ${name}`),
    numberBox(name, {}), html("span", { class: "wrong muted", id: `${name}-wrong`, role: "status" }));
}

function build() {
  const byId = (id) => document.getElementById(id);
  byId("eta-box").replaceWith(numberBox("eta", { "aria-label": "η as a number" }));
  byId("stops").append(...LEARNING_RATES.map((rate) => html("option", { value: Math.log10(rate) })));
  byId("rates").append(...LEARNING_RATES.map((rate) => html("button", { type: "button", value: rate }, rate)));
  byId("weights").append(...choices("weight", Object.fromEntries(WEIGHTS.map((weight) => [weight, weight]))));
  byId("scales").append(...choices("scale", { linear: "linear", log: "logarithmic" }));
  byId("numbers").append(...["i1", "i2", "t1", "t2", ...WEIGHTS, "steps"].map(field));
  byId("row").append(...Object.keys(PARTS_OF_ROW).map((title) =>
    html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": title })));
}

function listen() {
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, act);
  on("eta-slider", "input", (event) => readSlider(event.target.valueAsNumber));
  on("rates", "click", (event) => {
    if (event.target.value) change({ eta: Number(event.target.value) });
  });
  on("step", "input", (event) => change({ step: event.target.valueAsNumber }));
  on("back", "click", () => change({ step: settings.step - 1 }));
  on("forward", "click", () => change({ step: settings.step + 1 }));
  on("play", "click", () => (playing ? pause() : play()));
  on("weights", "change", (event) => change({ weight: event.target.value }));
  on("scales", "change", (event) => change({ scale: event.target.value }));
  on("reset", "click", () => change({ ...GIVEN, eta: LEARNING_RATE, steps: STEPS }));
  on("network", "click", (event) => {
    const edge = event.target.closest("[data-weight]");
    if (edge) change({ weight: edge.dataset.weight });
  });
  for (const event of ["pointerover", "focusin"]) on("derivation", event, ({ target }) => pointAt(target));
  on("derivation", "pointerleave", () => pointAt(document.activeElement));
  on("derivation", "focusout", ({ relatedTarget }) => pointAt(relatedTarget));
  for (const box of document.querySelectorAll("input[type=text]")) {
    box.addEventListener("input", () => readBox(box));
  }
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", followAddress);
}

build();
listen();
followAddress();
