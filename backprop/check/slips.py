"""What makes a formula wrong: the smallest change of the right one that computes the same.

A change is data, a `Slip`, together with the changed tree; `words` says it.
"""

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from backprop.check.answers import (
    ETA,
    GIVEN,
    NOTHING,
    Kept,
    is_circular,
    moved_by,
    outcome,
    placed,
    placeholders,
    right_tree,
)
from backprop.check.formula import (
    Call,
    Symbol,
    Tree,
    Unevaluable,
    evaluate,
    leaves,
    nodes,
    product,
    read,
    symbols,
    with_leaves,
)
from backprop.check.judge import compare, saved_numbers
from backprop.check.limits import MOST_LEAVES, MOST_PLACES, SAME
from backprop.check.tables import Table
from backprop.network import COLUMNS, FORMULAS, WEIGHTS, gradient_of


class Slip(NamedTuple):
    """One change of the right formula.

    Attributes:
        kind: one of those that `words.WORDS` puts into words.
        used: what the sheet has, for kinds that name it.
        belongs: what it should have.
        both: whether the mistake is in both of the two paths.
    """

    kind: str
    used: Tree | None = None
    belongs: Tree | None = None
    both: bool = False


Change = tuple[Slip, Tree]


def find_slips(
    table: Table, column: str, tree: Tree | None, rows: list[int]
) -> Iterator[tuple[Slip | None, list[int]]]:
    """Give the slips in a column, each with its rows; None where no single change explains them.

    Args:
        tree: what the cells' formulas compute, None if only their values were found wrong.
    """
    if tree is not None:
        slip = _blank(table, column, tree, rows[0])
        for kept in table.kept_inputs(column, rows[0], tree):
            slip = slip or slip_of_formula(column, tree, table.lacking, kept, table.rate.value)
        yield slip, rows
        return
    groups: dict[Slip | None, list[int]] = {}
    for row in rows:
        groups.setdefault(_not_computed(table, column, row), []).append(row)
    for slip, same in groups.items():
        yield slip or _slip_of_values(table, column, same), same


def _blank(table: Table, column: str, tree: Tree, row: int) -> Slip | None:
    """Tell whether a formula is wrong because a cell that it names is blank."""
    right = right_tree(column, table.lacking)
    for symbol in sorted(symbols(right) - symbols(tree) - {ETA}):
        if symbol.column in table.places:
            cell = table.sheet, table.first + row + symbol.below, table.places[symbol.column]
            without = outcome(swapped(right, symbol, 0.0), NOTHING, table.rate.value)
            if table.book.is_blank(cell) and _is_same(without, outcome(tree)):
                return Slip("blank", belongs=symbol)
    return None


@functools.lru_cache(maxsize=1_000)
def slip_of_formula(
    column: str, tree: Tree, lacking: frozenset[str], kept: Kept, eta: float | None
) -> Slip | None:
    """Name the change of a column's right formula that computes what another one computes."""
    if column in FORMULAS and is_circular(column, tree):
        return Slip("circular")
    moved = moved_by(column, tree, kept) if column in WEIGHTS else None
    right, there = right_tree(column, lacking), outcome(tree, kept)
    named = list(dict.fromkeys(leaf for leaf in leaves(tree) if isinstance(leaf, Symbol)))
    typed = list(dict.fromkeys(leaf for leaf in leaves(tree) if isinstance(leaf, float)))
    others = [Symbol(column, 0) for column in COLUMNS if Symbol(column, 0) not in named]
    tries = itertools.chain(
        replaced(right, named),
        structural(column, lacking),
        [(Slip("other rate", moved, ETA), swapped(right, ETA, moved))] if moved else [],
        replaced(right, typed + others),
        (
            (Slip("extra factor", used=number), product((right, number)))
            for number in (*typed, 2.0, 0.5)
        ),
        ((Slip("extra term", used=number), Call("+", (right, number))) for number in typed),
    )
    return next(
        (slip for slip, changed in tries if _is_same(outcome(changed, kept, eta), there)), None
    )


def _is_same(value: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.isfinite(value).all() and (np.abs(value - other) <= SAME * np.abs(other)).all())


def _not_computed(table: Table, column: str, row: int) -> Slip | None:
    """Tell whether a cell holds no number at all, or a typed one among formulas."""
    book, cell = table.book, table.cell(column, row)
    if np.isnan(table.values[column][row]):
        value = book.values.get(cell)
        typed = cell not in book.formulas
        kind = "comma" if typed and book.has_comma(cell) else "no number"
        return Slip("empty") if value is None else Slip(kind, used=repr(value))
    if column in GIVEN:
        return Slip("changed")
    others = (table.cell(column, row) in book.formulas for row in table.computed(column))
    return Slip("typed") if cell not in book.formulas and any(others) else None


def _slip_of_values(table: Table, column: str, rows: list[int]) -> Slip | None:
    """Name the change that gives the saved values of wrong cells, within their rounding.

    None where several do that compute different things: the digits do not tell which.
    """
    below = -1 if column in WEIGHTS else 0
    cells = [Symbol(column, below) for column in COLUMNS if column not in table.lacking]
    cells += [Symbol(gradient_of(column), 0)] if column in WEIGHTS else []
    right = right_tree(column, table.lacking)
    saved = saved_numbers(table, {*cells, *symbols(right)})
    tolerance = compare(table, column).tolerance
    found: dict[Slip, np.ndarray] = {}
    for slip, changed in (*replaced(right, cells), *structural(column, table.lacking)):
        if symbols(changed) <= saved.keys():
            with np.errstate(all="ignore"):
                value = np.broadcast_to(evaluate(changed, saved), table.lines)
                fits = np.abs(value - table.values[column])[rows] <= tolerance[rows]
            tried = outcome(changed, NOTHING, 0.7)
            if fits.all() and not any(_is_same(tried, other) for other in found.values()):
                found[slip] = tried
    return next(iter(found)) if len(found) == 1 else None


# --- The changes --------------------------------------------------------------------------


def replaced(tree: Tree, others: Iterable[Tree]) -> Iterator[Change]:
    """Put another cell or number in place of one: once, or in several places, or in all."""
    own = list(leaves(tree))
    for leaf in dict.fromkeys(own):
        places = [index for index, part in enumerate(own) if part == leaf]
        few = len(places) <= MOST_PLACES
        for times in range(1, len(places) + 1) if few else (1, len(places)):
            for some in itertools.combinations(places, times):
                for other in others:
                    if other != leaf:
                        yield Slip("replaced", other, leaf), _replaced_at(tree, some, other)


@functools.cache
def structural(column: str, lacking: frozenset[str]) -> list[Change]:
    """List the changes of a column's right formula that are not of its cells and numbers."""
    right = right_tree(column, lacking)
    if len(list(leaves(right))) > MOST_LEAVES:
        return []
    changes = [*edits(right), *retyped(column, lacking)]
    if column in WEIGHTS:
        moves = [(Slip("still"), right.args[0]), (Slip("climbs"), Call("+", right.args))]
        changes = moves + changes
    activations = [symbol for symbol in symbols(right) if symbol.column.startswith("a_")]
    nets = right
    for symbol in activations:
        nets = swapped(nets, symbol, symbol._replace(column=symbol.column[2:]))
    changes += [(Slip("net inputs"), nets)] if len(activations) > 1 else []
    if column.startswith("a_"):
        parts = (part for part, _ in nodes(right) if isinstance(part, Call))
        net = next(part.args[0] for part in parts if part.name == "NEGATIVE")
        changes += [
            (Slip("no sigmoid"), net),
            (Slip("other function", used="tanh"), Call("TANH", (net,))),
            (Slip("other function", used="ReLU"), Call("MAX", (net, 0.0))),
        ]
    others = [other for other in (WEIGHTS if column in WEIGHTS else FORMULAS) if other != column]
    return changes + [
        (Slip("other formula", belongs=Symbol(other, 0)), right_tree(other, lacking))
        for other in others
    ]


def edits(tree: Tree, is_whole: bool = True) -> Iterator[Change]:
    """Change one operation of a tree: leave out, put in twice, turn the sign, exchange."""
    yield Slip("sign", belongs=None if is_whole else tree), Call("NEGATIVE", (tree,))
    if isinstance(tree, Symbol):
        yield Slip("twice", belongs=tree), product((tree, tree))
    if isinstance(tree, Call):
        yield from _edits_here(*tree)
        for index, arg in enumerate(tree.args):
            for slip, new in edits(arg, is_whole=False):
                yield slip, Call(tree.name, (*tree.args[:index], new, *tree.args[index + 1 :]))


def _edits_here(name: str, args: tuple[Tree, ...]) -> Iterator[Change]:
    def exchanged(sign: str, first: Tree, second: Tree) -> Change:
        changed = product((first, second)) if sign == "*" else Call(sign, (first, second))
        return Slip("operation", changed, Call(name, args)), changed

    if name == "*":
        for start, end in itertools.combinations(range(len(args) + 1), 2):
            run, rest = product(args[start:end]), args[:start] + args[end:]
            if rest:
                yield Slip("missing factor", belongs=run), product(rest)
            yield Slip("twice", belongs=run), product((*args, run))
    elif len(args) == 1:
        turned = name == "NEGATIVE"
        yield Slip("sign" if turned else "missing function", belongs=args[0]), args[0]
        yield Slip("twice", belongs=Call(name, args)), Call(name, (Call(name, args),))
    else:
        first, second = args
        kind = {"^": "missing power", "/": "missing factor"}.get(name, "missing term")
        yield Slip(kind, belongs=Call(name, args) if name == "^" else second), first
        if name == "-":
            yield Slip(kind, belongs=first), Call("NEGATIVE", (second,))
            yield Slip("operation", second, Call(name, args)), second
        elif name != "^" and first != 1.0:  # without a factor of 1, nothing is missing
            yield Slip(kind, belongs=first), second
        if first != 1.0:
            yield exchanged(name, second, first)
        others = "+-" if first == 1.0 else "+-*/^"
        yield from (exchanged(sign, first, second) for sign in others if sign != name)
        if name == "+":
            yield from (
                (Slip("twice", belongs=arg), Call("+", (Call("+", args), arg))) for arg in args
            )
            if _shape(first) == _shape(second):
                for (slip, one), (_, two) in zip(edits(first), edits(second), strict=True):
                    yield slip._replace(both=True), Call("+", (one, two))


def retyped(column: str, lacking: frozenset[str]) -> Iterator[Change]:
    """Change signs and brackets of the right formula's text.

    A pair of brackets is left out or put in, or one of its ends is moved.
    """
    tokens = re.findall(r"EXP\(|[A-Z]\d+|[\d.]+|.", placeholders(column, lacking))
    texts: list[tuple[str, list[str]]] = []
    opened: list[int] = []
    for end, token in enumerate(tokens):
        paired = [
            _with(_with(tokens, end, "("), place, ")") for place in range(end + 2, len(tokens) + 2)
        ]
        if token.endswith("("):
            opened.append(end)
        elif token == ")":
            start, unclosed = opened.pop(), tokens[:end] + tokens[end + 1 :]
            paired += [_with(unclosed, place, ")") for place in range(start + 1, len(tokens))]
            if tokens[start] == "(":
                paired.append(unclosed[:start] + unclosed[start + 1 :])
                unopened = tokens[:start] + tokens[start + 1 :]
                paired += [_with(unopened, start, "(") for start in range(end)]
        elif token in "+-*/^":
            signs = "+-*/^".replace(token, "")
            texts += [("operation", [*tokens[:end], sign, *tokens[end + 1 :]]) for sign in signs]
        texts += [("brackets", changed) for changed in paired]
    right, seen = right_tree(column, lacking), set()
    for kind, text in texts:
        try:
            changed = read(f"={''.join(text)}", placed)
        except Unevaluable:  # brackets that enclose nothing whole
            continue
        if changed not in {right, *seen}:
            seen.add(changed)
            yield Slip(kind, changed, right), changed


def _with(tokens: list[str], place: int, token: str) -> list[str]:
    return [*tokens[:place], token, *tokens[place:]]


# --- Trees taken apart and put together ---------------------------------------------------


def swapped(tree: Tree, leaf: Tree, other: Tree) -> Tree:
    """Put another leaf in place of one wherever it stands."""
    return with_leaves(tree, lambda own: other if own == leaf else own)


def _replaced_at(tree: Tree, places: Collection[int], other: Tree) -> Tree:
    """Put another leaf at some places, which are counted as `leaves` gives them."""
    index = itertools.count()
    return with_leaves(tree, lambda own: other if next(index) in places else own)


def _shape(tree: Tree) -> Any:
    return (tree.name, *map(_shape, tree.args)) if isinstance(tree, Call) else None
