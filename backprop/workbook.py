"""The workbook: every computed cell a live formula that also carries its value."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from backprop.derivation import derivation
from backprop.network import COLUMNS, FORMULAS, Problem, descend
from backprop.sheet import (
    CHART_SIZE,
    FIRST_ROW,
    HEADER_ROW,
    Formats,
    cell,
    down,
    error_chart,
    fit_to_page,
    formulas,
    insert_network,
    is_small,
    line_chart,
    new_workbook,
    write_header,
)

PROBLEM_SHEET, COMPARISON = "Problem", "Comparison"
RATE_CELL = "$B$1"
PROBLEM_ROWS = {name: 3 + index for index, name in enumerate(Problem().given())}


def write_workbook(
    path: str | Path,
    problem: Problem,
    learning_rates: Sequence[float],
    steps: int,
    diagram: bytes,
) -> None:
    """Write the workbook: the derivation, the problem, a sheet for each rate, the comparison.

    The same arguments give the same bytes.

    Args:
        diagram: the picture of the network, as PNG.
    """
    traces = {rate: descend(problem, rate, steps) for rate in learning_rates}
    with new_workbook(path) as (workbook, formats):
        first = sheet_name(learning_rates[0])
        _write_derivation(workbook, formats, diagram, first, traces[learning_rates[0]][0])
        _write_problem(workbook.add_worksheet(PROBLEM_SHEET), formats, problem)
        for rate, trace in traces.items():
            _write_rate(workbook, formats, rate, trace)
        _write_comparison(workbook, formats, traces)


def sheet_name(learning_rate: float) -> str:
    """Name the sheet of a learning rate."""
    return f"LR {float(learning_rate)}"


def _write_derivation(
    workbook: Workbook,
    formats: Formats,
    diagram: bytes,
    first_sheet: str,
    first_row: np.ndarray,
) -> None:
    sheet = workbook.add_worksheet("Derivation")
    sheet.hide_gridlines(2)
    sheet.set_column("A:A", 3)
    sheet.set_column("B:B", 11)
    sheet.set_column("C:C", 72)
    sheet.set_column("D:D", 14)
    sheet.write("A1", "Backpropagation, step by step", formats["title"])
    sheet.write(
        "B2", f"The numbers are those of the first row of sheet {first_sheet}.", formats["note"]
    )
    insert_network(sheet, "F3", diagram, 0.8)
    values = dict(zip(COLUMNS, first_row, strict=True))
    row = 3
    for heading, lines in derivation():
        sheet.write(row, 0, heading, formats["text"])
        row += 1
        for symbol, formula in lines:
            sheet.write(row, 1, symbol)
            sheet.write_string(row, 2, formula)
            if symbol in FORMULAS:
                sheet.write_formula(
                    row, 3, f"='{first_sheet}'!{cell(symbol, 0)}", formats["small"], values[symbol]
                )
            row += 1
        row += 1
    fit_to_page(sheet)


def _write_problem(sheet: Worksheet, formats: Formats, problem: Problem) -> None:
    sheet.set_column("A:A", 22)
    sheet.set_column("B:B", 12)
    sheet.write("A1", "Inputs, targets, starting weights", formats["title"])
    sheet.write("A2", "Change the yellow cells: all sheets recalculate.", formats["note"])
    meaning = {"t": "target", "i": "input", "w": "starting weight"}
    for name, value in problem.given().items():
        sheet.write(PROBLEM_ROWS[name], 0, f"{meaning[name[0]]} {name}")
        sheet.write_number(PROBLEM_ROWS[name], 1, value, formats["given"])
    fit_to_page(sheet)


def _write_rate(
    workbook: Workbook, formats: Formats, learning_rate: float, trace: np.ndarray
) -> None:
    sheet = workbook.add_worksheet(sheet_name(learning_rate))
    sheet.write("A1", "η =", formats["text"])
    sheet.write_number(0, 1, learning_rate, formats["given"])
    sheet.merge_range(
        "A2:C5",
        "the learning rate: change it, and the table and chart recalculate",
        formats["wrapped"],
    )
    write_header(sheet, formats)
    for step, values in enumerate(trace):
        written = row_formulas(step)
        for column, (name, value) in enumerate(zip(COLUMNS, values, strict=True)):
            looks = formats["small"] if is_small(name) else formats["value"]
            sheet.write_formula(FIRST_ROW + step, column, written[name], looks, value)
    chart = error_chart(workbook, sheet.get_name(), len(trace) - 1, (COMPARISON, 0))
    chart.set_size(CHART_SIZE)
    sheet.insert_chart(0, 3, chart)
    fit_to_page(sheet)


def row_formulas(step: int) -> dict[str, str]:
    """Write the formula of each column for one row of a learning rate's sheet."""
    given = {name: f"{PROBLEM_SHEET}!$B${row + 1}" for name, row in PROBLEM_ROWS.items()}
    computed = formulas(step, RATE_CELL)
    texts = given | computed if step > 0 else computed | given
    return {name: f"={text}" for name, text in texts.items()}


def _write_comparison(
    workbook: Workbook, formats: Formats, traces: dict[float, np.ndarray]
) -> None:
    sheet = workbook.add_worksheet(COMPARISON)
    sheet.merge_range(
        "A1:B5",
        "E_total after each step, one column for each learning rate",
        formats["wrapped"],
    )
    sheet.write(HEADER_ROW, 0, "step", formats["plain header"])
    sheet.set_column(0, len(traces), 13)
    error = COLUMNS.index("E_total")
    steps = len(next(iter(traces.values()))) - 1
    for step in range(steps + 1):
        sheet.write_number(FIRST_ROW + step, 0, step, formats["count"])
    chart = line_chart(workbook, "Error at every learning rate")
    for column, (rate, trace) in enumerate(traces.items(), start=1):
        name = sheet_name(rate)
        # A formula, so that the heading follows when η is changed on the rate's own sheet.
        sheet.write_formula(
            HEADER_ROW, column, f"=\"η = \"&'{name}'!{RATE_CELL}", formats["plain header"],
            f"η = {rate:g}",
        )  # fmt: skip
        for step in range(steps + 1):
            sheet.write_formula(
                FIRST_ROW + step,
                column,
                f"='{name}'!{cell('E_total', step)}",
                formats["small"],
                trace[step, error],
            )
        chart.add_series(
            {
                "name": [COMPARISON, HEADER_ROW, column],
                "categories": down(COMPARISON, 0, steps),
                "values": down(COMPARISON, column, steps),
                "line": {"width": 2},
            }
        )
    chart.set_size(CHART_SIZE)
    sheet.insert_chart(0, 2, chart)
    sheet.freeze_panes(FIRST_ROW, 0)
    fit_to_page(sheet)
