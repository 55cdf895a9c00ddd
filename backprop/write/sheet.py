"""What both workbooks share: places, formulas, formats, charts, pictures and pages."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path

from xlsxwriter import Workbook
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from backprop.expression import Expression, named
from backprop.network import COLUMNS, FORMULAS, GRADIENTS, WEIGHTS, updated
from common import write_whole

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


NOTE = {"italic": True, "font_color": "#606060"}
HEADER = {"bold": True, "align": "center", "bottom": 1}
LOOKS = {
    "title": {"bold": True, "font_size": 16, "font_color": "#1f3b57"},
    "note": NOTE,
    "wrapped": {**NOTE, "text_wrap": True, "valign": "top"},
    **{
        f"header of {column}": {**HEADER, "bg_color": colour}
        for columns, colour in GROUPS
        for column in columns
    },
    "plain header": {**HEADER, "bg_color": "#eeeeee"},
    "given": {"bg_color": "#fff2cc", "font_color": "#0000c0", "border": 1, "num_format": "0.0###"},
    "value": {"num_format": VALUE},
    "small": {"num_format": SMALL},
    "value to fill in": {"num_format": VALUE, **OPEN},
    "small to fill in": {"num_format": SMALL, **OPEN},
    "count": {"num_format": "0"},
    "text": {"bold": True, "font_size": 12, "font_color": "#1f3b57"},
    "label": {"bold": True, "align": "right"},
    "slip": {"font_color": "#c8371b"},
}
Formats = dict[str, Format]  # by the names of `LOOKS`


@contextlib.contextmanager
def new_workbook(path: str | Path, **options: bool) -> Iterator[tuple[Workbook, Formats]]:
    """Make a workbook with its formats, and write it once it is complete.

    The same content gives the same bytes: the creation date is fixed.

    Args:
        options: further options of xlsxwriter.
    """
    file = BytesIO()
    with Workbook(file, {"in_memory": True, **options}) as workbook:
        workbook.set_properties({"title": "Backpropagation", "created": datetime(2026, 1, 1)})
        yield workbook, {name: workbook.add_format(looks) for name, looks in LOOKS.items()}
    write_whole(path, file.getvalue())


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
        sheet.write(HEADER_ROW, index, column, formats[f"header of {column}"])
        sheet.set_column(index, index, 13 if is_small(column) else 9.5)
    sheet.freeze_panes(FIRST_ROW, 0)


def is_small(column: str) -> bool:
    """Tell whether a column's numbers need nine digits: the errors and gradients."""
    return column[0] in "E∂"


def fit_to_page(sheet: Worksheet) -> None:
    sheet.set_landscape()
    sheet.set_paper(8)  # A3
    sheet.fit_to_pages(1, 0)


def insert_network(sheet: Worksheet, place: str, diagram: bytes, scale: float) -> None:
    """Insert the picture of the network, a PNG."""
    description = "The network: two inputs, two hidden neurons, two outputs"
    looks = {"x_scale": scale, "y_scale": scale, "description": description}
    sheet.insert_image(place, "network.png", {"image_data": BytesIO(diagram), **looks})


def down(sheet: str, column: int, steps: int) -> list[str | int]:
    """Give the cells of a column, counted from 0, from the first row on to that of a step."""
    return [sheet, FIRST_ROW, column, FIRST_ROW + steps, column]


def error_chart(workbook: Workbook, sheet: str, steps: int, counted: tuple[str, int]) -> Chart:
    """Draw the column E_total of a sheet.

    Args:
        counted: sheet and column, counted from 0, of the number of each step.
    """
    chart = line_chart(workbook, "Error after each step")
    chart.add_series(
        {
            "name": "E_total",
            "categories": down(*counted, steps),
            "values": down(sheet, COLUMNS.index("E_total"), steps),
            "line": {"color": "#c8371b", "width": 2},
        }
    )
    chart.set_legend({"none": True})
    return chart


def line_chart(workbook: Workbook, title: str) -> Chart:
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
