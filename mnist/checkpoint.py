"""The complete state of a run, saved after every epoch so that an interrupted run can resume."""

from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, SequentialSampler

from common import UserError, write_whole
from mnist.fingerprint import fingerprint, sampler_of
from mnist.history import Epoch
from mnist.settings import SettingsError

# These say where things are, not how the run goes: a run may resume with others.
PLACES = ("data_dir", "output_dir", "resume", "weights", "own_image")


class Checkpoint:
    """What has to be saved and restored for a run to continue as if it had never stopped.

    Args:
        path: the checkpoint's file.
        settings: all settings of the run, by name. A `precision` of "auto" matches
            whatever the checkpoint holds.
    """

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        train_loader: DataLoader,
    ) -> None:
        self.path = path
        self.settings = {key: value for key, value in settings.items() if key not in PLACES}
        self.parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        self.order = order_of(train_loader)
        self.fingerprint = fingerprint(model, optimizer, scheduler, train_loader)
        self.saved = b""  # the file's content, once this run has written or read it

    def save(self, history: list[Epoch], precision: str) -> None:
        """Write the checkpoint, whole or not at all.

        Raises:
            UserError: if it cannot be written; the previous checkpoint is then kept.
        """
        content = {name: part.state_dict() for name, part in self.parts.items()}
        content |= {"settings": self.settings | {"precision": precision}}
        content |= {"fingerprint": self.fingerprint, "history": [asdict(row) for row in history]}
        content |= {"random": torch.get_rng_state()}
        if self.order is not None:
            content["order"] = self.order.get_state()
        if torch.cuda.is_available():
            content["cuda"] = torch.cuda.get_rng_state()
        if torch.backends.mps.is_available():
            content["mps"] = torch.mps.get_rng_state()
        file = BytesIO()
        torch.save(content, file)
        write_whole(self.path, file.getvalue())
        self.saved = file.getvalue()

    def load(self) -> tuple[list[Epoch], str]:
        """Put everything back as the file holds it.

        Returns:
            The history and the precision of the run.

        Raises:
            UserError: if the file is damaged or no checkpoint, or if something of the fingerprint
                has changed since.
            SettingsError: if it is of a run with other settings.
        """
        try:
            saved = self.path.read_bytes()
            content = torch.load(BytesIO(saved), map_location="cpu", weights_only=True)
            settings, marks = content["settings"], content.get("fingerprint", {})
            history = [Epoch(**row) for row in content["history"]]
        except Exception:  # of a damaged file, torch raises nearly anything
            raise UserError(
                f"{self.path} is damaged or not a checkpoint: delete it or "
                "choose another output_dir"
            ) from None
        ways_on = "start anew with resume=False, or choose another output_dir"
        for name in settings.keys() | self.settings.keys():
            old, new = settings.get(name), self.settings.get(name)
            if old != new and (name, new) != ("precision", "auto"):
                raise SettingsError(
                    f"{self.path} comes from a run with {name} = {old!r}, not {new!r}: {ways_on}"
                )
        for name, mark in self.fingerprint.items():
            if marks.get(name) != mark:
                raise UserError(f"{name} has changed since {self.path} was written: {ways_on}")
        self._put_back(content)
        self.saved = saved
        return history, settings["precision"]

    def restore(self) -> list[Epoch]:
        """Put everything back as this run has last saved or loaded it; gives the history."""
        content = torch.load(BytesIO(self.saved), map_location="cpu", weights_only=True)
        self._put_back(content)
        return [Epoch(**row) for row in content["history"]]

    def _put_back(self, content: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        if self.order is not None:
            self.order.set_state(content["order"])
        torch.set_rng_state(content["random"])
        if "cuda" in content and torch.cuda.is_available():
            torch.cuda.set_rng_state(content["cuda"])
        if "mps" in content and torch.backends.mps.is_available():
            torch.mps.set_rng_state(content["mps"])


def order_of(loader: DataLoader) -> torch.Generator | None:
    """The generator that decides a loader's order of images; None if it has none of its own.

    PyTorch's samplers without one draw from the global random state, which is saved too. Prints
    a warning for a loader that keeps its state elsewhere. Transforms that draw from Python's or
    NumPy's random numbers cannot be repeated either.
    """
    sampler = sampler_of(loader)
    if loader.num_workers and loader.persistent_workers:
        print("persistent_workers: a resumed run will augment the images differently")
    if not isinstance(sampler, SequentialSampler) and not hasattr(sampler, "generator"):
        print("the sampler has no generator: a resumed run may see the images in another order")
    return getattr(sampler, "generator", None)
