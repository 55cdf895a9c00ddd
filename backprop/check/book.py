"""A workbook that somebody else made: what was typed into its cells, and what was saved."""

import contextlib
import functools
import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from defusedxml.ElementTree import iterparse
from openpyxl.formula.translate import Translator
from openpyxl.utils import column_index_from_string, get_column_letter, range_boundaries
from openpyxl.utils.cell import coordinate_from_string

from backprop.check.limits import LARGEST_NUMBER, MOST_BYTES, MOST_CELLS, WIDEST

# What else is handed in for a workbook, by its ending, and what to do.
NOT_READ = {
    ".numbers": "is a Numbers document: export it as .xlsx",
    ".csv": "is a CSV file, which has no formulas: save the workbook as .xlsx",
    ".tsv": "is a table without formulas: save the workbook as .xlsx",
    ".gsheet": "is a link to Google Sheets: download the sheet as .xlsx",
    ".zip": "is an archive: unpack it",
    ".download": "is a download that was not finished: download it again",
    ".crdownload": "is a download that was not finished: download it again",
    ".part": "is a download that was not finished: download it again",
}

Cell = tuple[str, int, int]  # sheet, line, column, the last two counted from 0
Place = tuple[int, int]
_COMMA = re.compile(r"[-−+]?\d+,\d+(?:E[-+]?\d+)?", re.IGNORECASE)


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

    def numbers(self, sheet: str, column: int, line: int, count: int) -> np.ndarray:
        """Give the saved numbers of so many cells below one another, NaN where there is none."""
        cells = ((sheet, row, column) for row in range(line, line + count))
        return np.array(list(map(self.number, cells)), float)

    def has_comma(self, cell: Cell) -> bool:
        """Tell whether a cell holds a text that would be a number with a point in it."""
        return bool(_COMMA.fullmatch(str(self.values.get(cell)).strip()))

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
    return float(value) if -LARGEST_NUMBER < value < LARGEST_NUMBER else None  # None for NaN too


def address(place: Place) -> str:
    """Name a cell as the spreadsheet does."""
    return f"{get_column_letter(place[1] + 1)}{place[0] + 1}"


def read_book(path: Path) -> Book:
    """Read a workbook: cells, names and tables; neither styles nor pictures.

    Raises:
        UnreadableBook: if it is no .xlsx workbook, is damaged, or unpacks to an absurd size.
    """
    if path.suffix.lower() in NOT_READ:
        raise UnreadableBook(NOT_READ[path.suffix.lower()])
    _check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(_Package(archive))
    except UnreadableBook:
        raise
    except Exception as error:  # of a damaged file, zip and XML raise nearly anything
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


# --- The parts of the file ----------------------------------------------------------------
# Office Open XML, ECMA-376, part 1, transitional or strict: elements are told by their local names.


class _Package:
    """The parts of a workbook's file by name, which programs spell as they like."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.names = {_plain(name): name for name in archive.namelist()}

    def __contains__(self, part: str) -> bool:
        return _plain(part) in self.names

    def elements(self, part: str, *names: str) -> Iterator[Element]:
        """Give the elements of a part with these local names as they end, the innermost first.

        Raises:
            DefusedXmlException: if it declares entities, which could fill the memory.
        """
        with self.archive.open(self.names[_plain(part)]) as file:
            for _, element in iterparse(file, forbid_dtd=True):
                if _local(element.tag) in names:
                    yield element

    def related(self, part: str, kind: str) -> dict[str, str]:
        """Give the parts of a kind that another one refers to, by the id of the reference."""
        folder, name = posixpath.split(part)
        references = posixpath.join(folder, "_rels", f"{name}.rels")
        found = {}
        for element in self.elements(references, "Relationship") if references in self else ():
            if element.get("Type", "").endswith(f"/{kind}"):
                target = element.get("Target", "").replace("\\", "/")
                found[element.get("Id")] = posixpath.normpath(posixpath.join("/", folder, target))
        return found


def _plain(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").casefold()


@functools.lru_cache(maxsize=1_000)
def _local(name: str) -> str:
    """Give the name of an element or attribute without its namespace."""
    return name.rpartition("}")[2]


def _parts(element: Element, name: str) -> list[Element]:
    return [child for child in element if _local(child.tag) == name]


def _text(element: Element) -> str:
    """Give the text of a string, in one or several runs, without its reading aid."""
    runs = [element, *_parts(element, "r")]
    return "".join(part.text or "" for run in runs for part in _parts(run, "t")).replace(
        "x005F_", ""
    )


# --- The cells ----------------------------------------------------------------------------


def _read(package: _Package) -> Book:
    (main,) = package.related("", "officeDocument").values()
    strings = [
        _text(element)
        for part in package.related(main, "sharedStrings").values()
        for element in package.elements(part, "si")
    ]
    parts, book = package.related(main, "worksheet"), Book()
    elements = list(package.elements(main, "sheet", "definedName"))
    titles = {
        next(value for key, value in element.items() if _local(key) == "id"): element.get("name")
        for element in elements if _local(element.tag) == "sheet"
    }  # fmt: skip
    for reference, title in titles.items():
        if reference in parts:  # else it is a sheet of a chart
            book.sheets.append(title)
            _read_sheet(package, parts[reference], title, strings, book)
    for element in elements:
        name, sheet = element.get("name"), element.get("localSheetId")
        if _local(element.tag) == "definedName" and not name.startswith("_xlnm."):
            name = name if sheet is None else f"{[*titles.values()][int(sheet)]}!{name}"
            book.names[name.casefold()] = element.text or ""
    return book


def _read_sheet(package: _Package, part: str, title: str, strings: list[str], book: Book) -> None:
    shared: dict[str, Formula] = {}
    line = column = -1
    for row in package.elements(part, "row"):
        line, column = int(row.get("r", line + 2)) - 1, -1
        for cell in _parts(row, "c"):
            column += 1
            if place := cell.get("r"):
                letters, number = coordinate_from_string(place)
                line, column = number - 1, column_index_from_string(letters) - 1
            _read_cell(cell, (title, line, column), strings, shared, book)
        row.clear()
        if len(book.values) > MOST_CELLS or len(book.formulas) > MOST_CELLS:
            raise UnreadableBook(f"has more than {MOST_CELLS:,} cells")
    for found in package.related(part, "table").values():
        *columns, table = package.elements(found, "tableColumn", "table")
        left, top, _, bottom = range_boundaries(table.get("ref"))
        book.tables[table.get("displayName").casefold()] = NamedTable(
            title,
            first=top - 1 + int(table.get("headerRowCount", 1)),
            last=bottom - 1 - int(table.get("totalsRowCount", 0)),
            left=left - 1,
            headers=tuple(column.get("name") for column in columns),
        )


def _read_cell(
    element: Element, here: Cell, strings: list[str], shared: dict[str, Formula], book: Book
) -> None:
    parts = {_local(child.tag): child for child in element}
    value = _value(element.get("t", "n"), parts, strings)
    if value is not None and (not isinstance(value, str) or value.strip()):
        book.values[here] = value
    if "f" in parts:
        typed, kind = parts["f"].text or "", parts["f"].get("t")
        # A formula that Excel does not have is saved by Google Sheets as quoted text.
        quoted = _GOOGLE.fullmatch(typed)
        text = quoted[1].replace('""', '"') if quoted else typed
        formula = Formula(f"={text}", here[1:], kind == "array")
        if kind == "shared":
            formula = shared.setdefault(parts["f"].get("si"), formula)
        book.formulas[here] = formula
        if kind == "array":
            area = _cells(here[0], parts["f"].get("ref") or address(here[1:]))
            book.formulas.update(dict.fromkeys(area, formula))


_GOOGLE = re.compile(r'IFERROR\(__xludf\.DUMMYFUNCTION\("((?:[^"]|"")*)"\),.*\)', re.DOTALL)


def _value(kind: str, parts: dict[str, Element], strings: list[str]) -> Any:
    """Give a cell's saved value: a number, a text, or a truth; an error is its text."""
    if kind == "inlineStr":
        return _text(parts["is"]) if "is" in parts else None
    saved = parts["v"].text if "v" in parts else None
    if not saved:
        return None
    if kind == "s":
        return strings[int(saved)]
    if kind == "b":
        return saved.strip() not in ("0", "false")
    return float(saved) if kind == "n" else saved


def _cells(sheet: str, area: str) -> list[Cell]:
    """List the cells that an array formula fills."""
    left, top, right, bottom = range_boundaries(area)
    if (bottom - top + 1) * (right - left + 1) > WIDEST:
        return []
    return [(sheet, y - 1, x - 1) for y in range(top, bottom + 1) for x in range(left, right + 1)]
