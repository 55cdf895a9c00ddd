"""The project's own workbooks in the tests: tables, parts, and copies without saved values."""

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


def errors_of(workbook):
    """Name the cells of all sheets that hold an error."""
    cells = (cell for sheet in workbook for row in sheet.iter_rows() for cell in row)
    return {f"{cell.parent.title}!{cell.coordinate}" for cell in cells if cell.data_type == "e"}


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
