"""A run: its folder, its epochs, what is saved after each, and how it goes on after a stop."""

import copy
import hashlib
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import fields
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler
from tqdm import tqdm

from common import UserError, print_utf8, write_whole
from mnist import code, trial
from mnist.history import (
    LOG_HEADER,
    Epoch,
    StoredRun,
    as_kept,
    log_line,
    read_runs,
    save_history,
    write_start,
)
from mnist.notebook import progress_bar
from mnist.weights import read_weights

# These say where things are, not how the run goes.
PLACES = ("data_dir", "output_dir", "resume", "own_image")
# Networks that a run has trained, or that have loaded weights, and with what they started.
_starts: WeakKeyDictionary[nn.Module, dict[str, str]] = WeakKeyDictionary()


class LearnsNothing(UserError):
    """The network guesses, and stays there."""


class Run:
    """The loop over the epochs, in a folder of its own below `output_dir`.

    With the settings, the code, the network and the images of an earlier run, that run goes on,
    or shows its results if it is whole. Anything else begins the next folder.

    The folder holds `settings.json`, the code, and after every epoch `history.csv`, the weights
    `net.pt` and `checkpoint.pt`. These are written when the loop asks for the next epoch or ends,
    also by `break`, so whatever it does after `record` belongs to the epoch. An epoch that is no
    better than guessing does not overwrite a better one. Ctrl-C or the stop button ends the loop
    but not the notebook; model and history are then those of the last saved epoch.

    Args:
        settings: all settings of the run by name. It must have `epochs` and `output_dir`; if it
            has no `precision`, `resume` or `weights`, these are "auto", True and empty. With
            `weights`, a file that has been loaded into the model, there are no epochs.
        scheduler: a schedule of the learning rate, or None.
        more: further objects with a `state_dict` that the loop changes, such as an average of the
            weights. Without them, a run that was interrupted does not go on exactly.

    Attributes:
        folder: where this run keeps everything.
        history: the epochs that are done, those from before an interruption too.
        bar: the progress bar, for `train` to move on; None if there is nothing to train.
        precision: the type for the forward pass in training, which a resumed run keeps.

    Raises:
        UserError: if the network was trained before, a loader has no length, or the folder cannot
            be written; within, with the number of epochs that were saved, if training ends in one
            (`LearnsNothing`), if something cannot be written, or if it is stopped by hand before
            an epoch was saved.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        train_loader: DataLoader,
        test_loader: DataLoader,
        **more: Any,
    ) -> None:
        if hasattr(sys.stdout, "reconfigure"):  # a notebook's has none, and takes all characters
            print_utf8()
        settings = {"precision": "auto", "resume": True, "weights": "", **settings}
        self.model, self.optimizer, self.test_loader = model, optimizer, test_loader
        parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, **more}
        self.parts = {name: part for name, part in parts.items() if hasattr(part, "state_dict")}
        for loader in (train_loader, test_loader):
            if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
                raise UserError("a run needs a DataLoader over a data set that has a length")
        self.order = order_of(train_loader)
        if self.order is not None:  # a look at a batch has moved it
            self.order.manual_seed(self.order.initial_seed())
        self.steps = len(train_loader)
        self.total = 0 if settings["weights"] else settings["epochs"]
        self.peak = settings.get("learning_rate")
        self.history: list[Epoch] = []
        self.saved = self.epoch = 0
        self.ended = self.within_epoch = False
        self.bar: tqdm | None = None
        self.computed_in = settings["precision"]
        if self.computed_in == "auto":
            device = next(model.parameters()).device
            with _random_state_kept():
                images, _ = next(iter(test_loader))
            self.computed_in = trial.fastest_precision(model, images[:16].to(device))
        self._find_folder(settings, train_loader)
        self.precision = getattr(torch, self.computed_in)

    def _find_folder(self, settings: dict[str, Any], train_loader: DataLoader) -> None:
        """Take up the last run that began with the same; where there is none, begin the next.

        A run is left as it is, too, if another process trains it or its checkpoint is damaged.
        """
        deciding = {name: value for name, value in settings.items() if name not in PLACES}
        loaders = {"the training data": train_loader, "the test data": self.test_loader}
        self.start = code.objects(self.model, self.optimizer, self.parts.get("scheduler"), loaders)
        # Where the training cell alone runs again, these are as the last training left them.
        self.start |= _starts.get(self.model, {})
        if settings["weights"]:
            digest = hashlib.md5(Path(settings["weights"]).read_bytes()).hexdigest()
            deciding["weights"] = f"{settings['weights']} (md5 {digest[:8]})"
        if arguments := code.script_arguments():
            deciding["arguments"] = arguments
        if more := sorted(self.parts.keys() - {"model", "optimizer", "scheduler"}):
            deciding["parts"] = more
        deciding = as_kept(deciding)
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        texts = code.collect(settings)
        new = StoredRun(Path(), deciding, self.start, parameters, texts, [])

        output_dir = Path(settings["output_dir"]).expanduser()
        runs = read_runs(output_dir)
        same = [run for run in runs if settings["resume"] and not run.changes(new)]
        if same:
            if self._goes_on(same[-1].folder):
                return
            self.lock.release()
        if self.total and self.model in _starts:
            raise UserError("this network has been trained already: run all cells from the top")
        self._lock(_next_folder(output_dir))
        try:
            write_start(self.folder, new)
        except UserError:
            self.lock.release()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        changes = f": {', '.join(runs[-1].changes(new)) or 'nothing changed'}" if runs else ""
        print(f"run {self.folder.name}, in {self.folder}{changes}")

    def _lock(self, folder: Path) -> bool:
        """Take a folder; false if another process trains in it."""
        # Singletons: this process itself may take a folder again that it has not let go of.
        self.folder, self.lock = folder, FileLock(folder / ".lock", is_singleton=True)
        with suppress(OSError, NotImplementedError):  # a network drive may know no locks
            try:
                self.lock.acquire(timeout=0)
            except Timeout:
                return False
        return True

    def _goes_on(self, folder: Path) -> bool:
        """Take up the run of a folder where it was left; false where that cannot be."""
        path, name = folder / "checkpoint.pt", f"run {folder.name}, in {folder}"
        if not self._lock(folder):
            print(f"{name}, is being trained by another process: a new run begins")
            return False
        if not path.exists():
            if self.total and self.model in _starts:
                return False
            print(f"{name}: nothing was trained so far" if self.total else name)
            return True
        try:
            self._restore()
        except Exception as error:  # of a damaged file, torch raises nearly anything
            print(f"{path} is damaged ({type(error).__name__}): a new run begins")
            return False
        self._write_results()  # a kill may have come after the checkpoint was written
        done = f"{self.saved} of {self.total} epochs are done"
        if self.ended:
            print(f"{name}, is whole: {done}. To train it anew, set resume=False, run all cells")
        else:
            print(f"{name}, goes on: {done}")
        return True

    def epochs(self) -> Iterator[int]:
        """Give the numbers of the epochs that are left, counted from 1."""
        if self.total == 0:
            print("nothing to train: the weights were loaded from the file")
            return
        if not self.ended:
            print(f"forward pass in training: {self.computed_in}")
            self.bar = progress_bar(self.total * self.steps, done=self.saved * self.steps)
        print("\n".join([LOG_HEADER, *map(log_line, self.history)]))
        while not self.ended:
            self.epoch = epoch = len(self.history) + 1
            self.bar.set_description(f"epoch {epoch} of {self.total}")
            self.learning_rate = self.optimizer.param_groups[0]["lr"]
            self.began = time.perf_counter()
            self._remember_start()
            self.within_epoch = True
            yield epoch
            if len(self.history) < epoch:
                raise UserError("call run.record(trained, tested) at the end of the loop")
            self._save(ended=epoch == self.total)
            self.within_epoch = False

    def record(
        self, trained: tuple[float, float], tested: tuple[float, float], **more: float
    ) -> None:
        """Print an epoch's line, and take it into the history.

        Args:
            trained: mean loss (nats per image) and accuracy (percent) in training.
            tested: the same on the test images.
            more: other numbers by name, such as `f1=0.99`.

        Raises:
            UserError: if one of these names is that of a column.
            LearnsNothing: after two epochs in a row that are no better than guessing, unless the
                loss falls; says at which rate, and what to lower.
        """
        seconds = time.perf_counter() - self.began
        if taken := more.keys() & {field.name for field in fields(Epoch)}:
            raise UserError(f"{', '.join(taken)} is a column already: take another name")
        numbers = (float(value) for value in (self.learning_rate, *trained, *tested, seconds))
        own = {name: float(value) for name, value in more.items()}
        row = Epoch(self.epoch, *numbers, more=own)
        self.history.append(row)
        print(log_line(row))
        if row.test_accuracy <= self.accuracy_of_guessing:
            self._warn_of_guessing()

    def _warn_of_guessing(self) -> None:
        last, peak = self.history[-1], self.peak or self.learning_rate
        words = (
            f"{last.test_accuracy:.2f} % is no better than guessing, with learning_rate {peak:g} "
            f"({last.learning_rate:.4f} at the start of the epoch)"
        )
        advice = "lower learning_rate or momentum"
        if died := self._has_died():
            words += ", and every image gets the same answer"
        else:
            advice += ", or raise a learning_rate close to 0"
        before = self.history[-2] if len(self.history) > 1 else None
        again = before and before.test_accuracy <= self.accuracy_of_guessing
        if again and (died or last.train_loss >= before.train_loss):
            raise LearnsNothing(f"{words}. {advice.capitalize()}")
        print(f"epoch {self.epoch}: {words}. If this continues, {advice}")

    @cached_property
    def accuracy_of_guessing(self) -> float:
        """The accuracy, in percent, of always answering the most frequent digit."""
        with _random_state_kept():
            labels = torch.cat([labels for _, labels in self.test_loader])
        return 100 * labels.bincount().max().item() / len(labels)

    @torch.no_grad()
    def _has_died(self) -> bool:
        """Whether every image gets the same answer: no ReLU of some layer passes anything on."""
        self.model.eval()
        device = next(self.model.parameters()).device
        with _random_state_kept():
            answers = torch.cat([self.model(images.to(device)) for images, _ in self.test_loader])
        return bool((answers - answers[0]).abs().max() < 1e-4)

    def _save(self, ended: bool) -> None:
        accuracies = [row.test_accuracy for row in self.history]
        if accuracies[-1] <= self.accuracy_of_guessing < max(accuracies):
            self.ended = ended
            return  # what was saved is better
        state = {
            **self._state(),
            "history": [vars(row) for row in self.history],
            "computed_in": self.computed_in,
            "ended": ended,
        }
        write_whole(self.folder / "checkpoint.pt", _as_bytes(state))
        self.saved, self.ended = len(self.history), ended
        self._write_results()

    def _write_results(self) -> None:
        save_history(self.history, self.folder / "history.csv")
        write_whole(self.folder / "net.pt", _as_bytes(self.model.state_dict()))

    def _restore(self) -> None:
        """Put everything back as this run has last saved it."""
        path = self.folder / "checkpoint.pt"
        state = torch.load(path, map_location="cpu", weights_only=True)
        history = [Epoch(**row) for row in state["history"]]
        before = copy.deepcopy(self._state())
        try:
            self._put_back(state)
        except Exception:
            self._put_back(before)
            raise
        self.history, self.saved, self.ended = history, len(history), state["ended"]
        self.computed_in = state["computed_in"]
        self._remember_start()

    def _state(self) -> dict[str, dict[str, Any]]:
        """The state of all that a training changes, and of the random numbers."""
        return {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "random": {name: take() for name, (take, _) in self._random_numbers().items()},
        }

    def _put_back(self, state: dict[str, dict[str, Any]]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        for name, (_, put_back) in self._random_numbers().items():
            if name in state["random"]:
                put_back(state["random"][name])

    def _remember_start(self) -> None:
        kept = {"the network", "the training data", "the test data"}  # which no training changes
        _starts[self.model] = {name: self.start[name] for name in self.start.keys() - kept}

    def _random_numbers(self) -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
        """How to take and put back the state of each source of random numbers."""
        numpy = np.random.get_state  # its array is no type that torch reads back safely
        sources = {
            "torch": (torch.get_rng_state, torch.set_rng_state),
            "python": (random.getstate, random.setstate),
            "numpy": (lambda: (numpy()[0], numpy()[1].tolist(), *numpy()[2:]), np.random.set_state),
        }
        if self.order is not None:
            sources["order"] = self.order.get_state, self.order.set_state
        if torch.cuda.is_available():
            sources["cuda"] = torch.cuda.get_rng_state, torch.cuda.set_rng_state
        if torch.backends.mps.is_available():
            sources["mps"] = torch.mps.get_rng_state, torch.mps.set_rng_state
        return sources

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        if self.bar is not None:
            self.bar.close()
        try:
            return self._leave(error)
        finally:
            self.lock.release(force=True)

    def _leave(self, error: BaseException | None) -> bool:
        where = f"in epoch {self.epoch} of {self.total}"
        if error is None and self.within_epoch:  # the loop was left by `break`
            if len(self.history) < self.epoch and self.saved:
                self._restore()  # of an epoch that was not recorded, nothing is kept
            if self.history:
                self._save(ended=True)
            print(f"ended by the loop {where}")
        if isinstance(error, UserError) and self.within_epoch:
            done = f"completed epochs in {self.folder}: {self.saved}"
            raise type(error)(f"epoch {self.epoch}: {error}; {done}") from None
        if isinstance(error, KeyboardInterrupt) and not self.ended:
            if not self.saved:
                raise UserError("stopped before the first epoch was saved") from None
            print(f"stopped {where}: run all cells again, with resume=True, to go on")
        elif error is not None and not isinstance(error, KeyboardInterrupt):
            return False
        if self.saved:  # of an epoch that was not saved, nothing is left in the model
            self._restore()
        return True


def _next_folder(output_dir: Path) -> Path:
    """Make the next folder; no other process takes it up before its `settings.json` is there."""
    numbers = [int(folder.name) for folder in output_dir.glob("*") if folder.name.isdecimal()]
    number = max(numbers, default=0)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        while True:
            number += 1
            folder = output_dir / str(number)
            with suppress(FileExistsError):  # else another process was faster
                folder.mkdir()
                return folder
    except OSError as error:
        raise UserError(f"cannot make a folder in {output_dir}: {error.strerror}") from None


def _as_bytes(content: dict[str, Any]) -> bytes:
    file = BytesIO()
    torch.save(tree_map(_plain, content), file)
    return file.getvalue()


def _plain(value: Any) -> Any:
    """Make a number of NumPy's, such as a rate from np.interp, one that torch reads back safely."""
    return value.item() if isinstance(value, np.generic) else value


def _random_state_kept() -> AbstractContextManager:
    """Reading images in here leaves the random state as it was: looking changes no result."""
    return torch.random.fork_rng(devices=[])


def order_of(loader: DataLoader) -> torch.Generator | None:
    """The generator that decides a loader's order of images; None if it has none of its own.

    PyTorch's samplers without one draw from the global random state, which is saved too. Prints
    a warning for a loader that keeps its state elsewhere. Transforms that draw from Python's or
    NumPy's random numbers cannot be repeated either.
    """
    sampler = loader.batch_sampler or loader.sampler
    while hasattr(sampler, "sampler"):
        sampler = sampler.sampler
    if loader.num_workers and loader.persistent_workers:
        print("persistent_workers: a resumed run will augment the images differently")
    if not isinstance(sampler, SequentialSampler) and not hasattr(sampler, "generator"):
        print("the sampler has no generator: a resumed run may see the images in another order")
    return getattr(sampler, "generator", None)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load weights from a file into the model.

    Raises:
        UserError: if the file does not exist or has no weights of this model.
    """
    model.load_state_dict(read_weights(path, model.state_dict()))
    _starts[model] = {}
