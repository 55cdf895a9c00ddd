"""What `check` finds in a workbook, as data, and what a test says that it should find."""

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
    tables, wrong = report.tables, [it for table in report.tables for it in table.wrong]
    remarks = [it for table in tables for it in table.remarks]
    missing = [it for table in tables for it in table.missing] + [it.reason for it in report.gaps]
    seen = {
        "verdict": report.verdict, "wrong": wrong_columns(report), "slips": slips(report),
        "likely": [it.likely for it in wrong], "cells": [it.cells for it in wrong],
        "right": [it.right_formula for it in wrong], "missing": missing, "gaps": gaps(report),
        "remarks": remarks, "reason": [report.reason], "tables": len(tables),
        "rates": [(it.learning_rate, it.rate_cell) for it in tables],
        "rows": [(it.first_row, it.rows) for it in tables],
        "judged": [it.judged for it in tables],
    }  # fmt: skip
    found = {name: it for name, it in found.items() if it is not None}
    verdict = INCOMPLETE if found.keys() & {"missing", "gaps"} else RIGHT
    verdict = WRONG if found.get("wrong") or found.get("slips") else verdict
    verdict = UNREADABLE if "reason" in found else verdict
    found = {"verdict": verdict, "tables": (int(verdict != UNREADABLE),)} | found
    if found["verdict"] == RIGHT:
        found = {"judged": [19 * it.rows + 8 * (it.rows - 1) for it in tables]} | found
    return {
        name: (seen[name], it)
        for name, it in found.items()
        if not _AGREES.get(name, lambda seen, it: seen == it)(seen[name], it)
    }


def _same_columns(seen, wrong):
    counts = {name: count for name, (count, _) in seen.items()}
    if isinstance(wrong, set):
        return wrong <= {*counts.items()}
    return seen | {name: counts[name] for name in seen if type(wrong.get(name)) is int} == wrong


_AGREES = {
    "verdict": lambda seen, verdict: seen in verdict,  # which may be several
    "wrong": _same_columns,
    "slips": lambda seen, them: them <= {*seen} if isinstance(them, set) else seen == them,
    "likely": lambda seen, them: all(told(seen[i : i + 1], *it) for i, it in enumerate(them)),
    "missing": lambda seen, facts: told(seen, *facts),
    "remarks": lambda seen, them: (
        all(told(seen, *facts) for facts in them)
        and (isinstance(them, set) or len(seen) == len(them))
    ),
    "reason": lambda seen, facts: told(seen, *facts),
    "tables": lambda seen, counts: seen in counts,
}


def wrong_columns(report):
    """Give the number of wrong cells and the first of them, by column."""
    return {
        column: (sum(len(it.cells) for it in them), them[0].cells[0])
        for table in report.tables
        for column, them in table.columns().items()
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
    return any(all(re.search(word, it) for word in words) for it in sentences)
