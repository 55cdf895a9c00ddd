"""All that a run is, on disk after every epoch, so that a run that was cut off can go on."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from common import UserError, write_whole
from mnist.settings import SettingsError

# These say where things are, not how the run goes: a run may go on with others.
PLACES = ("data_dir", "output_dir", "resume", "weights", "own_image")


class Run:
    """What has to be saved and put back for a run to go on as if it had never stopped.

    Args:
        path: the checkpoint's file.
        train_loader: as `make_loader` makes it, with a seed; it remembers the order of images.
        settings: all settings of the run, by name.
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        train_loader: DataLoader,
        settings: dict[str, Any],
    ) -> None:
        self.path = path
        self.parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        self.order = train_loader.sampler.sampler.generator
        self.settings = {key: value for key, value in settings.items() if key not in PLACES}

    def save(self, history: list[dict[str, float]]) -> None:
        """Write the checkpoint, whole or not at all.

        Args:
            history: a row for each epoch that is done.

        Raises:
            UserError: if it cannot be written; the last one is then still there.
        """
        content = {name: part.state_dict() for name, part in self.parts.items()}
        content |= {"settings": self.settings, "history": history}
        content |= {"order": self.order.get_state(), "random": torch.get_rng_state()}
        if torch.cuda.is_available():
            content["cuda"] = torch.cuda.get_rng_state()
        if torch.backends.mps.is_available():
            content["mps"] = torch.mps.get_rng_state()
        file = BytesIO()
        torch.save(content, file)
        write_whole(self.path, file.getvalue())

    def load(self) -> list[dict[str, float]]:
        """Put everything back as it was when the checkpoint was written.

        Returns:
            The history, a row for each epoch that is done.

        Raises:
            UserError: if the file is damaged or no checkpoint.
            SettingsError: if it is of a run with other settings.
        """
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            settings, history = content["settings"], content["history"]
        except Exception:  # of a damaged file, torch raises nearly anything
            raise UserError(
                f"{self.path} is damaged or no checkpoint: delete it, or choose another output_dir"
            ) from None
        for name in settings.keys() | self.settings.keys():
            if (old := settings.get(name)) != (new := self.settings.get(name)):
                raise SettingsError(
                    f"{self.path} is of a run with {name} = {old!r}, not {new!r}: "
                    "start anew with resume=False, or choose another output_dir"
                )
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        self.order.set_state(content["order"])
        torch.set_rng_state(content["random"])
        if "cuda" in content and torch.cuda.is_available():
            torch.cuda.set_rng_state(content["cuda"])
        if "mps" in content and torch.backends.mps.is_available():
            torch.mps.set_rng_state(content["mps"])
        return history
