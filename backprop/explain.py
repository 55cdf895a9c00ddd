"""The chain rule for one weight: in symbols, then with the numbers put in."""

from types import SimpleNamespace

from backprop.derivation import chain
from backprop.expression import Plain, named, operand, symbols
from backprop.network import (
    CHAINS,
    COLUMNS,
    PARTIALS,
    PATHS,
    Problem,
    Row,
    descend,
    gradient_of,
    partial,
    updated,
)

NAMES = symbols(COLUMNS, Plain)


def explanation(problem: Problem, weight: str, step: int, learning_rate: float) -> str:
    """Derive ∂E/∂w for one weight at one step, down to the updated weight.

    Args:
        weight: w1 to w8.
        step: how many times the weights have moved before; 0 is the starting weights.
        learning_rate: η of the steps before and of the one that follows.
    """
    row = SimpleNamespace(
        **dict(zip(COLUMNS, descend(problem, learning_rate, step)[-1].tolist(), strict=True))
    )
    column = gradient_of(weight)
    links = CHAINS[column]
    lines = [f"{column} at step {step}, learning rate η = {learning_rate:g}", ""]
    lines += ["The chain rule", f"  {column} = {chain(column)}", ""]
    if links[0] in PATHS:
        lines += _two_paths(links[0], row)
    lines += ["Factor by factor", *(f"  {_link(link, row)}" for link in links), ""]
    values = [partial(link, row) for link in links]
    lines += ["The gradient, as in the table"]
    lines += [f"  {column} = {_product(values)} = {getattr(row, column)!r}", ""]
    lines += ["The updated weight"]
    rule = updated(weight, NAMES, Plain("η")).text
    numbers = updated(weight, _numbers(row), Plain(f"{learning_rate:g}")).text
    lines += [f"  {weight} ← {rule}"]
    lines += [f"  {' ' * len(weight)} = {numbers} = {updated(weight, row, learning_rate)!r}"]
    return "\n".join(lines)


def _two_paths(link: str, row: Row) -> list[str]:
    """Derive the gradient by a hidden activation, which reaches both errors."""
    paths = PATHS[link]
    lines = [f"The hidden activation affects both outputs, so {link} has two terms"]
    lines += [f"  {link} = {' + '.join(' · '.join(path) for path in paths)}"]
    for path in paths:
        lines += [f"    {_link(part, row)}" for part in path]
    terms = " + ".join(_product([partial(part, row) for part in path]) for path in paths)
    return [*lines, f"  {link} = {terms} = {partial(link, row):.10g}", ""]


def _link(symbol: str, row: Row) -> str:
    """Write one link: its symbol, its formula, the numbers put in, its value."""
    value = f"{partial(symbol, row):.10g}"
    if symbol in PATHS:
        return f"{symbol} = {value}  (from above)"
    formula, filled_in = (PARTIALS[symbol](names).text for names in (NAMES, _numbers(row)))
    if filled_in == operand(partial(symbol, row), 10):  # an input: there is nothing to compute
        return f"{symbol} = {formula} = {value}"
    return f"{symbol} = {formula} = {filled_in} = {value}"


def _product(values: list[float]) -> str:
    return " · ".join(operand(value, 10) for value in values)


def _numbers(row: Row) -> Row:
    """Make a row whose columns are written as their numbers."""
    return named({column: operand(getattr(row, column), 10) for column in COLUMNS}, Plain)
