"""The project's own workbooks in the tests: tables, widths, and copies without saved values."""

import zipfile

import numpy as np
import openpyxl

from backprop.network import COLUMNS


def table_of(workbook, sheet):
    """Read the 31 columns of a rate's sheet as numbers."""
    rows = workbook[sheet].iter_rows(min_row=12, max_col=31, values_only=True)
    header, *table = rows
    assert header == COLUMNS
    return np.array(table, float)


def without_values(path, folder, **changes):
    """Copy a workbook without its saved values, so that it must be computed."""
    copy = openpyxl.load_workbook(path)
    for place, value in changes.items():
        sheet, cell = place.split("__")
        copy[sheet.replace("_", " ")][cell] = value
    folder.mkdir()
    copy.save(folder / path.name)
    return folder / path.name


def changed_parts(path, other):
    """Name the parts that two workbooks do not have in common.

    Pictures are left out: every matplotlib draws them a little differently.
    """

    def parts(path):
        with zipfile.ZipFile(path) as package:
            names = package.namelist()
            return {(name, package.read(name)) for name in names if not name.endswith(".png")}

    return sorted({name for name, _ in parts(path) ^ parts(other)})


def pixels(sheet):
    """Make the function that gives a column's width: 7 pixels a letter, its margin included."""
    widths = {
        column: dimension.width
        for dimension in sheet.column_dimensions.values()
        if dimension.min is not None
        for column in range(dimension.min - 1, dimension.max)
    }
    return lambda column: 7 * widths.get(column, 9.14)
