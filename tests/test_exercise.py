"""The exercise to fill in: filled in by openpyxl as a learner would, computed by LibreOffice."""

import re
from itertools import count

import openpyxl
import pytest
from openpyxl.formula.translate import Translator

from backprop.check.findings import RIGHT, UNREADABLE
from backprop.expression import Expression, symbols
from backprop.network import COLUMNS, FORMULAS, WEIGHTS, Problem, descend, evaluate, updated
from backprop.write.exercise import is_filled, write_exercise
from backprop.write.hints import row_of
from backprop.write.pictures import network_png
from backprop.write.sheet import cell
from tests.digits import ROOT
from tests.findings import findings
from tests.written_workbooks import changed_parts, errors_of

FIRST, LAST = 13, 33
ABOVE = COLUMNS[:8] + COLUMNS[12:16]  # targets, inputs and weights: made from the row above
NAMES = symbols(COLUMNS, Expression)
# The right formulas, with the names of columns in place of cells.
TYPED = {name: name for name in COLUMNS[:4]}
TYPED |= {weight: updated(weight, NAMES, Expression("$B$6")).text for weight in WEIGHTS}
TYPED |= {column: formula(NAMES).text for column, formula in FORMULAS.items()}
# Slips: a column, what belongs in its formula, what stands there, the hint if that is no cell.
SLIPS = [
    ("h1", "i2", "i1"), ("h2", "w4", "w3"), ("a_h1", "h1", "h2"), ("a_h2", "h2", "h1"),
    ("o1", "a_h2", "a_h1"), ("o2", "a_h2", "a_h1"), ("a_o1", "o1", "o2"), ("a_o2", "o2", "o1"),
    ("E1", "a_o1", "a_o2"), ("E2", "a_o2", "a_o1"), ("E_total", "E1", "E2"),
    ("∂E/∂w1", "a_h1", "a_h2"), ("∂E/∂w2", "i2", "i1"), ("∂E/∂w3", "a_h2", "a_h1"),
    ("∂E/∂w4", "i2", "i1"), ("∂E/∂w5", "a_h1", "a_h2"), ("∂E/∂w6", "a_h2", "a_h1"),
    ("∂E/∂w7", "a_h1", "a_h2"), ("∂E/∂w8", "a_h2", "a_h1"),
    ("w1", "∂E/∂w1", "∂E/∂w2"), ("w2", "w2", "w1"), ("w3", "∂E/∂w3", "∂E/∂w4"), ("w4", "w4", "w3"),
    ("w5", "∂E/∂w5", "∂E/∂w6"), ("w6", "w6", "w5"), ("w7", "∂E/∂w7", "∂E/∂w8"), ("w8", "w8", "w7"),
    ("o1", "a_h2", "h2"), ("o2", "a_h1", "h1"), ("E1", "a_o1", "o1"), ("E2", "a_o2", "o2"),
    ("∂E/∂w1", "a_h1", "h1"), ("∂E/∂w4", "a_h2", "h2"), ("∂E/∂w5", "a_h1", "h1"),
    ("a_h1", TYPED["a_h1"], "h1", "the sigmoid is missing"),
    ("a_o2", TYPED["a_o2"], "o2", "the sigmoid is missing"),
    ("E1", "0.5*", "", "the factor 0.5 is missing"),
    ("∂E/∂w2", "a_h1*(1-a_h1)*", "", "the factor a_h1·(1 − a_h1) is missing"),
    ("∂E/∂w3", "a_h2*(1-a_h2)*", "", "the factor a_h2·(1 − a_h2) is missing"),
    ("∂E/∂w5", "a_o1*(1-a_o1)*", "", "the factor a_o1·(1 − a_o1) is missing"),
    ("∂E/∂w8", "a_o2*(1-a_o2)*", "", "the factor a_o2·(1 − a_o2) is missing"),
    ("∂E/∂w4", "*i2", "*-i2", "the sign is reversed"),
    ("∂E/∂w7", "a_o2-t2", "t2-a_o2", "the sign is reversed"),
    ("w3", "-$B$6*∂E/∂w3", "", "the weight is not updated"),
    ("w4", "-", "+", "the update adds the gradient instead of subtracting it"),
    ("w5", "-", "+", "the update adds the gradient instead of subtracting it"),
    ("h2", TYPED["h2"], TYPED["h1"], "this is the formula of h1"),
    ("∂E/∂w1", TYPED["∂E/∂w1"], TYPED["∂E/∂w3"], "this is the formula of ∂E/∂w3"),
]  # fmt: skip
NUMBERS = count()


def exercise(folder, problem, eta):
    path = folder / f"Exercise-{next(NUMBERS)}.xlsx"
    write_exercise(path, problem, eta, network_png(None))
    return path


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return exercise(tmp_path_factory.mktemp("exercise"), Problem(), 0.5)


def filled(empty, formulas=TYPED, rows=LAST - FIRST + 1, **cells):
    """Fill in the first rows, then some cells otherwise; gives the copy's path."""
    workbook = openpyxl.load_workbook(empty)
    sheet = workbook["Exercise"]
    name = re.compile("|".join(sorted(COLUMNS, key=len, reverse=True)))
    for column, formula in formulas.items():
        back = 1 if column in ABOVE else 0
        for step in range(back, rows):
            typed = name.sub(lambda found, row=step - back: cell(found[0], row), formula)
            sheet[cell(column, step)] = f"={typed}"
    for place, value in cells.items():
        sheet[place] = value
    path = empty.with_name(f"filled-{next(NUMBERS)}.xlsx")
    workbook.save(path)
    return path


COLOURS = {"FFC6EFCE": "green", "FFFFB3AB": "red", "FFFFEB9C": "yellow"}


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
        (rules,) = self.values.conditional_formatting
        for rule in rules.rules:
            mark, verdict = rule.formula[0].split("=")
            distance = self.values[mark].column - 1
            coloured = {
                place.coordinate
                for row in self.values[str(rules.sqref)]
                for place in row
                if place.offset(0, distance).value == int(verdict)
            }
            setattr(self, COLOURS[rule.dxf.fill.bgColor.rgb], coloured)
        lines = {column: hints[f"B{row_of(column) + 2}"].value for column in COLUMNS}
        self.hints = {column: line for column, line in lines.items() if line}
        self.errors = errors_of(workbook)


def in_table(columns, start, rows=LAST - FIRST + 1):
    """Name the cells of columns from one step on."""
    return {cell(column, step) for column in columns for step in range(start, rows)}


CELLS = in_table(WEIGHTS, 1) | in_table(FORMULAS, 0)
SAME = in_table(COLUMNS[:4], 1)


def test_the_tracked_exercise_is_the_one_that_is_built(empty):
    assert changed_parts(empty, ROOT / "backprop" / "Exercise.xlsx") == []


def test_the_empty_exercise_marks_nothing(empty, recalculate):
    for path in (empty, recalculate(filled(empty, {}))):
        seen = Seen(path)
        assert seen.score == "Right: 0 of 27 columns, 0 of 559 cells"
        assert seen.green == seen.red == seen.yellow == seen.errors == set()
        assert seen.hints == {}
    assert findings(empty).verdict == UNREADABLE
    assert "the computed columns are empty" in findings(empty).reason


def test_the_table_filled_in_rightly_is_green(empty, recalculate):
    path = recalculate(filled(empty))
    seen = Seen(path)
    assert seen.green == CELLS | SAME  # all
    assert (seen.hints, seen.errors) == ({}, set())
    assert seen.score == "Right: 27 of 27 columns, 559 of 559 cells"
    errors = [place.value for (place,) in seen.values[f"W{FIRST}:W{LAST}"]]
    right = descend(Problem(), 0.5, LAST - FIRST)[:, COLUMNS.index("E_total")]
    assert errors == pytest.approx(list(right), rel=1e-12)
    (table,) = findings(path).tables
    assert (findings(path).verdict, table.judged, table.rate_cell) == (RIGHT, 559, "B6")


def with_slip(column, belongs, used):
    """The formulas, with something else in every place of what belongs in one of them."""
    wrong = re.sub(f"(?<![∂_]){re.escape(belongs)}", used, TYPED[column])
    assert wrong != TYPED[column]
    return TYPED | {column: wrong}


def test_a_slip_is_one_red_column_and_its_hint_is_right(recalculate, tmp_path):
    """Of the numbers, none is another or its half: each slip gives a number of its own."""
    weights = (0.15, 0.21, 0.26, 0.33, 0.4, 0.47, 0.53, 0.58)
    distinct = exercise(tmp_path, Problem((0.05, 0.12), (0.01, 0.97), weights), 0.7)
    assert {column for column, *_ in SLIPS} == {*WEIGHTS, *FORMULAS}
    paths = [filled(distinct, with_slip(*slip[:3]), rows=3) for slip in SLIPS]
    folder = recalculate(*paths).parent
    reached = in_table(WEIGHTS, 1, 3) | in_table(FORMULAS, 0, 3) | in_table(COLUMNS[:4], 1, 3)
    for path, (column, belongs, used, *hint) in zip(paths, SLIPS, strict=True):
        seen, first = Seen(folder / path.name), 1 if column in WEIGHTS else 0
        red = in_table([column], first, 3)
        likely = hint[0] if hint else f"uses {used} where {belongs} belongs"
        assert seen.hints == {column: f"{cell(column, first)}: {likely}"}
        assert (column, seen.red, seen.green) == (column, red, reached - red)
        score = f"Right: 26 of 27 columns, {73 - len(red)} of 559 cells; wrong: {column}"
        assert (seen.score, seen.errors) == (score, set())


def test_slips_that_give_the_same_number_are_both_named(empty, recalculate):
    """With t1 = t2, E1 of the other output is the formula of E2 too."""
    seen = Seen(recalculate(filled(empty, TYPED | {"E1": "(t1-a_o2)^2/2"}, rows=2)))
    assert seen.hints == {"E1": "U13: uses a_o2 where a_o1 belongs or this is the formula of E2"}


def test_a_missing_dollar_is_named(empty, recalculate):
    seen = Seen(recalculate(filled(empty, rows=4, E15="=E14-B7*X14")))
    assert seen.red == {"E15"}
    assert seen.hints["w1"].startswith("E15: ")
    assert seen.hints["w1"].endswith("the cell above is right: compare the two (a missing $?)")


def test_numbers_rounded_as_the_table_shows_them_are_right(empty, recalculate):
    error = descend(Problem(), 0.5, 1)[1, COLUMNS.index("E1")]
    cells = {"J13": 0.506875, "L13": "=1/(1+2.71828^-K13)", "U14": round(float(error), 9)}
    seen = Seen(recalculate(filled(empty, rows=2, R13=0.60648, **cells)))  # R13 to five digits
    assert (seen.yellow, seen.red) == ({"U14"}, {"R13"})
    assert {"J13", "L13"} <= seen.green


def test_numbers_above_that_are_texts_are_named(empty, recalculate):
    seen = Seen(recalculate(filled(empty, B4="0,05", B6="0,5")))
    assert seen.score.startswith("A number above is missing or a text. Right: ")
    assert not any(place.startswith("Hints") for place in seen.errors)


def test_what_is_no_number_is_red_and_what_needs_it_is_not_judged(empty, recalculate):
    cells = {"W15": "0,0136", "S16": None, "Q33": "=1/0"}
    seen = Seen(recalculate(filled(empty, **cells)))
    unjudged = {"S16", "T16", "R33", "U33", "W33", "X33", "Y33", "Z33", "AA33", "AB33", "AC33"}
    assert seen.red == {"W15", "Q33"}
    assert seen.green == (CELLS | SAME) - seen.red - unjudged
    assert seen.yellow == set()
    assert seen.hints == {"E_total": "W15: this is no number", "o1": "Q33: this is no number"}
    assert seen.errors == {f"Exercise!{place}" for place in unjudged - {"S16", "T16"} | {"Q33"}}


def test_typed_numbers_are_yellow_from_the_second_row_on(empty, recalculate):
    first, second = descend(Problem(), 0.5, 1)[:, COLUMNS.index("E1")].tolist()
    typed = {"U13": first, "U14": second, "V14": 0.5, "A14": 0.5, "B14": 0.6}
    seen = Seen(recalculate(filled(empty, rows=2, **typed)))
    assert (seen.yellow, seen.red) == ({"U14"}, {"V14", "B14"})
    assert {"U13", "A14"} <= seen.green
    assert seen.score == "Right: 25 of 27 columns, 44 of 559 cells; wrong: t2, E2; typed: E1"


def test_a_blank_row_and_whole_rows_copied_down(empty, recalculate):
    """Row 31 left out, and row 13 copied over row 17, with its marks and its weights."""
    workbook = openpyxl.load_workbook(filled(empty))
    sheet = workbook["Exercise"]
    for source in sheet[FIRST][:63]:
        if source.value:
            copy = sheet.cell(17, source.column)
            formula = Translator(source.value, source.coordinate)
            copy.value = formula.translate_formula(copy.coordinate)
    for place in sheet[31][: len(COLUMNS)]:
        place.value = None
    path = empty.with_name("rows.xlsx")
    workbook.save(path)
    seen = Seen(recalculate(path))
    red = {cell(weight, 4) for weight in WEIGHTS}
    assert red <= seen.red <= red | {f"{letter}33" for letter in "ABCD"}  # by the program
    assert "the cell above is right" in seen.hints["w1"]
    assert not any(place.endswith("31") for place in seen.green)
    assert not {cell(weight, 19) for weight in WEIGHTS} & seen.green  # nothing above to start from


def test_a_right_table_is_right_whatever_its_numbers(recalculate, tmp_path):
    """Small inputs and late weights make small gradients, down to 1e-12."""
    weights, late = (1.7, -0.3, -1.2, 0.6), (0.9, -1.4, 0.2, 0.7)
    problems = [
        (Problem((1.5, -0.2), (-2.0, 0.3), (*weights, *late)), 3.0),
        (Problem((2e-6, -1e-5), (0.8, -0.6), (*weights, *late)), 0.01),
        (Problem((-0.7, 1.1), (1.9, 0.1), (*weights, *(weight * 1e-6 for weight in late))), 0.4),
        (Problem((3e-5, 6e-6), (-1.0, 1.0), (*weights, *(weight * 1e-6 for weight in late))), -0.9),
    ]
    paths = [filled(exercise(tmp_path, *problem)) for problem in problems]
    folder = recalculate(*paths).parent
    for path, problem in zip(paths, problems, strict=True):
        assert Seen(folder / path.name).green == CELLS | SAME, problem


def test_an_exercise_that_is_filled_in_is_known(empty, tmp_path):
    assert is_filled(filled(empty, {}, AE13="=1"))
    assert is_filled(filled(empty, {}, E14="=E13"))
    assert not is_filled(empty)
    path = tmp_path / "Exercise.xlsx"
    assert not is_filled(path)
    for content in (b"", b"no workbook"):
        path.write_bytes(content)
        assert not is_filled(path)


def test_the_notes_give_the_chain_and_not_the_formula(empty):
    sheet = openpyxl.load_workbook(empty)["Exercise"]
    notes = {place.value: place.comment.text for place in sheet[FIRST - 1] if place.comment}
    assert tuple(notes) == COLUMNS
    assert notes["∂E/∂w3"] == "∂E/∂w3 = ∂E/∂a_h2 · ∂a_h2/∂h2 · ∂h2/∂w3"
    assert not any(re.search(r"[A-Z]+13", note) for note in notes.values())


def test_the_hints_give_the_numbers_of_the_first_row(empty, recalculate):
    changed = filled(empty, {}, B4=-0.2)  # i1
    for path, problem, i1 in (
        (empty, Problem(), "0.05"),
        (recalculate(changed), Problem((-0.2, 0.1)), "(−0.2)"),
    ):
        hints = openpyxl.load_workbook(path, data_only=True)["Hints"]
        for column, right in evaluate(problem.given()).items():
            assert hints[f"A{row_of(column)}"].value == column
            assert hints[f"C{row_of(column)}"].value == pytest.approx(right, rel=1e-12)
        symbols, numbers = (hints[f"B{row_of('h1') + line}"].value for line in (0, 1))
        assert (symbols, numbers) == ("= w1·i1 + w2·i2", f"= 0.15·{i1} + 0.2·0.1")
