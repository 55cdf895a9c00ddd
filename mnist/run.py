"""A run: its folder, its epochs, what is saved after each, and how it goes on after a stop."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, SequentialSampler

from common import UserError, print_utf8, write_whole
from mnist import history, source
from mnist.checkpoint import as_bytes, from_bytes, why_not_kept
from mnist.history import Epoch, StoredRun
from mnist.notebook import progress_bar
from utils import answers, fastest_precision

NOT_COMPARED = ("output_dir", "resume", "own_image")  # they do not change what is learned


class Run:
    """The loop over the epochs, in a folder of its own below `output_dir`.

    The last run with the same settings and the same code goes on; if it is whole, it shows its
    results. Anything else begins the next folder, and one line says what differs.
    It is saved when the loop asks for the next epoch or ends, also by `break`.

    Args:
        settings: by name, with `epochs` and `output_dir`; without `precision`, `resume` and
            `weights`, these are "auto", True and empty. With `weights`, nothing is trained.
        more: further objects that the loop changes, such as an average of the weights. If one
            cannot be kept, a line says why; then there is no checkpoint.

    Attributes:
        folder: of this run, with its settings, code, history, weights and checkpoint.
        history: the epochs that are done, those from before an interruption too.
        bar: the progress bar, for `train` to move on; None if there is nothing to train.
        precision: the type for the forward pass in training, which a resumed run keeps.

    Raises:
        UserError: if the network's answers are not finite, or a file cannot be written.
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
        print_utf8()
        settings = {"precision": "auto", "resume": True, "weights": "", **settings}
        self.model, self.optimizer, self.steps = model, optimizer, len(train_loader)
        self.parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, **more}
        self.parts = {name: part for name, part in self.parts.items() if part is not None}
        self.order = order_of(train_loader)
        if self.order is not None:  # a look at a batch has moved it
            self.order.manual_seed(self.order.initial_seed())
        self.total = 0 if settings["weights"] else settings["epochs"]
        self.history, self.saved, self.epoch = [], 0, 0
        self.ended, self.within_epoch = not self.total, False
        self.keeps_checkpoint, self.bar = True, None
        with torch.random.fork_rng(devices=[]):  # a look at the images changes no result
            images = next(iter(test_loader))[0][:16].to(next(model.parameters()).device)
        given = answers(model, images)
        if isinstance(given, torch.Tensor) and not given.isfinite().all():
            raise UserError("the network's answers are not finite before any training")
        auto = settings["precision"] == "auto"
        self.computed_in = fastest_precision(model, images) if auto else settings["precision"]
        self.precision = getattr(torch, self.computed_in)
        self._find_folder(settings)

    def _find_folder(self, settings: dict[str, Any]) -> None:
        """Take up the last run with the same settings and code, else begin the next folder."""
        compared = {name: value for name, value in settings.items() if name not in NOT_COMPARED}
        compared = json.loads(json.dumps(compared, default=str))  # as they are when read again
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        new = StoredRun(Path(), compared, parameters, source.collect(settings), [])
        output_dir = Path(settings["output_dir"]).expanduser()
        runs = history.read_runs(output_dir)
        same = [run for run in runs if run.parameters == parameters and not run.changes(new)]
        if same and settings["resume"] and self._resume(same[-1].folder):
            return
        self._lock(_next_folder(output_dir))
        history.write_start(new._replace(folder=self.folder))
        changes = runs[-1].changes(new) or ["nothing changed"] if runs else []
        print(f"run {self.folder.name}, in {self.folder}{': ' * bool(changes)}{', '.join(changes)}")
        if any(change.startswith("epochs ") for change in changes):
            print("it begins anew, for the schedule depends on the number of epochs")

    def _lock(self, folder: Path) -> None:
        # Singletons: this process itself may take a folder again that it has not let go of.
        self.folder, self.lock = folder, FileLock(folder / ".lock", is_singleton=True)
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise UserError("another process trains it") from None
        except (OSError, NotImplementedError):
            pass  # a network drive may know no locks

    def _resume(self, folder: Path) -> bool:
        """Take up a run where it was left; false, with a line that says why, if it cannot be."""
        name = f"run {folder.name}, in {folder}"
        try:
            self._lock(folder)
            self._restore()
        except UserError as error:
            print(f"{name}, cannot go on: {error}. A new run begins")
            self.lock.release()
            return False
        name += ", is whole" if self.ended else ", goes on"
        print(f"{name}: {self.saved} of {self.total} epochs are done")
        return True

    def epochs(self) -> Iterator[int]:
        """Give the numbers of the epochs that are left, counted from 1."""
        if not self.ended:
            self._write_checkpoint()  # with the weights before the first epoch
            print(f"forward pass in training: {self.computed_in}")
            self.bar = progress_bar(self.total * self.steps, done=self.saved * self.steps)
        if self.total:
            print("\n".join([history.LOG_HEADER, *map(history.log_line, self.history)]))
        while not self.ended:
            self.epoch = epoch = len(self.history) + 1
            self.bar.set_description(f"epoch {epoch} of {self.total}")
            self.learning_rate = self.optimizer.param_groups[0]["lr"]
            self.began = time.perf_counter()
            self.within_epoch = True
            yield epoch
            if len(self.history) < epoch:
                raise UserError("call run.record(trained, tested) at the end of the loop")
            self._save(ended=epoch >= self.total)
            self.within_epoch = False

    def record(
        self, trained: tuple[float, float], tested: tuple[float, float], **more: Any
    ) -> None:
        """Print an epoch's line, and take it into the history.

        Args:
            trained: mean loss (nats per image) and accuracy (percent) in training.
            tested: the same on the test images.
            more: other numbers by name, such as `f1=0.99`; those of an array are numbered.
        """
        own = {}
        for name, value in more.items():
            values = torch.as_tensor(value).flatten().tolist()
            for number, one in enumerate(values):
                own[name if len(values) == 1 else f"{name} {number}"] = float(one)
        numbers = self.learning_rate, *trained, *tested, time.perf_counter() - self.began
        row = Epoch(self.epoch, *map(float, numbers), more=own)
        self.history.append(row)
        print(history.log_line(row))
        if row.test_accuracy < 12:  # 11.35 % of MNIST's test images are ones
            print(f"{row.test_accuracy:.2f} % is no better than guessing: is the rate too high?")

    def _save(self, ended: bool) -> None:
        self.ended = ended
        self._write_checkpoint()
        self._write_results()
        self.saved = len(self.history)
        if ended and not self.keeps_checkpoint:
            (self.folder / "ended").touch()

    def _write_checkpoint(self) -> None:
        path = self.folder / "checkpoint.pt"
        for name, part in self.parts.items() if self.keeps_checkpoint else ():
            if why := why_not_kept(part, self.parts.values()):
                self.keeps_checkpoint = False
                print(f"{name} ({type(part).__name__}) {why}: after a stop, a new run begins")
        if not self.keeps_checkpoint:
            return path.unlink(missing_ok=True)
        state = {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "random": {name: get() for name, (get, _) in self._random_numbers().items()},
            "history": [vars(row) for row in self.history],
            "computed_in": self.computed_in,
            "ended": self.ended,
        }
        write_whole(path, as_bytes(state))

    def _write_results(self) -> None:
        history.save_history(self.history, self.folder / "history.csv")
        write_whole(self.folder / "net.pt", as_bytes(self.model.state_dict()))

    def _restore(self) -> None:
        """Put everything back as this run has last saved it; if it cannot be, say why."""
        path, results = self.folder / "checkpoint.pt", self.folder / "history.csv"
        if path.exists():
            try:
                state = from_bytes(path.read_bytes())
            except Exception as error:  # of a damaged file, torch raises nearly anything
                raise UserError(f"{path} is damaged ({type(error).__name__})") from None
            for name, part in self.parts.items():
                part.load_state_dict(state["parts"][name])
            for name, (_, put_back) in self._random_numbers().items():
                if name in state["random"]:
                    put_back(state["random"][name])
            self.history = [Epoch(**row) for row in state["history"]]
            self.computed_in, self.ended = state["computed_in"], state["ended"]
            self.precision = getattr(torch, self.computed_in)
            if self.history:  # a kill may have come after the checkpoint was written
                self._write_results()
        elif (self.folder / "ended").exists():
            self.model.load_state_dict(from_bytes((self.folder / "net.pt").read_bytes()))
            print("it has no checkpoint: no part but the network is loaded")
            self.history, self.ended = history.read_history(results), True
        elif results.exists():
            raise UserError("it has no checkpoint")
        self.saved = len(self.history)

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
        for device in (torch.cuda, torch.mps):
            if device.is_available():
                sources[device.__name__] = device.get_rng_state, device.set_rng_state
        return sources

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self.bar is not None:
            self.bar.close()
        try:
            if self.within_epoch:
                self._leave_epoch(error)
        finally:
            self.lock.release(force=True)

    def _leave_epoch(self, error: BaseException | None) -> None:
        if error is None:  # by `break`
            if len(self.history) < self.epoch and self.keeps_checkpoint:
                self._restore()  # of an epoch that was not recorded, nothing is kept
            if len(self.history) == self.epoch or self.keeps_checkpoint:
                self._save(ended=True)
            print(f"ended by the loop in epoch {self.epoch} of {self.total}")
        elif isinstance(error, KeyboardInterrupt):
            print(f"stopped in epoch {self.epoch}: {self.saved} of {self.total} are saved")
            if self.keeps_checkpoint:
                self._restore()
        elif isinstance(error, UserError):
            done = f"completed epochs in {self.folder}: {self.saved}"
            raise type(error)(f"epoch {self.epoch}: {error}; {done}") from None


def _next_folder(output_dir: Path) -> Path:
    """Make the next folder; no other process takes it up before its `settings.json` is there."""
    numbers = [int(folder.name) for folder in output_dir.glob("*") if folder.name.isdecimal()]
    folder = output_dir / str(max(numbers, default=0) + 1)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        if folder.exists():  # another process was faster
            return _next_folder(output_dir)
        raise UserError(f"cannot make {folder}: {error.strerror}") from None
    return folder


def order_of(loader: DataLoader) -> torch.Generator | None:
    """The generator of a loader's order of images, if any; a line tells what cannot be resumed."""
    sampler = loader.batch_sampler or loader.sampler
    while hasattr(sampler, "sampler"):
        sampler = sampler.sampler
    if loader.num_workers and loader.persistent_workers:
        print("persistent_workers: a resumed run has another order and augmentation of the images")
    if not isinstance(sampler, SequentialSampler) and not hasattr(sampler, "generator"):
        print("the sampler has no generator: a resumed run may see the images in another order")
    return getattr(sampler, "generator", None)
