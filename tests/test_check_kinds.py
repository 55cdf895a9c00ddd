"""`check` on the kinds of sheets that people publish: digits, names, places, rows, functions."""

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from backprop.check.headers import column_of
from backprop.check.findings import INCOMPLETE, RIGHT, WRONG
from backprop.network import COLUMNS, WEIGHTS
from tests.findings import counts, findings, is_incomplete, is_right, slips, told, wrong_columns
from tests.sheets import ALL_CELLS, COMMONEST, FORMULAS, STEPS, Manner, blank, labelled, write_table
from tests.test_check import SETTINGS, SLIPS

# --- Digits -------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [5, 6, 10, 15])
def test_formulas_saved_with_few_digits_are_right(digits, make_sheet):
    assert is_right(findings(make_sheet(labelled(0.5, digits=digits))))


@pytest.mark.parametrize("digits", [5, 10])
def test_a_slip_too_small_for_the_digits_is_found(digits, make_sheet):
    report = findings(make_sheet(labelled(0.5, texts=COMMONEST, digits=digits)))
    assert wrong_columns(report) == {"∂E/∂w3": (13, "AA5"), "∂E/∂w4": (13, "AB5")}
    assert slips(report) == [("replaced", "a_h1", "a_h2")] * 2


@pytest.mark.parametrize("decimals", [6, 9])
def test_typed_numbers_are_right_within_their_rounding(decimals, make_sheet):
    assert is_right(findings(make_sheet(labelled(0.5, decimals=decimals))))


def test_of_two_labels_the_one_that_fits_typed_weights_is_taken(make_sheet):
    def fill(sheet):
        labelled(0.5, decimals=6)(sheet)
        sheet.write_row(2, 0, ["LR of the chart", 4, "", "lr", 2.0])

    report = findings(make_sheet(fill))
    assert is_right(report)
    assert (report.tables[0].learning_rate, report.tables[0].rate_cell) == (0.5, "D1")


def test_without_a_label_typed_weights_tell_the_learning_rate(make_sheet):
    report = findings(
        make_sheet(lambda sheet: write_table(sheet, (3, 1), 0.25, Manner(decimals=8)))
    )
    assert is_right(report)
    assert (report.tables[0].learning_rate, report.tables[0].rate_cell) == (0.25, "")


@pytest.mark.parametrize(
    ("column", "cell"), [("a_h1", "K9"), ("E2", "W9"), ("∂E/∂w5", "AC9"), ("w6", "O9")]
)
def test_a_typed_number_beyond_its_rounding_is_wrong(column, cell, make_sheet):
    def fill(sheet):
        labelled(0.5, decimals=6)(sheet)
        sheet.write_number(cell, 0.123456)

    wrong = counts(findings(make_sheet(fill)))
    assert wrong[column] == (1 if column != "w6" else 2)  # the next weight follows from it


def test_typed_rows_that_repeat_the_last_are_no_steps(make_sheet):
    path = make_sheet(labelled(0.5, decimals=6))
    workbook = openpyxl.load_workbook(path)
    sheet, last = workbook.active, 5 + STEPS
    for row in (last + 1, last + 2):
        for column in range(2, 2 + len(COLUMNS)):
            sheet.cell(row, column).value = sheet.cell(last, column).value
    workbook.save(path)
    assert is_incomplete(findings(path), 2)


def test_a_stale_value_accuses_no_formula(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        sheet.write_formula("V9", "=0.5*(B9-S9)^2", None, 0.75)

    assert is_right(findings(make_sheet(fill)))


# --- Names --------------------------------------------------------------------------------

SPELLINGS = {
    "t1": ["T1", "target1", "t_1", "Target 1"],
    "i2": ["I2", "input2", "x2", "i₂"],
    "w1": ["W1", "w_1", "w₁", "weight 1"],
    "h1": ["H1", "net_h1", "h1 = w1*i1 + w2*i2", "h1 (net)"],
    "a_h1": ["out_h1", "act_h1", "a(h1)", "σ(h1)", "sigmoid(h1)", "a_h1 = σ(h1)"],
    "a_o1": ["a_O1", "out_o1", "act_o1", "a_01", "OUT O1"],
    "E1": ["e1", "Error1", "E_1", "E1 = ½ * (t1 - a_o1)²"],
    "E_total": ["E-total", "E_t", "Et", "Etotal", "E", "E = E1+E2", "Total Error", "E_TOT"],
    "∂E/∂w1": [
        "dw1", "E∂w1", "∂E∂W1", "Etotaldw1", "dE_total / dw1", "δE_tot/δw1", "ӘE/Әw1", "Edw1",
        "∂E_t/∂W1", "dE/dw_1", "𝜕E_Total/𝜕w1", "grad w1", "d(E)/d(w1)", "dL/dw1", "∇w1",
        "∂E_total/∂w1 = ((a_o1 - t1) * a_o1 * (1 - a_o1) * w5 + (a_o2 - t2) * a_o2 * (1 - a_o2) * "
        "w7) * a_h1 * (1 - a_h1) * i1, the two paths through both outputs added up",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "header"), [(name, it) for name, all_ in SPELLINGS.items() for it in all_]
)
def test_a_column_is_known_by_its_usual_names(column, header):
    assert column_of(header) == column


@pytest.mark.parametrize(
    "header", ["", "step", "Iteration", "∂E/∂a_h1", "∂E1/∂a_o1", "learning rate", "o1 + o2", "w9"]
)
def test_other_headers_name_no_column(header):
    assert column_of(header) is None


def test_columns_in_between_are_passed_over(make_sheet):
    extras = {
        "step": "ROW()-4",
        "slope": "{a_h1}*(1-{a_h1})",
        "eta": "0.5",
    }
    order = ("step", *COLUMNS[:10], "slope", *COLUMNS[10:23], "eta", *COLUMNS[23:])
    cell = "$Z5"  # of the column of its own for the learning rate, in the first row
    texts = {
        "∂E/∂w1": "(({a_o1}-{t1})*{a_o1}*(1-{a_o1})*{w5}+({a_o2}-{t2})*{a_o2}*(1-{a_o2})*{w7})"
        "*{slope}*{i1}"
    }
    manner = Manner(order=order, extras=extras, texts=texts, rate=cell)

    def fill(sheet):
        end = write_table(sheet, (3, 0), 0.5, manner)
        for line in range(4, end):
            sheet.write_formula(line, 25, "=0.5", None, 0.5)
        sheet.write_row(3, 0, ["Step"])
        sheet.write_string(3, 25, "η")

    assert is_right(findings(make_sheet(fill)))


def test_labels_beside_the_table_are_no_second_table(make_sheet):
    def fill(sheet):
        sheet.write_row(0, 2, ["Learning Rate", 0.5])
        for line, (name, value) in enumerate(Manner().problem.given().items(), start=3):
            sheet.write_row(line, 0, [name, value])
        write_table(sheet, (3, 3), 0.5)

    report = findings(make_sheet(fill))
    assert is_right(report)
    (remark,) = report.tables[0].remarks
    assert told([remark], "D", "t1")


# The changed header, and what the remark on it names.
HEADERS_IN_DOUBT = {
    "a name twice": ({"t2": "i2"}, ["C", "i2", "t2"]),
    "a name misspelt": ({"a_h2": "a_hh"}, ["M", "a_hh", "a_h2"]),
    "a weight misspelt": ({"w5": "wight"}, ["N", "wight", "w5"]),
    "a gradient named as its neighbour": ({"∂E/∂w4": "∂E/∂w3"}, ["AB", "∂E/∂w3", "∂E/∂w4"]),
    "nothing said": ({"E1": ""}, ["V", "E1"]),
}


@pytest.mark.parametrize("case", HEADERS_IN_DOUBT)
def test_a_header_in_doubt_is_settled_by_the_formulas(case, make_sheet):
    changes, facts = HEADERS_IN_DOUBT[case]
    headers = tuple(changes.get(name, name) for name in COLUMNS)
    report = findings(make_sheet(labelled(0.5, headers=headers, digits=10)))
    assert is_right(report)
    assert told(report.tables[0].remarks, *facts)


def test_a_doubtful_header_over_a_wrong_formula_is_settled_by_its_place(make_sheet):
    headers = tuple({"∂E/∂w3": "slope 3"}.get(name, name) for name in COLUMNS)
    report = findings(make_sheet(labelled(0.5, headers=headers, texts=COMMONEST)))
    assert told(report.tables[0].remarks, "AA", "slope 3", "∂E/∂w3")
    assert counts(report) == {"∂E/∂w3": 13, "∂E/∂w4": 13}


def test_a_name_again_to_the_right_is_no_second_table(make_sheet):
    def fill(sheet):
        labelled(0.5, texts={"E_total": "1*{E1}"})(sheet)
        sheet.write_row(3, 34, ["E_total (LR 0.1)", "E_total (LR 0.5)"])
        for line in range(4, 5 + STEPS):
            sheet.write_row(line, 34, [0.1, 0.2])

    report = findings(make_sheet(fill))
    assert wrong_columns(report) == {"E_total": (13, "X5")}
    assert slips(report) == [("missing term", "", "E2")]


LEFT_OUT = ("h1", "h2", "o1", "o2", "E1", "E2")
SHORTER = {
    "a_h1": "1/(1+EXP(-({w1}*{i1}+{w2}*{i2})))",
    "a_h2": "1/(1+EXP(-({w3}*{i1}+{w4}*{i2})))",
    "a_o1": "1/(1+EXP(-({w5}*{a_h1}+{w6}*{a_h2})))",
    "a_o2": "1/(1+EXP(-({w7}*{a_h1}+{w8}*{a_h2})))",
    "E_total": "0.5*({t1}-{a_o1})^2+0.5*({t2}-{a_o2})^2",
}


def without(names):
    """Give the order of the columns with gaps in place of some."""
    return tuple("" if name in names else name for name in COLUMNS)


@pytest.mark.parametrize(
    "texts",
    [{}, COMMONEST, {"a_h1": "1/(1+EXP(-{w1}*{i1}))", "E_total": "({t1}-{a_o1})^2"}],
    ids=["right", "slips in gradients", "slips in longer formulas"],
)
def test_columns_that_are_left_out_are_not_missed(texts, make_sheet):
    fill = labelled(0.5, order=without(LEFT_OUT), texts=SHORTER | texts)
    report = findings(make_sheet(fill))
    assert report.verdict == (WRONG if texts else RIGHT)
    assert counts(report) == dict.fromkeys(texts, 13)


def test_typed_tables_may_leave_columns_out(make_sheet):
    def fill(sheet):
        texts = {"E_total": SHORTER["E_total"]}
        labelled(0.5, order=without(("E1", "E2")), texts=texts, decimals=9)(sheet)
        sheet.write_number("AC9", 0.5)

    assert counts(findings(make_sheet(fill))) == {"∂E/∂w5": 1, "w5": 1}


def test_exchanged_formulas_are_no_exchanged_headers(make_sheet):
    texts = {"E1": FORMULAS["E2"], "E2": FORMULAS["E1"]}
    assert counts(findings(make_sheet(labelled(0.5, texts=texts)))) == {"E1": 13, "E2": 13}


# --- Rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [False, True])
def test_a_last_row_of_weights_only_is_judged(wrong, make_sheet):
    def fill(sheet):
        labelled(0.5, steps=0)(sheet)
        sheet.write_row(5, 1, [0.5, 0.5, 0.05, 0.1])
        gradients = ["Y"] * 8 if wrong else ["Y", "Z", "AA", "AB", "AC", "AD", "AE", "AF"]
        for weight, gradient in zip("FGHINOPQ", gradients, strict=True):
            sheet.write_formula(f"{weight}6", f"={weight}5-$D$1*{gradient}5", None, 0.3)

    report = findings(make_sheet(fill))
    (table,) = report.tables
    assert (table.first_row, table.rows, table.judged) == (5, 1, 27)
    assert (table.learning_rate, table.rate_cell) == (0.5, "D1")
    others = [("replaced", "∂E/∂w1[-1]", f"∂E/∂{weight}[-1]") for weight in WEIGHTS[1:]]
    assert slips(report) == (others if wrong else [])
    assert report.verdict == (WRONG if wrong else RIGHT)


def test_a_table_without_computed_cells_is_not_judged(make_sheet, check):
    def fill(sheet):
        sheet.write_row(3, 0, COLUMNS)
        for name, value in Manner().problem.given().items():
            sheet.write_number(4, COLUMNS.index(name), value)

    code, report, error = check(make_sheet(fill))
    assert (code, report) == (2, "")
    assert told([error], "Mine", 4)


# --- Formulas -----------------------------------------------------------------------------

WAYS = {
    "POWER": {"E1": "0.5*POWER({t1}-{a_o1},2)"},
    "POW of Google Sheets": {"E1": "(1/2)*POW(({t1}-{a_o1}),2)"},
    "lower case": {"a_h1": "1/(1+exp(-{h1}))"},
    "SUM": {"E_total": "SUM({E1}:{E2})", "h1": "SUM({w1}*{i1},{w2}*{i2})"},
    "PRODUCT": {"∂E/∂w5": "PRODUCT({a_o1}-{t1},{a_o1},1-{a_o1},{a_h1})"},
    "SQRT": {"E2": "SQRT(({t2}-{a_o2})^4)/2"},
    "ROUND": {"a_h1": "ROUND(1/(1+EXP(-{h1})),6)"},
    "e by hand": {"a_o1": "1/(1+2.71828^-{o1})"},
    "the net input again": {"∂E/∂w5": "(1/(1+EXP(-{o1}))-{t1})*{a_o1}*(1-{a_o1})*{a_h1}"},
    "a minus in front": {"∂E/∂w7": "-1*({t2}-{a_o2})*{a_o2}*(1-{a_o2})*{a_h1}"},
    "a minus twice": {"E1": "-(-0.5*({a_o1}-{t1})^2)"},
    "through a neighbour": {"∂E/∂w2": "{dw1}/{i1}*{i2}"},
    "another sheet": {"h1": "{w1}*Other!$A$1+{w2}*'Other'!B1"},
    "a defined name": {"h2": "{w3}*first_input+{w4}*{i2}"},
    "numbers for inputs": {"h1": "{w1}*0.05+{w2}*0.1"},
    "numbers for inputs, computed": {"h1": "{w1}*5%+{w2}*(1/10)"},
    "what Google writes for its own": {
        "E1": 'IFERROR(__xludf.DUMMYFUNCTION("0.5*POW({t1}-{a_o1},2)"),0.1)'
    },
    "SUMPRODUCT": {"E_total": "SUMPRODUCT({E1}:{E2},{E1}:{E2}/{E1}:{E2})"},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_formula_may_be_written_in_many_ways(way, tmp_path):
    path = tmp_path / "sheet.xlsx"
    with xlsxwriter.Workbook(str(path)) as workbook:
        labelled(0.5, texts=WAYS[way], digits=10)(workbook.add_worksheet("Mine"))
        workbook.add_worksheet("Other").write_row(0, 0, [0.05, 0.1])
        workbook.define_name("first_input", "=Other!$A$1")
    report = findings(path)
    assert is_right(report)
    assert report.tables[0].remarks == ()


def test_a_target_in_place_of_the_other_is_found_though_they_are_equal(make_sheet):
    texts = {"∂E/∂w7": "({a_o2}-{t1})*{a_o2}*(1-{a_o2})*{a_h1}"}
    report = findings(make_sheet(labelled(0.5, texts=texts)))
    assert slips(report) == [("replaced", "t1", "t2")]


def test_a_cell_of_another_row_is_named(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for line in range(4, 5 + STEPS):
            sheet.write_formula(line, 10, f"=1/(1+EXP(-J{line + 4}))", None, 0.507)

    report = findings(make_sheet(fill))
    assert ("replaced", "h1[3]", "h1") in slips(report)
    assert told([report.tables[0].wrong[0].likely], "J8", "J5")


def test_a_reference_that_slid_off_the_rate_is_named(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        for line in range(7, 5 + STEPS):
            sheet.write_formula(line, 7, f"=H{line}-$H{line - 2}*AA{line}", None, 0.2)

    report = findings(make_sheet(fill))
    assert wrong_columns(report) == {"w3": (10, "H8")}
    assert slips(report)[0] == ("replaced", "w3[-3]", "η")
    assert told([report.tables[0].wrong[0].likely], "H5", "D1")


def test_the_rate_of_another_table_is_named(make_sheet):
    def fill(sheet):
        for top, eta in ((0, 0.2), (30, 0.8)):
            sheet.write_row(top, 0, ["η", eta])
            write_table(sheet, (top + 1, 0), 0.2, Manner(rate="$B$1"))

    report = findings(make_sheet(fill))
    first, second = report.tables
    assert (first.first_row, first.rows, first.rate_cell) == (3, 13, "B1")
    assert (first.learning_rate, first.verdict, first.judged) == (0.2, RIGHT, ALL_CELLS)
    assert (second.first_row, second.rows, second.rate_cell) == (33, 13, "B31")
    assert second.learning_rate == 0.8
    assert slips(report) == [("other rate", "0.2", "η")] * len(WEIGHTS)
    assert all(told([wrong.likely], "B31") for wrong in second.wrong)


def test_an_input_that_was_not_copied_down_is_named(make_sheet):
    def fill(sheet):
        labelled(0.5)(sheet)
        blank(sheet, 8, ["i1"])

    report = findings(make_sheet(fill))
    assert counts(report) == dict.fromkeys(("h1", "h2", "∂E/∂w1", "∂E/∂w3"), 1)
    assert slips(report) == [("blank", "", "i1")] * 4
    assert all(told([wrong.likely], "D9") for wrong in report.tables[0].wrong)


@pytest.mark.parametrize("formula", ["{h1}", "LN({a_h1}/(1-{a_h1}))"])
def test_a_formula_that_leads_back_to_itself_is_wrong(formula, make_sheet):
    report = findings(make_sheet(labelled(0.5, texts={"h1": formula})))
    assert counts(report) == {"h1": 13}
    assert slips(report) == [("circular", "", "")]


@pytest.mark.parametrize(("digits", "verdict"), [(6, RIGHT), (2, INCOMPLETE)])
def test_rounding_is_right_where_it_only_shortens(digits, verdict, make_sheet):
    texts = {"a_h1": f"ROUND(1/(1+EXP(-{{h1}})),{digits})"}
    assert findings(make_sheet(labelled(0.5, texts=texts))).verdict == verdict


def test_an_unknown_function_is_judged_by_its_value(make_sheet):
    report = findings(make_sheet(labelled(0.5, texts={"E_total": "SERIESSUM({E1},{E2},1,1)"})))
    assert is_right(report)
    assert told(report.tables[0].remarks, "E_total", "SERIESSUM")


HARD = {
    "leads back to itself": {"h1": "{h1}+{w1}"},
    "through cells that lead back": {"h1": "$ZZ$1"},
    "a thousand brackets": {"h1": "(" * 1000 + "{w1}*{i1}+{w2}*{i2}" + ")" * 1000},
    "a thousand functions": {"h1": "EXP(" * 1000 + "{w1}" + ")" * 1000},
    "a megabyte": {"h1": "{w1}*{i1}+{w2}*{i2}" + "+0" * 500_000},
    "a tower of powers": {"h1": "9^9^9^9^9^9^9^9*{w1}"},
    "every cell of a sheet": {"h1": "SUM(A1:XFD1048576)"},
    "a web service": {"h1": 'WEBSERVICE("http://127.0.0.1")*{w1}'},
    "another workbook": {"h1": "[1]Sheet1!$A$1*{w1}"},
    "a sheet that is not there": {"h1": "Nowhere!A1*{w1}"},
    "nonsense": {"h1": "{w1}*)(("},
}


@pytest.mark.parametrize("formula", HARD)
def test_a_hard_formula_ends_in_a_verdict(formula, make_sheet):
    def fill(sheet):
        labelled(0.5, texts=HARD[formula], steps=1)(sheet)
        for line in (1, 2):
            sheet.write_formula(f"ZZ{line}", f"=$ZZ${3 - line}", None, 1)

    report = findings(make_sheet(fill))
    # Its own cell among its sources is wrong; of the others the saved values are right.
    assert report.verdict == (WRONG if formula == "leads back to itself" else RIGHT)
    assert told(report.tables[0].remarks, "h1") is (report.verdict == RIGHT)


# --- All together -------------------------------------------------------------------------

manners = st.fixed_dictionaries(
    {
        "digits": st.sampled_from([None, 6, 10]),
        "gap": st.integers(0, 3),
        "order": st.sampled_from([COLUMNS, COLUMNS[::-1], COLUMNS[9:] + COLUMNS[:9]]),
        "headers": st.tuples(
            *[st.sampled_from([name, *SPELLINGS.get(name, [name.upper()])]) for name in COLUMNS]
        ),
    }
)


@given(manners, st.sampled_from([0.1, 0.5, 2.0]))
@SETTINGS
def test_no_false_alarm_in_a_right_sheet(make_sheet, manner, eta):
    assert is_right(findings(make_sheet(labelled(eta, **manner))))


@given(manners, st.sampled_from(list(SLIPS)))
@SETTINGS
def test_every_slip_is_found_and_named(make_sheet, manner, slip):
    column, text = SLIPS[slip]
    report = findings(make_sheet(labelled(0.5, texts={column: text}, **manner)))
    assert list(wrong_columns(report)) == [column]
    assert slips(report) == [slip]
