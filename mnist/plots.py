"""Figures of runs: samples, curves, the test log, the confusion matrix, the mistakes."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mnist.history import Epoch, StoredRun
from mnist.segmentation import Found
from utils import Predictions, misread

TRAIN_COLOUR, TEST_COLOUR, WRONG_COLOUR = "#7f7f7f", "#1f6fb4", "#c8371b"


def train_samples(data: Dataset, columns: int = 12) -> Figure:
    """Draw the first training images three times, as training sees them.

    Args:
        data: pairs of an image and its label.
    """
    columns = min(columns, len(data))
    figure = Figure(figsize=(max(6, columns * 0.8), 3), layout="constrained")
    axes = figure.subplots(3, columns, squeeze=False)
    for row, name in zip(axes, ["first time", "second", "third"], strict=True):
        for index, ax in enumerate(row):
            image, label = data[index]
            _draw_digit(ax, image)
            ax.spines[:].set(visible=True, color="#dddddd")
            axes[0, index].set_title(f"{int(label)}", fontsize=11)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    figure.suptitle("Training images: augmented differently in every epoch", fontsize=12)
    return figure


def curves(history: list[Epoch]) -> Figure:
    """Draw loss and accuracy after each epoch, in training and on the test set."""
    epochs = [row.epoch for row in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    shown = []
    for name, colour in (("train", TRAIN_COLOUR), ("test", TEST_COLOUR)):
        losses = [getattr(row, f"{name}_loss") for row in history]
        accuracies = [getattr(row, f"{name}_accuracy") for row in history]
        looks = {"color": colour, "marker": "o", "markersize": 4}
        loss.plot(epochs, losses, label=f"{name}, {losses[-1]:.4f} at the end", **looks)
        accuracy.plot(epochs, accuracies, label=f"{name}, {accuracies[-1]:.2f} at the end", **looks)
        shown += accuracies[len(accuracies) // 4 :]
    loss.set(title="Loss", xlabel="epoch", ylabel="nats per image", yscale="log")
    accuracy.set(title="Accuracy", xlabel="epoch", ylabel="% of images right")
    _look_from_above(accuracy, shown)
    for ax in (loss, accuracy):
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend(title="train: on augmented images, with dropout", title_fontsize=8)
    return figure


def test_log(history: list[Epoch]) -> Figure:
    """Draw the history as a table, its last epoch in bold."""
    header = ["epoch", "rate", "train loss", "train acc.", "test loss", "test acc.", "seconds"]
    more = list(dict.fromkeys(name for row in history for name in row.more))
    cells = [
        [
            f"{row.epoch}",
            f"{row.learning_rate:.4f}",
            f"{row.train_loss:.4f}",
            f"{row.train_accuracy:.2f} %",
            f"{row.test_loss:.4f}",
            f"{row.test_accuracy:.2f} %",
            f"{row.seconds:.1f}",
            *(f"{row.more[name]:.4f}" if name in row.more else "" for name in more),
        ]
        for row in history
    ]
    figure = Figure(figsize=(8 + 1.2 * len(more), 0.8 + 0.26 * len(cells)), layout="constrained")
    ax = figure.subplots()
    ax.axis("off")
    table = ax.table(
        cells, colLabels=header + more, cellLoc="right", colLoc="right", bbox=(0, 0, 1, 1)
    )
    table.auto_set_font_size(False)
    for (row, _), cell in table.get_celld().items():
        cell.set(linewidth=0, facecolor="#f2f5f9" if row % 2 else "white")
        cell.set_text_props(
            fontsize=10, weight="bold" if row in (0, len(cells)) else "normal", family="monospace"
        )
    last = history[-1]
    figure.suptitle(f"Test accuracy after the last epoch, {last.epoch}: {last.test_accuracy:.2f} %")
    return figure


def confusion_matrix(predictions: Predictions) -> Figure:
    """Draw how often each digit was taken for each other."""
    answers = predictions.log_probabilities.argmax(dim=1)
    counts = torch.bincount(predictions.labels * 10 + answers, minlength=100).view(10, 10).numpy()
    wrong = np.where(np.eye(10, dtype=bool), 0, counts)
    figure = Figure(figsize=(6.2, 6), layout="constrained")
    ax = figure.subplots()
    ax.imshow(wrong, cmap="Oranges", vmax=max(4, wrong.max()) * 1.5)
    for true, predicted in np.ndindex(10, 10):
        if count := counts[true, predicted]:
            weight = "bold" if true == predicted else "normal"
            ax.text(predicted, true, count, ha="center", va="center", fontsize=9, weight=weight)
    ax.set(xlabel="predicted", ylabel="true digit", xticks=range(10), yticks=range(10))
    ax.set_title(f"{wrong.sum()} of {counts.sum():,} images wrong; colour: number of mistakes")
    return figure


def mistakes(predictions: Predictions, most: int = 48) -> Figure:
    """Draw the misclassified images with label, prediction and confidence, most confident first.

    Args:
        most: how many to draw at most.
    """
    images, labels, log_probabilities = predictions
    confidence, answers = log_probabilities.exp().max(dim=1)
    wrong = misread(labels, log_probabilities)
    shown, columns = wrong[:most], 8
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(10, 0.7 + 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, index in zip(axes.flat, shown, strict=False):
        _draw_digit(ax, images[index])
        ax.set_title(
            f"{labels[index]} taken for {answers[index]}\n{confidence[index]:.0%} sure",
            fontsize=9,
            color=WRONG_COLOUR,
        )
    which = "All" if len(shown) == len(wrong) else f"The first {len(shown)} of"
    figure.suptitle(f"{which} {len(wrong)} mistakes, the most confident first")
    return figure


def own_image(photo: Image.Image, found: Found, digit: Tensor, probabilities: Tensor) -> Figure:
    """Draw your image, what was taken for the digit, and the probability of each digit.

    Args:
        digit: its ink in the format of MNIST, shape (1, 28, 28).
        probabilities: of the ten digits, shape (10,).
    """
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    whole, seen, bars = figure.subplots(1, 3)
    whole.imshow(photo, cmap="gray", vmin=0, vmax=255)
    x, y, x_end, y_end = found.box
    box = Rectangle((x - 0.5, y - 0.5), x_end - x, y_end - y, fill=False)
    box.set(edgecolor=WRONG_COLOUR, linewidth=1.5)
    whole.add_patch(box)
    whole.set(title="your image, the digit framed", xticks=[], yticks=[])
    _draw_digit(seen, digit)
    seen.spines[:].set(visible=True, color="#dddddd")
    seen.set_title("as the network sees it")
    best = int(probabilities.argmax())
    colours = [TEST_COLOUR if number == best else TRAIN_COLOUR for number in range(10)]
    bars.bar(range(10), 100 * probabilities.numpy(), color=colours)
    bars.set(xticks=range(10), ylim=(0, 100), xlabel="digit", ylabel="probability, %")
    bars.set_title(f"a {best}, {probabilities[best]:.1%} sure")
    if found.warning:
        figure.suptitle(found.warning, color=WRONG_COLOUR, fontsize=11)
    return figure


def accuracies(runs: list[StoredRun]) -> Figure:
    """Draw the test accuracy of each run after each epoch."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    ax = figure.subplots()
    shown = []
    for before, run in zip([None, *runs], runs, strict=False):
        if not run.history:
            continue
        values = [row.test_accuracy for row in run.history]
        changes = ", ".join(before.changes(run)) if before else ""
        label = f"{run.folder.name}: {values[-1]:.2f} %"
        label += f", {changes[:50]}{'…' * (len(changes) > 50)}" if changes else ""
        epochs = [row.epoch for row in run.history]
        ax.plot(epochs, values, marker="o", markersize=4, label=label)
        shown += values[len(values) // 4 :]
    ax.set(title="Test accuracy of every run", xlabel="epoch", ylabel="% of images right")
    if shown:
        _look_from_above(ax, shown)
        ax.legend(loc="lower right", fontsize=8)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
    return figure


def _look_from_above(ax: Axes, accuracies: list[float]) -> None:
    """Show 100 % and these; earlier epochs, far below, would press the rest into one line."""
    lowest = np.nanmin(accuracies)
    ax.set_ylim(bottom=lowest - 0.05 * (100 - lowest) - 0.01, top=100)


def _draw_digit(ax: Axes, image: Tensor | Image.Image) -> None:
    pixels = image.cpu() if isinstance(image, Tensor) else image
    ax.imshow(np.squeeze(np.asarray(pixels)), cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
