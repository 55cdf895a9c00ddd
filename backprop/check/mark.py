"""A copy of a workbook in which the wrong cells are marked."""

import io
import warnings
from pathlib import Path

import openpyxl
from openpyxl.cell import Cell
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill

from backprop.check.findings import FileReport, Finding
from common import UserError, write_whole

COLOUR = "FFFFB3A7"  # a red that black digits stay readable on
LOST = (
    "the copies may lack shapes, pictures and chart effects; computed cells are blank until a "
    "spreadsheet program opens the file"
)


def write_marked(path: Path, report: FileReport, copy: Path) -> None:
    """Copy a workbook with its wrong cells coloured and a note at the first of each mistake.

    A workbook without wrong cells is copied as it is.

    Raises:
        UserError: if openpyxl cannot copy it, or the copy cannot be written.
    """
    if not any(table.wrong for table in report.tables):
        write_whole(copy, path.read_bytes())
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, about what it does not keep
            workbook = openpyxl.load_workbook(
                path, rich_text=True, keep_vba=path.suffix.lower() == ".xlsm"
            )
            for table in report.tables:
                for wrong in table.wrong:
                    _mark(workbook[table.sheet], wrong)
            file = io.BytesIO()
            workbook.save(file)
    except Exception as error:  # openpyxl may read a workbook in part and fail on the whole
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot mark {path}: {reason}") from None
    write_whole(copy, file.getvalue())


def _mark(sheet: openpyxl.worksheet.worksheet.Worksheet, wrong: Finding) -> None:
    for name in wrong.cells:
        sheet[name].fill = PatternFill("solid", fgColor=COLOUR)
    first = sheet[wrong.cells[0]]
    if isinstance(first, Cell):  # and not a part of merged cells, which carries no note
        lines = [f"{wrong.column}: {len(wrong.cells)} wrong", f"right: {wrong.right_formula}"]
        if wrong.likely:
            lines.append(f"likely: {wrong.likely}")
        first.comment = Comment("\n".join(lines), "check", width=420, height=120)
