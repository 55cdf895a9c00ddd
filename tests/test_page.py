"""The page in a real browser, headless: its numbers, its derivation, its address, its silence."""

import html
import json
import re
from urllib.parse import urlencode

import numpy as np
import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from backprop.__main__ import main
from backprop.explain import explanation
from backprop.network import COLUMNS, EDGES, LEARNING_RATES, WEIGHTS, Problem, descend
from backprop.page import write_page
from common import UserError
from tests.digits import ROOT
from tests.workbooks import table_of, without_values

TRACKED = ROOT / "backprop" / "Back_Propagation.html"
numbers = st.floats(-2, 2).map(lambda value: round(value, 3))
problems = st.builds(
    Problem,
    inputs=st.tuples(numbers, numbers),
    targets=st.tuples(numbers, numbers),
    weights=st.tuples(*[numbers] * 8),
)

SEE_ROWS = """
  const rows = {};
  for (const table of document.querySelectorAll("#row table")) {
    const names = [...table.querySelectorAll("thead th")].slice(1).map((it) => it.textContent);
    for (const line of table.querySelectorAll("tbody tr")) {
      const row = (rows[line.querySelector("th").textContent] ??= {});
      line.querySelectorAll("data").forEach((it, index) => { row[names[index]] = it.value; });
    }
  }
  return rows;
"""
# The lines, with mathematics as it is typed: a fraction is a/b, a power is a^b.
SEE_DERIVATION = """
  const typed = (it) => {
    const parts = [...it.childNodes].map(typed);
    const sign = { mfrac: "/", msup: "^" }[it.localName];
    return it.nodeType === Node.TEXT_NODE ? it.textContent : parts.join(sign ?? "");
  };
  const lines = document.querySelectorAll("#derivation > :not(.why)");
  for (const mark of document.querySelectorAll(".mark")) mark.remove();
  return [...lines].map(typed);
"""


@pytest.fixture(scope="module")
def probe(look_around):
    """Go to addresses of the page, with a look at each."""

    def see(visits, page=TRACKED):
        return look_around(page, visits, "--window-size=500,900")

    return see


VISITS = []  # to the tracked page, all in one run of the browser, for its start takes the time


def visit(addresses, look):
    """Plan a visit to each address; what was seen there is then at `seen[...]` of the result."""
    VISITS.extend((address, look) for address in addresses)
    return slice(len(VISITS) - len(addresses), len(VISITS))


@pytest.fixture(scope="module")
def seen(probe):
    """What all the planned visits saw."""
    return probe(VISITS)


def address(problem, rate, **more):
    return urlencode(problem.given() | {"eta": rate} | more)


def text_of(document, id_):
    """The text of an element without elements in it."""
    return html.unescape(re.search(rf'id="{id_}"[^>]*>([^<]*)<', document)[1])


def assert_rows_agree(seen, problem, rate, steps):
    """Columns of each step by name, as texts, against numpy's."""
    right = descend(problem, rate, max(steps))
    for step in steps:
        columns = seen[str(step)]
        assert tuple(columns) == COLUMNS
        np.testing.assert_allclose(
            [float(columns[name]) for name in COLUMNS], right[step], rtol=1e-12, atol=1e-15
        )


# --- Numbers ------------------------------------------------------------------------------


PLACES = [(rate, step) for rate in LEARNING_RATES for step in (0, 1, 50, 100)]
COLUMNS_AT_PLACES = visit([address(Problem(), rate, step=step) for rate, step in PLACES], SEE_ROWS)


def test_every_column_is_that_of_numpy(seen):
    for (rate, step), rows in zip(PLACES, seen[COLUMNS_AT_PLACES], strict=True):
        neighbours = [it for it in (step - 1, step, step + 1) if 0 <= it <= 100]
        assert [int(it) for it in rows] == neighbours
        assert_rows_agree(rows, Problem(), rate, neighbours)


cases_of_hypothesis = st.lists(
    st.tuples(problems, st.sampled_from([0.01, 0.3, 2.0])), min_size=30, max_size=30, unique=True
)


@given(cases_of_hypothesis)  # in one run of the browser, so they are not made smaller
@settings(max_examples=1, deadline=None, phases=[Phase.generate])
def test_every_column_of_other_numbers_is_that_of_numpy(probe, cases):
    steps = [0, 1, 50, 100]
    look = f"return {steps}.map((step) => COLUMNS.map((column) => rows[step][column]));"
    seen = probe([(address(*it), look) for it in cases])
    for (problem, rate), rows in zip(cases, seen, strict=True):
        np.testing.assert_allclose(rows, descend(problem, rate, 100)[steps], rtol=1e-12, atol=1e-15)


def test_workbook_page_and_command_line_give_the_same_numbers(
    probe, recalculate, tmp_path, monkeypatch, capsys
):
    for picture in ("draw_overview", "draw_curves"):
        monkeypatch.setattr(f"backprop.pictures.{picture}", lambda path, *_: [path])
    words = ["--inputs", "0.9", "-0.4", "--targets", "0.01", "0.99", "--steps", "20"]
    assert main(["--learning-rates", "3", *words, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["trace", "--learning-rate", "3", *words]) == 0
    header, *printed = capsys.readouterr().out.splitlines()
    printed = np.array([line.split(",") for line in printed], float)
    assert tuple(header.split(",")) == COLUMNS
    plain = without_values(tmp_path / "Back_Propagation.xlsx", tmp_path / "plain")
    computed = openpyxl.load_workbook(recalculate(plain), data_only=True)
    np.testing.assert_allclose(table_of(computed, "LR 3.0"), printed, rtol=1e-12, atol=1e-15)
    steps = range(1, 20, 3)
    visits = [(f"step={it}", SEE_ROWS) for it in steps]
    pages = probe(visits, tmp_path / "Back_Propagation.html")
    shown = {int(step): row for page in pages for step, row in page.items()}
    assert sorted(shown) == list(range(21))
    for step, row in shown.items():
        values = [float(value) for value in row.values()]
        np.testing.assert_allclose(values, printed[step], rtol=1e-12, atol=1e-15)


FAR_AWAY = {"t1": 1e10, "eta": 1e300}
MESSAGES_FAR_AWAY = visit(
    [urlencode(FAR_AWAY), urlencode(FAR_AWAY | {"step": 9}), "step=3"],
    'return document.getElementById("message").textContent',
)


def test_where_the_error_is_no_longer_finite_the_page_says_so(seen):
    told, told_late, fine = seen[MESSAGES_FAR_AWAY]
    with pytest.raises(UserError, match=r"at step (\d+) ") as error:
        descend(Problem(targets=(1e10, 0.5)), 1e300, 9)
    first = re.search(r"at step (\d+) ", str(error.value))[1]
    assert re.search(rf"step {first}\b", told)
    assert told == told_late
    assert fine == ""


# --- The labels of the curves -------------------------------------------------------------

# Each label of a rate, the end of its curve as it is drawn, and the lines that leave this end.
SEE_LABELS = """
  const curves = document.querySelectorAll("#error .faint");
  const leaders = [...document.querySelectorAll("#error .leader")];
  const at = (it, ...names) => names.map((name) => it[name].baseVal.value);
  const found = [...document.querySelectorAll("#error .rate")].map((it) => {
    const box = it.getBBox();
    const { x, y } = [...curves[LEARNING_RATES.indexOf(Number(it.textContent))].points].at(-1);
    const ends = leaders.map((it) => at(it, "x1", "y1", "x2", "y2"))
      .filter(([x1, y1]) => Math.hypot(x1 - x, y1 - y) < 0.2).map((it) => it.slice(2));
    return [Number(it.textContent), box.y + box.height / 2, y, ends];
  });
  return [found, document.getElementById("error").viewBox.baseVal.height];
"""
CLOSE = ["scale=linear", "scale=log", "steps=1", "steps=400", "t1=1e10", "t1=1e10&scale=log"]
LABELS = visit(CLOSE, SEE_LABELS)


def test_labels_stand_at_the_ends_of_their_curves_in_order(seen):
    for address, (labels, height) in zip(CLOSE, seen[LABELS], strict=True):
        assert sorted(rate for rate, *_ in labels) == list(LEARNING_RATES)
        labels.sort(key=lambda label: label[1])
        middles, ends = ([label[part] for label in labels] for part in (1, 2))
        assert ends == sorted(ends), address
        gaps = np.diff(middles)
        assert min(gaps) > 10  # two lines of these digits do not touch
        assert 0 < middles[0] < middles[-1] < height
        most = 16 if address in CLOSE[:2] else 6 * 11  # six ends in one place, at the edge
        for rate, middle, end, leaders in labels:
            moved = abs(middle - end)
            assert moved < most, (address, rate)
            assert moved < 4 or any(abs(y - middle) < 3 for _, y in leaders), (address, rate)


WHOLE_LABELS = """
  const { width, height } = document.getElementById("error").viewBox.baseVal;
  return [...document.querySelectorAll("#error text")].map((it) => it.getBBox())
    .map((it) => it.x >= 0 && it.y >= 0 && it.x + it.width <= width && it.y + it.height <= height);
"""


@pytest.mark.parametrize(
    "rates", [(0.05, 0.125, 12.5, 123456), [round(0.1 * it, 1) for it in range(1, 21)]]
)
def test_labels_of_other_rates_are_drawn_whole(rates, look_around, tmp_path):
    write_page(tmp_path / "page.html", Problem(), rates, 1000)
    for seen in look_around(tmp_path / "page.html", [("scale=log", WHOLE_LABELS)]):
        assert len(seen) >= len(rates)
        assert all(seen)


AXIS = visit(
    ["steps=1"],
    """
  const ticks = document.querySelectorAll("#error .small:not(.rate)");
  const last = [...ticks].filter((it) => it.textContent === "1").length;
  const type = (text) => {
    const box = document.getElementById("steps");
    box.value = text;
    box.dispatchEvent(new Event("input"));
  };
  change({ steps: 100 });
  change({ step: 90 });
  for (const text of ["2", "20", "200"]) type(text);
  const found = [last, settings.step, settings.steps];
  type("50");
  document.getElementById("reset").click();
  return [...found, settings.step, settings.steps];
""",
)


def test_an_axis_says_each_step_once_and_a_number_being_typed_loses_no_step(seen):
    assert seen[AXIS] == [[1, 90, 200, 50, 100]]


DOT = "return document.querySelectorAll('#error .here').length"
HERE = visit(
    [f"{scale}&t1=0.606477732206728&t2=0.6304808354506348" for scale in ("scale=log", "step=0")],
    DOT,
)


def test_an_error_of_0_is_not_drawn_where_it_has_no_logarithm(seen):
    assert seen[HERE] == [0, 1]


def test_no_label_stands_beside_the_curve_of_another_rate(seen):
    for labels, _ in seen[LABELS][:2]:  # linear and logarithmic
        ends = {rate: end for rate, _, end, _ in labels}
        for rate, middle, end, _ in labels:
            others = [it for it in ends.values() if abs(it - end) > 12]
            assert all(abs(middle - other) > abs(middle - end) for other in others), rate


# --- Derivation ---------------------------------------------------------------------------

A_NUMBER = r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])"


def numbers_apart(lines):
    """Part a derivation into its text with gaps and its numbers; `w1` and `ah1` are text."""
    text = "\n".join(re.sub(r"[\s_]", "", line) for line in lines if line.strip())
    text = text.replace("×10^", "e").replace("e−", "e-")
    text = re.sub("(?<!e)-", "−", text)
    return re.sub(A_NUMBER, "#", text), [float(it) for it in re.findall(A_NUMBER, text)]


OTHER = Problem((0.9, -0.4), (-1, 2), (-1, *Problem().weights[1:]))
CASES = [(Problem(), weight, 0, 0.5) for weight in WEIGHTS]
CASES += [(OTHER, weight, 37, 2) for weight in WEIGHTS]
DERIVATIONS = visit(
    [address(it[0], it[3], step=it[2], weight=it[1]) for it in CASES], SEE_DERIVATION
)


def test_the_derivation_of_each_weight_is_that_of_explain(seen):
    for case, lines in zip(CASES, seen[DERIVATIONS], strict=True):
        _, *told = explanation(*case).splitlines()
        text, values = numbers_apart(lines)
        right_text, right_values = numbers_apart(told)
        assert text == right_text
        np.testing.assert_allclose(values, right_values, rtol=1e-9, atol=1e-15)


BADGES = visit(
    ["weight=w1", "weight=w8"],
    """
    return linksOf(settings.weight).map(({ symbol, path }, index) => {
      const circle = document.querySelectorAll("#network .badge circle")[index];
      return [symbol, path, circle.cx.baseVal.value, circle.cy.baseVal.value];
    });
""",
)


def test_every_link_has_its_place_in_the_drawing(seen):
    """On the line of its weight, or at the neuron it belongs to: no two in one place."""
    first, last = seen[BADGES]
    assert [symbol for symbol, *_ in last] == ["∂E/∂a_o2", "∂a_o2/∂o2", "∂o2/∂w8"]
    assert {path for _, path, *_ in last} == {"second"}
    paths = [path for _, path, *_ in first]
    assert paths == ["first"] * 3 + ["second"] * 3 + ["both"] * 3
    assert len({tuple(place) for *_, x, y in first for place in [(x, y)]}) == 9
    across = [x for *_, x, _ in first]
    assert across[0] > across[1] > across[2]  # the way back runs from right to left
    assert across[6] > across[7] > across[8]


def test_edges_join_the_neurons_of_the_exercise():
    starts, ends = zip(*(EDGES[weight] for weight in WEIGHTS), strict=True)
    assert starts == ("i1", "i2", "i1", "i2", "h1", "h2", "h1", "h2")
    assert ends == ("h1", "h1", "h2", "h2", "o1", "o1", "o2", "o2")


WIDTHS = visit(
    [f"weight={weight}&step={step}" for weight in WEIGHTS for step in (0, 50, 100)],
    """
    document.body.style.width = "390px";
    const lines = [...document.querySelectorAll("#derivation p")];
    const cut = lines.filter((it) => it.scrollWidth > it.clientWidth).map((it) => it.textContent);
    document.body.style.width = "";
    return [lines.length > 6, cut];
""",
)


def test_no_line_of_the_derivation_is_wider_than_a_phone(seen):
    assert seen[WIDTHS] == [[True, []]] * 24


MATHEMATICS = visit(
    ["t1=-1&eta=1e-7&weight=w1", "t1=-1&weight=w6"],
    """
    const all = [...document.querySelectorAll("math, math *")];
    const leaves = all.filter((it) => it.childElementCount === 0);
    return [all.map((it) => it.localName), leaves.map((it) => it.textContent),
            all.filter((it) => it.closest("[aria-hidden]")).length];
""",
)


def test_mathematics_is_written_in_elements_that_say_what_it_is(seen):
    for elements, leaves, hidden in seen[MATHEMATICS]:
        assert {"math", "mfrac", "msub", "mi", "mn", "mo"} <= set(elements)
        assert hidden == 0
        assert "-" not in "".join(leaves)  # a minus sign is U+2212
        assert {"σ", "η", "∂", "−"} <= set(leaves)
        assert all(re.fullmatch(r"\w|\d+(\.\d+)?|[∂=·+−×←()]", it) for it in leaves), leaves


# --- Address and entries ------------------------------------------------------------------


DAMAGES = ["eta=abc", "eta=0", "w1=1e999", "step=101", "steps=0", "weight=w9", "toString=1"]
DAMAGES += ["step=1.5", "%E0%A4%A", "i1=", "eta"]
DAMAGED = visit(
    [*(f"step=7&{it}" for it in DAMAGES), "step=7"],
    'return [document.getElementById("message").textContent, settings.eta, settings.step]',
)


def test_a_damaged_address_gives_the_defaults_and_says_so(seen):
    *told, after = seen[DAMAGED]
    for damage, (message, eta, step) in zip(DAMAGES, told, strict=True):
        assert message
        assert re.match(r"\w*", damage)[0] in message
        assert "\n" not in message
        assert (eta, step) == (0.5, 0)
    assert after == ["", 0.5, 7]


KEPT = visit(
    ["step=1"],
    """
    change({ eta: 0.123, step: 8, steps: 12, weight: "w7", scale: "log", w3: -1e-7, t2: 1e21 });
    writeAddress();
    const [read, damage] = readAddress(location.hash.slice(1));
    return [Object.entries(settings).every(([name, value]) => read[name] === value), damage,
            location.hash];
""",
)


def test_an_address_brings_back_all_that_was_set(seen):
    ((same, damage, fragment),) = seen[KEPT]
    assert (same, damage) == (True, "")
    assert "i1" not in fragment  # what is as it was stands in no address


ENTRIES = visit(
    ["step=2"],
    """
    const before = document.getElementById("network").innerHTML;
    const wrong = ["abc", "", "1e999", "1,000.5", "-"];
    return ["eta", "w5", "steps"].flatMap((id) => wrong.map((text) => {
      const box = document.getElementById(id);
      box.value = text;
      box.dispatchEvent(new Event("input"));
      const marked = box.getAttribute("aria-invalid");
      const words = document.getElementById(`${id}-wrong`).textContent;
      const same = document.getElementById("network").innerHTML === before;
      box.value = id === "steps" ? "100" : "0.4";
      box.dispatchEvent(new Event("input"));
      const healed = box.getAttribute("aria-invalid") === "false";
      change({ eta: 0.5 });
      return [marked, words !== "", same, healed];
    }));
""",
)


def test_a_wrong_entry_is_marked_where_it_stands_and_changes_nothing_else(seen):
    (entries,) = seen[ENTRIES]
    assert entries == [["true", True, True, True]] * 15


TYPED = {"2,5": 2.5, "−2.23e−4": -2.23e-4, " 0.4 ": 0.4, "-,5": -0.5, "+3.": 3, "1E2": 100}
READ = visit(
    ["step=2"],
    f"""
    const keyboard = ["autocapitalize", "autocorrect", "spellcheck", "inputmode"];
    const boxes = [...document.querySelectorAll("input[type=text]")];
    const type = (id, text) => {{
      const box = document.getElementById(id);
      box.value = text;
      box.dispatchEvent(new Event("input"));
      return [settings[id], box.getAttribute("aria-invalid")];
    }};
    return [{json.dumps(list(TYPED))}.map((text) => type("w5", text)), type("steps", "1,000"),
            new Set(boxes.map((box) => keyboard.map((name) => box.getAttribute(name)).join())).size,
            keyboard.map((name) => boxes[0].getAttribute(name)).join()];
""",
)


def test_numbers_are_read_as_phones_and_other_countries_write_them(seen):
    ((values, steps, kinds, keyboard),) = seen[READ]
    assert values == [[value, "false"] for value in TYPED.values()]
    assert steps == [100, "true"]  # a thousand to some, one to others: it is asked again
    assert (kinds, keyboard) == (1, "off,off,false,text")


PRESSED = visit(
    ["step=4"],
    """
    const press = (id) => document.getElementById(id).click();
    const told = [];
    press("forward"); press("forward"); press("back");
    told.push(settings.step);
    document.querySelector('#rates [value="2"]').click();
    told.push(settings.eta);
    document.querySelector('#network [data-weight="w6"] .hit').dispatchEvent(
      new MouseEvent("click", { bubbles: true }));
    told.push(settings.weight, document.querySelector("[name=weight]:checked").value);
    change({ i1: 3, steps: 50 });
    press("reset");
    told.push(settings.i1, settings.eta, settings.steps);
    const slider = document.getElementById("eta-slider");
    for (const power of [-2, -0.7, 0.3, 1]) {
      slider.value = power;
      slider.dispatchEvent(new Event("input"));
      told.push(settings.eta);
    }
    return told;
""",
)


def test_the_buttons_do_what_they_say(seen):
    (told,) = seen[PRESSED]
    assert told == [5, 2, "w6", "w6", 0.05, 0.5, 100, 0.01, 0.2, 2, 10]


def test_play_goes_on_to_the_last_step(browse, tmp_path):
    page = tmp_path / "page.html"
    script = '<script>document.getElementById("play").click()</script>'
    page.write_text(TRACKED.read_text(encoding="utf-8") + script, encoding="utf-8")
    document, complaints = browse(page, "steps=9")
    assert complaints == []
    assert text_of(document, "readout").startswith("9 of 9: ")
    assert text_of(document, "play") == "Play"


def test_play_goes_slowly_where_the_system_asks_for_less_motion(browse, tmp_path):
    """In the time of the browser, which waits for nothing: 5 s, one step a second."""
    page = tmp_path / "page.html"
    script = '<script>document.getElementById("play").click()</script>'
    page.write_text(TRACKED.read_text(encoding="utf-8") + script, encoding="utf-8")
    document, _ = browse(page, "", "--force-prefers-reduced-motion")
    assert 2 <= int(text_of(document, "readout").split()[0]) <= 6
    assert text_of(document, "play") == "Pause"


FOCUS = visit(
    ["step=2"],
    """
    const line = document.querySelectorAll("#derivation [tabindex]")[4];
    line.focus();
    const before = line.textContent;
    change({ step: 3 });
    const rings = () => document.querySelectorAll(".badge.chosen").length;
    const found = [document.activeElement === line, before !== line.textContent, rings()];
    line.blur();
    change({ step: 4 });
    return [...found, rings()];
""",
)


def test_a_focused_line_keeps_the_focus_over_a_step(seen):
    assert seen[FOCUS] == [[True, True, 1, 0]]


TABLES = visit(
    ["step=2"],
    """
    return [...document.querySelectorAll("#row .scroll")].map((it) =>
      [it.getAttribute("aria-label"), it.querySelector("caption").textContent]);
""",
)


def test_every_table_has_a_caption_and_its_box_a_label_of_its_own(seen):
    (tables,) = seen[TABLES]
    labels, captions = zip(*tables, strict=True)
    assert len(set(labels)) == len(set(captions)) == 4


@pytest.mark.parametrize("page", [TRACKED, ROOT / "mnist" / "Draw_a_Digit.html"])
def test_without_script_the_page_says_so_and_shows_no_dead_controls(page):
    (inside,) = re.findall(r"<noscript>(.*?)</noscript>", page.read_text("utf-8"), re.DOTALL)
    assert "JavaScript" in re.sub("<style>.*</style>", "", inside)
    assert re.search(r"form, .*main \{ display: none", inside)


# --- The file -----------------------------------------------------------------------------


def test_it_opens_without_a_word_and_asks_for_nothing(browse, tmp_path):
    page = tmp_path / "page.html"
    script = (
        "<script>document.body.append(performance.getEntriesByType('resource').length)</script>"
    )
    page.write_text(TRACKED.read_text(encoding="utf-8") + script, encoding="utf-8")
    document, complaints = browse(page, "eta=2&step=5")
    assert complaints == []
    assert re.search(r"(\d+)</body>", document)[1] == "0"
    assert text_of(document, "readout").startswith("5 of 100: E_total 0.0")


def test_the_browser_refuses_requests_and_code_from_text(browse, tmp_path):
    """The page's Content-Security-Policy blocks both, and the browser reports it."""
    page = tmp_path / "page.html"
    script = '<img src="https://example.org/x.png"><script>eval("1")</script>'
    page.write_text(TRACKED.read_text(encoding="utf-8") + script, encoding="utf-8")
    _, complaints = browse(page)
    assert len(complaints) == 2
    assert all("Content Security Policy" in line for line in complaints)


def test_the_tracked_page_is_the_one_that_is_built(tmp_path):
    write_page(tmp_path / "page.html", Problem(), LEARNING_RATES, 100)
    page = (tmp_path / "page.html").read_bytes()
    assert page == TRACKED.read_bytes()
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


def contrast(one, other):
    """The contrast ratio of two colours, from WCAG 2.2's relative luminance."""

    def luminance(colour):
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    blocks = re.findall(r":root \{(.*?)\}", TRACKED.read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", "".join(blocks[scheme::2])))
    inks = ["text", "muted", "accent", "positive", "negative", "wrong", "first-path", "second-path"]
    pairs = [(ink, ground) for ink in inks for ground in ("card", "page")] + [
        ("on-accent", "accent")
    ]
    for ink, ground in pairs:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
