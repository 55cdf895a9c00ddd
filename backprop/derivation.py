"""The derivation, in the order in which it is understood: symbol, then formula.

Every line is written by the formulas of `network.py` themselves, with names put in for numbers.
"""

from backprop.expression import PRODUCT, LaTeX, Plain, symbols
from backprop.network import CHAINS, COLUMNS, FORWARD, PATHS, gradient_of, partial, sigmoid, updated

Notation = type[Plain] | type[LaTeX]  # MathML among them
Line = tuple[str, str]  # a symbol, and what it is


def chain(gradient: str, notation: Notation = Plain) -> str:
    """Write the chain rule for ∂E/∂w in symbols."""
    return notation.LINKS.join(map(notation.symbol, CHAINS[gradient]))


def sigmoid_rule(notation: Notation) -> Line:
    """Write what the sigmoid is: σ(x) = 1/(1 + e^(−x))."""
    x = notation(notation.symbol("x"))
    return notation.SIGMOID % x.text, notation.EQUAL % sigmoid(x).text


def update_rule(notation: Notation) -> Line:
    """Write how a weight moves: w ← w − η·∂E/∂w."""
    row = symbols(("w", gradient_of("w")), notation)
    rule = updated("w", row, notation(notation.symbol("η")))
    return notation.symbol("w"), notation.BECOMES % rule.text


def derivation(notation: Notation = Plain) -> tuple[tuple[str, tuple[Line, ...]], ...]:
    """Write the derivation: headings, each with its lines of symbol and formula."""
    row = symbols(COLUMNS, notation)

    def forward(column: str) -> Line:
        net = notation.symbol(column.removeprefix("a_"))
        is_activation = column.startswith("a_")
        formula = notation.SIGMOID % net if is_activation else FORWARD[column](row).text
        return notation.symbol(column), notation.EQUAL % formula

    def gradient(column: str) -> Line:
        """Write ∂E/∂w as its chain, and the chain's links as their formulas."""
        factors = (
            notation(notation.symbol(link)) if link in PATHS else partial(link, row)
            for link in CHAINS[column]
        )
        product = notation.LINKS.join(factor.bracketed(PRODUCT) for factor in factors)
        equals = (notation.EQUAL % side for side in (chain(column, notation), product))
        return notation.symbol(column), " ".join(equals)

    def paths(symbol: str) -> Line:
        return notation.symbol(symbol), notation.EQUAL % partial(symbol, row).text

    errors = ("E1", "E2", "E_total")
    neurons = [column for column in FORWARD if column not in errors]
    first = [column for column, links in CHAINS.items() if links[0] in PATHS]
    last = [column for column in CHAINS if column not in first]
    sections = (
        ("Forward pass: " + " ".join(sigmoid_rule(notation)), map(forward, neurons)),
        ("Error: half the squared distance to the targets", map(forward, errors)),
        ("The last weights: only one error depends on each of them", map(gradient, last)),
        (
            "The hidden activations: each reaches the error on two paths, so two terms add up",
            map(paths, PATHS),
        ),
        ("The first weights: from the hidden activation back to the weight", map(gradient, first)),
        (
            "The update: all eight weights at once, with the gradients of the same row",
            [update_rule(notation)],
        ),
    )
    return tuple(
        (f"{number}. {heading}", tuple(lines))
        for number, (heading, lines) in enumerate(sections, start=1)
    )
