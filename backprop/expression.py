"""Formulas that write themselves: the arithmetic of `network.py` on names instead of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly the outermost operation binds


@dataclass(frozen=True)
class Expression:
    """A formula in spreadsheet notation, with no more brackets than it needs.

    Computing with it gives longer formulas: `Expression("A1") * 2` is `A1*2`. numpy's `exp`
    calls the method of that name. Another notation says how each operation is written.
    """

    text: str
    binding: int = ATOM

    ADD: ClassVar[str] = "%s+%s"
    SUBTRACT: ClassVar[str] = "%s-%s"
    MULTIPLY: ClassVar[str] = "%s*%s"
    DIVIDE: ClassVar[str] = "%s/%s"
    NUMERATOR: ClassVar[int] = PRODUCT  # how tightly it must bind
    DENOMINATOR: ClassVar[int] = POWER
    RAISE: ClassVar[str] = "%s^%s"
    NEGATE: ClassVar[str] = "-%s"
    EXP: ClassVar[str] = "EXP(%s)"
    BRACKETS: ClassVar[str] = "(%s)"

    @classmethod
    def symbol(cls, name: str) -> str:
        """Write the name of a column or of a partial derivative, such as a_h1 or ∂E/∂w1."""
        return name

    @classmethod
    def number(cls, value: float) -> str:
        """Write a number of a formula, such as the 1 of 1 − a."""
        return f"{value:g}"

    def __add__(self, other: Expression | float) -> Expression:
        return self._join(self.ADD, SUM, (self, SUM), (other, SUM))

    def __radd__(self, other: float) -> Expression:
        return self._join(self.ADD, SUM, (other, SUM), (self, SUM))

    def __sub__(self, other: Expression | float) -> Expression:
        return self._join(self.SUBTRACT, SUM, (self, SUM), (other, PRODUCT))

    def __rsub__(self, other: float) -> Expression:
        return self._join(self.SUBTRACT, SUM, (other, SUM), (self, PRODUCT))

    def __mul__(self, other: Expression | float) -> Expression:
        return self._join(self.MULTIPLY, PRODUCT, (self, PRODUCT), (other, PRODUCT))

    def __rmul__(self, other: float) -> Expression:
        return self._join(self.MULTIPLY, PRODUCT, (other, PRODUCT), (self, PRODUCT))

    def __truediv__(self, other: Expression | float) -> Expression:
        return self._join(self.DIVIDE, PRODUCT, (self, self.NUMERATOR), (other, self.DENOMINATOR))

    def __rtruediv__(self, other: float) -> Expression:
        return self._join(self.DIVIDE, PRODUCT, (other, self.NUMERATOR), (self, self.DENOMINATOR))

    def __pow__(self, other: float) -> Expression:
        return self._join(self.RAISE, POWER, (self, ATOM), (other, ATOM))

    def __neg__(self) -> Expression:
        return type(self)(self.NEGATE % self.bracketed(ATOM), SUM)

    def exp(self) -> Expression:
        return type(self)(self.EXP % self.text)

    def bracketed(self, least: int) -> str:
        """Write it as an operand: in brackets if it binds less tightly than `least`."""
        return self.text if self.binding >= least else self.BRACKETS % self.text

    def _join(
        self, template: str, binding: int, *sides: tuple[Expression | float, int]
    ) -> Expression:
        """Write an operation; each side comes with how tightly it must bind."""

        def written(side: Expression | float, least: int) -> str:
            if not isinstance(side, Expression):
                side = type(self)(self.number(side))
            return side.bracketed(least)

        return type(self)(template % tuple(written(*side) for side in sides), binding)


class JavaScript(Expression):
    """The same in JavaScript, as the page computes it."""

    RAISE = "%s**%s"
    EXP = "Math.exp(%s)"


class Plain(Expression):
    """As a person types it: `a_o1*(1-a_o1)` is `a_o1·(1 − a_o1)`."""

    ADD = "%s + %s"
    SUBTRACT = "%s − %s"
    MULTIPLY = "%s·%s"
    NEGATE = "−%s"
    EXP = "e^(%s)"
    LINKS = " · "  # between the links of a chain
    SIGMOID = "σ(%s)"
    EQUAL = "= %s"
    BECOMES = "← %s"

    @classmethod
    def number(cls, value: float) -> str:
        return "½" if value == 0.5 else super().number(value)

    def __pow__(self, other: Expression | float) -> Plain:
        power = other.text if isinstance(other, Expression) else f"{other:g}"
        if not power.isdecimal():
            return super().__pow__(other)
        superscript = power.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return type(self)(self.bracketed(ATOM) + superscript, POWER)


class LaTeX(Expression):
    """As `README.md` has it, with fractions and subscripts."""

    ADD = "%s + %s"
    SUBTRACT = "%s - %s"
    MULTIPLY = r"%s \cdot %s"
    DIVIDE = r"\frac{%s}{%s}"
    NUMERATOR = DENOMINATOR = SUM
    RAISE = "%s^{%s}"
    EXP = "e^{%s}"
    LINKS = r" \cdot "
    SIGMOID = r"\sigma(%s)"
    EQUAL = "= %s"
    BECOMES = r"\leftarrow %s"
    LETTER = INDEX = COUNT = "%s"
    SUBSCRIPT = "%s_{%s}"
    PARTIAL = r"\partial %s"
    GREEK: ClassVar[dict[str, str]] = {"η": r"\eta"}

    @classmethod
    def number(cls, value: float) -> str:
        top, bottom = float(value).as_integer_ratio()
        fraction = cls.DIVIDE % (cls.COUNT % top, cls.COUNT % bottom)
        return cls.COUNT % top if bottom == 1 else fraction

    @classmethod
    def symbol(cls, name: str) -> str:
        if "/" in name:
            return cls.DIVIDE % tuple(
                cls.PARTIAL % cls.symbol(part.removeprefix("∂")) for part in name.split("/")
            )
        name = name.removesuffix("_total")  # ∂E/∂w is its derivative, and has no "total" either
        letter = cls.LETTER % cls.GREEK.get(name[0], name[0])
        index = (
            (cls.COUNT if letter.isdigit() else cls.INDEX) % letter
            for letter in name[1:].removeprefix("_")
        )
        return cls.SUBSCRIPT % (letter, "".join(index)) if name[1:] else letter


class MathML(LaTeX):
    """The same as elements that browsers draw and screen readers read as mathematics."""

    ADD = "%s<mo>+</mo>%s"
    SUBTRACT = "%s<mo>−</mo>%s"
    MULTIPLY = "%s<mo>·</mo>%s"
    DIVIDE = "<mfrac><mrow>%s</mrow><mrow>%s</mrow></mfrac>"
    RAISE = "<msup><mrow>%s</mrow><mrow>%s</mrow></msup>"
    NEGATE = "<mo>−</mo>%s"
    EXP = "<msup><mi>e</mi><mrow>%s</mrow></msup>"
    BRACKETS = "<mrow><mo>(</mo>%s<mo>)</mo></mrow>"
    LINKS = "<mo>·</mo>"
    SIGMOID = "<mi>σ</mi>" + BRACKETS
    EQUAL = "<mo>=</mo>%s"
    BECOMES = "<mo>←</mo>%s"
    LETTER = INDEX = "<mi>%s</mi>"
    COUNT = "<mn>%s</mn>"
    SUBSCRIPT = "<msub>%s<mrow>%s</mrow></msub>"
    PARTIAL = "<mo>∂</mo>%s"
    GREEK: ClassVar[dict[str, str]] = {}


def operand(value: float, digits: int) -> str:
    """Write a number as part of a formula: in brackets if it is negative."""
    return f"{value:.{digits}g}" if value >= 0 else f"(−{-value:.{digits}g})"


def named(names: dict[str, str], notation: type[Expression] = Expression) -> SimpleNamespace:
    """Make a row, as the formulas take it, whose columns are written as `names` says."""
    return SimpleNamespace(**{column: notation(text) for column, text in names.items()})


def symbols(columns: Iterable[str], notation: type[Expression]) -> SimpleNamespace:
    """Make a row whose columns are written as their names."""
    return named({column: notation.symbol(column) for column in columns}, notation)
