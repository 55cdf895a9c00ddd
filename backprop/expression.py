"""Formulas that write themselves: the arithmetic of `network.py` on names instead of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly the outermost operation binds


@dataclass(frozen=True)
class Expression:
    """A formula in spreadsheet notation, with no more brackets than it needs.

    Computing with it gives longer formulas: `Expression("A1") * 2` is `A1*2`. numpy's `exp`
    calls the method of that name.
    """

    text: str
    binding: int = ATOM

    EXP: ClassVar[str] = "EXP"
    POWER_SIGN: ClassVar[str] = "^"

    def __add__(self, other: Expression | float) -> Expression:
        return _join(self, "+", other, SUM, SUM)

    def __sub__(self, other: Expression | float) -> Expression:
        return _join(self, "-", other, SUM, PRODUCT)

    def __mul__(self, other: Expression | float) -> Expression:
        return _join(self, "*", other, PRODUCT, PRODUCT)

    def __truediv__(self, other: Expression | float) -> Expression:
        return _join(self, "/", other, PRODUCT, POWER, PRODUCT)

    def __pow__(self, other: float) -> Expression:
        return _join(self, self.POWER_SIGN, other, ATOM, ATOM, POWER)

    def __radd__(self, other: float) -> Expression:
        return _same_kind(self, other) + self

    def __rsub__(self, other: float) -> Expression:
        return _same_kind(self, other) - self

    def __rmul__(self, other: float) -> Expression:
        return _same_kind(self, other) * self

    def __rtruediv__(self, other: float) -> Expression:
        return _join(_same_kind(self, other), "/", self, PRODUCT, POWER, PRODUCT)

    def __neg__(self) -> Expression:
        return type(self)(f"-{_bracketed(self, ATOM)}", SUM)

    def exp(self) -> Expression:
        return type(self)(f"{self.EXP}({self.text})")


class JavaScript(Expression):
    """The same in JavaScript, as `page.html` computes it."""

    EXP = "Math.exp"
    POWER_SIGN = "**"


def named(names: dict[str, str], notation: type[Expression] = Expression) -> SimpleNamespace:
    """Make a row, as the formulas take it, whose columns are written as `names` says."""
    return SimpleNamespace(**{column: notation(text) for column, text in names.items()})


def _same_kind(expression: Expression, value: float) -> Expression:
    return type(expression)(f"{value:g}")


def _bracketed(operand: Expression, least: int) -> str:
    return operand.text if operand.binding >= least else f"({operand.text})"


def _join(
    left: Expression,
    sign: str,
    right: Expression | float,
    left_least: int,
    right_least: int,
    binding: int | None = None,
) -> Expression:
    if not isinstance(right, Expression):
        right = _same_kind(left, right)
    text = f"{_bracketed(left, left_least)}{sign}{_bracketed(right, right_least)}"
    return type(left)(text, left_least if binding is None else binding)
