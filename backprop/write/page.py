"""The page: the exercise in one interactive HTML file, with the formulas of `network.py`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backprop.derivation import derivation, sigmoid_rule, update_rule
from backprop.expression import JavaScript, MathML, named
from backprop.network import (
    CHAINS,
    COLUMNS,
    EDGES,
    FORMULAS,
    PARTIALS,
    PATHS,
    WEIGHTS,
    Problem,
    partial,
    updated,
)
from common import UserError
from common.template import assemble

TEMPLATE = Path(__file__).parent / "step_by_step" / "step_by_step.html"
MOST_STEPS = 1000  # that the page computes

# A row in JavaScript, and one that leaves gaps for the numbers.
_ROW = named(
    {name: f"r.{name}" if name.isidentifier() else f'r["{name}"]' for name in COLUMNS}, JavaScript
)
_GAPS = named({name: f"{{{name}}}" for name in COLUMNS}, MathML)


def write_page(
    path: str | Path, problem: Problem, learning_rates: Sequence[float], steps: int
) -> None:
    """Write the page, which begins with these numbers; the same arguments give the same bytes.

    Args:
        learning_rates: the stops of the slider; their curves are drawn too.
        steps: how many times the weights move, at most `MOST_STEPS`.

    Raises:
        UserError: if there are more steps than the page computes.
    """
    if steps > MOST_STEPS:
        raise UserError(
            f"cannot write {path}: the page shows {MOST_STEPS} steps at most, not {steps}"
        )
    parts = {"formulas": formulas_script(problem, learning_rates, steps)}
    _, errors = derivation(MathML)[1]
    rules = (sigmoid_rule(MathML), *errors, update_rule(MathML))
    parts["rules"] = "".join(f"    <span><math>{''.join(rule)}</math></span>\n" for rule in rules)
    assemble(path, TEMPLATE, parts)


def formulas_script(problem: Problem, learning_rates: Sequence[float], steps: int) -> str:
    """Write what the page computes and derives with, as JavaScript.

    Each link of the chain rule has its value and, but for those that sum up two paths, a formula
    in MathML with gaps such as `{w5}`, to be read with symbols or with numbers in them.
    """
    links = {
        symbol: {"value": _function("r", partial(symbol, _ROW))}
        | ({"formula": PARTIALS[symbol](_GAPS).text} if symbol in PARTIALS else {})
        for symbol in (*PATHS, *PARTIALS)
    }
    updates = {
        weight: {
            "value": _function("r, eta", updated(weight, _ROW, JavaScript("eta"))),
            "formula": updated(weight, _GAPS, MathML("{η}")).text,
        }
        for weight in WEIGHTS
    }
    constants = {
        "GIVEN": problem.given(),
        "LEARNING_RATES": learning_rates,
        "LEARNING_RATE": min(learning_rates, key=lambda rate: abs(rate - 0.5)),
        "STEPS": steps,
        "MOST_STEPS": MOST_STEPS,
        "COLUMNS": COLUMNS,
        "EDGES": EDGES,
        "SYMBOLS": {name: MathML.symbol(name) for name in (*COLUMNS, *links, "η")},
        "FORMULAS": {name: _function("r", formula(_ROW)) for name, formula in FORMULAS.items()},
        "LINKS": links,
        "PATHS": PATHS,
        "CHAINS": CHAINS,
        "UPDATES": updates,
    }
    return "".join(f"const {name} = {_written(value)};\n" for name, value in constants.items())


def _function(arguments: str, body: JavaScript) -> JavaScript:
    return JavaScript(f"({arguments}) => {body.text}")


def _written(value: Any) -> str:
    """Write functions and JSON values as JavaScript, an object with one entry per line."""
    if isinstance(value, JavaScript):
        return value.text
    if isinstance(value, dict):
        entries = (f"{_written(name)}: {_written(entry)},\n" for name, entry in value.items())
        return f"{{\n{''.join(entries)}}}"
    return json.dumps(value, ensure_ascii=False)
