"""What `check` finds in a workbook, as data, and what a test says that it should find."""

import operator
import re

from hypothesis import HealthCheck, settings

from backprop.check.command import check_files
from backprop.check.findings import FAILED, INCOMPLETE, RIGHT, UNREADABLE, WRONG, Asked
from backprop.check.formula import Symbol
from backprop.check.words import written

# How often Hypothesis tries sheets.
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[*HealthCheck])


def findings(path, **asked):
    """Check one workbook; gives its `FileReport`."""
    (report,) = check_files([path], Asked(**asked))
    assert FAILED not in report.reason
    return report


class Found(dict):
    """What is to be found in a workbook: all is judged and right, unless something is said.

    Facts are words that one sentence names together. In a list stands all that there is; in a set
    what there is among others. What is None may be anything.

        verdict: one or several, where the rest does not tell it.
        wrong: by column the number of wrong cells, or that and the first of them; or a set of
            columns and numbers.
        slips: as `slips` gives them, a list or a set.
        likely, cells, right: for each mistake, facts of its explanation, its cells, and the right
            formula.
        missing: facts of a reason for which something was not judged, in a table or beside it.
        gaps: rows that were not judged, as `gaps` gives them.
        remarks: facts of each remark, in any order; a list or a set.
        reason: facts of why nothing can be judged.
        tables: a tuple of numbers, of which one is theirs; one table where something is judged.
        rates: of each table the learning rate and its cell.
        rows: of each table the first row, as the spreadsheet counts, and the number of rows.
        judged: of each table the number of cells judged; all, where all is right.
    """


def differences(report, found):
    """Give what is not as it is to be found: what there is, and what should be."""
    tables, wrong = report.tables, [mistake for table in report.tables for mistake in table.wrong]
    reasons = [reason for table in tables for reason in table.missing]
    seen = {
        "verdict": report.verdict, "wrong": wrong_columns(report), "slips": slips(report),
        "likely": [mistake.likely for mistake in wrong],
        "cells": [mistake.cells for mistake in wrong],
        "right": [mistake.right_formula for mistake in wrong],
        "missing": reasons + [gap.reason for gap in report.gaps], "gaps": gaps(report),
        "remarks": [remark for table in tables for remark in table.remarks],
        "reason": [report.reason], "tables": len(tables),
        "rates": [(table.learning_rate, table.rate_cell) for table in tables],
        "rows": [(table.first_row, table.rows) for table in tables],
        "judged": [table.judged for table in tables],
    }  # fmt: skip
    found = {name: expected for name, expected in found.items() if expected is not None}
    verdict = INCOMPLETE if found.keys() & {"missing", "gaps"} else RIGHT
    verdict = WRONG if found.get("wrong") or found.get("slips") else verdict
    verdict = UNREADABLE if "reason" in found else verdict
    found = {"verdict": verdict, "tables": (int(verdict != UNREADABLE),)} | found
    if found["verdict"] == RIGHT:
        found = {"judged": [19 * table.rows + 8 * (table.rows - 1) for table in tables]} | found
    return {
        name: (seen[name], expected)
        for name, expected in found.items()
        if not _AGREES.get(name, operator.eq)(seen[name], expected)
    }


def _same_columns(seen, wrong):
    counts = {name: count for name, (count, _) in seen.items()}
    if isinstance(wrong, set):
        return wrong <= {*counts.items()}
    return seen | {name: counts[name] for name in seen if type(wrong.get(name)) is int} == wrong


def _each_told(sentence, facts):
    return told([sentence], *facts)


def _all_told(seen, remarks):
    is_all = isinstance(remarks, set) or len(seen) == len(remarks)
    return is_all and all(told(seen, *facts) for facts in remarks)


_AGREES = {
    "verdict": lambda seen, verdicts: seen in verdicts,
    "wrong": _same_columns,
    "slips": lambda seen, slips: slips <= {*seen} if isinstance(slips, set) else seen == slips,
    "likely": lambda seen, facts: all(map(_each_told, seen, facts)) and len(seen) >= len(facts),
    "missing": lambda seen, facts: told(seen, *facts),
    "remarks": _all_told,
    "reason": lambda seen, facts: told(seen, *facts),
    "tables": lambda seen, counts: seen in counts,
}


def wrong_columns(report):
    """Give the number of wrong cells and the first of them, by column."""
    return {
        column: (sum(len(mistake.cells) for mistake in mistakes), mistakes[0].cells[0])
        for table in report.tables
        for column, mistakes in table.columns().items()
    }


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
    return any(all(re.search(word, sentence) for word in words) for sentence in sentences)
