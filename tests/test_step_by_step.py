"""The page of backpropagation in a real browser: its numbers, curves, derivation and entries."""

import json
import re
from functools import partial
from urllib.parse import urlencode

import numpy as np
import pytest

from backprop.explain import explanation
from backprop.network import COLUMNS, EDGES, LEARNING_RATES, WEIGHTS, Problem, descend
from backprop.write.page import write_page
from common import UserError
from tests import browser
from tests.browser import BACKPROP, text_of

visit = partial(browser.visit, BACKPROP)


def address(problem, rate, **more):
    return urlencode(problem.given() | {"eta": rate} | more)


# --- Numbers ------------------------------------------------------------------------------

ROWS = """
const rows = {};
for (const table of all("#row table")) {
  const names = all("thead th", table).slice(1).map((head) => head.textContent);
  for (const line of all("tbody tr", table)) {
    const row = (rows[line.querySelector("th").textContent] ??= {});
    all("data", line).forEach((cell, index) => { row[names[index]] = cell.value; });
  }
}
return rows;
"""
GIVEN = [(Problem(), rate, step) for rate in LEARNING_RATES for step in (0, 1, 50, 100)]
generator = np.random.default_rng(0)
for rate in (0.01, 0.3, 2.0) * 15:
    numbers = generator.uniform(-2, 2, 12).round(3) * (generator.random(12) > 0.1)
    parts = [tuple(part.tolist()) for part in np.split(numbers, [2, 4])]
    GIVEN.append((Problem(*parts), rate, int(generator.integers(101))))


@visit([address(problem, rate, step=step) for problem, rate, step in GIVEN], ROWS)
def test_every_column_is_that_of_numpy(seen):
    for (problem, rate, step), rows in zip(GIVEN, seen, strict=True):
        steps = [number for number in (step - 1, step, step + 1) if 0 <= number <= 100]
        assert [int(number) for number in rows] == steps
        assert all(tuple(row) == COLUMNS for row in rows.values())
        values = [[*map(float, row.values())] for row in rows.values()]
        right = descend(problem, rate, 101)[steps]
        np.testing.assert_allclose(values, right, rtol=1e-12, atol=1e-15)


OVERFLOW = {"t1": 1e10, "eta": 1e300}


@visit([*map(urlencode, (OVERFLOW, OVERFLOW | {"step": 9})), "step=3"], "return words('message')")
def test_where_the_error_is_no_longer_finite_the_page_says_so(seen):
    with pytest.raises(UserError, match=r"at step (\d+) ") as error:
        descend(Problem(targets=(1e10, 0.5)), 1e300, 9)
    first = re.search(r"at step (\d+) ", str(error.value))[1]
    assert re.search(rf"step {first}\b", seen[0])
    assert seen == [seen[0], seen[0], ""]


# --- The curves ---------------------------------------------------------------------------

# Each label of a rate: its middle, the end of its curve, and how far the label is from this end or
# from where a line leads from it; then whether all labels stand in the drawing.
LABELS = """
const drawing = byId("error").viewBox.baseVal;
const isInside = ({ x, y, width, height }) => x >= 0 && y >= 0
  && x + width <= drawing.width && y + height <= drawing.height;
const at = (line, ...names) => names.map((name) => line[name].baseVal.value);
const leaders = all("#error .leader").map((line) => at(line, "x1", "y1", "y2"));
const labels = all("#error .rate").map((label) => {
  const curve = all("#error .faint")[LEARNING_RATES.indexOf(Number(label.textContent))];
  const { x, y } = [...curve.points].at(-1);
  const joined = leaders.filter(([x1, y1]) => Math.hypot(x1 - x, y1 - y) < 0.2);
  const box = label.getBBox();
  const middle = box.y + box.height / 2;
  const tips = [y, ...joined.map(([, , y2]) => y2)];
  return [middle, y, Math.min(...tips.map((tip) => Math.abs(tip - middle)))];
});
labels.sort(([first], [second]) => first - second);
return [labels, all("#error text").every((label) => isInside(label.getBBox()))];
"""
CLOSE = ["scale=linear", "scale=log", "steps=1", "steps=400", "t1=1e10", "t1=1e10&scale=log"]
TWENTY_RATES = [round(0.1 * tenth, 1) for tenth in range(1, 21)]


@pytest.mark.parametrize("rates", [LEARNING_RATES, (0.05, 0.125, 12.5, 123456), TWENTY_RATES])
def test_labels_stand_apart_in_the_order_of_the_curves_and_joined_to_them(
    rates, look_around, tmp_path
):
    write_page(tmp_path / "page.html", Problem(), rates, 1000)
    seen = look_around(tmp_path / "page.html", [(address, LABELS) for address in CLOSE])
    for address, (labels, are_inside) in zip(CLOSE, seen, strict=True):
        middles, ends, distances = np.transpose(labels)
        assert len(labels) == len(rates)
        assert (np.diff(ends) >= 0).all(), address
        assert (np.diff(middles) > 9.5).all()  # two lines of these digits do not touch
        assert max(distances) < 4, address  # a line leads to what had to move
        assert are_inside


ERROR_OF_0 = "t1=0.606477732206728&t2=0.6304808354506348"
DRAWN = """
const steps = all("#error text").filter((text) => text.y.baseVal[0].value === PLOT.bottom + 17);
return [all("#error .here").length, steps.map((text) => text.textContent).join()];
"""


@visit([f"scale=log&{ERROR_OF_0}", ERROR_OF_0, "steps=1"], DRAWN)
def test_an_error_of_0_has_no_logarithm_and_an_axis_says_each_step_once(seen):
    assert seen == [[0, "0,50,100"], [1, "0,50,100"], [1, "0,1"]]


# --- Derivation ---------------------------------------------------------------------------

# The lines, with mathematics as it is typed: a fraction is a/b, a power is a^b.
LINES = """
const typed = (node) => {
  const sign = { mfrac: "/", msup: "^" }[node.localName];
  return node.nodeType === Node.TEXT_NODE ? node.textContent
    : [...node.childNodes].map(typed).join(sign ?? "");
};
for (const mark of all(".mark")) mark.remove();
return all("#derivation > :not(.why)").map(typed);
"""
A_NUMBER = r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])"
OTHER = Problem((0.9, -0.4), (-1, 2), (-1, *Problem().weights[1:]))
DERIVED = [
    (problem, weight, step, rate)
    for problem, step, rate in ((Problem(), 0, 0.5), (OTHER, 37, 2))
    for weight in WEIGHTS
]


def numbers_apart(lines):
    """Part a derivation into its text with gaps and its numbers; `w1` and `ah1` are text."""
    text = "\n".join(re.sub(r"[\s_]", "", line) for line in lines if line.strip())
    text = text.replace("×10^", "e").replace("e−", "e-")
    text = re.sub("(?<!e)-", "−", text)
    return re.sub(A_NUMBER, "#", text), [float(number) for number in re.findall(A_NUMBER, text)]


@visit([address(given, rate, step=step, weight=w) for given, w, step, rate in DERIVED], LINES)
def test_the_derivation_of_each_weight_is_that_of_explain(seen):
    for case, lines in zip(DERIVED, seen, strict=True):
        text, values = numbers_apart(lines)
        right_text, right_values = numbers_apart(explanation(*case).splitlines()[1:])
        assert text == right_text
        np.testing.assert_allclose(values, right_values, rtol=1e-9, atol=1e-15)


BADGES = """
return linksOf(settings.weight).map(({ symbol, path }, index) => {
  const { cx, cy } = all("#network .badge circle")[index];
  return [symbol, path, cx.baseVal.value, cy.baseVal.value];
});
"""


@visit(["weight=w1", "weight=w8"], BADGES)
def test_every_link_has_its_place_in_the_drawing(seen):
    """On the line of its weight, or at the neuron it belongs to: no two in one place."""
    first, last = (list(zip(*badges, strict=True)) for badges in seen)
    assert last[:2] == [("∂E/∂a_o2", "∂a_o2/∂o2", "∂o2/∂w8"), ("second",) * 3]
    _, paths, x, y = first
    assert paths == ("first",) * 3 + ("second",) * 3 + ("both",) * 3
    assert len({*zip(x, y, strict=True)}) == 9
    assert x[0] > x[1] > x[2]  # the way back runs from right to left
    assert x[6] > x[7] > x[8]


def test_edges_join_the_neurons_of_the_exercise():
    starts, ends = zip(*(EDGES[weight] for weight in WEIGHTS), strict=True)
    assert starts == ("i1", "i2", "i1", "i2", "h1", "h2", "h1", "h2")
    assert ends == ("h1", "h1", "h2", "h2", "o1", "o1", "o2", "o2")


ON_A_PHONE = """
document.body.style.width = "390px";
const lines = all("#derivation p");
const cut = lines.filter((line) => line.scrollWidth > line.clientWidth);
document.body.style.width = "";
return [lines.length > 6, cut.length];
"""


@visit([f"weight={weight}&step={step}" for weight in WEIGHTS for step in (0, 50, 100)], ON_A_PHONE)
def test_no_line_of_the_derivation_is_wider_than_a_phone(seen):
    assert seen == [[True, 0]] * 24


MATHEMATICS = """
const nodes = all("math, math *");
const leaves = nodes.filter((node) => node.childElementCount === 0);
return [nodes.map((node) => node.localName), leaves.map((node) => node.textContent),
        nodes.filter((node) => node.closest("[aria-hidden]")).length];
"""


@visit(["t1=-1&eta=1e-7&weight=w1", "t1=-1&weight=w6"], MATHEMATICS)
def test_mathematics_is_written_in_elements_that_say_what_it_is(seen):
    for elements, leaves, hidden in seen:
        assert {"math", "mfrac", "msub", "mi", "mn", "mo"} <= set(elements)
        assert hidden == 0
        assert {"σ", "η", "∂", "−"} <= set(leaves)  # a minus sign is U+2212
        pattern = r"\w|\d+(\.\d+)?|[∂=·+−×←()]"
        assert all(re.fullmatch(pattern, leaf) for leaf in leaves), leaves


# --- Entries ------------------------------------------------------------------------------

TYPED = {"2,5": 2.5, "−2.23e−4": -2.23e-4, " 0.6 ": 0.6, "-,5": -0.5, "+3.": 3, "1E2": 100}
WRONG = [
    (box, text) for box in ("eta", "w5", "steps") for text in ("abc", "", "1e999", "1,000.5", "-")
]
WRONG += [("steps", "1,000")]  # a thousand to some, one to others: it is asked again
ENTRIES = f"""
const drawing = () => byId("network").innerHTML;
const before = drawing();
return {json.dumps([*WRONG, *(("w5", text) for text in TYPED)])}.map(([id, text]) => {{
  type(id, text);
  const marked = () => [byId(id).getAttribute("aria-invalid"), words(`${{id}}-wrong`) !== ""];
  const value = settings[id] === DEFAULTS[id] ? "kept" : settings[id];
  const told = [value, drawing() === before, ...marked()];
  type(id, DEFAULTS[id]);
  return [...told, ...marked()];
}});
"""


@visit(["step=2"], ENTRIES)
def test_numbers_are_read_as_people_write_them_and_others_marked_where_they_stand(seen):
    (told,) = seen
    assert told[: len(WRONG)] == [["kept", True, "true", True, "false", False]] * len(WRONG)
    right = [[value, False, "false", False, "false", False] for value in TYPED.values()]
    assert told[len(WRONG) :] == right


PRESSED = """
for (const id of ["forward", "forward", "back"]) click(id);
const told = [settings.step];
document.querySelector('#rates [value="2"]').click();
told.push(settings.eta);
document.querySelector('#network [data-weight="w6"] .hit').dispatchEvent(
  new MouseEvent("click", { bubbles: true }));
told.push(settings.weight, document.querySelector("[name=weight]:checked").value);
change({ step: 90 });
for (const text of ["2", "20", "200"]) type("steps", text);
told.push(settings.step, settings.steps); // of a number that is typed, no digit loses a step
change({ i1: 3, steps: 50 });
click("reset");
told.push(settings.i1, settings.eta, settings.step, settings.steps);
for (const power of [-2, -0.7, 0.3, 1]) {
  type("eta-slider", power);
  told.push(settings.eta);
}
return told;
"""


@visit(["step=4"], PRESSED)
def test_buttons_boxes_and_slider_do_what_they_say(seen):
    assert seen == [[5, 2, "w6", "w6", 90, 200, 0.05, 0.5, 50, 100, 0.01, 0.2, 2, 10]]


@pytest.mark.parametrize(
    ("address", "options", "steps", "button"),
    [
        ("steps=9", [], [9], "Play"),
        # In the time of the browser, which waits for nothing: 5 s, one step a second.
        ("", ["--force-prefers-reduced-motion"], range(2, 7), "Pause"),
    ],
)
def test_play_goes_on_to_the_last_step_slowly_for_less_motion(
    address, options, steps, button, browse
):
    document, complaints = browse(
        BACKPROP, address, *options, script='document.getElementById("play").click()'
    )
    assert complaints == []
    assert int(text_of(document, "readout").split()[0]) in steps
    assert text_of(document, "play") == button


FOCUS = """
const line = all("#derivation [tabindex]")[4];
line.focus();
const before = line.textContent;
change({ step: 3 });
const rings = () => all(".badge.chosen").length;
const found = [document.activeElement === line, before !== line.textContent, rings()];
line.blur();
change({ step: 4 });
return [...found, rings()];
"""


@visit(["step=2"], FOCUS)
def test_a_focused_line_keeps_the_focus_over_a_step(seen):
    assert seen == [[True, True, 1, 0]]


ATTRIBUTES = """
const distinct = (elements, write) => [...new Set(elements.map(write))];
const keyboard = ["autocapitalize", "autocorrect", "spellcheck", "inputmode"];
return [
  distinct(all("input[type=text]"), (box) => keyboard.map((name) => box.getAttribute(name)).join()),
  distinct(all("#row .scroll"), (box) => box.getAttribute("aria-label")).length,
  distinct(all("#row .scroll > table > caption"), (caption) => caption.textContent).length,
];
"""


@visit(["step=2"], ATTRIBUTES)
def test_keyboards_have_all_that_numbers_need_and_every_table_a_name_of_its_own(seen):
    assert seen == [[["off,off,false,text"], 4, 4]]


# --- The file -----------------------------------------------------------------------------


def test_the_tracked_page_is_the_one_that_is_built(tmp_path):
    write_page(tmp_path / "page.html", Problem(), LEARNING_RATES, 100)
    page = (tmp_path / "page.html").read_bytes()
    assert page == BACKPROP.read_bytes()
    assert len(page) < 100_000


def test_a_page_of_ones_own_begins_with_its_numbers(browse, tmp_path):
    write_page(tmp_path / "page.html", Problem(targets=(0.01, 0.99)), (0.3, 4.0), 1000)
    document, _ = browse(tmp_path / "page.html")
    error = descend(Problem(targets=(0.01, 0.99)), 0.3, 0)[0, COLUMNS.index("E_total")]
    assert text_of(document, "readout") == f"0 of 1000: E_total {error:.6g}"


def test_more_steps_than_the_page_computes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"page.html.* 1000 .* 1001"):
        write_page(tmp_path / "page.html", Problem(), LEARNING_RATES, 1001)
    assert not (tmp_path / "page.html").exists()
