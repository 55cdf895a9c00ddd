"""What belongs in each column: the right formula as text and as a tree, and what it depends on."""

import functools
from types import SimpleNamespace

from backprop.check.formula import Symbol, Tree, read, symbols
from backprop.expression import Expression
from backprop.network import COLUMNS, FORMULAS, NEEDED, WEIGHTS, updated

GIVEN = ("t1", "t2", "i1", "i2")  # the same in every row
ETA = Symbol("η", 0)


def right_text(column: str, names: dict[str, str], eta: str) -> str:
    """Write the right formula of a column with names of cells and of the learning rate.

    Args:
        names: by column, of the row itself or, for a weight, of the row above. For a computed
            column without one it is written how to compute it.
    """
    row = SimpleNamespace()
    for name in COLUMNS:
        known = name in names or name not in FORMULAS
        formula = Expression(names.get(name, name)) if known else FORMULAS[name](row)
        setattr(row, name, formula)
    return (
        updated(column, row, Expression(eta)) if column in WEIGHTS else FORMULAS[column](row)
    ).text


@functools.cache
def right_tree(column: str, lacking: frozenset[str] = frozenset()) -> Tree:
    """Give the right formula of a column as a tree of the table's cells.

    Args:
        lacking: columns that the table does not have; their formulas are put in for them.
    """
    return read(f"={placeholders(column, lacking)}", placed)


def placeholders(column: str, lacking: frozenset[str]) -> str:
    """Write the right formula of a column with names of cells that `placed` understands."""
    side = "B" if column in WEIGHTS else "A"
    known = [it for it in COLUMNS if it not in lacking or it not in FORMULAS]
    return right_text(column, {it: f"{side}{COLUMNS.index(it)}" for it in known}, "C1")


def placed(name: str) -> Symbol:
    """Give the cell that a name stands for: A in the own row, B in the row above, C for η."""
    return ETA if name[0] == "C" else Symbol(COLUMNS[int(name[1:])], -(name[0] == "B"))


@functools.cache
def sources(column: str) -> frozenset[str]:
    """Name the columns of its row that a column is computed from, itself included."""
    return frozenset({column}).union(*map(sources, NEEDED.get(column, ())))


def is_circular(column: str, tree: Tree) -> bool:
    """Tell whether a formula names its own cell, or one of its row that is computed from it."""
    return any(it.below == 0 and column in sources(it.column) for it in symbols(tree) - {ETA})
