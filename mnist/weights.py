"""Weights of the network in a file: a state dict, as `torch.save` writes it."""

import io
from pathlib import Path

import torch
from torch import nn

from common import UserError, write_whole


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the model's state dict.

    Raises:
        UserError: if it cannot be written.
    """
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    write_whole(path, file.getvalue())


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a state dict that `save_weights` wrote into the model.

    Raises:
        UserError: if the file does not exist or has no weights of this model.
    """
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # of a damaged file, torch raises nearly anything
        raise UserError(
            f"{path} does not exist, is damaged, or has no weights of this network"
        ) from None
