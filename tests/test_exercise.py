"""The exercise to fill in: filled in by openpyxl as a learner would, computed by LibreOffice."""

import re
from itertools import count

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from openpyxl.formula.translate import Translator
from openpyxl.utils import get_column_letter

from backprop.check.findings import RIGHT, UNREADABLE
from backprop.exercise import is_filled, write_exercise
from backprop.network import Problem, descend, evaluate
from backprop.pictures import network_png
from tests.digits import ROOT
from tests.findings import findings
from tests.workbooks import changed_parts, pixels

COLUMNS = (
    "t1", "t2", "i1", "i2", "w1", "w2", "w3", "w4", "h1", "a_h1", "h2", "a_h2", "w5", "w6", "w7",
    "w8", "o1", "a_o1", "o2", "a_o2", "E1", "E2", "E_total", "∂E/∂w1", "∂E/∂w2", "∂E/∂w3", "∂E/∂w4",
    "∂E/∂w5", "∂E/∂w6", "∂E/∂w7", "∂E/∂w8",
)  # fmt: skip
LETTERS = {column: get_column_letter(index) for index, column in enumerate(COLUMNS, start=1)}
FIRST, LAST = 13, 33
# As typed into row 13 or, where that is given, into row 14; the rest is copied down.
BACK_1 = "=((R13-A13)*R13*(1-R13)*M13+(T13-B13)*T13*(1-T13)*O13)*J13*(1-J13)"
BACK_2 = "=((R13-A13)*R13*(1-R13)*N13+(T13-B13)*T13*(1-T13)*P13)*L13*(1-L13)"
TYPED = {
    "t1": "=A13", "t2": "=B13", "i1": "=C13", "i2": "=D13",
    "h1": "=E13*C13+F13*D13", "a_h1": "=1/(1+EXP(-I13))",
    "h2": "=G13*C13+H13*D13", "a_h2": "=1/(1+EXP(-K13))",
    "o1": "=M13*J13+N13*L13", "a_o1": "=1/(1+EXP(-Q13))",
    "o2": "=O13*J13+P13*L13", "a_o2": "=1/(1+EXP(-S13))",
    "E1": "=(A13-R13)^2/2", "E2": "=0.5*(B13-T13)^2", "E_total": "=U13+V13",
    "∂E/∂w1": f"{BACK_1}*C13", "∂E/∂w2": f"{BACK_1}*D13",
    "∂E/∂w3": f"{BACK_2}*C13", "∂E/∂w4": f"{BACK_2}*D13",
    "∂E/∂w5": "=(R13-A13)*R13*(1-R13)*J13", "∂E/∂w6": "=(R13-A13)*R13*(1-R13)*L13",
    "∂E/∂w7": "=(T13-B13)*T13*(1-T13)*J13", "∂E/∂w8": "=(T13-B13)*T13*(1-T13)*L13",
    "w1": "=E13-$B$6*X13", "w2": "=F13-$B$6*Y13", "w3": "=G13-$B$6*Z13",
    "w4": "=H13-$B$6*AA13", "w5": "=M13-$B$6*AB13", "w6": "=N13-$B$6*AC13",
    "w7": "=O13-$B$6*AD13", "w8": "=P13-$B$6*AE13",
}  # fmt: skip
# Slips by kind: in a column's formula, what is put for what, and the hint.
SLIPS = {
    "other cell": [
        ("h1", "D13", "C13", "uses i1 where i2 belongs"),
        ("h2", "H13", "G13", "uses w3 where w4 belongs"),
        ("a_h1", "I13", "K13", "uses h2 where h1 belongs"),
        ("a_h2", "K13", "I13", "uses h1 where h2 belongs"),
        ("o1", "L13", "J13", "uses a_h1 where a_h2 belongs"),
        ("o2", "L13", "J13", "uses a_h1 where a_h2 belongs"),
        ("a_o1", "Q13", "S13", "uses o2 where o1 belongs"),
        ("a_o2", "S13", "Q13", "uses o1 where o2 belongs"),
        ("E1", "R13", "T13", "uses a_o2 where a_o1 belongs"),
        ("E2", "T13", "R13", "uses a_o1 where a_o2 belongs"),
        ("E_total", "U13", "V13", "uses E2 where E1 belongs"),
        ("∂E/∂w1", "(1-J13)", "(1-L13)", "uses a_h2 where a_h1 belongs"),
        ("∂E/∂w2", "(1-R13)", "(1-T13)", "uses a_o2 where a_o1 belongs"),
        ("∂E/∂w3", "(1-L13)", "(1-J13)", "uses a_h1 where a_h2 belongs"),
        ("∂E/∂w4", "D13", "C13", "uses i1 where i2 belongs"),
        ("∂E/∂w5", "J13", "L13", "uses a_h2 where a_h1 belongs"),
        ("∂E/∂w6", "(1-R13)", "(1-T13)", "uses a_o2 where a_o1 belongs"),
        ("∂E/∂w7", "J13", "L13", "uses a_h2 where a_h1 belongs"),
        ("∂E/∂w8", "T13*(1-T13)", "R13*(1-R13)", "uses a_o1 where a_o2 belongs"),
        ("w1", "X13", "Y13", "uses ∂E/∂w2 where ∂E/∂w1 belongs"),
        ("w2", "F13", "E13", "uses w1 where w2 belongs"),
        ("w3", "Z13", "AA13", "uses ∂E/∂w4 where ∂E/∂w3 belongs"),
        ("w4", "AA13", "Z13", "uses ∂E/∂w3 where ∂E/∂w4 belongs"),
        ("w5", "AB13", "AC13", "uses ∂E/∂w6 where ∂E/∂w5 belongs"),
        ("w6", "N13", "M13", "uses w5 where w6 belongs"),
        ("w7", "AD13", "AE13", "uses ∂E/∂w8 where ∂E/∂w7 belongs"),
        ("w8", "P13", "O13", "uses w7 where w8 belongs"),
    ],
    "net input": [
        *((f"a_{net}", f"1/(1+EXP(-{cell}))", cell, "the sigmoid is missing")
          for net, cell in (("h1", "I13"), ("h2", "K13"), ("o1", "Q13"), ("o2", "S13"))),
        ("o1", "L13", "K13", "uses h2 where a_h2 belongs"),
        ("o2", "J13", "I13", "uses h1 where a_h1 belongs"),
        ("E1", "R13", "Q13", "uses o1 where a_o1 belongs"),
        ("E2", "T13", "S13", "uses o2 where a_o2 belongs"),
        *((f"∂E/∂w{index}", "J13", "I13", "uses h1 where a_h1 belongs") for index in (1, 2, 5, 7)),
        *((f"∂E/∂w{index}", "L13", "K13", "uses h2 where a_h2 belongs") for index in (3, 4, 6, 8)),
    ],
    "missing factor": [
        ("E1", "/2", "", "the factor 0.5 is missing"),
        ("E2", "0.5*", "", "the factor 0.5 is missing"),
        *((f"∂E/∂w{index}", f"{cell}*(1-{cell})*", "", f"the factor {a}·(1 − {a}) is missing")
          for a, cell, weights in (("a_h1", "J13", (1, 2)), ("a_h2", "L13", (3, 4)),
                                   ("a_o1", "R13", (5, 6)), ("a_o2", "T13", (7, 8)))
          for index in weights),
    ],
    "sign": [
        *((f"∂E/∂w{index}", "=", "=-", "the sign is reversed") for index in range(1, 9)),
        *((f"w{index}", "-", "+", "the update adds the gradient instead of subtracting it")
          for index in range(1, 9)),
    ],
    "other formula": [
        ("h2", "G13*C13+H13", "E13*C13+F13", "this is the formula of h1"),
        ("∂E/∂w1", BACK_1, BACK_2, "this is the formula of ∂E/∂w3"),
        ("w3", "-$B$6*Z13", "", "the weight is not updated"),
    ],
}  # fmt: skip
# Numbers none of which is another or its half, so that each slip gives a number of its own.
DISTINCT = Problem((0.05, 0.12), (0.01, 0.97), (0.15, 0.21, 0.26, 0.33, 0.4, 0.47, 0.53, 0.58))
NUMBERS = count()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("exercise") / "Exercise.xlsx"
    write_exercise(path, Problem(), 0.5, network_png(None))
    return path


@pytest.fixture(scope="module")
def distinct(tmp_path_factory):
    path = tmp_path_factory.mktemp("distinct") / "Exercise.xlsx"
    write_exercise(path, DISTINCT, 0.7, network_png(None))
    return path


def filled(empty, formulas=TYPED, rows=LAST - FIRST + 1, **cells):
    """Fill in the first rows, then some cells otherwise; gives the copy's path."""
    workbook = openpyxl.load_workbook(empty)
    sheet = workbook["Exercise"]
    for column, formula in formulas.items():
        letter, is_given = LETTERS[column], column[0] in "tiw"
        start = f"{letter}{FIRST + is_given}"
        for row in range(FIRST + is_given, FIRST + rows):
            place = f"{letter}{row}"
            sheet[place] = Translator(formula, start).translate_formula(place)
    for place, value in cells.items():
        sheet[place] = value
    path = empty.with_name(f"filled-{next(NUMBERS)}.xlsx")
    workbook.save(path)
    return path


class Seen:
    """What a learner sees in a computed exercise.

    Attributes:
        score: the line above the table.
        green, red, yellow: the cells of that colour, by their names.
        hints: by column the line about its first wrong cell.
        values: the sheet of the table.
        errors: the cells of all sheets that hold an error.
    """

    def __init__(self, path):
        workbook = openpyxl.load_workbook(path, data_only=True)
        self.values, hints = workbook["Exercise"], workbook["Hints"]
        self.score = self.values["A11"].value
        table = [cell for row in self.values[f"A{FIRST}:AE{LAST}"] for cell in row]
        for rules in self.values.conditional_formatting:
            assert str(rules.sqref) == f"A{FIRST}:AE{LAST}"
            for rule in rules.rules:
                mark, verdict = re.fullmatch(r"([A-Z]+)13=(\d)", rule.formula[0]).groups()
                far = openpyxl.utils.column_index_from_string(mark) - 1
                coloured = {
                    it.coordinate for it in table if it.offset(0, far).value == int(verdict)
                }
                setattr(self, COLOURS[rule.dxf.fill.bgColor.rgb], coloured)
        lines = list(hints.iter_rows(max_col=2, values_only=True))
        self.hints = {
            lines[index - 2][0]: text
            for index, (_, text) in enumerate(lines)
            if text and re.match(r"[A-Z]+\d+: ", text)
        }
        self.errors = {
            f"{sheet.title}!{cell.coordinate}"
            for sheet in workbook
            for row in sheet.iter_rows()
            for cell in row
            if cell.data_type == "e"
        }


COLOURS = {"FFC6EFCE": "green", "FFFFB3AB": "red", "FFFFEB9C": "yellow"}
COMPUTED = COLUMNS[4:]
CELLS = {
    f"{LETTERS[column]}{row}"
    for column in COMPUTED
    for row in range(FIRST + (column[0] == "w"), LAST + 1)
}
SAME = {f"{letter}{row}" for letter in "ABCD" for row in range(FIRST + 1, LAST + 1)}


def test_the_tracked_exercise_is_the_one_that_is_built(empty):
    assert changed_parts(empty, ROOT / "backprop" / "Exercise.xlsx") == []


def test_the_empty_exercise_marks_nothing(empty, recalculate):
    seen = Seen(empty)
    computed = Seen(recalculate(filled(empty, {})))
    for each in (seen, computed):
        assert each.score == "Right: 0 of 27 columns, 0 of 559 cells"
        assert each.green == each.red == each.yellow == each.errors == set()
        assert each.hints == {}
    assert findings(empty).verdict == UNREADABLE
    assert "the computed columns are empty" in findings(empty).reason


def test_the_table_filled_in_rightly_is_green(empty, recalculate):
    path = recalculate(filled(empty))
    seen = Seen(path)
    assert len(CELLS) == 559
    assert seen.green == CELLS | SAME
    assert seen.red == seen.yellow == seen.errors == set()
    assert seen.hints == {}
    assert seen.score == "Right: 27 of 27 columns, 559 of 559 cells"
    errors = [cell.value for (cell,) in seen.values[f"W{FIRST}:W{LAST}"]]
    right = descend(Problem(), 0.5, LAST - FIRST)[:, COLUMNS.index("E_total")]
    assert errors == pytest.approx(list(right), rel=1e-12)
    (table,) = findings(path).tables
    assert (findings(path).verdict, table.judged, table.rate_cell) == (RIGHT, 559, "B6")


@pytest.mark.parametrize("kind", SLIPS)
def test_a_slip_is_one_red_column_and_its_hint_is_right(kind, distinct, recalculate):
    """Each column in turn."""
    slips = [
        (column, TYPED[column].replace(*change), hint) for column, *change, hint in SLIPS[kind]
    ]
    paths = [filled(distinct, TYPED | {column: formula}, rows=3) for column, formula, _ in slips]
    folder = recalculate(*paths).parent
    reached = {it for it in CELLS | SAME if int(re.sub("[A-Z]", "", it)) < FIRST + 3}
    for path, (column, _, hint) in zip(paths, slips, strict=True):
        seen, first = Seen(folder / path.name), FIRST + (column[0] == "w")
        red = {f"{LETTERS[column]}{row}" for row in range(first, FIRST + 3)}
        assert (column, seen.red) == (column, red)
        assert (column, seen.green) == (column, reached - red)
        (named,) = seen.hints.items()
        assert named == (column, f"{LETTERS[column]}{first}: {hint}")
        score = f"Right: 26 of 27 columns, {73 - len(red)} of 559 cells; wrong: {column}"
        assert seen.score == score
        assert seen.errors == set()


def test_slips_that_give_the_same_number_are_both_named(empty, recalculate):
    """With t1 = t2, E1 of the other output is the formula of E2 too."""
    formulas = TYPED | {"E1": "=(A14-T13)^2/2".replace("14", "13")}
    seen = Seen(recalculate(filled(empty, formulas, rows=2)))
    assert seen.hints == {"E1": "U13: uses a_o2 where a_o1 belongs or this is the formula of E2"}


def test_a_missing_dollar_is_named(empty, recalculate):
    seen = Seen(recalculate(filled(empty, TYPED | {"w1": "=E13-B6*X13"}, rows=4)))
    assert seen.red == {"E15", "E16"}
    assert seen.hints["w1"].startswith("E15: ")
    assert seen.hints["w1"].endswith("the cell above is right: compare the two (a missing $?)")


def test_numbers_rounded_as_the_table_shows_them_are_right(empty, recalculate):
    cells = {"J13": 0.506875, "L13": "=1/(1+2.71828^-K13)", "R13": 0.60648}
    right = descend(Problem(), 0.5, 1)
    cells["U14"] = round(float(right[1, COLUMNS.index("E1")]), 9)
    seen = Seen(recalculate(filled(empty, rows=2, **cells)))
    assert seen.red == {"R13"}  # to five digits
    assert seen.yellow == {"U14"}
    assert {"J13", "L13"} <= seen.green


def test_numbers_above_that_are_texts_are_named(empty, recalculate):
    seen = Seen(recalculate(filled(empty, B4="0,05", B6="0,5")))
    assert seen.score.startswith("A number above is missing or a text. Right: ")
    assert not {it for it in seen.errors if it.startswith("Hints")}


def test_what_is_no_number_is_red_and_what_needs_it_is_not_judged(empty, recalculate):
    cells = {"W15": "0,0136", "S16": None, "Q33": "=1/0"}
    seen = Seen(recalculate(filled(empty, **cells)))
    unjudged = {"S16", "T16", "R33", "U33", "W33", "X33", "Y33", "Z33", "AA33", "AB33", "AC33"}
    assert seen.red == {"W15", "Q33"}
    assert seen.green == (CELLS | SAME) - seen.red - unjudged
    assert seen.yellow == set()
    assert seen.hints == {"E_total": "W15: this is no number", "o1": "Q33: this is no number"}
    assert seen.errors == {f"Exercise!{it}" for it in unjudged - {"S16", "T16"} | {"Q33"}}


def test_typed_numbers_are_yellow_from_the_second_row_on(empty, recalculate):
    right = descend(Problem(), 0.5, 1)[:, COLUMNS.index("E1")]
    typed = {"U13": float(right[0]), "U14": float(right[1]), "V14": 0.5, "A14": 0.5, "B14": 0.6}
    seen = Seen(recalculate(filled(empty, rows=2, **typed)))
    assert seen.yellow == {"U14"}
    assert seen.red == {"V14", "B14"}
    assert {"U13", "A14"} <= seen.green
    assert seen.score == ("Right: 25 of 27 columns, 44 of 559 cells; wrong: t2, E2; typed: E1")


def test_a_blank_row_and_whole_rows_copied_down(empty, recalculate):
    """Row 31 left out, and row 13 copied over row 17, with its marks and its weights."""
    workbook = openpyxl.load_workbook(filled(empty))
    sheet = workbook["Exercise"]
    for column in range(1, 64):
        here, source = sheet.cell(17, column), sheet.cell(13, column)
        here.value = source.value
        if isinstance(source.value, str):
            here.value = Translator(source.value, source.coordinate).translate_formula(
                here.coordinate
            )
        if column <= 31:
            sheet.cell(31, column).value = None
    path = empty.with_name("rows.xlsx")
    workbook.save(path)
    seen = Seen(recalculate(path))
    weights = [LETTERS[f"w{index}"] for index in range(1, 9)]
    red = {f"{letter}17" for letter in weights}
    assert red <= seen.red <= red | {f"{letter}33" for letter in "ABCD"}  # by the program
    assert "the cell above is right" in seen.hints["w1"]
    assert {it for it in seen.green if it.endswith("31")} == set()
    assert not {f"{letter}32" for letter in weights} & seen.green  # nothing above to start from


signed = st.floats(0.05, 2) | st.floats(-2, -0.05)
factor = st.integers(-6, 0).map(lambda power: 10.0**power)


@settings(max_examples=5, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(
    inputs=st.tuples(signed, signed),
    targets=st.tuples(signed, signed),
    weights=st.tuples(*[signed] * 8),
    small=st.tuples(factor, factor),
    eta=st.floats(0.01, 3) | st.floats(-1, -0.01),
)
def test_a_right_table_is_right_whatever_its_numbers(
    inputs, targets, weights, small, eta, tmp_path_factory, recalculate
):
    """Small inputs and late weights make small gradients, down to 1e-12."""
    problem = Problem(
        tuple(it * small[0] for it in inputs),
        targets,
        (*weights[:4], *(it * small[1] for it in weights[4:])),
    )
    path = tmp_path_factory.mktemp("any") / "Exercise.xlsx"
    write_exercise(path, problem, eta, network_png(None))
    seen = Seen(recalculate(filled(path)))
    assert seen.green == CELLS | SAME


def test_score_chart_and_first_columns_are_in_view_on_a_laptop(empty):
    """1366x768, of which a spreadsheet program takes some 60 pixels in width and 300 in height."""
    sheet = openpyxl.load_workbook(empty)["Exercise"]
    (chart,), (picture,) = sheet._charts, sheet._images
    assert sheet.freeze_panes == f"A{FIRST}"
    for drawing in (chart, picture):
        assert drawing.anchor.to.row < FIRST - 1
        assert sum(map(pixels(sheet), range(drawing.anchor.to.col))) < 1366 - 60
    assert 20 * (FIRST + 5) < 768 - 300
    hidden = [it for it, dimension in sheet.column_dimensions.items() if dimension.hidden]
    assert hidden == ["AG"]
    assert sheet.column_dimensions["AG"].max > 62
    assert (sheet.page_setup.paperSize, sheet.page_setup.fitToHeight) == (8, 0)


def test_an_exercise_that_is_filled_in_is_known(empty, tmp_path):
    assert is_filled(filled(empty, {}, AE13="=1"))
    assert is_filled(filled(empty, {}, E14="=E13"))
    assert not is_filled(empty)
    for content in (None, b"", b"no workbook"):
        path = tmp_path / "Exercise.xlsx"
        if content is not None:
            path.write_bytes(content)
        assert not is_filled(path)


def test_the_notes_give_the_chain_and_not_the_formula(empty):
    sheet = openpyxl.load_workbook(empty)["Exercise"]
    notes = {cell.value: cell.comment.text for cell in sheet[FIRST - 1] if cell.comment}
    assert tuple(notes) == COLUMNS
    assert notes["∂E/∂w3"] == "∂E/∂w3 = ∂E/∂a_h2 · ∂a_h2/∂h2 · ∂h2/∂w3"
    assert not any(re.search(r"[A-Z]+13", note) for note in notes.values())


def test_the_hints_give_the_numbers_of_the_first_row(empty, recalculate):
    changed = filled(empty, {}, B4=-0.2)  # i1
    for path, problem in ((empty, Problem()), (recalculate(changed), Problem((-0.2, 0.1)))):
        lines = list(openpyxl.load_workbook(path, data_only=True)["Hints"].iter_rows(max_col=3))
        right, row = evaluate(problem.given()), {line[0].value: line for line in lines}
        for column in COLUMNS:
            assert row[column][2].value == pytest.approx(right[column], rel=1e-12)
        place = lines.index(row["h1"])
        i1 = "(−0.2)" if problem.inputs[0] < 0 else "0.05"
        assert lines[place][1].value == "= w1·i1 + w2·i2"
        assert lines[place + 1][1].value == f"= 0.15·{i1} + 0.2·0.1"
