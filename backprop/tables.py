"""Tables of the exercise, found in a workbook that somebody else made."""

import contextlib
import functools
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet.formula import ArrayFormula

from backprop.network import COLUMNS, WEIGHTS, gradient_of
from errors import UserError

MOST_BYTES = 40_000_000  # of a workbook, unpacked
MOST_ROWS, MOST_COLUMNS = 20_000, 1_000  # of a sheet that are looked at
LARGEST = 1e300  # number in a cell; spreadsheets end at 1e308
LONGEST_LABEL = 60  # characters of a header or of a learning rate's label
EXPLANATION_ROWS = 5  # at most, between header and numbers
Grid = list[list[Any]]

OLE_SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")  # of .xls and of encrypted workbooks


class UnreadableSheet(UserError):
    """The file cannot be judged; the message says why and what to do."""


@dataclass
class Table:
    """One table of the exercise, as it stands in a sheet.

    Attributes:
        sheet: name of the sheet.
        first_line: number of the first row of numbers, as the spreadsheet counts.
        letters: the spreadsheet's letter of each column.
        values: each column's numbers, NaN where a cell does not hold one.
        contents: each column's cells as typed: formulas, numbers, text.
        shown: each column's cells as saved: numbers, text, errors, None.
        eta: the learning rate, None where the sheet has one row and no label.
        eta_cell: where the learning rate stands, None if it had to be inferred.
    """

    sheet: str
    first_line: int
    letters: dict[str, str]
    values: dict[str, np.ndarray]
    contents: dict[str, list[Any]]
    shown: dict[str, list[Any]]
    eta: float | None = None
    eta_cell: str | None = None

    @property
    def rows(self) -> int:
        """The number of rows of numbers."""
        return len(self.values["t1"])

    def address(self, column: str, row: int) -> str:
        """Name the cell of a column in a row, counted from 0."""
        return f"{self.letters[column]}{self.first_line + row}"


def read_tables(path: Path) -> list[Table]:
    """Find every table in a workbook.

    Raises:
        UnreadableSheet: if the file is not such a workbook, or has no table that can be judged.
    """
    _check_file(path)
    formulas, values = _sheets(path, data_only=False), _sheets(path, data_only=True)
    tables, headers = [], []
    for name in formulas:
        contents, shown = _same_shape(formulas[name], values[name])
        labels = list(_rate_labels(shown))
        for line, row in enumerate(shown):
            for header in _headers(row):
                if len(header) > len(COLUMNS) // 2:
                    headers.append((name, line + 1, header))
                if len(header) < len(COLUMNS):
                    continue
                if table := _table(name, line, header, contents, shown):
                    _find_rate(table, labels, line, min(header.values()))
                    tables.append(table)
    if not tables:
        raise UnreadableSheet(_why_no_table(path, headers))
    return tables


# --- The file -----------------------------------------------------------------------------


def _check_file(path: Path) -> None:
    """Refuse what is no workbook, or one that would unpack to an absurd size."""
    try:
        with open(path, "rb") as file:
            start, rest = file.read(len(OLE_SIGNATURE)), file.read(MOST_BYTES)
    except OSError as error:
        raise UnreadableSheet(f"cannot read {path}: {error.strerror}") from None
    if start == OLE_SIGNATURE:
        if "EncryptedPackage".encode("utf-16-le") in rest:
            raise UnreadableSheet(f"{path} has a password: save it without one")
        raise UnreadableSheet(f"{path} is an .xls workbook: save it as .xlsx")
    try:
        with zipfile.ZipFile(path) as package:
            size = sum(part.file_size for part in package.infolist())
    except Exception:  # a damaged file can make zipfile raise nearly anything
        raise UnreadableSheet(f"{path} is not an .xlsx workbook, or is damaged") from None
    if size > MOST_BYTES:
        raise UnreadableSheet(f"{path} unpacks to more than {MOST_BYTES:,} bytes")


def _sheets(path: Path, data_only: bool) -> dict[str, Grid]:
    """Read every sheet's cells: as typed or, with `data_only`, as saved."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, about what it does not support
            # openpyxl parses with defusedxml where that is installed: no entities, no bombs.
            workbook = openpyxl.load_workbook(
                path, read_only=True, data_only=data_only, keep_links=False
            )
            with contextlib.closing(workbook):
                return {sheet.title: _grid(sheet) for sheet in workbook.worksheets}
    except Exception as error:  # a damaged file can make openpyxl raise nearly anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UnreadableSheet(
            f"{path} is not an .xlsx workbook, or is damaged ({reason})"
        ) from None


def _grid(sheet: ReadOnlyWorksheet) -> Grid:
    """Give a sheet's rows from the first on, without the empty cells and rows at their ends."""
    rows, height = [], 0
    for row in sheet.iter_rows(1, MOST_ROWS, 1, MOST_COLUMNS, values_only=True):
        length = max((place for place, cell in enumerate(row, 1) if cell is not None), default=0)
        rows.append(
            [cell.text if isinstance(cell, ArrayFormula) else cell for cell in row[:length]]
        )
        if length:
            height = len(rows)
    return rows[:height]


def _same_shape(*grids: Grid) -> Iterator[Grid]:
    """Pad grids with empty cells to the height and width of the largest."""
    height = max(len(grid) for grid in grids)
    width = max((len(row) for grid in grids for row in grid), default=0)
    for grid in grids:
        rows = [*grid, *[[]] * (height - len(grid))]
        yield [[*row, *[None] * (width - len(row))] for row in rows]


def _why_no_table(path: Path, headers: list[tuple[str, int, dict[str, int]]]) -> str:
    if not headers:
        return f"{path} has no table: no row with the headers {', '.join(COLUMNS)}"
    sheet, line, header = max(headers, key=lambda found: len(found[2]))
    lacking = ", ".join(column for column in COLUMNS if column not in header)
    if lacking:
        return f"{path} has no whole table: row {line} of sheet {sheet} lacks the headers {lacking}"
    return f"{path} has no whole table: no numbers below the headers in row {line} of sheet {sheet}"


# --- The table ----------------------------------------------------------------------------


@functools.lru_cache(maxsize=10_000)
def column_of(header: Any) -> str | None:
    """Tell which column a header names; knows ∂ and 𝜕 and d, `E_tot`, spaces and case."""
    if not isinstance(header, str) or len(header) > LONGEST_LABEL:
        return None
    name = unicodedata.normalize("NFKC", header).casefold().replace("∂", "d")
    name = re.sub(r"[\s_()]", "", name)
    if gradient := re.fullmatch(r"de(?:t|tot|total)?/dw([1-8])", name):
        return gradient_of(f"w{gradient[1]}")
    if name in ("et", "etot", "etotal"):
        return "E_total"
    plain = {column.casefold().replace("_", ""): column for column in COLUMNS}
    return plain.get(name)


def _headers(row: list[Any]) -> Iterator[dict[str, int]]:
    """Find the tables whose header is in a row: column names with their places.

    Where a name comes a second time, a second table begins.
    """
    header: dict[str, int] = {}
    for place, cell in enumerate(row):
        column = column_of(cell)
        if column in header:
            yield header
            header = {}
        if column is not None:
            header[column] = place
    yield header


def _table(
    sheet: str,
    header_line: int,
    header: dict[str, int],
    contents: Grid,
    shown: Grid,
) -> Table | None:
    """Read the rows under a header, until one that is not of the table."""

    def share(row: list[Any], fits: Any) -> float:
        return sum(fits(row[place]) for place in header.values()) / len(header)

    start = header_line + 1
    for line in range(start, min(start + EXPLANATION_ROWS, len(shown))):
        if share(contents[line], _is_formula) > 0.5 and share(shown[line], _is_blank) > 0.5:
            raise UnreadableSheet(
                f"the formulas of sheet {sheet} have no saved values: open the file in a "
                "spreadsheet program and save it"
            )
        if share(shown[line], _is_number) > 0.5:
            start = line
            break
    else:
        return None
    end = start
    while end < len(shown) and share(shown[end], _is_number) > 0.5:
        end += 1
    cells = {column: [row[place] for row in shown[start:end]] for column, place in header.items()}
    return Table(
        sheet=sheet,
        first_line=start + 1,
        letters={column: get_column_letter(place + 1) for column, place in header.items()},
        values={
            column: np.array([cell if _is_number(cell) else np.nan for cell in column_cells], float)
            for column, column_cells in cells.items()
        },
        contents={
            column: [row[place] for row in contents[start:end]] for column, place in header.items()
        },
        shown=cells,
    )


def _is_number(cell: Any) -> bool:
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return False
    return -LARGEST < cell < LARGEST  # false for NaN too


def _is_blank(cell: Any) -> bool:
    return cell in (None, "")


def _is_formula(cell: Any) -> bool:
    return isinstance(cell, str) and cell.startswith("=")


# --- The learning rate --------------------------------------------------------------------

_RATE_LABEL = re.compile(r"(?:η|eta|lr|learningrate)+[=:]?([-+.0-9e]*)")


def _rate_labels(shown: Grid) -> Iterator[tuple[int, int, str, float]]:
    """Find labelled learning rates: line and place of the label, the number's cell and value."""
    for line, row in enumerate(shown):
        for place, cell in enumerate(row):
            if not isinstance(cell, str) or len(cell) > LONGEST_LABEL:
                continue
            text = unicodedata.normalize("NFKC", cell).casefold()
            label = _RATE_LABEL.fullmatch(re.sub(r"[\s_()]", "", text))
            if label is None:
                continue
            if label[1]:
                try:
                    yield line, place, f"{get_column_letter(place + 1)}{line + 1}", float(label[1])
                except ValueError:
                    continue
            for below, right in ((0, 1), (0, 2), (1, 0)):
                if line + below < len(shown) and place + right < len(row):
                    value = shown[line + below][place + right]
                    if _is_number(value):
                        address = f"{get_column_letter(place + right + 1)}{line + below + 1}"
                        yield line, place, address, float(value)
                        break


def _find_rate(
    table: Table, labels: list[tuple[int, int, str, float]], line: int, place: int
) -> None:
    """Take the labelled learning rate nearest to the table's header, else infer it.

    Every weight moves by −η times its gradient, so each pair of rows tells η eight times; the
    median is right even where some weights move wrongly.
    """
    if labels:
        *_, table.eta_cell, table.eta = min(
            labels, key=lambda label: abs(label[0] - line) + abs(label[1] - place)
        )
    elif table.rows > 1:
        moves = [table.values[w][0] - table.values[w][1] for w in WEIGHTS]
        gradients = [table.values[gradient_of(w)][0] for w in WEIGHTS]
        with np.errstate(all="ignore"):
            rates = np.array(moves) / np.array(gradients)
        if np.isfinite(rates).any():
            rate = float(np.median(rates[np.isfinite(rates)]))
            rounded = float(f"{rate:.6g}")  # a rate that people choose has few digits
            table.eta = rounded if abs(rounded - rate) < 1e-8 * abs(rate) else rate
