"""The network of the sheet: forward pass, partial derivatives by hand, gradient descent.

    i1 ──w1── h1 → a_h1 ──w5── o1 → a_o1 ── E1
       ╲w3  ╱w2        ╲w7  ╱w6                 E_total = E1 + E2
    i2 ──w4── h2 → a_h2 ──w8── o2 → a_o2 ── E2

Every column of the sheet is one formula here, a function of a row `r` whose attributes are the
other columns. What they are is left open: numbers give a row, arrays give whole columns, and
the names of cells give the formula that stands in the workbook (see `expression.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np

from common import UserError

WEIGHTS = ("w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8")


def gradient_of(weight: str) -> str:
    """Name the column with the partial derivative of the total error by a weight."""
    return f"∂E/∂{weight}"


GRADIENTS = tuple(gradient_of(weight) for weight in WEIGHTS)

COLUMNS = (
    *("t1", "t2", "i1", "i2", "w1", "w2", "w3", "w4"),
    *("h1", "a_h1", "h2", "a_h2", "w5", "w6", "w7", "w8"),
    *("o1", "a_o1", "o2", "a_o2", "E1", "E2", "E_total"),
    *GRADIENTS,
)


@dataclass(frozen=True)
class Problem:
    """What is given: two inputs, two targets, eight starting weights."""

    inputs: tuple[float, ...] = (0.05, 0.10)
    targets: tuple[float, ...] = (0.5, 0.5)
    weights: tuple[float, ...] = (0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55)

    def given(self) -> dict[str, float]:
        """Name every number: t1, t2, i1, i2 and w1 to w8."""
        names = ("t1", "t2", "i1", "i2", *WEIGHTS)
        return dict(zip(names, (*self.targets, *self.inputs, *self.weights), strict=True))


LEARNING_RATES = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0)
STEPS = 100

Row = Any  # anything with the columns as attributes
Formula = Callable[[Row], Any]


# --- Numbers that are the same on every machine -------------------------------------------

# The last digit of numpy's and the C library's exp and power depends on the processor. For a
# single number, the two functions below give the same result everywhere.

_DECIMAL = Context(prec=30, traps=[])  # nothing is raised: e^1000 is infinite


def exp(x: Any) -> Any:
    """Compute e^x; for a single number, rounded to the nearest float."""
    if isinstance(x, float):
        return float(_DECIMAL.exp(Decimal(float(x))))
    return np.exp(x)


def square(x: Any) -> Any:
    """Compute x²; for a single number, as x * x."""
    return x * x if isinstance(x, float) else x**2


# --- Forward pass and error ---------------------------------------------------------------


def sigmoid(x: Any) -> Any:
    """σ(x) = 1 / (1 + e^(−x)); its derivative is σ(x)·(1 − σ(x))."""
    return 1 / (1 + exp(-x))


FORWARD: dict[str, Formula] = {
    "h1": lambda r: r.w1 * r.i1 + r.w2 * r.i2,
    "a_h1": lambda r: sigmoid(r.h1),
    "h2": lambda r: r.w3 * r.i1 + r.w4 * r.i2,
    "a_h2": lambda r: sigmoid(r.h2),
    "o1": lambda r: r.w5 * r.a_h1 + r.w6 * r.a_h2,
    "a_o1": lambda r: sigmoid(r.o1),
    "o2": lambda r: r.w7 * r.a_h1 + r.w8 * r.a_h2,
    "a_o2": lambda r: sigmoid(r.o2),
    "E1": lambda r: 0.5 * square(r.t1 - r.a_o1),
    "E2": lambda r: 0.5 * square(r.t2 - r.a_o2),
    "E_total": lambda r: r.E1 + r.E2,
}

# --- Partial derivatives ------------------------------------------------------------------

# The chain rule's links, each under its symbol. E1 does not depend on a_o2, nor E2 on a_o1.
PARTIALS: dict[str, Formula] = {
    "∂E/∂a_o1": lambda r: r.a_o1 - r.t1,  # of ½(t1 − a_o1)²: the 2 cancels the ½
    "∂E/∂a_o2": lambda r: r.a_o2 - r.t2,
    "∂a_o1/∂o1": lambda r: r.a_o1 * (1 - r.a_o1),
    "∂a_o2/∂o2": lambda r: r.a_o2 * (1 - r.a_o2),
    "∂o1/∂w5": lambda r: r.a_h1,
    "∂o1/∂w6": lambda r: r.a_h2,
    "∂o2/∂w7": lambda r: r.a_h1,
    "∂o2/∂w8": lambda r: r.a_h2,
    "∂o1/∂a_h1": lambda r: r.w5,
    "∂o1/∂a_h2": lambda r: r.w6,
    "∂o2/∂a_h1": lambda r: r.w7,
    "∂o2/∂a_h2": lambda r: r.w8,
    "∂a_h1/∂h1": lambda r: r.a_h1 * (1 - r.a_h1),
    "∂a_h2/∂h2": lambda r: r.a_h2 * (1 - r.a_h2),
    "∂h1/∂w1": lambda r: r.i1,
    "∂h1/∂w2": lambda r: r.i2,
    "∂h2/∂w3": lambda r: r.i1,
    "∂h2/∂w4": lambda r: r.i2,
}

# The two ways from a hidden activation to the error: through o1 and through o2.
PATHS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "∂E/∂a_h1": (
        ("∂E/∂a_o1", "∂a_o1/∂o1", "∂o1/∂a_h1"),
        ("∂E/∂a_o2", "∂a_o2/∂o2", "∂o2/∂a_h1"),
    ),
    "∂E/∂a_h2": (
        ("∂E/∂a_o1", "∂a_o1/∂o1", "∂o1/∂a_h2"),
        ("∂E/∂a_o2", "∂a_o2/∂o2", "∂o2/∂a_h2"),
    ),
}

CHAINS: dict[str, tuple[str, str, str]] = {
    "∂E/∂w1": ("∂E/∂a_h1", "∂a_h1/∂h1", "∂h1/∂w1"),
    "∂E/∂w2": ("∂E/∂a_h1", "∂a_h1/∂h1", "∂h1/∂w2"),
    "∂E/∂w3": ("∂E/∂a_h2", "∂a_h2/∂h2", "∂h2/∂w3"),
    "∂E/∂w4": ("∂E/∂a_h2", "∂a_h2/∂h2", "∂h2/∂w4"),
    "∂E/∂w5": ("∂E/∂a_o1", "∂a_o1/∂o1", "∂o1/∂w5"),
    "∂E/∂w6": ("∂E/∂a_o1", "∂a_o1/∂o1", "∂o1/∂w6"),
    "∂E/∂w7": ("∂E/∂a_o2", "∂a_o2/∂o2", "∂o2/∂w7"),
    "∂E/∂w8": ("∂E/∂a_o2", "∂a_o2/∂o2", "∂o2/∂w8"),
}


def partial(symbol: str, r: Row) -> Any:
    """Compute one link of the chain rule; those of `PATHS` are the sum over both paths."""
    if symbol not in PATHS:
        return PARTIALS[symbol](r)
    (a, b, c), (d, e, f) = (tuple(PARTIALS[link](r) for link in path) for path in PATHS[symbol])
    return a * b * c + d * e * f


def gradient(column: str, r: Row) -> Any:
    """Compute ∂E/∂w for one weight: the product of the three links of its chain."""
    first, second, third = (partial(symbol, r) for symbol in CHAINS[column])
    return first * second * third


def updated(weight: str, r: Row, learning_rate: Any) -> Any:
    """Compute a weight's next value: w − η·∂E/∂w."""
    return getattr(r, weight) - learning_rate * getattr(r, gradient_of(weight))


FORMULAS: dict[str, Formula] = FORWARD | {
    column: lambda r, column=column: gradient(column, r) for column in GRADIENTS
}


# The two neurons that each weight connects.
EDGES = {
    "w1": ("i1", "h1"),
    "w2": ("i2", "h1"),
    "w3": ("i1", "h2"),
    "w4": ("i2", "h2"),
    "w5": ("h1", "o1"),
    "w6": ("h2", "o1"),
    "w7": ("h1", "o2"),
    "w8": ("h2", "o2"),
}

# --- Gradient descent ---------------------------------------------------------------------


def evaluate(given: dict[str, Any]) -> dict[str, Any]:
    """Compute a row of the sheet from what is given.

    Args:
        given: t1, t2, i1, i2 and w1 to w8, as numbers or as arrays of one shape.

    Returns:
        All 31 columns by name.
    """
    row = SimpleNamespace(**given)
    with np.errstate(all="ignore"):
        for column, formula in FORMULAS.items():
            setattr(row, column, formula(row))
    return vars(row)


def descend(problem: Problem, learning_rate: float, steps: int) -> np.ndarray:
    """Run gradient descent and keep every row.

    All eight weights move at once, by the gradients of the same row.

    Args:
        learning_rate: η, the step along the negative gradient.
        steps: how many times the weights move.

    Returns:
        float64 array of shape (steps + 1, 31) in the order of `COLUMNS`; the first row has the
        starting weights.

    Raises:
        UserError: if a number overflows.
    """
    given = {name: np.float64(value) for name, value in problem.given().items()}
    rows = []
    for step in range(steps + 1):
        row = evaluate(given)
        rows.append([row[column] for column in COLUMNS])
        if not np.isfinite(rows[-1]).all():
            raise UserError(
                f"the numbers overflow at step {step} with learning rate {learning_rate:g}: "
                "use a smaller learning rate, smaller numbers or fewer steps"
            )
        r = SimpleNamespace(**row)
        with np.errstate(all="ignore"):
            given |= {weight: updated(weight, r, learning_rate) for weight in WEIGHTS}
    return np.array(rows)
