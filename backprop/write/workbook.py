"""The workbook: every computed cell a live formula that also carries its value."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from backprop.derivation import derivation
from backprop.network import COLUMNS, FORMULAS, Problem, descend, evaluate
from backprop.write.sheet import (
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
PROBLEM_ROWS = {name: row for row, name in enumerate(Problem().given(), start=4)}  # from 1


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
        sheet = workbook.add_worksheet("Derivation")
        insert_network(sheet, "F3", diagram, 0.8)
        _write_derivation(sheet, formats, learning_rates[0], problem)
        _write_problem(workbook.add_worksheet(PROBLEM_SHEET), formats, problem)
        for rate, trace in traces.items():
            _write_rate(workbook, formats, rate, trace)
        _write_comparison(workbook, formats, traces)


def sheet_name(learning_rate: float) -> str:
    """Name the sheet of a learning rate."""
    return f"LR {float(learning_rate)}"


def _write_derivation(
    sheet: Worksheet, formats: Formats, learning_rate: float, problem: Problem
) -> None:
    sheet.hide_gridlines(2)
    for columns, width in (("A:A", 3), ("B:B", 11), ("C:C", 72), ("D:D", 14)):
        sheet.set_column(columns, width)
    first, values = sheet_name(learning_rate), evaluate(problem.given())
    sheet.write("A1", "Backpropagation, step by step", formats["title"])
    about = f"The numbers are those of the first row of sheet {first}."
    sheet.write("B2", about, formats["note"])
    row = 3
    for heading, lines in derivation():
        sheet.write(row, 0, heading, formats["text"])
        for symbol, formula in lines:
            row += 1
            sheet.write(row, 1, symbol)
            sheet.write_string(row, 2, formula)
            if symbol in FORMULAS:
                place = f"='{first}'!{cell(symbol, 0)}"
                sheet.write_formula(row, 3, place, formats["small"], values[symbol])
        row += 2
    fit_to_page(sheet)


def _write_problem(sheet: Worksheet, formats: Formats, problem: Problem) -> None:
    sheet.set_column("A:A", 22)
    sheet.set_column("B:B", 12)
    sheet.write("A1", "Inputs, targets, starting weights", formats["title"])
    sheet.write("A2", "Change the yellow cells: all sheets recalculate.", formats["note"])
    meaning = {"t": "target", "i": "input", "w": "starting weight"}
    for name, value in problem.given().items():
        sheet.write(f"A{PROBLEM_ROWS[name]}", f"{meaning[name[0]]} {name}")
        sheet.write_number(f"B{PROBLEM_ROWS[name]}", value, formats["given"])
    fit_to_page(sheet)


def _write_rate(
    workbook: Workbook, formats: Formats, learning_rate: float, trace: np.ndarray
) -> None:
    sheet = workbook.add_worksheet(sheet_name(learning_rate))
    sheet.write("A1", "η =", formats["text"])
    sheet.write_number(0, 1, learning_rate, formats["given"])
    about = "the learning rate: change it, and the table and chart recalculate"
    sheet.merge_range("A2:C5", about, formats["wrapped"])
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
    given = {name: f"{PROBLEM_SHEET}!$B${row}" for name, row in PROBLEM_ROWS.items()}
    computed = formulas(step, RATE_CELL)
    texts = given | computed if step > 0 else computed | given
    return {name: f"={text}" for name, text in texts.items()}


def _write_comparison(
    workbook: Workbook, formats: Formats, traces: dict[float, np.ndarray]
) -> None:
    sheet = workbook.add_worksheet(COMPARISON)
    about = "E_total after each step, one column for each learning rate"
    sheet.merge_range("A1:B5", about, formats["wrapped"])
    sheet.write(HEADER_ROW, 0, "step", formats["plain header"])
    sheet.set_column(0, len(traces), 13)
    steps = len(next(iter(traces.values()))) - 1
    for step in range(steps + 1):
        sheet.write_number(FIRST_ROW + step, 0, step, formats["count"])
    chart = line_chart(workbook, "Error at every learning rate")
    for column, (rate, trace) in enumerate(traces.items(), start=1):
        name = sheet_name(rate)
        # A formula, so that the heading follows when η is changed on the rate's own sheet.
        heading = f"=\"η = \"&'{name}'!{RATE_CELL}"
        sheet.write_formula(HEADER_ROW, column, heading, formats["plain header"], f"η = {rate:g}")
        for step, value in enumerate(trace[:, COLUMNS.index("E_total")]):
            place = f"='{name}'!{cell('E_total', step)}"
            sheet.write_formula(FIRST_ROW + step, column, place, formats["small"], value)
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
