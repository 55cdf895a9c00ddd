"""`python -m backprop check` on sheets as learners make them: right ones, and ones with a slip."""

import re
from functools import partial

import numpy as np
import pytest
import xlsxwriter
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from xlsxwriter.utility import xl_col_to_name

from backprop.check.formula import Symbol
from backprop.check.findings import RIGHT
from backprop.check.slips import structural
from backprop.check.words import in_words
from backprop.network import COLUMNS, GRADIENTS, WEIGHTS, Problem
from tests.findings import findings, is_right, slips, told, wrong_columns
from tests.sheets import FORMULAS, PLACES, UPDATES, Manner, blank, computed, labelled, write_table

FEW = 3  # steps
EVERYTHING = FORMULAS | UPDATES
SETTINGS = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
numbers = st.floats(0.05, 2) | st.floats(-2, -0.05)
problems = st.builds(
    Problem,
    inputs=st.tuples(numbers, numbers),
    targets=st.tuples(numbers, numbers),
    weights=st.tuples(*[numbers] * 8),
)


# --- Sheets that are right ----------------------------------------------------------------


@given(problems, st.floats(0.05, 3), st.booleans())
@SETTINGS
def test_correct_sheets_agree(make_sheet, problem, eta, with_label):
    def fill(sheet):
        if with_label:
            sheet.write_row(0, 2, ["eta", eta])
        rate = "$D$1" if with_label else repr(eta)
        write_table(sheet, (3, 1), eta, Manner(problem, rate=rate))

    report = findings(make_sheet(fill))
    assert is_right(report)
    assert report.tables[0].rate_cell == ("D1" if with_label else "")


HEADER_VARIANTS = {
    "math": ("E_tot", [name.replace("∂", "\U0001d715") for name in GRADIENTS]),
    "latin": ("E_Total", [f"dE/dw{index}" for index in range(1, 9)]),
    "total": ("e total", [f"∂E_total/∂w{index}" for index in range(1, 9)]),
    "spaced": ("E_total", [f" ∂e / ∂W{index} " for index in range(1, 9)]),
}


@pytest.mark.parametrize("manner", HEADER_VARIANTS)
def test_header_variants(manner, make_sheet):
    total, gradients = HEADER_VARIANTS[manner]
    headers = [*COLUMNS[:22], total, *gradients]
    assert is_right(findings(make_sheet(labelled(0.5, headers=headers))))


@pytest.mark.parametrize(
    ("gap", "order"), [(0, COLUMNS[::-1]), (1, COLUMNS), (2, COLUMNS[9:] + COLUMNS[:9])]
)
def test_layout_variants(gap, order, make_sheet):
    def fill(sheet):
        sheet.write_row(0, 0, ["η =", 0.5])
        end = write_table(sheet, (5, 3), 0.5, Manner(gap=gap, order=order, rate="$B$1"))
        sheet.write_string(end, 3, "Observations")
        sheet.write_row(end + 1, 3, ["mean", 1.0, 2.0])

    report = findings(make_sheet(fill))
    assert is_right(report)
    (table,) = report.tables
    assert (table.first_row, table.rows) == (7 + gap, 13)
    assert (table.learning_rate, table.rate_cell) == (0.5, "B1")


@pytest.mark.parametrize(
    "label",
    [["η", 0.5], ["η =", 0.5], ["Eta:", 0.5], ["lr", 0.5], ["LEARNING RATE (η)", 0.5], ["η = 0.5"]],
)
def test_rate_labels(label, make_sheet):
    def fill(sheet):
        sheet.write_row(0, 4, label)
        write_table(sheet, (3, 1), 0.5, Manner(rate="0.5" if len(label) == 1 else "$F$1"))

    report = findings(make_sheet(fill))
    assert is_right(report)
    (table,) = report.tables
    cell = "E1" if len(label) == 1 else "F1"
    assert (table.learning_rate, table.rate_cell) == (0.5, cell)


def test_several_tables_each_with_its_own_rate(tmp_path):
    path = tmp_path / "many.xlsx"
    with xlsxwriter.Workbook(str(path)) as workbook:
        workbook.add_worksheet("Empty")
        sheet = workbook.add_worksheet("Two beside")
        for left, eta, cell in ((0, 0.1, "$B$1"), (33, 2.0, "$AI$1")):
            sheet.write_row(0, left, ["LR", eta])
            write_table(sheet, (2, left), eta, Manner(rate=cell))
        sheet = workbook.add_worksheet("Two below")
        for top, eta in ((0, 0.2), (30, 0.8)):
            sheet.write_row(top, 0, ["η", eta])
            write_table(sheet, (top + 2, 0), eta, Manner(rate=f"$B${top + 1}"))
        chart = workbook.add_chart({"type": "line"})
        chart.add_series({"values": ["Two below", 3, 22, 9, 22]})
        workbook.add_chartsheet("Chart").set_chart(chart)
    report = findings(path)
    assert is_right(report, tables=4)
    assert [table.learning_rate for table in report.tables] == [0.1, 2, 0.2, 0.8]


def test_one_row_needs_no_rate(make_sheet):
    fill = partial(write_table, origin=(0, 0), eta=0.5, manner=Manner(steps=0))
    report = findings(make_sheet(fill))
    assert report.verdict == RIGHT
    (table,) = report.tables
    assert (table.rows, table.learning_rate, table.judged) == (1, None, 19)


# --- Sheets with one wrong formula --------------------------------------------------------

LAST_1, LAST_2 = {"a_o1", "t1"}, {"a_o2", "t2"}
HIDDEN_1, HIDDEN_2 = LAST_1 | LAST_2 | {"w5", "w7"}, LAST_1 | LAST_2 | {"w6", "w8"}
USES = {
    "h1": {"w1", "i1", "w2", "i2"},
    "a_h1": {"h1"},
    "h2": {"w3", "i1", "w4", "i2"},
    "a_h2": {"h2"},
    "o1": {"w5", "a_h1", "w6", "a_h2"},
    "a_o1": {"o1"},
    "o2": {"w7", "a_h1", "w8", "a_h2"},
    "a_o2": {"o2"},
    "E1": LAST_1,
    "E2": LAST_2,
    "E_total": {"E1", "E2"},
    "∂E/∂w1": HIDDEN_1 | {"a_h1", "i1"},
    "∂E/∂w2": HIDDEN_1 | {"a_h1", "i2"},
    "∂E/∂w3": HIDDEN_2 | {"a_h2", "i1"},
    "∂E/∂w4": HIDDEN_2 | {"a_h2", "i2"},
    "∂E/∂w5": LAST_1 | {"a_h1"},
    "∂E/∂w6": LAST_1 | {"a_h2"},
    "∂E/∂w7": LAST_2 | {"a_h1"},
    "∂E/∂w8": LAST_2 | {"a_h2"},
}


@pytest.mark.parametrize("column", EVERYTHING)
def test_a_planted_error_is_located_and_its_right_formula_given(column, make_sheet):
    texts = {column: f"({EVERYTHING[column]})*1.001+0.0001"}  # no slip that has a name
    (table,) = findings(make_sheet(labelled(0.5, texts=texts, steps=FEW))).tables
    (wrong,) = table.wrong
    rows = range(5 if column in FORMULAS else 6, 6 + FEW)
    letters, top = xl_col_to_name(PLACES[column]), rows[0]
    assert (wrong.column, wrong.slip) == (column, None)
    assert wrong.cells == tuple(f"{letters}{row}" for row in rows)
    cells = {
        f"{xl_col_to_name(1 + index)}{line}": f"{name}{' above' if line < top else ''}"
        for index, name in enumerate(COLUMNS)
        for line in (top - 1, top)
    }
    used = {cells.get(cell, cell) for cell in re.findall(r"\$?[A-Z]+\$?\d+", wrong.right_formula)}
    assert used == USES.get(column, {f"{column} above", f"∂E/∂{column} above", "$D$1"})
    assert np.isfinite(wrong.right)


TO_O1, TO_O2 = "({a_o1}-{t1})*{a_o1}*(1-{a_o1})", "({a_o2}-{t2})*{a_o2}*(1-{a_o2})"
# By kind, what is used and what belongs there, as `findings.slips` gives them. The test of the
# report shows the last of each column.
SLIPS = {
    ("replaced", "w5", "w6"): ("o1", "{w5}*{a_h1}+{w5}*{a_h2}"),
    ("extra factor", "−3", ""): ("h1", "-3*({w1}*{i1}+{w2}*{i2})"),
    ("replaced", "i1", "i2"): ("h1", "{w1}*{i1}+{w2}*{i1}"),
    ("replaced", "w4", "w3"): ("h2", "{w4}*{i1}+{w4}*{i2}"),
    ("replaced", "w6", "w5"): ("∂E/∂w1", FORMULAS["∂E/∂w1"].replace("w5", "w6")),
    ("replaced", "a_h1", "a_h2"): ("∂E/∂w3", FORMULAS["∂E/∂w3"].replace("a_h2", "a_h1")),
    ("replaced", "t1", "t2"): ("∂E/∂w7", FORMULAS["∂E/∂w7"].replace("t2", "t1")),
    ("replaced", "h2", "a_h2"): (
        "∂E/∂w4", f"({TO_O1}*{{w6}}+{TO_O2}*{{w8}})*{{h2}}*(1-{{h2}})*{{i2}}",
    ),
    ("replaced", "0.3", "i2"): ("h2", "{w3}*{i1}+{w4}*0.3"),
    ("extra term", "2", ""): ("h2", "{w3}*{i1}+{w4}*{i2}+2"),
    ("net inputs", "", ""): ("∂E/∂w4", FORMULAS["∂E/∂w4"].replace("{a_", "{")),
    ("missing term", "", "w8·a_h2"): ("o2", "{w7}*{a_h1}+0*{a_h2}"),
    ("missing term", "", "E2"): ("E_total", "1*{E1}"),
    ("missing factor", "", "0.5"): ("E1", "1*({t1}-{a_o1})^2"),
    ("missing power", "", "(t2 − a_o2)²"): ("E2", "0.5*({t2}-{a_o2})"),
    ("twice", "", "0.5"): ("E1", "(0.5*({t1}-{a_o1}))^2"),
    ("operation", "E1 − E2", "E1 + E2"): ("E_total", "{E1}-{E2}"),
    ("operation", "E1^E2", "E1 + E2"): ("E_total", "{E1}^{E2}"),
    ("no sigmoid", "", ""): ("a_h1", "1*{h1}"),
    ("brackets", "1/1 + EXP(−o1)", "1/(1 + EXP(−o1))"): ("a_o1", "1/1+EXP(-{o1})"),
    ("other function", "tanh", ""): ("a_o1", "(EXP(2*{o1})-1)/(EXP(2*{o1})+1)"),
    ("sign", "", "−h2"): ("a_h2", "1/(1+EXP({h2}))"),
    ("missing function", "", "−o2"): ("a_o2", "1/(1-{o2})"),
    ("sign", "", ""): ("∂E/∂w5", "({t1}-{a_o1})*{a_o1}*(1-{a_o1})*{a_h1}"),
    ("missing factor", "", "a_o1·(1 − a_o1)"): ("∂E/∂w5", "({a_o1}-{t1})*{a_h1}"),
    ("missing factor", "", "1 − a_o2"): ("∂E/∂w7", "({a_o2}-{t2})*{a_o2}*{a_h1}"),
    ("missing factor, both", "", "1 − a_o1"): (
        "∂E/∂w2", "(({a_o1}-{t1})*{a_o1}*{w5}+({a_o2}-{t2})*{a_o2}*{w7})*{a_h1}*(1-{a_h1})*{i2}",
    ),
    ("missing factor", "", "i1"): (
        "∂E/∂w1", f"({TO_O1}*{{w5}}+{TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})",
    ),
    ("twice", "", "a_h2"): ("∂E/∂w8", f"{TO_O2}*{{a_h2}}*{{a_h2}}"),
    ("extra factor", "2", ""): ("∂E/∂w8", f"2*{FORMULAS['∂E/∂w8']}"),
    ("brackets", "(a_o1 − t1)·a_o1·1 − a_o1·a_h1", "(a_o1 − t1)·a_o1·(1 − a_o1)·a_h1"): (
        "∂E/∂w5", "({a_o1}-{t1})*{a_o1}*1-{a_o1}*{a_h1}",
    ),
    ("operation", "a_o1·t1", "a_o1 − t1"): ("∂E/∂w6", "({a_o1}*{t1})*{a_o1}*(1-{a_o1})*{a_h2}"),
    ("other formula", "", "∂E/∂w6"): ("∂E/∂w3", FORMULAS["∂E/∂w6"]),
    ("replaced", "∂E/∂w2[-1]", "∂E/∂w1[-1]"): ("w1", "{w1}-{eta}*{dw2}"),
    ("replaced", "∂E/∂w3", "∂E/∂w3[-1]"): ("w3", "{w3}-{eta}*{here_dw3}"),
    ("replaced", "w1[-1]", "w4[-1]"): ("w4", "{w1}-{eta}*{dw4}"),
    ("climbs", "", ""): ("w6", "{w6}+{eta}*{dw6}"),
    ("still", "", ""): ("w8", "1*{w8}"),
    ("missing factor", "", "η"): ("w7", "{w7}-{dw7}"),
    ("missing term", "", "w5[-1]"): ("w5", "0-{eta}*{dw5}"),
    ("operation", "w2·η·∂E/∂w2", "w2 − η·∂E/∂w2"): ("w2", "{w2}*{eta}*{dw2}"),
    ("other rate", "0.2", "η"): ("w1", "{w1}-0.2*{dw1}"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS, ids=" ".join)
def test_slips_are_named_with_their_cells(slip, make_sheet):
    column, text = SLIPS[slip]
    report = findings(make_sheet(labelled(0.5, texts={column: text}, digits=10, steps=FEW)))
    (wrong,) = report.tables[0].wrong
    assert wrong.column == column
    assert slips(report) == [slip]
    row = 5 if column in FORMULAS else 6
    for it in wrong.slip:
        if isinstance(it, Symbol):
            is_rate = it.column == "η"
            cell = "D1" if is_rate else f"{xl_col_to_name(PLACES[it.column])}{row + it.below}"
            assert told([wrong.likely], cell)


def test_every_slip_of_a_formula_has_words():
    for column in EVERYTHING:
        for slip, _ in structural(column, frozenset()):
            assert in_words(slip, lambda it: it.column)


@pytest.mark.parametrize(
    ("content", "slip"),
    [
        (0.25, ("typed", "", "")),
        ("n/a", ("no number", "'n/a'", "")),
        ("#DIV/0!", ("no number", "'#DIV/0!'", "")),
        (None, ("empty", "", "")),
        (True, ("no number", "True", "")),
    ],
)
def test_a_cell_that_is_no_formula(content, slip, make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        blank(sheet, 8, ["E1"])
        if content == "#DIV/0!":
            sheet.write_formula("V9", "=1/0", None, content)
        elif content is not None:
            sheet.write("V9", content)

    report = findings(make_sheet(fill))
    assert wrong_columns(report) == {"E1": (1, "V9")}
    assert slips(report) == [slip]


# --- Every kind of change, at random places -----------------------------------------------

TOKEN = re.compile(r"EXP\(|\{\w+\}|[\d.]+|.")
KINDS = ("cell", "sign", "number", "turn", "twice", "missing", "power", "function", "brackets")


def changed(text, kind, draw):
    """Plant one change in a formula's text, if the place that is drawn allows it."""
    tokens = TOKEN.findall(text)
    place = draw(st.integers(0, len(tokens) - 1))
    token, before = tokens[place], tokens[place - 1] if place else ""
    after = tokens[place + 1] if place + 1 < len(tokens) else ""
    if kind == "cell" and token[0] == "{":
        names = COLUMNS[:23] if "eta" not in text else [*WEIGHTS, *(f"d{it}" for it in WEIGHTS)]
        tokens[place] = f"{{{draw(st.sampled_from(names))}}}"
    elif kind == "sign" and token in "+-*" and before not in ("(", "EXP("):
        tokens[place] = draw(st.sampled_from("+-*/"))
    elif kind == "number" and token in ("0.5", "1") and before != "^":
        tokens[place] = draw(st.sampled_from(["0.25", "3"]))
    elif kind == "turn" and token[0] == "{":
        tokens[place] = f"(-{token})"
    elif kind == "twice" and token[0] == "{":
        tokens[place] = f"({token}*{token})"
    elif kind == "missing" and token[0] in "{01" and after == "*":
        del tokens[place : place + 2]
    elif kind == "missing" and token[0] in "{01" and before == "*":
        del tokens[place - 1 : place + 1]
    elif kind == "missing" and token[0] in "{01" and after == "+":
        tokens[place : place + 2] = []
    elif kind == "power" and token == "^":
        del tokens[place : place + 2]
    elif kind == "function" and token == "EXP(":
        tokens[place] = "("
    elif kind == "brackets" and token == "(":
        depth = [0]
        for it in tokens[place:]:
            depth.append(depth[-1] + it.endswith("(") - (it == ")"))
        end = place + depth.index(0, 1) - 1
        moved = draw(st.integers(end, len(tokens) - 1))
        tokens = [*tokens[:place], *tokens[place + 1 : end], *tokens[end + 1 :]]
        if moved > end:  # the closing one stands farther to the right
            tokens.insert(place, "(")
            tokens.insert(moved, ")")
    return "".join(tokens)


def outcomes(text):
    """Compute a formula's text at three made-up rows; None where it is no formula."""
    found = []
    for seed in range(3):
        row = np.random.default_rng(seed)
        names = ("eta", *COLUMNS, *(f"d{weight}" for weight in WEIGHTS))
        try:
            found.append(computed(text, {name: row.uniform(0.2, 0.9) for name in names}))
        except (SyntaxError, TypeError, ZeroDivisionError, OverflowError):
            return None
    return found


@given(st.data())
@settings(SETTINGS, max_examples=100, derandomize=True)
def test_a_change_at_any_place_is_found_and_named(make_sheet, data):
    column = data.draw(st.sampled_from(list(EVERYTHING)))
    text = changed(EVERYTHING[column], data.draw(st.sampled_from(KINDS)), data.draw)
    planted, right = outcomes(text), outcomes(EVERYTHING[column])
    assume(planted is not None and not np.allclose(planted, right, 1e-9, 0))
    report = findings(make_sheet(labelled(0.37, texts={column: text}, steps=FEW)))
    assert list(wrong_columns(report)) == [column], text
    assert slips(report), text
