"""`python -m backprop check` on sheets as learners make them: right ones, and ones with a slip."""

import re

import numpy as np
import pytest
import xlsxwriter
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from xlsxwriter.utility import xl_col_to_name

from backprop.network import COLUMNS, GRADIENTS, WEIGHTS, Problem
from tests.sheets import (
    ALL_CELLS,
    COMMONEST,
    FORMULAS,
    UPDATES,
    Manner,
    computed,
    labelled,
    write_table,
)  # fmt: skip

RIGHT = f"all {ALL_CELLS} cells agree"
FEW = 3  # steps
SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
numbers = st.floats(0.05, 2) | st.floats(-2, -0.05)
problems = st.builds(
    Problem,
    inputs=st.tuples(numbers, numbers),
    targets=st.tuples(numbers, numbers),
    weights=st.tuples(*[numbers] * 8),
)


def wrong_columns(report):
    """Read from a report how many cells of each column are wrong, and the first of them."""
    pattern = r"^  (\S+): (\d+) wrong cells?, the first is (\w+)$"
    return {name: (int(n), first) for name, n, first in re.findall(pattern, report, re.MULTILINE)}


def likely(report):
    return [
        line.split(maxsplit=1)[1] for line in report.splitlines() if line[:12] == "    likely  "
    ]


# --- Sheets that are right ----------------------------------------------------------------


@given(problems, st.floats(0.05, 3), st.booleans())
@SETTINGS
def test_correct_sheets_agree(make_sheet, check, problem, eta, with_label):
    def fill(sheet):
        if with_label:
            sheet.write_row(0, 2, ["eta", eta])
        rate = "$D$1" if with_label else repr(eta)
        write_table(sheet, (3, 1), eta, Manner(problem, rate=rate))

    code, report, _ = check(make_sheet(fill))
    assert code == 0, report
    assert RIGHT in report
    assert ("inferred" in report) == (not with_label)


HEADER_VARIANTS = {
    "math": ("E_tot", [name.replace("∂", "\U0001d715") for name in GRADIENTS]),
    "latin": ("E_Total", [f"dE/dw{index}" for index in range(1, 9)]),
    "total": ("e total", [f"∂E_total/∂w{index}" for index in range(1, 9)]),
    "spaced": ("E_total", [f" ∂e / ∂W{index} " for index in range(1, 9)]),
}


@pytest.mark.parametrize("manner", HEADER_VARIANTS)
def test_header_variants(manner, make_sheet, check):
    total, gradients = HEADER_VARIANTS[manner]
    headers = [*COLUMNS[:22], total, *gradients]
    code, report, _ = check(make_sheet(labelled(0.5, headers=headers)))
    assert code == 0
    assert RIGHT in report


@pytest.mark.parametrize(
    ("gap", "order"), [(0, COLUMNS[::-1]), (1, COLUMNS), (2, COLUMNS[9:] + COLUMNS[:9])]
)
def test_layout_variants(gap, order, make_sheet, check):
    def fill(sheet):
        sheet.write_row(0, 0, ["η =", 0.5])
        end = write_table(sheet, (5, 3), 0.5, Manner(gap=gap, order=order, rate="$B$1"))
        sheet.write_string(end, 3, "Observations")
        sheet.write_row(end + 1, 3, ["mean", 1.0, 2.0])

    code, report, _ = check(make_sheet(fill))
    assert code == 0, report
    assert f"table from row {7 + gap}: 13 rows, η = 0.5 (B1)" in report
    assert RIGHT in report


@pytest.mark.parametrize(
    "label",
    [["η", 0.5], ["η =", 0.5], ["Eta:", 0.5], ["lr", 0.5], ["LEARNING RATE (η)", 0.5], ["η = 0.5"]],
)
def test_rate_labels(label, make_sheet, check):
    def fill(sheet):
        sheet.write_row(0, 4, label)
        write_table(sheet, (3, 1), 0.5, Manner(rate="0.5" if len(label) == 1 else "$F$1"))

    code, report, _ = check(make_sheet(fill))
    assert code == 0
    assert f"η = 0.5 ({'E1' if len(label) == 1 else 'F1'})" in report


def test_several_tables_each_with_its_own_rate(tmp_path, check):
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
    code, report, _ = check(path)
    assert code == 0, report
    assert report.count(RIGHT) == 4
    assert re.findall(r"η = (\S+)", report) == ["0.1", "2", "0.2", "0.8"]


def test_one_row_needs_no_rate(make_sheet, check):
    code, report, _ = check(
        make_sheet(lambda sheet: write_table(sheet, (0, 0), 0.5, Manner(steps=0)))
    )
    assert code == 0
    assert "1 row, η not needed" in report
    assert "all 19 cells agree" in report


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


@pytest.mark.parametrize("column", [*FORMULAS, *WEIGHTS])
def test_a_planted_error_is_located_and_its_right_formula_given(column, make_sheet, check):
    texts = {column: f"({(FORMULAS | UPDATES)[column]})*1.001+0.0001"}  # no slip that has a name
    code, report, _ = check(make_sheet(labelled(0.5, texts=texts, steps=FEW)))
    assert code == 1
    in_row = column in FORMULAS
    first = f"{xl_col_to_name(1 + COLUMNS.index(column))}{5 if in_row else 6}"
    assert wrong_columns(report) == {column: (FEW + 1 if in_row else FEW, first)}
    assert not likely(report)
    value, formula = (
        line.split(maxsplit=1)[1] for line in report.splitlines() if "  right" in line
    )
    top = 5 if column in FORMULAS else 6
    cells = {
        f"{xl_col_to_name(1 + index)}{line}": f"{name}{' above' if line < top else ''}"
        for index, name in enumerate(COLUMNS)
        for line in (top - 1, top)
    }
    used = {cells.get(cell, cell) for cell in re.findall(r"\$?[A-Z]+\$?\d+", formula)}
    assert used == USES.get(column, {f"{column} above", f"∂E/∂{column} above", "$D$1"})
    assert np.isfinite(float(value))


TO_O1, TO_O2 = "({a_o1}-{t1})*{a_o1}*(1-{a_o1})", "({a_o2}-{t2})*{a_o2}*(1-{a_o2})"
SLIPS = {
    "uses w5 (N5) where w6 (O5) belongs": ("o1", "{w5}*{a_h1}+{w5}*{a_h2}"),
    "uses i1 (D5) where i2 (E5) belongs": ("h1", "{w1}*{i1}+{w2}*{i1}"),
    "uses w4 (I5) where w3 (H5) belongs": ("h2", "{w4}*{i1}+{w4}*{i2}"),
    "uses w6 (O5) where w5 (N5) belongs": ("∂E/∂w1", FORMULAS["∂E/∂w1"].replace("w5", "w6")),
    "uses a_h1 (K5) where a_h2 (M5) belongs": ("∂E/∂w3", COMMONEST["∂E/∂w3"]),
    "uses t1 (B5) where t2 (C5) belongs": ("∂E/∂w7", FORMULAS["∂E/∂w7"].replace("t2", "t1")),
    "uses h2 (L5) where a_h2 (M5) belongs": (
        "∂E/∂w4",
        f"({TO_O1}*{{w6}}+{TO_O2}*{{w8}})*{{h2}}*(1-{{h2}})*{{i2}}",
    ),
    "uses 0.3 where i2 (E5) belongs": ("h2", "{w3}*{i1}+{w4}*0.3"),
    "the term w8·a_h2 is missing": ("o2", "{w7}*{a_h1}+0*{a_h2}"),
    "the term E2 (W5) is missing": ("E_total", "1*{E1}"),
    "the factor 0.5 is missing": ("E1", "1*({t1}-{a_o1})^2"),
    "the power is missing: (t2 − a_o2)²": ("E2", "0.5*({t2}-{a_o2})"),
    "0.5 stands twice": (
        "E1", "(0.5*({t1}-{a_o1}))^2",
    ),
    "E1 − E2 where E1 + E2 belongs": ("E_total", "{E1}-{E2}"),
    "the sigmoid is missing": ("a_h1", "1*{h1}"),
    "tanh where the sigmoid belongs": ("a_o1", "(EXP(2*{o1})-1)/(EXP(2*{o1})+1)"),
    "the sign of −h2 is turned": ("a_h2", "1/(1+EXP({h2}))"),
    "the sign is turned": ("∂E/∂w5", "({t1}-{a_o1})*{a_o1}*(1-{a_o1})*{a_h1}"),
    "the factor a_o1·(1 − a_o1) is missing": ("∂E/∂w5", "({a_o1}-{t1})*{a_h1}"),
    "the factor 1 − a_o2 is missing": ("∂E/∂w7", "({a_o2}-{t2})*{a_o2}*{a_h1}"),
    "the factor i1 (D5) is missing": (
        "∂E/∂w1", f"({TO_O1}*{{w5}}+{TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})",
    ),
    "a_h2 (M5) stands twice": ("∂E/∂w8", f"{TO_O2}*{{a_h2}}*{{a_h2}}"),
    "the factor 1 − a_o1 is missing, in both paths": None,
    "the brackets are misplaced: it computes (a_o1 − t1)·a_o1·1 − a_o1·a_h1": (
        "∂E/∂w5", "({a_o1}-{t1})*{a_o1}*1-{a_o1}*{a_h1}",
    ),
    "a_o1·t1 where a_o1 − t1 belongs": ("∂E/∂w6", "({a_o1}*{t1})*{a_o1}*(1-{a_o1})*{a_h2}"),
    "this is the formula of ∂E/∂w6 (AD5)": ("∂E/∂w3", FORMULAS["∂E/∂w6"]),
    "uses ∂E/∂w2 (Z5) where ∂E/∂w1 (Y5) belongs": ("w1", "{w1}-{eta}*{dw2}"),
    "uses ∂E/∂w3 (AA6) where ∂E/∂w3 (AA5) belongs": ("w3", "{w3}-{eta}*{here_dw3}"),
    "uses w1 (F5) where w4 (I5) belongs": ("w4", "{w1}-{eta}*{dw4}"),
    "the weight moves up the gradient, not down": ("w6", "{w6}+{eta}*{dw6}"),
    "the weight does not move": ("w8", "1*{w8}"),
    "the factor the learning rate η (D1) is missing": ("w7", "{w7}-{dw7}"),
    "the term w5 (N5) is missing": ("w5", "0-{eta}*{dw5}"),
    "w2·η·∂E/∂w2 where w2 − η·∂E/∂w2 belongs": ("w2", "{w2}*{eta}*{dw2}"),
    "uses the learning rate 0.2 where the learning rate η (D1) belongs": (
        "w1", "{w1}-0.2*{dw1}",
    ),
}  # fmt: skip
del SLIPS["the factor 1 − a_o1 is missing, in both paths"]


@pytest.mark.parametrize("words", SLIPS)
def test_slips_are_told_in_words(words, make_sheet, check):
    column, text = SLIPS[words]
    manner = Manner(texts={column: text}, digits=10, steps=FEW)
    code, report, _ = check(make_sheet(labelled(0.5, manner)))
    assert code == 1
    assert list(wrong_columns(report)) == [column]
    assert likely(report) == [words]


def test_the_same_slip_in_both_paths_is_one(make_sheet, check):
    text = "(({a_o1}-{t1})*{a_o1}*{w5}+({a_o2}-{t2})*{a_o2}*{w7})*{a_h1}*(1-{a_h1})*{i2}"
    _, report, _ = check(make_sheet(labelled(0.5, texts={"∂E/∂w2": text}, steps=FEW)))
    assert likely(report) == ["the factor 1 − a_o1 is missing, in both paths"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (0.25, "a typed number where the other rows have a formula"),
        ("n/a", "holds 'n/a' and not a number"),
        ("#DIV/0!", "holds '#DIV/0!' and not a number"),
        (None, "holds nothing"),
        (True, "holds True and not a number"),
    ],
)
def test_a_cell_that_is_no_formula(content, words, make_sheet, check):
    def fill(sheet):
        labelled(0.5)(sheet)
        place = 8, 1 + COLUMNS.index("E1")
        if content is None:
            sheet.write_blank(*place, None, sheet.default_url_format)
        elif content == "#DIV/0!":
            sheet.write_formula(*place, "=1/0", None, "#DIV/0!")
        else:
            sheet.write(*place, content)

    code, report, _ = check(make_sheet(fill))
    assert code == 1
    if content == "#DIV/0!":
        assert wrong_columns(report) == {"E1": (1, "V9")}
    else:
        assert wrong_columns(report) == {"E1": (1, "V9")}
        assert likely(report) == [words]


# --- Every kind of change, at random places -----------------------------------------------

TOKEN = re.compile(r"EXP\(|\{\w+\}|[\d.]+|.")
EVERYTHING = FORMULAS | UPDATES
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
def test_a_change_at_any_place_is_found_and_named(make_sheet, check, data):
    column = data.draw(st.sampled_from(list(EVERYTHING)))
    text = changed(EVERYTHING[column], data.draw(st.sampled_from(KINDS)), data.draw)
    planted, right = outcomes(text), outcomes(EVERYTHING[column])
    assume(planted is not None and not np.allclose(planted, right, 1e-9, 0))
    code, report, _ = check(make_sheet(labelled(0.37, texts={column: text}, steps=FEW)))
    assert code == 1, report
    assert list(wrong_columns(report)) == [column], text
    assert likely(report), text
