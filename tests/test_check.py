"""`python -m backprop check` on sheets as learners make them, and on files that are none."""

import re
import zipfile

import numpy as np
import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xlsxwriter.utility import xl_col_to_name

from backprop.network import COLUMNS, FORMULAS, GRADIENTS, WEIGHTS, Problem, partial, updated
from tests.sheets import ALL_CELLS, Manner, labelled, write_table

numbers = st.floats(0.05, 2) | st.floats(-2, -0.05)
problems = st.builds(
    Problem,
    inputs=st.tuples(numbers, numbers),
    targets=st.tuples(numbers, numbers),
    weights=st.tuples(*[numbers] * 8),
)


# --- Sheets that are right ----------------------------------------------------------------


@given(problems, st.floats(0.05, 3), st.booleans())
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_correct_sheets_agree(make_sheet, check, problem, eta, with_label):
    def fill(sheet):
        if with_label:
            sheet.write_row(0, 2, ["eta", eta])
        rate = "$D$1" if with_label else repr(eta)
        write_table(sheet, (3, 1), eta, Manner(problem, rate=rate))

    code, report, _ = check(make_sheet(fill))
    assert code == 0, report
    assert f"all {ALL_CELLS} cells agree" in report
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
    assert f"all {ALL_CELLS} cells agree" in report


@pytest.mark.parametrize(
    ("gap", "order"), [(0, COLUMNS[::-1]), (1, COLUMNS), (2, COLUMNS[9:] + COLUMNS[:9])]
)
def test_layout_variants(gap, order, make_sheet, check):
    def fill(sheet):
        sheet.write_row(0, 0, ["η =", 0.5])
        end = write_table(sheet, (5, 3), 0.5, Manner(gap=gap, order=order, rate="$B$1"))
        sheet.write_string(end, 3, "Observations")
        sheet.write_row(end + 1, 3, ["mean", 1.0, 2.0])
        sheet.write_row(end + 3, 3, range(31))

    code, report, _ = check(make_sheet(fill))
    assert code == 0, report
    assert f"table from row {7 + gap}: 13 rows, η = 0.5 (B1)" in report
    assert f"all {ALL_CELLS} cells agree" in report


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
    assert report.count(f"all {ALL_CELLS} cells agree") == 4
    assert re.findall(r"η = (\S+)", report) == ["0.1", "2", "0.2", "0.8"]


def test_one_row_needs_no_rate(make_sheet, check):
    code, report, _ = check(
        make_sheet(lambda sheet: write_table(sheet, (0, 0), 0.5, Manner(steps=0)))
    )
    assert code == 0
    assert "1 row, η not needed" in report
    assert "all 19 cells agree" in report


# --- Sheets with one wrong formula --------------------------------------------------------


FEW = 3  # steps


def planted(column):
    """A wrong formula for a column, unlike any slip that has a name."""
    if column in WEIGHTS:
        return lambda r, eta: updated(column, r, eta) * 1.001 + 0.0001
    return lambda r: FORMULAS[column](r) * 1.001 + 0.0001


@pytest.mark.parametrize("column", [*FORMULAS, *WEIGHTS])
def test_a_planted_error_is_located_and_its_right_formula_given(column, make_sheet, check):
    code, report, _ = check(make_sheet(labelled(0.5, slips={column: planted(column)}, steps=FEW)))
    assert code == 1
    in_row = column in FORMULAS
    first = f"{xl_col_to_name(1 + COLUMNS.index(column))}{5 if in_row else 6}"
    wrong = re.findall(r"^  (\S+): (\d+) wrong cells?, the first is (\w+)$", report, re.MULTILINE)
    assert wrong == [(column, str(FEW + 1 if in_row else FEW), first)]
    assert "likely" not in report
    rights = [line.split(maxsplit=1)[1] for line in report.splitlines() if "  right" in line]
    value, formula = rights
    top = 5 if column in FORMULAS else 6
    cells = {
        f"{xl_col_to_name(1 + index)}{line}": f"{name}{' above' if line < top else ''}"
        for index, name in enumerate(COLUMNS)
        for line in (top - 1, top)
    }
    used = {cells.get(cell, cell) for cell in re.findall(r"\$?[A-Z]+\$?\d+", formula)}
    assert used == USES.get(column, {f"{column} above", f"∂E/∂{column} above", "$D$1"})
    assert np.isfinite(float(value))


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
SLIPS = {
    "uses w5 (N5) where w6 (O5) belongs": {"o1": lambda r: r.w5 * r.a_h1 + r.w5 * r.a_h2},
    "uses i1 (D5) where i2 (E5) belongs": {"h1": lambda r: r.w1 * r.i1 + r.w2 * r.i1},
    "uses w4 (I5) where w3 (H5) belongs": {"h2": lambda r: r.w4 * r.i1 + r.w4 * r.i2},
    "the term with w8 (Q5) is missing": {"o2": lambda r: r.w7 * r.a_h1 + 0 * r.a_h2},
    "the sigmoid is missing": {"a_h1": lambda r: 1 * r.h1},
    "the factor ½ is missing": {"E1": lambda r: 1 * (r.t1 - r.a_o1) ** 2},
    "the square is missing": {"E2": lambda r: 0.5 * (r.t2 - r.a_o2)},
    "only E1: E2 is missing": {"E_total": lambda r: 1 * r.E1},
    "the sign is turned": {"∂E/∂w5": lambda r: (r.t1 - r.a_o1) * r.a_o1 * (1 - r.a_o1) * r.a_h1},
    "the factor ∂a_o1/∂o1 is missing": {"∂E/∂w5": lambda r: (r.a_o1 - r.t1) * r.a_h1},
    "the factor (1 − a_o2) of ∂a_o2/∂o2 is missing": {
        "∂E/∂w7": lambda r: (r.a_o2 - r.t2) * r.a_o2 * r.a_h1
    },
    "the factor ∂h1/∂w1 is missing": {
        "∂E/∂w1": lambda r: (
            (
                (r.a_o1 - r.t1) * r.a_o1 * (1 - r.a_o1) * r.w5
                + (r.a_o2 - r.t2) * r.a_o2 * (1 - r.a_o2) * r.w7
            )
            * r.a_h1
            * (1 - r.a_h1)
        )
    },
    "the path through o2 is missing": {
        "∂E/∂w2": lambda r: (
            (r.a_o1 - r.t1) * r.a_o1 * (1 - r.a_o1) * r.w5 * r.a_h1 * (1 - r.a_h1) * r.i2
        )
    },
    "this is the formula of ∂E/∂w6": {"∂E/∂w3": lambda r: FORMULAS["∂E/∂w6"](r)},
    "uses w5 (N5) where w6 (O5) belongs ": {
        "∂E/∂w3": lambda r: (
            (
                (r.a_o1 - r.t1) * r.a_o1 * (1 - r.a_o1) * r.w5
                + (r.a_o2 - r.t2) * r.a_o2 * (1 - r.a_o2) * r.w8
            )
            * r.a_h2
            * (1 - r.a_h2)
            * r.i1
        )
    },
    "uses ∂E/∂w2 (Z5) where ∂E/∂w1 (Y5) belongs": {
        "w1": lambda r, eta: r.w1 - eta * getattr(r, "∂E/∂w2")
    },
    "the sign is turned: the weight moves up the gradient, not down": {
        "w6": lambda r, eta: r.w6 + eta * getattr(r, "∂E/∂w6")
    },
    "the learning rate is missing": {"w7": lambda r, eta: r.w7 - getattr(r, "∂E/∂w7")},
    "the weight does not move": {"w8": lambda r, eta: 1 * r.w8},
    "uses ∂E/∂w1 (Y5) where ∂E/∂w3 (AA5) belongs": {
        "w3": lambda r, eta: r.w3 - eta * getattr(r, "∂E/∂w1")
    },
    "a product where a difference belongs: w·η·∂E/∂w for w − η·∂E/∂w": {
        "w2": lambda r, eta: r.w2 * eta * getattr(r, "∂E/∂w2")
    },
    "a product where a difference belongs: a_o1·t1 for a_o1 − t1": {
        "∂E/∂w5": lambda r: r.a_o1 * r.t1 * r.a_o1 * (1 - r.a_o1) * r.a_h1
    },
    "the sigmoid's derivative is taken at the net input: h2·(1 − h2) where a_h2·(1 − a_h2) "
    "belongs": {"∂E/∂w4": lambda r: partial("∂E/∂a_h2", r) * r.h2 * (1 - r.h2) * r.i2},
    "the sigmoid's derivative is taken at the net input: o2·(1 − o2) where a_o2·(1 − a_o2) "
    "belongs": {"∂E/∂w8": lambda r: (r.a_o2 - r.t2) * r.o2 * (1 - r.o2) * r.a_h2},
    "the brackets around the sum of the two paths are missing": {
        "∂E/∂w1": lambda r: (
            (r.a_o1 - r.t1) * r.a_o1 * (1 - r.a_o1) * r.w5
            + (r.a_o2 - r.t2) * r.a_o2 * (1 - r.a_o2) * r.w7 * r.a_h1 * (1 - r.a_h1) * r.i1
        )
    },
    "uses a_h1 (K5) where a_h2 (M5) belongs": {
        "∂E/∂w3": lambda r: partial("∂E/∂a_h2", r) * r.a_h1 * (1 - r.a_h1) * r.i1
    },
}


@pytest.mark.parametrize("words", SLIPS)
def test_slips_are_told_in_words(words, make_sheet, check):
    manner = Manner(slips=SLIPS[words], digits=10, steps=FEW)
    code, report, _ = check(make_sheet(labelled(0.5, manner)))
    assert code == 1
    assert report.count("wrong cell") == 1
    (likely,) = [line.split(maxsplit=1)[1] for line in report.splitlines() if "likely" in line]
    assert likely == words.strip()


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
        if content == "#DIV/0!":
            sheet.write_formula(*place, "=1/0", None, "#DIV/0!")
        else:
            sheet.write(*place, content) if content is not None else sheet.write_blank(
                *place, None, sheet.default_url_format
            )

    code, report, _ = check(make_sheet(fill))
    assert code == 1
    assert "E1: 1 wrong cell, the first is V9" in report
    assert words in report


# --- Files that cannot be judged ----------------------------------------------------------


def plain_text(path):
    path.write_text("w1,w2\n0.1,0.2\n")


def cut_short(path):
    with xlsxwriter.Workbook(str(path)) as workbook:
        labelled(0.5)(workbook.add_worksheet())
    path.write_bytes(path.read_bytes()[:-2000])


def another_table(path):
    with xlsxwriter.Workbook(str(path)) as workbook:
        workbook.add_worksheet().write_row(0, 0, ["name", "marks"])


def columns_lacking(path):
    with xlsxwriter.Workbook(str(path)) as workbook:
        sheet = workbook.add_worksheet("Mine")
        sheet.write_row(2, 0, [name for name in COLUMNS if name not in ("t1", "w2")])
        sheet.write_row(3, 0, range(29))


def header_only(path):
    with xlsxwriter.Workbook(str(path)) as workbook:
        workbook.add_worksheet().write_row(0, 0, COLUMNS)


def no_saved_values(path):
    workbook = openpyxl.Workbook()
    workbook.active.title = "Mine"
    workbook.active.append(COLUMNS)
    workbook.active.append(["=1+1"] * 31)
    workbook.save(path)


def a_zip_of_something(path):
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("letter.txt", "Dear teacher")


def zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/worksheets/sheet1.xml", bytes(60_000_000))


def entity_bomb(path):
    with xlsxwriter.Workbook(str(path)) as workbook:
        labelled(0.5)(workbook.add_worksheet())
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    head, body = parts["xl/worksheets/sheet1.xml"].split(b"\n", 1)
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    parts["xl/worksheets/sheet1.xml"] = head + bomb + body.replace(b"<v>", b"<v>&b;", 1)
    with zipfile.ZipFile(path, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content)


OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)
BAD_FILES = {
    "cannot be read": lambda path: None,
    "has no .xlsx workbook in it": lambda path: path.mkdir(),
    "not an .xlsx workbook, or is damaged": plain_text,
    "is damaged": cut_short,
    "not an .xlsx workbook": a_zip_of_something,
    "unpacks to more than": zip_bomb,
    "or is damaged (": entity_bomb,
    "save it as .xlsx": lambda path: path.write_bytes(OLE + "Workbook".encode("utf-16-le")),
    "has a password": lambda path: path.write_bytes(OLE + "EncryptedPackage".encode("utf-16-le")),
    "has no table": another_table,
    "sheet Sheet1, headers in row 1: there are no numbers below": header_only,
    "sheet Mine, headers in row 3: it lacks the headers t1, w2": columns_lacking,
    "open the file in a spreadsheet program and save it": no_saved_values,
}


@pytest.mark.parametrize("complaint", BAD_FILES)
def test_a_bad_file_ends_in_one_line(complaint, tmp_path, check):
    path = tmp_path / "bad.xlsx"
    BAD_FILES[complaint](path)
    code, report, error = check(path)
    assert code == 2
    assert report == ""
    assert error.count("\n") == 1
    assert str(path) in error or "Mine" in error
    assert complaint in error


def test_a_far_away_cell_does_not_cost_memory_or_time(make_sheet, check):
    def fill(sheet):
        labelled(0.5)(sheet)
        sheet.write_number(1_048_575, 16_383, 1.0)

    code, report, _ = check(make_sheet(fill))
    assert code == 0
    assert f"all {ALL_CELLS} cells agree" in report
