"""Pictures of a run: samples, curves, the test log, the confusion matrix, the mistakes.

Each function draws one figure, saves it as PNG, and shows the same PNG if it runs in a notebook.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from common import write_whole
from common.figures import png_bytes
from mnist.history import Epoch
from mnist.images import Images, misread
from mnist.notebook import show_picture

TRAIN_COLOUR, TEST_COLOUR, WRONG_COLOUR = "#7f7f7f", "#1f6fb4", "#c8371b"


def train_samples(data: Images, path: str | Path, columns: int = 12) -> None:
    """Draw the first training images as they are, and three times as training sees them."""
    indices = list(range(columns))
    figure = Figure(figsize=(columns * 0.8, 3.9), layout="constrained")
    axes = figure.subplots(4, columns)
    rows = [data.images[indices]] + [data[indices][0] for _ in range(3)]
    for row, images in zip(axes, rows, strict=True):
        for ax, image in zip(row, images, strict=True):
            _draw_digit(ax, image)
            ax.spines[:].set(visible=True, color="#dddddd")
    for ax, label in zip(axes[0], data.labels[indices], strict=True):
        ax.set_title(f"{label}", fontsize=11)
    for ax, name in zip(axes[:, 0], ["original", "augmented", "again", "again"], strict=True):
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    figure.suptitle("Training images: augmented differently in every epoch", fontsize=12)
    _save(figure, path)


def curves(history: list[Epoch], path: str | Path) -> None:
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
    # The first epochs, far below, would press all that follows into one line.
    lowest = np.nanmin(shown)
    accuracy.set_ylim(bottom=lowest - 0.05 * (100 - lowest) - 0.01, top=100)
    for ax in (loss, accuracy):
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend(title="train: on augmented images, with dropout", title_fontsize=8)
    _save(figure, path)


def test_log(history: list[Epoch], path: str | Path) -> None:
    """Draw the history as a table, its last epoch in bold."""
    header = ["epoch", "rate", "train loss", "train acc.", "test loss", "test acc.", "seconds"]
    cells = [
        [
            f"{row.epoch}",
            f"{row.learning_rate:.4f}",
            f"{row.train_loss:.4f}",
            f"{row.train_accuracy:.2f} %",
            f"{row.test_loss:.4f}",
            f"{row.test_accuracy:.2f} %",
            f"{row.seconds:.1f}",
        ]
        for row in history
    ]
    figure = Figure(figsize=(8, 0.8 + 0.26 * len(cells)), layout="constrained")
    ax = figure.subplots()
    ax.axis("off")
    table = ax.table(cells, colLabels=header, cellLoc="right", colLoc="right", bbox=(0, 0, 1, 1))
    table.auto_set_font_size(False)
    for (row, _), cell in table.get_celld().items():
        cell.set(linewidth=0, facecolor="#f2f5f9" if row % 2 else "white")
        cell.set_text_props(
            fontsize=10, weight="bold" if row in (0, len(cells)) else "normal", family="monospace"
        )
    last = history[-1]
    figure.suptitle(f"Test accuracy after the last epoch, {last.epoch}: {last.test_accuracy:.2f} %")
    _save(figure, path)


def confusion_matrix(log_probabilities: Tensor, labels: Tensor, path: str | Path) -> None:
    """Draw how often each digit was taken for each other.

    Args:
        log_probabilities: tensor of shape (N, 10).
        labels: true digits, int64 tensor of shape (N,).
    """
    predictions = log_probabilities.argmax(dim=1)
    counts = torch.bincount(labels * 10 + predictions, minlength=100).view(10, 10).cpu().numpy()
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
    _save(figure, path)


def mistakes(data: Images, log_probabilities: Tensor, path: str | Path, most: int = 48) -> None:
    """Draw the misclassified images with label, prediction and confidence, most confident first.

    Args:
        log_probabilities: of each image of `data`, in its order; shape (N, 10).
        most: how many to draw at most.
    """
    confidence, predictions = log_probabilities.exp().max(dim=1)
    wrong = misread(data, log_probabilities)
    shown, columns = wrong[:most], 8
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(10, 0.7 + 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, index in zip(axes.flat, shown, strict=False):
        _draw_digit(ax, data.images[index])
        ax.set_title(
            f"{data.labels[index]} taken for {predictions[index]}\n{confidence[index]:.0%} sure",
            fontsize=9,
            color=WRONG_COLOUR,
        )
    which = "All" if len(shown) == len(wrong) else f"The first {len(shown)} of"
    figure.suptitle(f"{which} {len(wrong)} mistakes, the most confident first")
    _save(figure, path)


def own_image(image: Image.Image, digit: Tensor, probabilities: Tensor, path: str | Path) -> None:
    """Draw your image, what the network sees of it, and the probability of each digit.

    Args:
        digit: the image in the format of MNIST, shape (1, 28, 28).
        probabilities: of the ten digits, shape (10,).
    """
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    photo, seen, bars = figure.subplots(1, 3)
    photo.imshow(image, cmap="gray", vmin=0, vmax=255)
    photo.set(title="your image", xticks=[], yticks=[])
    _draw_digit(seen, digit)
    seen.spines[:].set(visible=True, color="#dddddd")
    seen.set_title("as the network sees it")
    best = int(probabilities.argmax())
    colours = [TEST_COLOUR if number == best else TRAIN_COLOUR for number in range(10)]
    bars.bar(range(10), 100 * probabilities.numpy(), color=colours)
    bars.set(xticks=range(10), ylim=(0, 100), xlabel="digit", ylabel="probability, %")
    bars.set_title(f"a {best}, {probabilities[best]:.1%} sure")
    _save(figure, path)


def _draw_digit(ax: Axes, image: Tensor) -> None:
    ax.imshow(image.squeeze().cpu().numpy(), cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _save(figure: Figure, path: str | Path) -> None:
    png = png_bytes(figure)
    write_whole(path, png)
    show_picture(png)
