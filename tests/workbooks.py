"""The project's own workbook in the tests: its tables, and copies without saved values."""

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
