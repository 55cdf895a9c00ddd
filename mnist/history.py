"""The history of a run: one row per epoch, printed as a log and saved as CSV."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from common import write_whole


@dataclass(frozen=True)
class Epoch:
    """One row of the history: losses in nats per image, accuracies in percent.

    The learning rate is that of the epoch's first step. Training loss and accuracy are those
    of the batches as they were trained on, augmented and with dropout.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float


LOG_HEADER = "epoch    rate   train loss   accuracy   test loss   accuracy   seconds"


def log_line(row: Epoch) -> str:
    """Format a row of the history as a line of the log, aligned with `LOG_HEADER`."""
    return (
        f"{row.epoch:5d}  {row.learning_rate:.4f}   {row.train_loss:10.4f}"
        f"   {row.train_accuracy:6.2f} %   {row.test_loss:9.4f}"
        f"   {row.test_accuracy:6.2f} %   {row.seconds:7.1f}"
    )


def save_history(history: list[Epoch], path: Path) -> None:
    """Write the history as CSV, one row per epoch."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(Epoch))
    writer.writerows(astuple(row) for row in history)
    write_whole(path, file.getvalue().encode())


def read_history(path: str | Path) -> list[Epoch]:
    """Read a history that `save_history` wrote."""
    with open(path, newline="") as file:
        return [
            Epoch(int(row.pop("epoch")), **{name: float(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]
