"""Slips in words."""

from collections.abc import Callable
from operator import attrgetter

from backprop.check.formula import FUNCTIONS, Call, Symbol, Tree
from backprop.check.slips import Slip
from backprop.expression import Expression, Plain

WORDS = {
    "replaced": "uses {used} where {belongs} belongs",
    "other rate": "uses {used} where {belongs} belongs",
    "other formula": "this is the formula of {belongs}",
    "other function": "{used} where the sigmoid belongs",
    "no sigmoid": "the sigmoid is missing",
    "missing factor": "the factor {belongs} is missing",
    "missing term": "the term {belongs} is missing",
    "missing power": "the exponent is missing: {belongs}",
    "missing function": "the function applied to {belongs} is missing",
    "twice": "{belongs} occurs twice",
    "extra factor": "there is an extra factor {used}",
    "extra term": "there is an extra term {used}",
    "net inputs": "uses the net inputs where the activations belong",
    "operation": "computes {used} where {belongs} belongs",
    "sign": "the sign of {belongs} is reversed",
    "whole sign": "the sign is reversed",
    "brackets": "the brackets are misplaced: it computes {used}",
    "climbs": "the update adds the gradient instead of subtracting it",
    "still": "the weight is not updated",
    "blank": "{belongs} is blank",
    "changed": "differs from the first row, but must be the same in every row",
    "circular": "a circular reference: refers to its own cell, or to a cell computed from it",
    "typed": "a typed number where the other rows have a formula",
    "empty": "the cell is empty",
    "no number": "contains {used}, not a number",
    "comma": "contains {used}, which is text: write the number with a point",
}


def in_words(slip: Slip, name: Callable[[Symbol], str]) -> str:
    """Say what a slip is.

    Args:
        name: names a cell of the table.
    """

    def said(tree: Tree | None) -> str:
        return name(tree) if isinstance(tree, Symbol) else written(tree)

    whole = slip.kind == "sign" and slip.belongs is None
    text = WORDS["whole sign" if whole else slip.kind]
    text = text.format(used=said(slip.used), belongs=said(slip.belongs))
    return f"{text}, in both paths" if slip.both else text


class Typed(Plain):
    """As a person types a formula, but with the sheet's own EXP."""

    EXP = "EXP(%s)"


def written(tree: Tree | None) -> str:
    """Write a tree as a person would, with the names of the columns."""
    if tree is None or isinstance(tree, str):
        return tree or ""
    return expression(tree, Typed, attrgetter("column")).text


def expression(tree: Tree, notation: type[Expression], name: Callable[[Symbol], str]) -> Expression:
    """Write a tree of operations, cells and numbers in a notation."""
    if isinstance(tree, Call):
        return FUNCTIONS[tree.name](*(expression(arg, notation, name) for arg in tree.args))
    if isinstance(tree, Symbol):
        return notation(name(tree))
    return -notation(f"{-tree:.15g}") if tree < 0 else notation(f"{tree:.15g}")
