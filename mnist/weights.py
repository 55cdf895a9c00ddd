"""Weights read from a file, in any of the forms in which they are usually saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common import UserError


def read_weights(path: str | Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a network's weights.

    Args:
        path: a state dict such as the `net.pt` of a run, alone or under the name `model` or
            `state_dict`, as in a `checkpoint.pt`; that of a network in `nn.DataParallel` or of a
            compiled one, too.
        wanted: the names and shapes that the weights must have.

    Raises:
        UserError: if the file does not exist, cannot be read, or has other names or shapes.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # of a damaged file, torch raises nearly anything
        if not Path(path).exists():
            raise UserError(
                f"{path} does not exist: name a file such as the net.pt of a run"
            ) from None
        raise UserError(
            f"{path} is damaged, or has more than tensors: save model.state_dict()"
        ) from None
    found = _state_dict(content)
    differing = [
        *(f"{name} is missing" for name in wanted if name not in found),
        *(f"{name} belongs to no layer of it" for name in found if name not in wanted),
        *(
            f"{name} has the shape {_shape(found[name])} in place of {_shape(weight)}"
            for name, weight in wanted.items()
            if name in found and _shape(found[name]) != _shape(weight)
        ),
    ]
    if differing:
        more = f", and {len(differing) - 1} more differ" if len(differing) > 1 else ""
        has = f"; it has {next(iter(found))}" if found else ""
        raise UserError(f"{path} has no weights of this network: {differing[0]}{more}{has}")
    return found


def _state_dict(content: Any) -> dict[str, Any]:
    for name in ("parts", "model", "state_dict", "model_state_dict"):  # ours has parts
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    found = dict(content) if isinstance(content, Mapping) else {}
    for prefix in ("_orig_mod.", "module."):  # of torch.compile and nn.DataParallel
        if all(str(name).startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _shape(value: Any) -> tuple[int, ...] | str:
    is_plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
    return tuple(value.shape) if is_plain and not value.is_quantized else type(value).__name__
