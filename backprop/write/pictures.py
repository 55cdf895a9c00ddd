"""The pictures of part 1: the network with its numbers, and the error curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backprop.derivation import derivation
from backprop.network import COLUMNS, EDGES, Problem, descend, evaluate
from common import write_whole
from common.figures import png_bytes

INPUT, HIDDEN, OUTPUT, ERROR, WEIGHT = "#f2c94c", "#7fb8e6", "#8ccf9a", "#e8917f", "#44607c"
CURVE = "#c8371b"
ARROW = {"arrowstyle": "-|>", "color": WEIGHT, "shrinkA": 33, "shrinkB": 33}
CENTRED = {"ha": "center", "va": "center"}
NEURONS = {  # name: x, y, colour
    "i1": (0.0, 2.0, INPUT),
    "i2": (0.0, 0.0, INPUT),
    "h1": (2.0, 2.0, HIDDEN),
    "h2": (2.0, 0.0, HIDDEN),
    "o1": (4.0, 2.0, OUTPUT),
    "o2": (4.0, 0.0, OUTPUT),
}


def draw_network(ax: Axes, problem: Problem | None) -> None:
    """Draw neurons and weights, with the numbers of a problem's first forward pass on them."""
    values = evaluate(problem.given()) if problem else None

    size = 1.0 if problem else 2.0  # of the letters: names are short, and the picture is small

    def label(name: str, digits: int = 4, sign: str = " = ") -> str:
        return f"{name}{sign}{values[name]:.{digits}g}" if values else name

    for weight, (start, end) in EDGES.items():
        (x0, y0, _), (x1, y1, _) = NEURONS[start], NEURONS[end]
        where = 0.5 if y0 == y1 else 0.28  # along the line: before the two that cross do
        x, y = x0 + where * (x1 - x0), y0 + where * (y1 - y0)
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=ARROW)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        ax.text(x, y, label(weight, 6), CENTRED, fontsize=10 * size, color=WEIGHT, bbox=box)
    for name, (x, y, colour) in NEURONS.items():
        ax.scatter([x], [y], s=4100, color=colour, edgecolor="white", linewidth=2, zorder=3)
        if name[0] == "i":
            text = label(name, sign="\n")
        elif values:
            text = f"{label(name)}\nσ: {values[f'a_{name}']:.4g}"
        else:
            text = f"{name}\na_{name}"
        ax.text(x, y, text, CENTRED, fontsize=8.5 * size, zorder=4)
    for number, y in ((1, 2.0), (2, 0.0)):
        error = f"{label(f't{number}', 6)}\n{label(f'E{number}')}"
        box = {"boxstyle": "round", "facecolor": ERROR, "edgecolor": "none", "alpha": 0.6}
        ax.text(5.35, y, error, CENTRED, fontsize=10 * size, bbox=box)
        ax.plot([4.5, 4.85], [y, y], color=WEIGHT, linewidth=1)
    ax.text(5.35, 1.0, label("E_total"), ha="center", fontsize=10 * size)
    ax.set(xlim=(-0.6, 6.1 if problem else 6.3), ylim=(-0.8, 2.8))
    ax.axis("off")


def network_png(problem: Problem | None) -> bytes:
    """Draw the network alone, as PNG; without a problem, with names instead of numbers."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    draw_network(figure.subplots(), problem)
    return png_bytes(figure)


def draw_overview(path: str | Path, problem: Problem, learning_rate: float, steps: int) -> None:
    """Draw the whole exercise: network, derivation, the first rows of the table."""
    figure = Figure(figsize=(17, 13), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[2.9, 1])
    left, right = top.subfigures(1, 2, width_ratios=[1.02, 1])
    network_ax, curve_ax = left.subplots(2, 1, height_ratios=[1.25, 1])
    draw_network(network_ax, problem)
    network_ax.set_title("The network and its first forward pass", fontsize=14)
    trace = descend(problem, learning_rate, steps)
    _draw_curve(curve_ax, learning_rate, trace[:, COLUMNS.index("E_total")])
    _draw_derivation(right.subplots())
    _draw_table(bottom.subplots(), learning_rate, trace[:6])
    write_whole(path, png_bytes(figure))


def _draw_derivation(ax: Axes) -> None:
    ax.axis("off")
    lines = sum(len(formulas) + 1.6 for _, formulas in derivation())
    y = 1.0
    for heading, formulas in derivation():
        ax.text(0, y, heading, fontsize=12, weight="bold", color=WEIGHT, va="top")
        y -= 1 / lines
        for symbol, formula in formulas:
            ax.text(0.02, y, symbol, fontsize=10.5, va="top")
            ax.text(0.13, y, formula, fontsize=10.5, va="top")
            y -= 1 / lines
        y -= 0.6 / lines


def _draw_table(ax: Axes, learning_rate: float, rows: np.ndarray) -> None:
    """Draw the first rows in two halves: 31 columns do not fit beside one another."""
    ax.axis("off")
    ax.set_title(f"The first rows of the table at η = {learning_rate:g}", fontsize=14)
    for bottom, half, digits in ((0.53, slice(16), ".4f"), (0.0, slice(16, None), ".6f")):
        cells = [[format(value, digits) for value in row[half]] for row in rows]
        bbox = (0, bottom, 1, 0.45)
        table = ax.table(cells, colLabels=COLUMNS[half], cellLoc="center", bbox=bbox)
        table.auto_set_font_size(False)
        table.set_fontsize(9.5)
        for (row, _), cell in table.get_celld().items():
            cell.set(linewidth=0.4, facecolor="#dbe9f6" if row == 0 else "white")


def _draw_curve(ax: Axes, learning_rate: float, errors: np.ndarray) -> None:
    steps = len(errors) - 1
    ax.plot(errors, color=CURVE, linewidth=2)
    ax.plot([0, steps], errors[[0, -1]], "o", color=CURVE)
    ax.annotate(f"{errors[0]:.4g}", (0, errors[0]), (10, 0), textcoords="offset points")
    end = f"{errors[-1]:.3g} after {steps} steps"
    corner = {"ha": "right", "va": "top", "transform": ax.transAxes}
    ax.text(0.97, 0.95, end, corner, fontsize=12, color=CURVE)
    ax.set(title=f"Learning rate η = {float(learning_rate)}", xlabel="step", ylabel="E_total")
    ax.grid(alpha=0.3)


def draw_curves(
    folder: str | Path, problem: Problem, learning_rates: Sequence[float], steps: int
) -> list[Path]:
    """Draw the error curve of each learning rate, and all of them in one figure.

    All have the same axes, so that they can be compared.

    Returns:
        The files written, `Loss_Graph_LR0_1.png` and so on, then `Loss_Graph_All.png`.
    """
    errors = {
        rate: descend(problem, rate, steps)[:, COLUMNS.index("E_total")] for rate in learning_rates
    }
    highest = 1.08 * max(curve.max() for curve in errors.values())
    limits = {"xlim": (-0.02 * steps, 1.02 * steps), "ylim": (0, highest)}
    columns = min(3, len(errors))
    rows = -(-len(errors) // columns)
    together = Figure(figsize=(4.6 * columns, 3.6 * rows), layout="constrained")
    axes = together.subplots(rows, columns, squeeze=False).ravel()
    paths = []
    for (rate, curve), shared in zip(errors.items(), axes, strict=False):
        alone = Figure(figsize=(7, 4.5), layout="constrained")
        for ax in (alone.subplots(), shared):
            _draw_curve(ax, rate, curve)
            ax.set(**limits)
        paths.append(Path(folder) / f"Loss_Graph_LR{str(float(rate)).replace('.', '_')}.png")
        write_whole(paths[-1], png_bytes(alone))
    for ax in axes[len(errors) :]:
        ax.axis("off")
    paths.append(Path(folder) / "Loss_Graph_All.png")
    write_whole(paths[-1], png_bytes(together))
    return paths
