"""What the tables of both workbooks share: places, formulas, formats, chart and page."""

from dataclasses import dataclass

import xlsxwriter
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from backprop.expression import Expression, named
from backprop.network import COLUMNS, FORMULAS, GRADIENTS, WEIGHTS, updated

# The chart stands above the table, beside η, and stays in view with the header: it is as high as
# a small screen allows. Rows are counted from 0.
HEADER_ROW, FIRST_ROW = 11, 12
VALUE, SMALL = "0.000000", "0.000000000"
OPEN = {"border": 1, "border_color": "#d0d0d0"}  # of a cell to be filled in
CHART_SIZE = {"width": 760, "height": 218}  # pixels; a row has 20

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
    value_open: Format
    small_open: Format
    count: Format
    text: Format
    label: Format
    slip: Format


def make_formats(workbook: xlsxwriter.Workbook) -> Formats:
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
        value=workbook.add_format({"num_format": VALUE}),
        small=workbook.add_format({"num_format": SMALL}),
        value_open=workbook.add_format({"num_format": VALUE, **OPEN}),
        small_open=workbook.add_format({"num_format": SMALL, **OPEN}),
        count=workbook.add_format({"num_format": "0"}),
        text=workbook.add_format({"bold": True, "font_size": 12, "font_color": "#1f3b57"}),
        label=workbook.add_format({"bold": True, "align": "right"}),
        slip=workbook.add_format({"font_color": "#c8371b"}),
    )


def cell(column: str, step: int) -> str:
    """Name the cell of a column after so many steps."""
    return f"{xl_col_to_name(COLUMNS.index(column))}{FIRST_ROW + step + 1}"


def formulas(step: int, rate: str) -> dict[str, str]:
    """Write the formula of each computed cell of a row, without its sign of equality.

    Args:
        rate: the cell of the learning rate; the weights are updated from the row above.
    """
    above, row = (
        named({column: cell(column, each) for column in COLUMNS}) for each in (step - 1, step)
    )
    weights = {weight: updated(weight, above, Expression(rate)).text for weight in WEIGHTS}
    return weights | {column: formula(row).text for column, formula in FORMULAS.items()}


def write_header(sheet: Worksheet, formats: Formats) -> None:
    """Write the names of the columns, and make these wide enough for their numbers."""
    for index, column in enumerate(COLUMNS):
        sheet.write(HEADER_ROW, index, column, formats.header[column])
        sheet.set_column(index, index, 13 if is_small(column) else 9.5)
    sheet.freeze_panes(FIRST_ROW, 0)


def is_small(column: str) -> bool:
    """Tell whether a column's numbers need nine digits: the errors and gradients."""
    return column[0] in "E∂"


def fit_to_page(sheet: Worksheet) -> None:
    sheet.set_landscape()
    sheet.set_paper(8)  # A3
    sheet.fit_to_pages(1, 0)


def error_chart(
    workbook: xlsxwriter.Workbook, sheet: str, steps: int, counted: tuple[str, int]
) -> Chart:
    """Draw the column E_total of a sheet.

    Args:
        counted: sheet and column, counted from 0, of the number of each step.
    """
    chart = line_chart(workbook, "Error after each step")
    (of, place), error = counted, COLUMNS.index("E_total")
    chart.add_series(
        {
            "name": "E_total",
            "categories": [of, FIRST_ROW, place, FIRST_ROW + steps, place],
            "values": [sheet, FIRST_ROW, error, FIRST_ROW + steps, error],
            "line": {"color": "#c8371b", "width": 2},
        }
    )
    chart.set_legend({"none": True})
    return chart


def line_chart(workbook: xlsxwriter.Workbook, title: str) -> Chart:
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
