"""Workbooks checked, one or many."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tqdm import tqdm

from backprop.check.book import UnreadableBook, address, is_formula, read_book
from backprop.check.columns import exchange_headers, place_columns
from backprop.check.formula import Evaluator
from backprop.check.judge import Finding, Judge, repeated_rows
from backprop.check.rates import find_rate
from backprop.check.report import FileReport, TableReport, WrongColumn
from backprop.check.rounding import right_values
from backprop.check.slips import likely_slip
from backprop.check.tables import FEWEST, Header, Table, find_headers, find_rows
from backprop.expression import Expression, named
from backprop.network import COLUMNS, FORMULAS, updated
from common import UserError


def find_workbooks(paths: Sequence[Path], leave_out: Path | None = None) -> dict[str, Path]:
    """Find the workbooks among files and in folders, folders in folders included.

    Args:
        leave_out: a folder whose files are not meant, though it may lie in one that is.

    Returns:
        Each workbook by its name: within the folder, if it was found in one.

    Raises:
        UserError: if a folder has none, or two would have the same name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        inside = {path.name: path}
        if path.is_dir():
            inside = {
                file.relative_to(path).as_posix(): file
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in (".xlsx", ".xlsm")
                and not file.name.startswith((".", "~$"))  # hidden, or a lock of Excel's
                and (leave_out is None or leave_out.resolve() not in file.resolve().parents)
            }
        if not inside:
            raise UserError(f"{path} has no .xlsx workbook in it")
        for name, file in inside.items():
            if found.setdefault(name, file) != file:
                raise UserError(f"{found[name]} and {file} are both called {name}: rename one")
    return found


def check_files(paths: Sequence[Path]) -> Iterator[FileReport]:
    """Check workbooks, several at a time; a bar shows how far it is, after a second.

    Raises:
        UserError: if one takes more memory than there is.
    """
    if len(paths) == 1:
        yield check_file(paths[0])
        return
    with ProcessPoolExecutor(min(len(paths), os.cpu_count() or 1)) as pool:
        reports = pool.map(check_file, paths)
        try:
            yield from tqdm(
                reports, "checking", len(paths), unit="file", delay=1, disable=None, leave=False
            )
        except BrokenProcessPool:
            raise UserError("there is too little memory: check fewer files at a time") from None


def check_file(path: Path) -> FileReport:
    """Judge every table of a workbook."""
    try:
        book = read_book(path)
    except UnreadableBook as error:
        return FileReport(reason=str(error))
    judge = Judge(Evaluator(book))
    tables: list[TableReport] = []
    skipped: list[tuple[Header, str]] = []
    ends: dict[str, int] = {}  # of the last table of each sheet
    for header in find_headers(book):
        rows = find_rows(book, header)
        if isinstance(rows, str):
            skipped.append((header, rows))
            continue
        table = place_columns(judge, book, header, rows)
        if isinstance(table, list):
            skipped.append((header, f"it lacks the headers {', '.join(table)}"))
            continue
        find_rate(judge, table, ends.get(header.sheet, 0))
        table = exchange_headers(judge, table, header.line)
        tables.append(_table_report(judge, table))
        ends[header.sheet] = table.first_line + table.moves
    lines = tuple(
        f"Sheet {header.sheet}, headers in row {header.line + 1}: not judged, {reason}"
        for header, reason in skipped
    )
    if tables:
        return FileReport(tuple(tables), lines)
    return FileReport(reason=_why_none(skipped))


def _why_none(skipped: list[tuple[Header, str]]) -> str:
    if not skipped:
        return f"has no table: no row names {FEWEST} or more of the columns {', '.join(COLUMNS)}"
    header, reason = max(skipped, key=lambda it: len(it[0].places))
    return f"has no whole table: sheet {header.sheet}, headers in row {header.line + 1}: {reason}"


def _table_report(judge: Judge, table: Table) -> TableReport:
    judgement = judge.table(table)
    remarks = list(table.remarks)
    for reason in dict.fromkeys(judgement.unevaluated.values()):
        columns = [it for it, why in judgement.unevaluated.items() if why == reason]
        remarks.append(
            f"formulas of {', '.join(columns)} judged by their values, not evaluated: {reason}"
        )
    if copies := repeated_rows(table):
        remarks.append(
            f"{len(copies)} typed rows repeat the row above to the last digit: not judged as steps"
        )
    return TableReport(
        sheet=table.sheet,
        first_row=table.first_line + 1,
        rows=table.rows,
        learning_rate=table.eta,
        rate_cell="" if table.eta_cell is None else _named(table, table.eta_cell),
        judged=judgement.judged,
        remarks=tuple(remarks),
        wrong=tuple(_wrong_column(judge, table, it) for it in judgement.findings),
    )


def _wrong_column(judge: Judge, table: Table, finding: Finding) -> WrongColumn:
    column, row = finding.column, int(finding.rows[0])
    right = float(right_values(table, column)[row])
    content = table.content(column, row)
    return WrongColumn(
        column=column,
        cells=tuple(table.address(column, int(row)) for row in finding.rows),
        value=table.book.value(table.cell(column, row)),
        right=right if np.isfinite(right) else None,
        formula=content if is_formula(content) else "",
        right_formula=right_formula(table, column, row),
        likely=likely_slip(judge, table, finding),
    )


def right_formula(table: Table, column: str, row: int) -> str:
    """Write the right formula for a cell in the sheet's own cell names."""
    if column in FORMULAS:
        return f"={FORMULAS[column](_cells(table, row)).text}"
    if table.eta_cell is None:
        eta = f"{table.eta:g}"
    else:
        letters = address(*table.eta_cell[1:]).rstrip("0123456789")
        eta = f"${letters}${table.eta_cell[1] + 1}"
        if table.eta_cell[0] != table.sheet:
            eta = f"'{table.eta_cell[0]}'!{eta}"
    return f"={updated(column, _cells(table, row - 1), Expression(eta)).text}"


def _cells(table: Table, row: int) -> SimpleNamespace:
    return named({column: table.address(column, row) for column in COLUMNS})


def _named(table: Table, cell: tuple[str, int, int]) -> str:
    name = address(*cell[1:])
    return name if cell[0] == table.sheet else f"{cell[0]}!{name}"
