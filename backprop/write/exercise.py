"""The exercise to fill in: an empty table that marks each cell as soon as it is filled."""

from pathlib import Path

import openpyxl
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from backprop.derivation import chain
from backprop.network import CHAINS, COLUMNS, WEIGHTS, Problem
from backprop.write.hints import in_symbols, write_hints
from backprop.write.marks import (
    CELLS,
    COMPUTED,
    DONE,
    FIRST_MARK,
    GIVEN_CELLS,
    RATE_CELL,
    RIGHT,
    RIGHTS,
    STEPS,
    TYPED,
    TYPEDS,
    WRONG,
    WRONGS,
    beside,
    mark,
    mark_formula,
    summaries,
)
from backprop.write.sheet import (
    FIRST_ROW,
    HEADER_ROW,
    Formats,
    cell,
    error_chart,
    fit_to_page,
    insert_network,
    is_small,
    new_workbook,
    write_header,
)

COLOURS = {RIGHT: "#c6efce", WRONG: "#ffb3ab", TYPED: "#ffeb9c"}
SCORE = f"{{}} of {len(COMPUTED)} columns, {{}} of {CELLS} cells"
NOTE = {"author": "", "x_scale": 2.5, "font_size": 10}
COUNT = FIRST_MARK + len(COLUMNS)  # hidden column with the number of each step
ADVICE = (
    "Begin with h1 in row 13. From row 14 on, update the weights (η is $B$6) and keep t and i; "
    "then copy row 14 down. Green is right, red is wrong, yellow is right but typed, white is not "
    "judged yet. The notes in the header and the sheet Hints help."
)


def write_exercise(path: str | Path, problem: Problem, eta: float, diagram: bytes) -> None:
    """Write the workbook with the empty table and the hints.

    The same arguments give the same bytes.

    Args:
        eta: the learning rate.
        diagram: the picture of the network, as PNG.
    """
    with new_workbook(path, use_future_functions=True) as (workbook, formats):
        sheet = workbook.add_worksheet("Exercise")
        write_header(sheet, formats)
        _write_top(sheet, formats, problem, eta)
        _write_table(workbook, sheet, formats, problem)
        chart = error_chart(workbook, sheet.get_name(), STEPS, (sheet.get_name(), COUNT))
        chart.show_hidden_data()
        chart.set_size({"width": 430, "height": 218})
        sheet.insert_chart("G1", chart)
        insert_network(sheet, "M1", diagram, 0.47)
        fit_to_page(sheet)
        sheet.print_area(0, 0, FIRST_ROW + STEPS, len(COLUMNS) - 1)
        write_hints(workbook, formats, problem, eta)


def is_filled(path: Path) -> bool:
    """Tell whether there is an exercise in which somebody has begun to fill in the table."""
    try:
        table = openpyxl.load_workbook(path)["Exercise"]
    except Exception:  # there is none, or no workbook of ours: openpyxl raises nearly anything
        return False
    return any(
        table[cell(column, step)].value is not None
        for column in COMPUTED
        for step in range(1 if column in WEIGHTS else 0, STEPS + 1)
    )


def _write_top(sheet: Worksheet, formats: Formats, problem: Problem, eta: float) -> None:
    """Write what is given, in yellow cells, and the score."""
    sheet.write("A1", "Backpropagation: fill in the table", formats["title"])
    for name, number in {**problem.given(), "η": eta}.items():
        place = GIVEN_CELLS.get(name, RATE_CELL).replace("$", "")
        sheet.write(f"{chr(ord(place[0]) - 1)}{place[1:]}", name, formats["label"])
        sheet.write_number(place, number, formats["given"])
    sheet.merge_range("C6:F6", "All green? Change these numbers: it must stay so.", formats["note"])
    sheet.merge_range("A7:F10", ADVICE, formats["wrapped"])
    sheet.merge_range(f"A{HEADER_ROW}:L{HEADER_ROW}", "", formats["text"])
    left, right = COLUMNS[0], COLUMNS[-1]
    done, rights = (f'"&SUM({beside(left, row)}:{beside(right, row)})&"' for row in (DONE, RIGHTS))
    names = (
        f'IF({beside(right, row)}="","","; {word}: "&MID({beside(right, row)},3,400))'
        for row, word in ((WRONGS, "wrong"), (TYPEDS, "typed"))
    )
    given = f"COUNT({','.join((*GIVEN_CELLS.values(), RATE_CELL))})<{len(GIVEN_CELLS) + 1}"
    formula = (
        f'=IF({given},"A number above is missing or a text. ","")&'
        f'"Right: {SCORE.format(done, rights)}"&{"&".join(names)}'
    )
    sheet.write_formula(f"A{HEADER_ROW}", formula, formats["text"], f"Right: {SCORE.format(0, 0)}")


def _write_table(workbook: Workbook, sheet: Worksheet, formats: Formats, problem: Problem) -> None:
    """Write the empty table, the notes in its header and, beside it, the marks."""
    given = problem.given()
    for index, column in enumerate(COLUMNS):
        note = f"= {chain(column)}" if column in CHAINS else in_symbols(column)
        sheet.write_comment(HEADER_ROW, index, f"{column} {note}", NOTE)
        looks = formats["small to fill in"] if is_small(column) else formats["value to fill in"]
        for step in range(STEPS + 1):
            sheet.write_blank(cell(column, step), None, looks)
            sheet.write_formula(mark(column, step), mark_formula(column), None, "")
        for row, (formula, value) in summaries(column).items():
            sheet.write_formula(beside(column, row), formula, None, value)
        if column in given:
            place = f"={GIVEN_CELLS[column]}"
            sheet.write_formula(cell(column, 0), place, looks, given[column])
    for step in range(STEPS + 1):
        sheet.write_formula(FIRST_ROW + step, COUNT, f"=ROW()-ROW($A${FIRST_ROW})-1", None, step)
    sheet.set_column(FIRST_MARK, COUNT, None, None, {"level": 1, "hidden": True})
    sheet.set_column(COUNT + 1, COUNT + 1, None, None, {"collapsed": True})
    table = f"{cell(COLUMNS[0], 0)}:{cell(COLUMNS[-1], STEPS)}"
    for verdict, colour in COLOURS.items():
        rule = f"={mark(COLUMNS[0], 0)}={verdict}"
        looks = workbook.add_format({"bg_color": colour})
        sheet.conditional_format(table, {"type": "formula", "criteria": rule, "format": looks})
