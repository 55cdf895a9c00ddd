"""A workbook that somebody else made: its cells as typed, and as saved."""

import contextlib
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet.formula import ArrayFormula

MOST_BYTES = 40_000_000  # of a workbook, unpacked
MOST_ROWS, MOST_COLUMNS = 20_000, 1_000  # of a sheet that are looked at
LARGEST = 1e300  # number in a cell; spreadsheets end at 1e308

Grid = list[list[Any]]
Cell = tuple[str, int, int]  # sheet, line, place; both counted from 0

OLE_SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")  # of .xls and of encrypted workbooks


class UnreadableBook(Exception):
    """The file cannot be judged; the message goes on after its name, and says what to do."""


@dataclass
class Book:
    """The cells of a workbook.

    Attributes:
        contents: each sheet's cells as typed: formulas, numbers, text, None.
        shown: each sheet's cells as saved: numbers, text, errors, None; of the same shape.
        names: what each defined name stands for, by the name in lower case.
    """

    contents: dict[str, Grid]
    shown: dict[str, Grid]
    names: dict[str, str]

    def content(self, cell: Cell) -> Any:
        """Give a cell as typed, None beyond the sheet's last one."""
        return _at(self.contents[cell[0]], cell)

    def value(self, cell: Cell) -> Any:
        """Give a cell as saved, None beyond the sheet's last one."""
        return _at(self.shown[cell[0]], cell)


def read_book(path: Path) -> Book:
    """Read a workbook's cells and defined names.

    Raises:
        UnreadableBook: if it is no .xlsx workbook, is damaged, or unpacks to an absurd size.
    """
    _check_file(path)
    contents, names = _read(path, data_only=False)
    shown, _ = _read(path, data_only=True)
    for sheet in contents:
        contents[sheet], shown[sheet] = _same_shape(contents[sheet], shown[sheet])
    return Book(contents, shown, names)


def address(line: int, place: int) -> str:
    """Name a cell as the spreadsheet does."""
    return f"{get_column_letter(place + 1)}{line + 1}"


def is_number(cell: Any) -> bool:
    """Tell whether a cell holds a number that can be computed with."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return False
    return -LARGEST < cell < LARGEST  # false for NaN too


def is_formula(cell: Any) -> bool:
    """Tell whether a cell's content is a formula."""
    return isinstance(cell, str) and cell.startswith("=")


def is_blank(cell: Any) -> bool:
    """Tell whether a cell holds nothing that is seen."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _check_file(path: Path) -> None:
    """Refuse what is no workbook, or one that would unpack to an absurd size."""
    try:
        with open(path, "rb") as file:
            start, rest = file.read(len(OLE_SIGNATURE)), file.read(MOST_BYTES)
    except OSError as error:
        raise UnreadableBook(f"cannot be read: {error.strerror}") from None
    if start == OLE_SIGNATURE:
        if "EncryptedPackage".encode("utf-16-le") in rest:
            raise UnreadableBook("has a password: save it without one")
        raise UnreadableBook("is an .xls workbook: save it as .xlsx")
    try:
        with zipfile.ZipFile(path) as package:
            size = sum(part.file_size for part in package.infolist())
    except Exception:  # a damaged file can make zipfile raise nearly anything
        raise UnreadableBook("is not an .xlsx workbook, or is damaged") from None
    if size > MOST_BYTES:
        raise UnreadableBook(f"unpacks to more than {MOST_BYTES:,} bytes")


def _read(path: Path, data_only: bool) -> tuple[dict[str, Grid], dict[str, str]]:
    """Read every sheet's cells, as typed or, with `data_only`, as saved; and the names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, about what it does not support
            # openpyxl parses with defusedxml where that is installed: no entities, no bombs.
            workbook = openpyxl.load_workbook(
                path, read_only=True, data_only=data_only, keep_links=False
            )
            with contextlib.closing(workbook):
                names = {name.casefold(): it.value for name, it in workbook.defined_names.items()}
                return {sheet.title: _grid(sheet) for sheet in workbook.worksheets}, names
    except Exception as error:  # a damaged file can make openpyxl raise nearly anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UnreadableBook(f"is not an .xlsx workbook, or is damaged ({reason})") from None


def _grid(sheet: ReadOnlyWorksheet) -> Grid:
    """Give a sheet's rows from the first on, without the empty cells and rows at their ends."""
    rows, height = [], 0
    for row in sheet.iter_rows(1, MOST_ROWS, 1, MOST_COLUMNS, values_only=True):
        length = max((place for place, cell in enumerate(row, 1) if cell is not None), default=0)
        rows.append([_plain(cell) for cell in row[:length]])
        if length:
            height = len(rows)
    return rows[:height]


# What Google Sheets writes for a function that Excel does not have: its own formula, quoted.
_GOOGLE = re.compile(r'=IFERROR\(__xludf\.DUMMYFUNCTION\("((?:[^"]|"")*)"\),.*\)', re.DOTALL)


def _plain(cell: Any) -> Any:
    """Give a formula as the person who typed it sees it."""
    if isinstance(cell, ArrayFormula):
        cell = cell.text
    if isinstance(cell, str) and (quoted := _GOOGLE.fullmatch(cell)):
        return "=" + quoted[1].replace('""', '"')
    return cell


def _same_shape(*grids: Grid) -> list[Grid]:
    """Pad grids with empty cells to the height and width of the largest."""
    height = max(len(grid) for grid in grids)
    width = max((len(row) for grid in grids for row in grid), default=0)
    return [
        [[*row, *[None] * (width - len(row))] for row in [*grid, *[[]] * (height - len(grid))]]
        for grid in grids
    ]


def _at(grid: Grid, cell: Cell) -> Any:
    _, line, place = cell
    return grid[line][place] if line < len(grid) and place < len(grid[line]) else None
