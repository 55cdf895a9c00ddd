"""A workbook that somebody else made: what was typed into its cells, and what was saved."""

import contextlib
import functools
import io
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, iterparse

import openpyxl
from openpyxl.formula.translate import Translator
from openpyxl.packaging.relationship import get_dependents, get_rels_path
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.worksheet._reader import FORMULA_TAG, ROW_TAG, WorkSheetParser
from openpyxl.worksheet.table import Table as ExcelTable
from openpyxl.xml.functions import fromstring

MOST_BYTES = 40_000_000  # of a workbook, unpacked
MOST_CELLS = 400_000
LARGEST = 1e300  # number in a cell; spreadsheets end at 1e308
WIDEST = 400  # cells of one range or array

Cell = tuple[str, int, int]  # sheet, line, column, the last two counted from 0
Place = tuple[int, int]


class UnreadableBook(Exception):
    """The file cannot be judged; the message goes on after its name, and says what to do."""


class Formula(NamedTuple):
    """A formula as typed into one cell, `origin`, and copied to others or spilled over an array."""

    text: str
    origin: Place
    array: bool = False


class NamedTable(NamedTuple):
    """One of Excel's named tables: the first and last line of its data, and its columns."""

    sheet: str
    first: int
    last: int
    left: int
    headers: tuple[str, ...]


@dataclass
class Book:
    """The cells of a workbook, its defined names and its named tables (by name in lower case)."""

    sheets: list[str] = field(default_factory=list)
    formulas: dict[Cell, Formula] = field(default_factory=dict)
    values: dict[Cell, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # those of a sheet begin with `sheet!`
    tables: dict[str, NamedTable] = field(default_factory=dict)

    @functools.cached_property
    def texts(self) -> dict[str, list[tuple[int, int, str]]]:
        """Each sheet's cells with text: their lines, columns and texts."""
        found: dict[str, list[tuple[int, int, str]]] = {sheet: [] for sheet in self.sheets}
        for (sheet, line, column), value in self.values.items():
            if isinstance(value, str):
                found[sheet].append((line, column, value))
        return found

    def number(self, cell: Cell) -> float | None:
        """Give a cell's saved number, None if it holds none."""
        return number(self.values.get(cell))

    def is_blank(self, cell: Cell) -> bool:
        """Tell whether a cell shows nothing."""
        return cell not in self.formulas and cell not in self.values

    def is_filled(self, cell: Cell) -> bool:
        """Tell whether a cell holds a formula or a number."""
        return cell in self.formulas or self.number(cell) is not None

    def typed(self, cell: Cell) -> str:
        """Give a cell's formula as the spreadsheet shows it, empty if it has none."""
        text, origin, array = self.formulas.get(cell, Formula("", cell[1:]))
        if array or origin == cell[1:]:
            return text
        return Translator(text, address(origin)).translate_formula(address(cell[1:]))


def number(value: Any) -> float | None:
    """Give a value as a number to compute with, also one that was stored as text; else None."""
    if isinstance(value, str) and value.isascii() and "_" not in value:
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST < value < LARGEST else None  # None for NaN too


def address(place: Place) -> str:
    """Name a cell as the spreadsheet does."""
    return f"{get_column_letter(place[1] + 1)}{place[0] + 1}"


def read_book(path: Path) -> Book:
    """Read a workbook.

    Raises:
        UnreadableBook: if it is no .xlsx workbook, is damaged, or unpacks to an absurd size.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, about what it does not support
            # openpyxl parses with defusedxml where that is installed: no entities, no bombs.
            workbook = openpyxl.load_workbook(path, True, data_only=True, keep_links=False)
            with contextlib.closing(workbook):
                return _read(workbook)
    except UnreadableBook:
        raise
    except Exception as error:  # a damaged file can make openpyxl raise nearly anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UnreadableBook(f"is not an .xlsx workbook, or is damaged ({reason})") from None


def _check_file(path: Path) -> None:
    try:
        content = path.open("rb").read(MOST_BYTES)
    except OSError as error:
        raise UnreadableBook(f"cannot be read: {error.strerror}") from None
    if content.startswith(bytes.fromhex("d0cf11e0a1b11ae1")):  # of .xls and of encrypted workbooks
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise UnreadableBook("has a password: save it without one")
        raise UnreadableBook("is an .xls workbook: save it as .xlsx")
    try:
        with zipfile.ZipFile(path) as package:
            sizes = {part.filename: part.file_size for part in package.infolist()}
    except Exception:  # a damaged file can make zipfile raise nearly anything
        raise UnreadableBook("is not an .xlsx workbook, or is damaged") from None
    if "META-INF/manifest.xml" in sizes:
        raise UnreadableBook("is an OpenDocument file, such as .ods: save it as .xlsx")
    if "xl/workbook.bin" in sizes:
        raise UnreadableBook("is an .xlsb workbook: save it as .xlsx")
    if sum(sizes.values()) > MOST_BYTES:
        raise UnreadableBook(f"unpacks to more than {MOST_BYTES:,} bytes")


class _Parser(WorkSheetParser):
    """Reads formulas and saved values in one pass; openpyxl itself gives one or the other."""

    def parse_cell(self, element: Element) -> dict[str, Any]:
        cell = super().parse_cell(element)
        node = element.find(FORMULA_TAG)
        if node is not None:
            kind, group, here = node.get("t"), node.get("si"), (cell["row"] - 1, cell["column"] - 1)
            if kind != "shared" or node.text:
                # A formula that Excel does not have is saved by Google Sheets as quoted text.
                quoted = _GOOGLE.fullmatch(node.text or "")
                text = quoted[1].replace('""', '"') if quoted else node.text or ""
                cell["formula"] = Formula(f"={text}", here, kind == "array")
            if kind == "shared":
                cell["formula"] = self.shared_formulae.setdefault(group, cell.get("formula"))
            cell["area"] = node.get("ref") if kind == "array" else None
        return cell


_GOOGLE = re.compile(r'IFERROR\(__xludf\.DUMMYFUNCTION\("((?:[^"]|"")*)"\),.*\)', re.DOTALL)


def _read(workbook: openpyxl.Workbook) -> Book:
    archive, book = workbook._archive, Book([sheet.title for sheet in workbook.worksheets])
    book.names = {name.casefold(): it.value for name, it in workbook.defined_names.items()}
    for sheet in workbook.worksheets:
        title, related = sheet.title, get_rels_path(sheet._worksheet_path)
        for name, meaning in sheet.defined_names.items():
            book.names[f"{title}!{name}".casefold()] = meaning.value
        content = archive.read(sheet._worksheet_path)
        if b"<!DOCTYPE" in content:  # which could declare entities that fill the memory
            raise ValueError("it declares a document type")
        parser = _Parser(None, sheet._shared_strings, data_only=True)
        for _, element in iterparse(io.BytesIO(content)):
            if element.tag == ROW_TAG:
                for cell in parser.parse_row(element)[1]:
                    here, value = (title, cell["row"] - 1, cell["column"] - 1), cell["value"]
                    if value is not None and str(value).strip():
                        book.values[here] = value
                    if "formula" in cell:
                        book.formulas[here] = cell["formula"]
                        for filled in _cells(title, cell["area"]) if cell["area"] else ():
                            book.formulas[filled] = cell["formula"]
                element.clear()
                if len(book.values) > MOST_CELLS or len(book.formulas) > MOST_CELLS:
                    raise UnreadableBook(f"has more than {MOST_CELLS:,} cells")
        parts = related in archive.namelist() and get_dependents(archive, related)
        for part in parts.find(ExcelTable._rel_type) if parts else ():
            table = ExcelTable.from_tree(fromstring(archive.read(part.target)))
            left, top, _, bottom = range_boundaries(table.ref)
            first, last = top - 1 + table.headerRowCount, bottom - 1 - (table.totalsRowCount or 0)
            headers = tuple(column.name for column in table.tableColumns)
            named = NamedTable(title, first, last, left - 1, headers)
            book.tables[table.displayName.casefold()] = named
    return book


def _cells(sheet: str, area: str) -> list[Cell]:
    """List the cells that an array formula fills."""
    left, top, right, bottom = range_boundaries(area)
    if (bottom - top + 1) * (right - left + 1) > WIDEST:
        return []
    return [(sheet, y - 1, x - 1) for y in range(top, bottom + 1) for x in range(left, right + 1)]
