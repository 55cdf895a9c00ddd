"""What `check` finds in a workbook, as data: only the test of the report holds its wording."""

import re

from backprop.check.command import check_files
from backprop.check.formula import Symbol
from backprop.check.findings import INCOMPLETE, RIGHT, FAILED, Asked
from backprop.check.words import written
from tests.sheets import ALL_CELLS


def findings(path, **asked):
    """Check one workbook; gives its `FileReport`."""
    (report,) = check_files([path], Asked(**asked))
    assert FAILED not in report.reason
    return report


def is_right(report, tables=1):
    """Tell whether all cells of so many whole tables were judged, and all are right."""
    return report.verdict == RIGHT and [it.judged for it in report.tables] == [ALL_CELLS] * tables


def is_incomplete(report, *facts):
    """Tell whether nothing is wrong, and what is missing in the only table names these facts."""
    (table,) = report.tables
    return report.verdict == INCOMPLETE and told(table.missing, *facts)


def wrong_columns(report):
    """Give the number of wrong cells and the first of them, by column."""
    return {
        column: (sum(len(it.cells) for it in them), them[0].cells[0])
        for table in report.tables
        for column, them in table.columns().items()
    }


def counts(report):
    """Give the number of wrong cells by column."""
    return {column: count for column, (count, _) in wrong_columns(report).items()}


def slips(report):
    """Give the slip of each mistake that has one: kind, what is used, what belongs there.

    A cell of another row has after its name how many rows below it stands: `w1[-1]`.
    """
    found = (wrong.slip for table in report.tables for wrong in table.wrong if wrong.slip)
    return [
        (slip.kind + ", both" * slip.both, _name(slip.used), _name(slip.belongs)) for slip in found
    ]


def _name(tree):
    elsewhere = isinstance(tree, Symbol) and tree.below
    return written(tree) + (f"[{tree.below}]" if elsewhere else "")


def gaps(report):
    """Give the rows that were not judged: sheet, first row and last row."""
    return [(gap.sheet, gap.first_row, gap.last_row) for gap in report.gaps]


def told(sentences, *facts):
    """Tell whether one of some sentences names all of these facts, each as a word of its own."""
    words = [rf"(?<!\w){re.escape(str(fact))}(?!\w)" for fact in facts]
    return any(all(re.search(word, it) for word in words) for it in sentences)
