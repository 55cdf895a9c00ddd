"""The history of a run, one row per epoch, and the runs of a folder as they lie on the disk."""

import csv
import io
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from common import write_whole
from mnist import source


@dataclass(frozen=True)
class Epoch:
    """One row of the history: losses in nats per image, accuracies in percent."""

    epoch: int
    learning_rate: float  # of its first step
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    more: dict[str, float] = field(default_factory=dict)  # your own numbers


LOG_HEADER = "epoch    rate   train loss   accuracy   test loss   accuracy   seconds"


def log_line(row: Epoch) -> str:
    """Format a row of the history as a line of the log, aligned with `LOG_HEADER`."""
    return (
        f"{row.epoch:5d}  {row.learning_rate:.4f}   {row.train_loss:10.4f}"
        f"   {row.train_accuracy:6.2f} %   {row.test_loss:9.4f}"
        f"   {row.test_accuracy:6.2f} %   {row.seconds:7.1f}"
    ) + "".join(f"   {name} {value:.4f}" for name, value in row.more.items())


def save_history(history: list[Epoch], path: Path) -> None:
    """Write the history as CSV, one row per epoch."""
    rows = [asdict(row) for row in history]
    rows = [row | (row.pop("more") | row) for row in rows]
    file = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, file.getvalue().encode())


def read_history(path: str | Path) -> list[Epoch]:
    """Read a history that `save_history` wrote."""
    columns = [field.name for field in fields(Epoch) if field.name != "more"]
    history = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {name: float(value) for name, value in row.items() if value}
            epoch, *others = [numbers.pop(name) for name in columns]
            history.append(Epoch(int(epoch), *others, more=numbers))
    return history


class StoredRun(NamedTuple):
    """A run as its folder holds it: its settings, its code, and what came of it."""

    folder: Path
    settings: dict[str, Any]
    parameters: int
    code: dict[str, str]
    history: list[Epoch]

    def changes(self, new: "StoredRun") -> list[str]:
        """Name what is different in a newer run, such as "epochs 19 → 3"."""
        changed = []
        for name in sorted(self.settings.keys() | new.settings.keys()):
            before, after = self.settings.get(name), new.settings.get(name)
            if before != after:
                changed.append(f"{name} {before!r} → {after!r}")
        return changed + source.differences(self.code, new.code)


def write_start(run: StoredRun) -> None:
    """Write what a run begins with: `settings.json`, and its code below `code/`."""
    for name, text in run.code.items():
        write_whole(run.folder / "code" / name, text.encode())
    content = json.dumps({"settings": run.settings, "parameters": run.parameters}, indent=2)
    write_whole(run.folder / "settings.json", content.encode())


def read_runs(output_dir: str | Path) -> list[StoredRun]:
    """Read all runs of a folder in their order; one that cannot be read is named and left out."""
    runs = []
    paths = [file.parent for file in Path(output_dir).expanduser().glob("*/settings.json")]
    folders = [folder for folder in paths if folder.name.isdecimal()]
    for folder in sorted(folders, key=lambda folder: int(folder.name)):
        code, history = folder / "code", folder / "history.csv"
        try:
            content = json.loads((folder / "settings.json").read_bytes())
            files = sorted(code.rglob("*.py"))
            texts = {file.relative_to(code).as_posix(): file.read_text("utf-8") for file in files}
            rows = read_history(history) if history.exists() else []
            runs.append(StoredRun(folder, content["settings"], content["parameters"], texts, rows))
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{folder} is left out: it cannot be read ({error})")
    return runs


def table(runs: list[StoredRun]) -> str:
    """Write a table of runs, one per line, the newest last, with what each changed."""
    more = list(dict.fromkeys(name for run in runs for row in run.history for name in row.more))
    header = ["run", "parameters", "epochs", "last test", "best test", "test loss", *more]
    rows = [[*header, "seconds", "what changed"]]
    for before, run in zip([None, *runs], runs, strict=False):
        done, wanted = str(len(run.history)), str(run.settings["epochs"])
        epochs = "–" if run.settings.get("weights") else f"{done} of {wanted}"
        numbers = [done if done == wanted else epochs, *["–" for _ in header[3:]]]
        if run.history:
            last, best = run.history[-1], max(row.test_accuracy for row in run.history)
            numbers[1:4] = f"{last.test_accuracy:.2f} %", f"{best:.2f} %", f"{last.test_loss:.4f}"
            numbers[4:] = [f"{last.more[name]:.4f}" if name in last.more else "–" for name in more]
        numbers.append(f"{sum(row.seconds for row in run.history):.0f}")
        changes = (", ".join(before.changes(run)) or "nothing") if before else ""
        rows.append([run.folder.name, f"{run.parameters:,}", *numbers, changes])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["   ".join([*map(str.rjust, row[:-1], widths), row[-1]]).rstrip() for row in rows]
    return "\n".join(lines)
