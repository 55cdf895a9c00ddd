"""The tables and the figure of all seeds, from their histories: `python -m results.summary`."""

import math
from pathlib import Path
from statistics import mean, stdev, variance

from matplotlib.figure import Figure
from scipy.special import stdtrit

from common import print_utf8, write_whole
from common.figures import png_bytes
from mnist.history import Epoch, read_history

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "Test_Images" / "Seeds.png"
TO_BEAT = 99.48  # % of the test images, the best epoch of one run
QUICK_ACCURACY = 99.40  # % of the test images


def read_seeds(folder: Path) -> dict[int, list[Epoch]]:
    """Read `seed-1.csv` and so on: the history of each seed's run."""
    files = folder.glob("seed-*.csv")
    by_seed = {int(file.stem.removeprefix("seed-")): file for file in files}
    return {seed: read_history(by_seed[seed]) for seed in sorted(by_seed)}


def interval_of_mean(values: list[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of normally distributed values, by Student's t."""
    half = stdtrit(len(values) - 1, 0.975) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def table(histories: dict[int, list[Epoch]]) -> str:
    """Write the test accuracies over all seeds as a Markdown table."""
    last = [history[-1].test_accuracy for history in histories.values()]
    best = [max(row.test_accuracy for row in history) for history in histories.values()]
    lines = [
        "| test accuracy, % | mean ± standard deviation | 95 % interval of the mean | min | max "
        "| seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in (
        ("at the last epoch", last),
        ("at each run's best epoch, chosen on the test set", best),
    ):
        low, high = interval_of_mean(values)
        lines.append(
            f"| {name} | {mean(values):.3f} ± {stdev(values):.3f} | {low:.3f} to {high:.3f} "
            f"| {min(values):.2f} | {max(values):.2f} | {len(values)} |"
        )
    return "\n".join(lines)


def gain(histories: dict[int, list[Epoch]], default: dict[int, list[Epoch]]) -> tuple[float, float]:
    """How much higher the mean accuracy at the last epoch is than with the default setting.

    Returns:
        The difference of the means and its standard error, in percentage points.
    """
    ends = [[h[-1].test_accuracy for h in each.values()] for each in (histories, default)]
    error = math.sqrt(sum(variance(values) / len(values) for values in ends))
    return mean(ends[0]) - mean(ends[1]), error


def race(quick: dict[int, list[Epoch]], classic: list[Epoch]) -> tuple[float, float]:
    """How long the quick setting takes, and the classic pipeline to the same accuracy.

    Returns:
        The mean of the quick seeds and the time of the classic run, in seconds.
    """
    seconds = mean(sum(row.seconds for row in history) for history in quick.values())
    return seconds, sum(row.seconds for row in classic)


def draw(histories: dict[int, list[Epoch]]) -> Figure:
    """Draw the test accuracy of every seed after each epoch, and their mean."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    ax = figure.subplots()
    for seed, history in histories.items():
        epochs = [row.epoch for row in history]
        accuracies = [row.test_accuracy for row in history]
        ax.plot(epochs, accuracies, linewidth=1, alpha=0.6, label=f"seed {seed}")
    runs = zip(*histories.values(), strict=True)
    means = [mean(row.test_accuracy for row in rows) for rows in runs]
    ax.plot(epochs, means, color="black", linewidth=2, label="mean")
    ax.annotate(
        f"{means[-1]:.3f} %", (epochs[-1], means[-1]), (0, 14), textcoords="offset points",
        ha="right", weight="bold",
    )  # fmt: skip
    ax.axhline(TO_BEAT, color="#c8371b", linestyle="--", linewidth=1)
    ax.text(1, TO_BEAT, f"{TO_BEAT} %: the result to beat", color="#c8371b", va="bottom")
    ax.set(xlabel="epoch", ylabel="% of 10,000 test images right", ylim=(98, 99.8))
    ax.set_title("Test accuracy after each epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", ncols=2)
    return figure


if __name__ == "__main__":
    print_utf8()
    histories = read_seeds(ROOT / "results")
    accurate = read_seeds(ROOT / "results" / "accurate")
    quick = read_seeds(ROOT / "results" / "quick")
    print(table(histories))
    print(f"\nThe accurate setting:\n\n{table(accurate)}\n")
    higher = "{:.3f} percentage points above the default setting (standard error {:.3f})"
    print(higher.format(*gain(accurate, histories)))
    print(f"\nThe quick setting:\n\n{table(quick)}\n")
    seconds, classic = race(quick, read_history(ROOT / "results" / "classic.csv"))
    print(
        f"{seconds:.0f} s; the classic pipeline first reaches {QUICK_ACCURACY:.2f} % after "
        f"{classic:.0f} s, {classic / seconds:.1f} times as long\n"
    )
    write_whole(FIGURE, png_bytes(draw(histories)))
    print(FIGURE.relative_to(ROOT))
