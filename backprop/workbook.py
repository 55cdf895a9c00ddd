"""The workbook: every computed cell a live formula that also carries its value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import xlsxwriter
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from backprop.derivation import derivation
from backprop.expression import Expression, named
from backprop.network import COLUMNS, FORMULAS, GRADIENTS, WEIGHTS, Problem, descend, updated
from common import write_whole

PROBLEM_SHEET, COMPARISON = "Problem", "Comparison"
RATE_CELL = "$B$1"
# The chart stands above the table, beside η, and stays in view with the header: it is as high as
# a small screen allows. Rows are counted from 0.
HEADER_ROW, FIRST_ROW = 11, 12
CHART_SIZE = {"width": 760, "height": 218}  # pixels; a row has 20
GIVEN = ("t1", "t2", "i1", "i2", *WEIGHTS)
PROBLEM_ROWS = {name: 3 + index for index, name in enumerate(GIVEN)}  # of each given number

# The columns in groups that share a colour in the header.
GROUPS = (
    (("t1", "t2", "i1", "i2"), "#fff2cc"),
    (WEIGHTS, "#dbe9f6"),
    (("h1", "a_h1", "h2", "a_h2", "o1", "a_o1", "o2", "a_o2"), "#e4f1df"),
    (("E1", "E2", "E_total"), "#f9dcd6"),
    (GRADIENTS, "#e9e1f2"),
)


@dataclass(frozen=True)
class Formats:
    """The looks of cells, made once for the workbook."""

    title: Format
    note: Format
    wrapped: Format
    header: dict[str, Format]
    plain_header: Format
    given: Format
    value: Format
    small: Format
    count: Format
    text: Format


def write_workbook(
    path: str | Path,
    problem: Problem,
    learning_rates: Sequence[float],
    steps: int,
    diagram: bytes,
) -> None:
    """Write the workbook: the derivation, the problem, a sheet for each rate, the comparison.

    The same arguments give the same bytes: the creation date is fixed.

    Args:
        diagram: the picture of the network, as PNG.
    """
    traces = {rate: descend(problem, rate, steps) for rate in learning_rates}
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
        workbook.set_properties({"title": "Backpropagation", "created": datetime(2026, 1, 1)})
        formats = _formats(workbook)
        first = sheet_name(learning_rates[0])
        _write_derivation(workbook, formats, diagram, first, traces[learning_rates[0]][0])
        _write_problem(workbook.add_worksheet(PROBLEM_SHEET), formats, problem)
        for rate, trace in traces.items():
            _write_rate(workbook, formats, rate, trace)
        _write_comparison(workbook, formats, traces)
    write_whole(path, file.getvalue())


def sheet_name(learning_rate: float) -> str:
    """Name the sheet of a learning rate."""
    return f"LR {float(learning_rate)}"


def _formats(workbook: xlsxwriter.Workbook) -> Formats:
    def header(colour: str) -> Format:
        return workbook.add_format(
            {"bold": True, "align": "center", "bottom": 1, "bg_color": colour}
        )

    return Formats(
        title=workbook.add_format({"bold": True, "font_size": 16, "font_color": "#1f3b57"}),
        note=workbook.add_format({"italic": True, "font_color": "#606060"}),
        wrapped=workbook.add_format(
            {"italic": True, "font_color": "#606060", "text_wrap": True, "valign": "top"}
        ),
        header={name: header(colour) for names, colour in GROUPS for name in names},
        plain_header=header("#eeeeee"),
        given=workbook.add_format(
            {"bg_color": "#fff2cc", "font_color": "#0000c0", "border": 1, "num_format": "0.0###"}
        ),
        value=workbook.add_format({"num_format": "0.000000"}),
        small=workbook.add_format({"num_format": "0.000000000"}),
        count=workbook.add_format({"num_format": "0"}),
        text=workbook.add_format({"bold": True, "font_size": 12, "font_color": "#1f3b57"}),
    )


def _write_derivation(
    workbook: xlsxwriter.Workbook,
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
    sheet.write("A1", "Backpropagation, step by step", formats.title)
    sheet.write(
        "B2", f"The numbers are those of the first row of sheet {first_sheet}.", formats.note
    )
    sheet.insert_image(
        "F3",
        "network.png",
        {
            "image_data": BytesIO(diagram),
            "x_scale": 0.8,
            "y_scale": 0.8,
            "description": "The network: two inputs, two hidden neurons, two outputs",
        },
    )
    values = dict(zip(COLUMNS, first_row, strict=True))
    row = 3
    for heading, lines in derivation():
        sheet.write(row, 0, heading, formats.text)
        row += 1
        for symbol, formula in lines:
            sheet.write(row, 1, symbol)
            sheet.write_string(row, 2, formula)
            if symbol in FORMULAS:
                cell = xl_rowcol_to_cell(FIRST_ROW, COLUMNS.index(symbol))
                sheet.write_formula(
                    row, 3, f"='{first_sheet}'!{cell}", formats.small, values[symbol]
                )
            row += 1
        row += 1
    _fit_to_page(sheet)


def _write_problem(sheet: Worksheet, formats: Formats, problem: Problem) -> None:
    sheet.set_column("A:A", 22)
    sheet.set_column("B:B", 12)
    sheet.write("A1", "Inputs, targets, starting weights", formats.title)
    sheet.write("A2", "Change the yellow cells: all sheets recalculate.", formats.note)
    meaning = {"t": "target", "i": "input", "w": "starting weight"}
    for name, value in problem.given().items():
        sheet.write(PROBLEM_ROWS[name], 0, f"{meaning[name[0]]} {name}")
        sheet.write_number(PROBLEM_ROWS[name], 1, value, formats.given)
    _fit_to_page(sheet)


def _write_rate(
    workbook: xlsxwriter.Workbook, formats: Formats, learning_rate: float, trace: np.ndarray
) -> None:
    sheet = workbook.add_worksheet(sheet_name(learning_rate))
    sheet.write("A1", "η =", formats.text)
    sheet.write_number(0, 1, learning_rate, formats.given)
    sheet.merge_range(
        "A2:C5",
        "the learning rate: change it, and the table and chart recalculate",
        formats.wrapped,
    )
    for column, name in enumerate(COLUMNS):
        sheet.write(HEADER_ROW, column, name, formats.header[name])
        sheet.set_column(column, column, 13 if name[0] in "E∂" else 9.5)
    for step, values in enumerate(trace):
        formulas = row_formulas(step)
        for column, (name, value) in enumerate(zip(COLUMNS, values, strict=True)):
            looks = formats.small if name[0] in "E∂" else formats.value
            sheet.write_formula(FIRST_ROW + step, column, formulas[name], looks, value)
    sheet.freeze_panes(FIRST_ROW, 0)
    steps, error = len(trace) - 1, COLUMNS.index("E_total")
    chart = _line_chart(workbook, "Error after each step")
    chart.add_series(
        {
            "name": "E_total",
            "categories": [COMPARISON, FIRST_ROW, 0, FIRST_ROW + steps, 0],
            "values": [sheet.get_name(), FIRST_ROW, error, FIRST_ROW + steps, error],
            "line": {"color": "#c8371b", "width": 2},
        }
    )
    chart.set_legend({"none": True})
    chart.set_size(CHART_SIZE)
    sheet.insert_chart(0, 3, chart)
    _fit_to_page(sheet)


def row_formulas(step: int) -> dict[str, str]:
    """Write the formula of each column for one row of a learning rate's sheet."""
    line = FIRST_ROW + step + 1  # as Excel counts
    cells = {name: f"{xl_col_to_name(index)}{line}" for index, name in enumerate(COLUMNS)}
    formulas = {name: f"={formula(named(cells)).text}" for name, formula in FORMULAS.items()}
    for name in GIVEN:
        formulas[name] = f"={PROBLEM_SHEET}!$B${PROBLEM_ROWS[name] + 1}"
    if step > 0:
        above = {name: f"{xl_col_to_name(index)}{line - 1}" for index, name in enumerate(COLUMNS)}
        for weight in WEIGHTS:
            formulas[weight] = f"={updated(weight, named(above), Expression(RATE_CELL)).text}"
    return formulas


def _write_comparison(
    workbook: xlsxwriter.Workbook, formats: Formats, traces: dict[float, np.ndarray]
) -> None:
    sheet = workbook.add_worksheet(COMPARISON)
    sheet.merge_range(
        "A1:B5",
        "E_total after each step, one column for each learning rate",
        formats.wrapped,
    )
    sheet.write(HEADER_ROW, 0, "step", formats.plain_header)
    sheet.set_column(0, len(traces), 13)
    error = COLUMNS.index("E_total")
    steps = len(next(iter(traces.values())))
    for step in range(steps):
        sheet.write_number(FIRST_ROW + step, 0, step, formats.count)
    chart = _line_chart(workbook, "Error at every learning rate")
    last = FIRST_ROW + steps - 1
    for column, (rate, trace) in enumerate(traces.items(), start=1):
        name = sheet_name(rate)
        # A formula, so that the heading follows when η is changed on the rate's own sheet.
        sheet.write_formula(
            HEADER_ROW, column, f"=\"η = \"&'{name}'!{RATE_CELL}", formats.plain_header,
            f"η = {rate:g}",
        )  # fmt: skip
        for step in range(steps):
            sheet.write_formula(
                FIRST_ROW + step,
                column,
                f"='{name}'!{xl_rowcol_to_cell(FIRST_ROW + step, error)}",
                formats.small,
                trace[step, error],
            )
        chart.add_series(
            {
                "name": [COMPARISON, HEADER_ROW, column],
                "categories": [COMPARISON, FIRST_ROW, 0, last, 0],
                "values": [COMPARISON, FIRST_ROW, column, last, column],
                "line": {"width": 2},
            }
        )
    chart.set_size(CHART_SIZE)
    sheet.insert_chart(0, 2, chart)
    sheet.freeze_panes(FIRST_ROW, 0)
    _fit_to_page(sheet)


def _fit_to_page(sheet: Worksheet) -> None:
    sheet.set_landscape()
    sheet.set_paper(8)  # A3
    sheet.fit_to_pages(1, 0)


def _line_chart(workbook: xlsxwriter.Workbook, title: str) -> Chart:
    chart = workbook.add_chart({"type": "line"})
    chart.set_title({"name": title, "name_font": {"size": 11}})
    chart.set_x_axis({"name": "step", "interval_unit": 10, "interval_tick": 10})
    chart.set_y_axis(
        {
            "name": "E_total",
            "num_format": "0.000",
            "min": 0,
            "major_gridlines": {"visible": True, "line": {"color": "#dddddd"}},
        }
    )
    return chart
