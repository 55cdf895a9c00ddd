"""The epochs of a run: one line of log each, saved, and resumed where a run was interrupted."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm import tqdm

from common import UserError
from mnist.checkpoint import Checkpoint
from mnist.guessing import Guessing
from mnist.history import LOG_HEADER, Epoch, log_line, save_history
from mnist.notebook import progress_bar
from mnist.weights import save_weights


def fastest_precision(device: torch.device) -> str:
    """The type in which a device computes the forward pass fastest at no cost in accuracy.

    That is "bfloat16" on a CPU with instructions for it; "float32" on other CPUs, on GPUs, and
    where PyTorch is too old to tell.
    """
    ask = getattr(torch.cpu, "get_capabilities", dict)
    abilities = ask() if device.type == "cpu" else {}
    return "bfloat16" if abilities.get("avx512_bf16") or abilities.get("amx_bf16") else "float32"


_trained: WeakSet[nn.Module] = WeakSet()  # in this process, by any run


class Run:
    """The loop over the epochs, with everything around training and testing.

    After every epoch the folder `output_dir` holds `history.csv`, one row per epoch; `net.pt`, the
    model's state dict; and `checkpoint.pt`, from which the same loop resumes if it was interrupted.
    An epoch that is no better than guessing is reported and does not overwrite a better one.
    Ctrl-C or the stop button ends the loop but not the notebook; the model and the history are
    then restored to the last saved epoch.

    ```
    with Run(settings, model, optimizer, scheduler, train_loader, test_loader) as run:
        for epoch in run.epochs():
            trained = train(
                model, device, train_loader, optimizer, scheduler, run.bar, run.precision
            )
            tested = test(model, device, test_loader)
            run.record(epoch, trained, tested)
    ```

    Args:
        settings: all settings of the run by name; of them `epochs`, `learning_rate`, `precision`,
            `output_dir`, `resume` and `weights` are used. With `weights` there are no epochs.

    Attributes:
        history: the epochs that are done, those from before an interruption too.
        bar: the progress bar, for `train` to move on; None if there is nothing to train.
        precision: the type for the forward pass in training, which a resumed run keeps.

    Raises:
        UserError: on entering, if the checkpoint cannot be used; within, with the number of epochs
            that were saved, if training ends in one (`Diverged`, `LearnsNothing`), if something
            cannot be written, or if it is stopped by hand before the first epoch was saved.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        train_loader: DataLoader,
        test_loader: DataLoader,
    ) -> None:
        self.settings, self.model, self.optimizer = settings, model, optimizer
        self.output_dir = Path(settings["output_dir"])
        self.total = 0 if settings["weights"] else settings["epochs"]
        self.steps = len(train_loader)
        self.checkpoint = Checkpoint(
            self.output_dir / "checkpoint.pt", settings, model, optimizer, scheduler, train_loader
        )
        self.guessing = Guessing(model, test_loader)
        self.history: list[Epoch] = []
        self.saved = self.epoch = 0
        self.bar: tqdm | None = None

    def __enter__(self) -> "Run":
        self.precision_name = self.settings["precision"]
        if self.total and self.settings["resume"] and self.checkpoint.path.exists():
            self.history, self.precision_name = self.checkpoint.load()
            self.saved = len(self.history)
        elif self.precision_name == "auto":
            self.precision_name = fastest_precision(next(self.model.parameters()).device)
        self.precision = getattr(torch, self.precision_name)
        if self.saved:
            self._write_results()  # a kill may have come after the checkpoint was written
        elif self.total and self.model in _trained:
            raise UserError("this network has been trained already: run all cells from the top")
        return self

    def epochs(self) -> Iterator[int]:
        """Give the numbers of the epochs that are left, counted from 1."""
        if self.total == 0:
            print("nothing to train: the weights were loaded from the file")
            return
        done = f"{self.saved} of {self.total} epochs are done"
        if self.saved == self.total:
            print(f"{done}: nothing to train; to start over, set resume=False and run all cells")
        else:
            if self.saved:
                print(f"{done}: resuming from {self.checkpoint.path}")
            print(f"forward pass in training: {self.precision_name}")
            self.bar = progress_bar(self.total * self.steps, done=self.saved * self.steps)
        print("\n".join([LOG_HEADER, *map(log_line, self.history)]))
        for epoch in range(self.saved + 1, self.total + 1):
            self.bar.set_description(f"epoch {epoch} of {self.total}")
            self.epoch, self.began = epoch, time.perf_counter()
            self.learning_rate = self.optimizer.param_groups[0]["lr"]
            _trained.add(self.model)
            yield epoch

    def record(self, epoch: int, trained: tuple[float, float], tested: tuple[float, float]) -> None:
        """Print an epoch's line, and save the run.

        Args:
            trained: mean loss (nats per image) and accuracy (percent) in training.
            tested: the same on the test images.

        Raises:
            LearnsNothing: after two epochs in a row that are no better than guessing, unless the
                loss falls; says at which rate, and what to lower.
            UserError: if something cannot be written.
        """
        seconds = time.perf_counter() - self.began
        self.history.append(Epoch(epoch, self.learning_rate, *trained, *tested, seconds))
        print(log_line(self.history[-1]))
        if warning := self.guessing.warning(self.history, self.settings["learning_rate"]):
            print(f"epoch {epoch}: {warning}")
            if any(row.test_accuracy > self.guessing.accuracy for row in self.history):
                return  # what was saved is better
        self.checkpoint.save(self.history, self.precision_name)
        self.saved = epoch
        self._write_results()

    def _write_results(self) -> None:
        save_history(self.history, self.output_dir / "history.csv")
        save_weights(self.model, self.output_dir / "net.pt")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self.bar is not None:
            self.bar.close()
        if isinstance(error, UserError):
            raise kind(
                f"epoch {self.epoch}: {error}; completed epochs in {self.output_dir}: {self.saved}"
            ) from None
        if isinstance(error, KeyboardInterrupt):
            if not self.checkpoint.saved:
                raise UserError("stopped before the first epoch was saved") from None
            again = "run all cells again" if self.settings["resume"] else "set resume=True"
            print(f"stopped in epoch {self.epoch} of {self.total}: {again} to go on")
        elif error is not None:
            return False
        if self.checkpoint.saved:  # of an epoch that was not saved, nothing is left in the model
            self.history = self.checkpoint.restore()
        return True
