"""What `check` may call right, and what not: incomplete sheets, weights that climb, odd tables."""

import csv
import itertools

import numpy as np
import openpyxl
import pytest

from backprop.check.findings import INCOMPLETE, RIGHT, WRONG
from backprop.check.report import rows_of
from backprop.network import COLUMNS, GRADIENTS, WEIGHTS, Problem
from tests.findings import counts, findings, gaps, is_incomplete, is_right, slips, told
from tests.sheets import COMMONEST, FORMULAS, PLACES, STEPS, Manner, blank, labelled, write_table

# --- Said to be right ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "kind"),
    [("{%s}+0.5*{d%s}", "climbs"), ("{%s}+0*{d%s}", "still"), ("{%s}", "still")],
)
def test_weights_that_climb_or_do_not_move_are_wrong(update, kind, make_sheet):
    texts = {weight: update.replace("%s", weight) for weight in WEIGHTS}

    def fill(sheet):  # nothing names the learning rate
        write_table(sheet, (3, 1), 0.5, Manner(texts=texts))

    report = findings(make_sheet(fill))
    assert counts(report) == dict.fromkeys(WEIGHTS, STEPS)
    assert slips(report) == [(kind, "", "")] * len(WEIGHTS)


def test_weights_that_move_at_different_rates_do_not_all_agree(make_sheet):
    rates = dict(zip(WEIGHTS, (0.5, 0.1) * 4, strict=True))
    texts = {weight: f"{{{weight}}}-{rate}*{{d{weight}}}" for weight, rate in rates.items()}
    report = findings(
        make_sheet(lambda sheet: write_table(sheet, (3, 1), 0.5, Manner(texts=texts)))
    )
    assert len(counts(report)) == 4


def test_typed_inputs_that_change_from_row_to_row_are_wrong(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for line in range(5, 5 + STEPS):  # as a spreadsheet fills in a dragged series
            sheet.write_number(line, 3, line - 4 + 0.05)

    report = findings(make_sheet(fill))
    assert counts(report) == {"i1": STEPS}
    assert slips(report) == [("changed", "", "")]


def test_inputs_that_a_formula_changes_are_told(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        sheet.write_formula(8, 3, "=D8+1", None, 1.05)

    assert told(findings(make_sheet(fill)).tables[0].remarks, "i1", "D9")


@pytest.mark.parametrize(
    ("name", "content", "slip"),
    [
        ("t1", "0,01", ("no number", "'0,01'", "")),
        ("i2", "#DIV/0!", ("no number", "'#DIV/0!'", "")),
        ("w1", None, ("empty", "", "")),
    ],
)
def test_what_is_given_must_be_numbers(name, content, slip, make_sheet):
    def fill(sheet):
        labelled(0.5, steps=0)(sheet)
        blank(sheet, 4, [name])
        if content == "#DIV/0!":
            sheet.write_formula(4, PLACES[name], "=1/0", None, content)
        elif content is not None:
            sheet.write_string(4, PLACES[name], content)

    report = findings(make_sheet(fill))
    assert name in counts(report)
    assert slip in slips(report)


def test_a_sheet_full_of_errors_was_calculated(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for line in range(4, 5 + STEPS):
            sheet.write_string(line, 1, "0,5")
            for column in range(9, 32):
                sheet.write_formula(line, column, "=1/0", None, "#DIV/0!")

    assert ("no number", "'0,5'", "") in slips(findings(make_sheet(fill)))


@pytest.mark.parametrize("column", ["w1", "E2", "h1"])
def test_short_typed_numbers_among_formulas_are_not_judged(column, make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        typed = {"w1": 0.15, "E2": 0.01, "h1": 0.03}[column]
        for line in range(7, 5 + STEPS):
            sheet.write_number(line, PLACES[column], typed)

    assert is_incomplete(findings(make_sheet(fill)), column)


@pytest.mark.parametrize("inputs", [(0.0, 1.0), (50.0, 100.0)])
def test_inputs_may_be_0_or_large(inputs, make_sheet):
    manner = Manner(Problem(inputs=inputs, weights=(0.01,) * 4 + (0.4,) * 4))
    assert is_right(findings(make_sheet(labelled(0.5, manner))))


def test_a_typed_input_of_0_is_judged(make_sheet):
    manner = Manner(Problem(inputs=(0.0, 1.0)), decimals=12)
    assert is_right(findings(make_sheet(labelled(0.5, manner))))


@pytest.mark.parametrize(
    ("missing", "steps"),
    [(["w3"], STEPS), (WEIGHTS, STEPS), (["∂E/∂w3"], STEPS), (GRADIENTS, STEPS), (GRADIENTS, 0)],
)
def test_a_last_row_that_lacks_cells_is_incomplete(missing, steps, make_sheet):
    def fill(sheet):
        labelled(0.5, steps=steps)(sheet)
        blank(sheet, 4 + steps, missing)

    assert is_incomplete(findings(make_sheet(fill)), *missing)


def test_a_row_of_weights_alone_is_not_passed_over(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for name in WEIGHTS[:5]:
            sheet.write_number(5 + STEPS, PLACES[name], 99)

    report = findings(make_sheet(fill))
    assert report.verdict == INCOMPLETE
    assert gaps(report) == [("Mine", 6 + STEPS, 6 + STEPS)]


@pytest.mark.parametrize("last", ["a_h2", "o2", "E_total"])
def test_a_sheet_that_ends_early_is_incomplete(last, make_sheet):
    order = COLUMNS[: COLUMNS.index(last) + 1]
    assert is_incomplete(findings(make_sheet(labelled(0.5, order=order, steps=0))), *GRADIENTS)


def test_a_single_column_that_can_be_judged_is_not_all(make_sheet):
    order = ("t1", "t2", "i1", "i2", *WEIGHTS, "E1", "step")
    hidden = [f"1/(1+EXP(-({{w{k}}}*{{i1}}+{{w{k + 1}}}*{{i2}})))" for k in (1, 3)]
    texts = {"E1": f"0.5*({{t1}}-1/(1+EXP(-({{w5}}*{hidden[0]}+{{w6}}*{hidden[1]}))))^2"}

    def fill(sheet):
        manner = Manner(order=order, texts=texts, extras={"step": "1"}, steps=0)
        write_table(sheet, (0, 0), 0.5, manner)
        sheet.write_string(0, len(order) - 1, "Step")

    report = findings(make_sheet(fill))
    assert is_incomplete(report, "E_total", *GRADIENTS)
    assert report.tables[0].remarks == ()


@pytest.mark.parametrize("top", [8, 19])
def test_rows_below_empty_rows_are_not_passed_over(top, make_sheet):
    def fill(sheet):
        labelled(0.5, steps=3)(sheet)
        write_table(sheet, (top, 1), 0.5, Manner(headers=[""] * 31))

    report = findings(make_sheet(fill))
    assert report.verdict == INCOMPLETE
    assert gaps(report) == [("Mine", top + 2, top + 2 + STEPS)]
    *_, row = rows_of(report)
    assert (row["sheet"], row["first_row"], row["verdict"]) == ("Mine", top + 2, INCOMPLETE)
    assert told([row["not_judged"]], "Mine", top + 2, top + 2 + STEPS)


@pytest.mark.parametrize("place", [(3, 40), (40, 33)])
def test_formulas_under_unknown_headers_are_not_passed_over(place, make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        names = [f"column {index}" if place[0] > 3 else "" for index in range(31)]
        write_table(sheet, place, 0.5, Manner(headers=names))

    report = findings(make_sheet(fill))
    assert report.verdict == INCOMPLETE
    assert gaps(report) == [("Mine", place[0] + 2, place[0] + 2 + STEPS)]


def test_a_rounding_that_leaves_few_digits_is_not_right(make_sheet):
    texts = {"∂E/∂w1": f"ROUND({FORMULAS['∂E/∂w1']},4)"}
    report = findings(make_sheet(labelled(0.5, texts=texts)))
    assert is_incomplete(report, "∂E/∂w1")
    assert told(report.tables[0].remarks, "∂E/∂w1")


# --- Accused though they were right -------------------------------------------------------


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_numbers_with_few_decimals_are_accused_of_nothing(decimals, make_sheet):
    report = findings(make_sheet(labelled(0.5, decimals=decimals)))
    assert is_incomplete(report, "∂E/∂w1")
    assert len(report.tables[0].remarks) == 1


def test_a_comparison_above_does_not_tell_the_learning_rate(make_sheet):
    def fill(sheet):
        sheet.write_row(0, 1, ["Learning rate", "E after 10 steps"])
        sheet.write_row(1, 1, [0.1, 0.0134])
        write_table(sheet, (4, 1), 0.5, Manner(rate="0.5"))

    assert is_right(findings(make_sheet(fill)))


def test_a_table_on_another_sheet_hides_no_label(make_book):
    def second(sheet):
        sheet.write_row(1, 0, ["η", 0.5])
        write_table(sheet, (20, 0), 0.5, Manner(decimals=9))

    first = labelled(0.1, rate="0.1", steps=3)
    report = findings(make_book({"First": first, "Second": second}))
    assert report.verdict == RIGHT
    assert (report.tables[1].learning_rate, report.tables[1].rate_cell) == (0.5, "B2")


def test_a_comparison_between_two_tables_does_not_tell_the_learning_rate(make_sheet):
    def fill(sheet):
        sheet.write_row(0, 0, ["η", 0.5])
        end = write_table(sheet, (1, 0), 0.5, Manner(rate="$B$1"))
        sheet.write_row(end + 2, 0, ["Learning rate", "E after 10 steps"])
        sheet.write_row(end + 3, 0, [0.1, 0.0134])
        write_table(sheet, (end + 6, 0), 0.5, Manner(rate="$B$1"))

    assert is_right(findings(make_sheet(fill)), tables=2)


def test_changes_of_weights_are_no_gradients(make_sheet):
    extras = {f"change_{weight}": f"-$D$1*{{d{weight}}}" for weight in WEIGHTS}

    def fill(sheet):
        labelled(0.5, order=(*COLUMNS, *extras), extras=extras)(sheet)
        sheet.write_row(3, 32, [f"Δ{weight}" for weight in WEIGHTS])

    assert is_right(findings(make_sheet(fill)))


def test_numbers_in_single_precision_are_right(make_sheet):
    path = make_sheet(labelled(0.5, decimals=17))
    workbook = openpyxl.load_workbook(path)
    for row in workbook.active.iter_rows(min_row=5, min_col=6, max_col=32):
        for cell in row:
            cell.value = float(np.float32(cell.value))
    workbook.save(path)
    assert is_right(findings(path, given=tuple(zip(WEIGHTS, Problem().weights, strict=True))))


def test_a_column_beside_a_misspelt_one_accuses_nothing(make_sheet):
    order = (*COLUMNS[:12], "twice", *COLUMNS[12:])
    texts = {"∂E/∂w1": FORMULAS["∂E/∂w1"].replace("{w5}", "{twice}/2")}
    headers = [name if name != "w5" else "wight" for name in COLUMNS]
    manner = Manner(order=order, extras={"twice": "{w5}*2"}, texts=texts, headers=headers)
    report = findings(make_sheet(labelled(0.5, manner)))
    assert report.verdict in (RIGHT, INCOMPLETE)


def test_errors_of_several_rates_are_no_gradients(make_sheet):
    errors = [f"E_TOT_{rate}" for rate in (0.1, 0.2, 0.5)]
    names = (*COLUMNS[:-1], *errors)
    texts = {"w8": f"{{w8}}-{{eta}}*{FORMULAS['∂E/∂w8']}"}

    def fill(sheet):
        labelled(0.5, order=names, extras=dict.fromkeys(errors, "0.2"), texts=texts)(sheet)
        sheet.write_row(3, len(names) - 2, errors)

    assert is_incomplete(findings(make_sheet(fill)), "∂E/∂w8")


# --- Not judged though they could be ------------------------------------------------------


def test_inputs_that_stand_once_above_the_table_are_found(make_sheet):
    once = {"t1": "$K$3", "t2": "$L$3", "i1": "$N$3", "i2": "$O$3"}

    def fill(sheet, texts=None):
        for name, place in zip(once, (10, 11, 13, 14), strict=True):
            sheet.write_string(1, place, name)
            sheet.write_number(2, place, Problem().given()[name])
        sheet.write_row(1, 16, ["LR", 0.5])
        order = tuple(name for name in COLUMNS if name not in once)
        manner = Manner(once=once, order=order, rate="$R$2", texts=texts or {})
        write_table(sheet, (16, 3), 0.5, manner)

    assert is_right(findings(make_sheet(fill)))
    texts = {"h1": "{w1}*{i2}+{w2}*{i2}"}
    report = findings(make_sheet(lambda sheet: fill(sheet, texts), "wrong.xlsx"))
    assert slips(report) == [("replaced", "i2", "i1")]
    assert told([report.tables[0].wrong[0].likely], "O3", "N3")


def test_inputs_labelled_on_another_sheet_are_found(make_book):
    once = {name: f"In!$B${row}" for row, name in enumerate(("t1", "t2", "i1", "i2"), start=1)}

    def inputs(sheet):
        for row, name in enumerate(once):
            sheet.write_row(row, 0, [name, Problem().given()[name]])

    table = labelled(0.5, once=once, order=tuple(name for name in COLUMNS if name not in once))
    book = make_book({"Mine": table, "In": inputs})
    assert is_right(findings(book))


def test_inputs_once_in_the_first_row_hold_for_all_below(make_sheet):
    fixed = {"{t1}": "$B$5", "{t2}": "$C$5", "{i1}": "$D$5", "{i2}": "$E$5"}
    texts = dict(FORMULAS)
    for name, cell in itertools.product(FORMULAS, fixed):
        texts[name] = texts[name].replace(cell, fixed[cell])

    def fill(sheet):
        labelled(0.5, texts=texts, steps=1500)(sheet)
        for line in range(5, 5 + 1500):
            blank(sheet, line, ("t1", "t2", "i1", "i2"))

    assert findings(make_sheet(fill)).verdict == RIGHT


@pytest.mark.parametrize("wrong", [False, True])
def test_structured_references_are_followed(wrong, make_sheet):
    def named(text):
        for name in COLUMNS:
            text = text.replace("{" + name + "}", f"Table1[[#This Row],[{name}]]")
        return text

    texts = {name: named(text) for name, text in FORMULAS.items()}
    if wrong:
        texts["E2"] = named("0.5*({t1}-{a_o2})^2")

    def fill(sheet):
        labelled(0.5, texts=texts)(sheet)
        columns = [{"header": name} for name in COLUMNS]
        sheet.add_table(3, 1, 4 + STEPS, 31, {"name": "Table1", "columns": columns})

    report = findings(make_sheet(fill))
    assert report.verdict == (WRONG if wrong else RIGHT)
    assert report.tables[0].remarks == ()
    assert slips(report) == ([("replaced", "t1", "t2")] if wrong else [])


@pytest.mark.parametrize("wrong", [False, True])
def test_an_array_formula_that_spills_is_followed(wrong, make_sheet):
    def fill(sheet):
        labelled(0.5, steps=5)(sheet)
        sheet.write_dynamic_array_formula(
            "K5:K10", f"=1/(1+EXP({'' if wrong else '-'}J5:J10))", None, 0.5068745667645342
        )
        for line in range(5, 10):
            sheet.write_number(line, 10, 0.5)

    report = findings(make_sheet(fill))
    assert report.verdict == (WRONG if wrong else RIGHT)
    assert report.tables[0].remarks == ()
    assert counts(report) == ({"a_h1": 6} if wrong else {})


# --- Told by halves -----------------------------------------------------------------------


def test_two_mistakes_of_one_column_are_both_told(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for line in (7, 8):
            sheet.write_formula(line, 21, f"=0.5*(C{line + 1}-S{line + 1})^2", None, 0.1)
        for line in (10, 11, 12):
            sheet.write_formula(line, 21, f"=(B{line + 1}-S{line + 1})^2", None, 0.1)

    report = findings(make_sheet(fill))
    first, second = report.tables[0].wrong
    assert (first.column, first.cells) == ("E1", ("V8", "V9"))
    assert (second.column, second.cells) == ("E1", ("V11", "V12", "V13"))
    assert slips(report) == [("replaced", "t2", "t1"), ("missing factor", "", "0.5")]
    assert told([first.likely], "C8", "B8")


def test_different_mistakes_of_two_sheets_are_not_the_same(make_book):
    same, others = "0.5*({t2}-{a_o1})^2", ("({t1}-{a_o1})^2*{t1}^3*7", "({t1}-{a_o1})^2*9")
    fills = [labelled(0.5, texts={"E1": text}) for text in (same, same, *others)]
    report = findings(make_book(dict(zip("abcd", fills, strict=True))))
    first, second, *rest = (table.wrong[0].alike for table in report.tables)
    assert first == second
    assert len({first, *rest}) == 3


def test_rows_apart_are_not_passed_over_where_something_is_wrong(make_sheet):
    def fill(sheet):
        labelled(0.5, texts=COMMONEST, steps=3)(sheet)
        write_table(sheet, (19, 1), 0.5, Manner(headers=[""] * 31))

    report = findings(make_sheet(fill))
    assert report.verdict == WRONG
    assert gaps(report) == [("Mine", 21, 33)]


def test_a_slip_in_a_table_of_nothing_but_gradients_is_told(make_sheet):
    texts = dict(FORMULAS)
    for name, other in itertools.product(FORMULAS, list(FORMULAS)[:11]):
        texts[name] = texts[name].replace(f"{{{other}}}", f"({texts[other]})")
    texts["∂E/∂w1"] += "*2"
    order = tuple(name for name in COLUMNS if name not in list(FORMULAS)[:10])
    report = findings(make_sheet(labelled(0.5, order=order, texts=texts, steps=2)))
    assert counts(report) == {"∂E/∂w1": 3}
    assert slips(report)


def test_of_two_labelled_inputs_the_one_that_formulas_name_is_taken(make_sheet):
    once = {"t1": "$K$2", "t2": "$L$2", "i1": "$N$2", "i2": "$O$2"}

    def fill(sheet):
        for name, place in zip(once, (10, 11, 13, 14), strict=True):
            sheet.write_string(0, place, name)
            sheet.write_number(1, place, Problem().given()[name])
            sheet.write_number(2, place, 7)  # of another run, nearer to the table
        order = tuple(name for name in COLUMNS if name not in once)
        write_table(sheet, (16, 3), 0.5, Manner(once=once, order=order, rate="0.5"))

    assert is_right(findings(make_sheet(fill)))


@pytest.mark.parametrize(
    ("line", "names"),
    [(5, ("w1", "w2")), (5, ("E1", "E_total")), (7, ("h1", "h2", "o1", "o2", "E1"))],
)
def test_rows_below_with_a_few_cells_are_not_passed_over(line, names, make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for name in names:
            sheet.write_formula(line + STEPS, PLACES[name], "=90+9", None, 99)

    report = findings(make_sheet(fill))
    assert report.verdict == INCOMPLETE
    row = line + STEPS + 1
    assert gaps(report) == [("Mine", row, row)]


def test_a_label_that_the_formulas_do_not_use_is_told(make_sheet):
    def fill(sheet):
        sheet.write_row(0, 0, ["η", 0.1])
        sheet.write_number(1, 5, 0.5)
        write_table(sheet, (3, 1), 0.5, Manner(rate="$F$2"))

    report = findings(make_sheet(fill))
    (row,) = rows_of(report)
    assert told(report.tables[0].remarks, 0.5, 0.1, "B1")
    assert told([row["remarks"]], 0.5, 0.1, "B1")


# --- What a teacher asks for --------------------------------------------------------------


def test_a_sheet_that_starts_elsewhere_is_wrong(make_sheet, check, tmp_path):
    path, table = make_sheet(labelled(0.5)), tmp_path / "findings.csv"
    assert check(path, "--inputs", 0.05, 0.1, "--targets", 0.5, 0.5, "--steps", STEPS)[0] == 0
    for option, facts in (
        (("--targets", 0.01, 0.99), ("t1", "B5", 0.5, 0.01, "t2", "C5", 0.99)),
        (("--weights", *Problem().weights[:7], "-1e-3"), ("w8", "Q5", 0.55, "-0.001")),
    ):
        assert check(path, *option, "--csv", table)[0] == 1
        (row,) = csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines())
        assert row["verdict"] == WRONG
        assert told([row["likely"]], *facts)


@pytest.mark.parametrize("asked", [STEPS + 1, 60])
def test_a_sheet_that_stops_early_is_incomplete(asked, make_sheet, check):
    path = make_sheet(labelled(0.5))
    assert is_incomplete(findings(path, steps=asked), STEPS, asked)
    assert check(path, "--steps", asked)[0] == 2


# --- In daily use -------------------------------------------------------------------------


def test_a_number_stored_as_text_is_a_number(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for line in range(4, 5 + STEPS):
            sheet.write_string(line, 4, "0.1")

    report = findings(make_sheet(fill))
    assert is_right(report)
    (remark,) = report.tables[0].remarks
    assert told([remark], "i2", "E5")


def test_a_cell_of_a_sheet_with_an_apostrophe_is_named_as_excel_does(make_book):
    mine = labelled(0.5, texts={"w1": "{w1}-{eta}*{dw2}"}, rate="'Ann''s'!$B$1")
    other = {"Ann's": lambda sheet: sheet.write_row(0, 0, ["η", 0.5])}
    (table,) = findings(make_book({"Mine": mine} | other)).tables
    assert table.wrong[0].right_formula == "=F5-'Ann''s'!$B$1*Y5"


def test_a_learning_rate_keeps_its_digits(make_sheet):
    manner = Manner(rate="0.1234567", texts={"w1": "{w1}-{eta}*{dw2}"})
    report = findings(make_sheet(lambda sheet: write_table(sheet, (3, 1), 0.1234567, manner)))
    (wrong,) = report.tables[0].wrong
    assert wrong.right_formula == "=F5-0.1234567*Y5"


def test_formulas_never_calculated_beside_a_table_that_was(make_book):
    def fresh(sheet):
        sheet.write_row(3, 0, COLUMNS)
        for line in (5, 6):
            for column in range(31):
                sheet.write_formula(line, column, "=1+1", None, "")

    report = findings(make_book({"Mine": labelled(0.5), "Fresh": fresh}))
    assert report.verdict == INCOMPLETE
    assert gaps(report) == [("Fresh", 6, 7)]


@pytest.mark.parametrize("wrong", [False, True])
def test_a_sheet_saved_by_libreoffice(wrong, make_sheet, recalculate):
    path = recalculate(make_sheet(labelled(0.5, texts=COMMONEST if wrong else {}, steps=3)))
    report = findings(path)
    assert report.verdict == (WRONG if wrong else RIGHT)
    assert slips(report) == [("replaced", "a_h1", "a_h2")] * 2 * wrong


def test_all_gradients_without_names_are_missing(make_sheet):
    headers = tuple(f"G{name[-1]}" if name in GRADIENTS else name for name in COLUMNS)
    report = findings(make_sheet(labelled(0.5, headers=headers)))
    assert is_incomplete(report, *GRADIENTS)
