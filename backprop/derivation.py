"""The derivation, in the order in which it is understood: symbol, then formula.

Every line is written by the formulas of `network.py` themselves, with names put in for numbers.
"""

import re

from backprop.expression import PRODUCT, Expression, named
from backprop.network import (
    CHAINS,
    COLUMNS,
    FORWARD,
    PATHS,
    gradient_of,
    partial,
    sigmoid,
    updated,
)

SYMBOLS = named({column: column for column in COLUMNS})


def typeset(formula: str) -> str:
    """Write a spreadsheet formula as a person would: `a_o1*(1-a_o1)` is `a_o1·(1 − a_o1)`."""
    formula = re.sub(r"(?<=[^e(])-", " − ", formula).replace("(-", "(−")
    return re.sub("^-", "−", formula).replace("*", "·").replace("+", " + ")


def chain(gradient: str) -> str:
    """Write the chain rule for ∂E/∂w in symbols."""
    return " · ".join(CHAINS[gradient])


def _forward(column: str) -> str:
    formula = FORWARD[column](SYMBOLS).text
    net = column.removeprefix("a_")
    formula = formula.replace(sigmoid(Expression(net)).text, f"σ({net})")
    return "= " + typeset(formula).replace("0.5·", "½·").replace("^2", "²")


def _gradient(column: str) -> str:
    """Write ∂E/∂w as its chain, and the chain's links as their formulas."""
    factors = []
    for link in CHAINS[column]:
        formula = Expression(link) if link in PATHS else partial(link, SYMBOLS)
        factors.append(formula.text if formula.binding >= PRODUCT else f"({formula.text})")
    return f"= {chain(column)} = {' · '.join(map(typeset, factors))}"


def _update() -> str:
    weight = named({"w": "w", gradient_of("w"): gradient_of("w")})
    return f"← {typeset(updated('w', weight, Expression('η')).text)}"


_SIGMOID = typeset(sigmoid(Expression("x")).text).replace("EXP", "e^")
_ERRORS = ("E1", "E2", "E_total")
_FIRST = [column for column, links in CHAINS.items() if links[0] in PATHS]
_LAST = [column for column in CHAINS if column not in _FIRST]

STEPS_OF_DERIVATION: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        f"1. Forward pass: σ(x) = {_SIGMOID}",
        tuple((column, _forward(column)) for column in FORWARD if column not in _ERRORS),
    ),
    (
        "2. Error: half the squared distance to the targets",
        tuple((column, _forward(column)) for column in _ERRORS),
    ),
    (
        "3. The last weights: only one error depends on each of them",
        tuple((column, _gradient(column)) for column in _LAST),
    ),
    (
        "4. The hidden activations: each reaches the error on two paths, so two terms add up",
        tuple((symbol, f"= {typeset(partial(symbol, SYMBOLS).text)}") for symbol in PATHS),
    ),
    (
        "5. The first weights: from the hidden activation on back to the weight",
        tuple((column, _gradient(column)) for column in _FIRST),
    ),
    ("6. The update: all eight weights at once, with the gradients of the same row",
     (("w", _update()),)),
)  # fmt: skip
