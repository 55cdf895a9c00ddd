"""What is saved of a training: the state of its parts, and weights in all the usual forms."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from common import UserError


def as_bytes(state: Any) -> bytes:
    """Write a state as `torch.save` does, with NumPy's numbers as Python's."""
    file = BytesIO()
    plain = tree_map(lambda x: x.item() if isinstance(x, np.generic) else x, state)
    torch.save(plain, file)
    return file.getvalue()


def from_bytes(content: bytes) -> Any:
    """Read a state back onto the CPU; of objects that torch does not know, an error is raised."""
    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def why_not_kept(part: Any, parts: Mapping[str, Any]) -> str | None:
    """Say why a part of a training could not go on after a stop as if there had been none.

    Args:
        parts: all of them, each of which is kept by itself.
    """
    if not hasattr(part, "state_dict") or not hasattr(part, "load_state_dict"):
        return "has no state_dict and load_state_dict"
    state = part.state_dict()
    try:
        from_bytes(as_bytes(state))
    except Exception:  # torch and pickle raise nearly anything
        return "has a state_dict with more than tensors, numbers, texts, lists and dicts"
    is_optimizer = isinstance(part, Optimizer)  # which has a state and groups of its own
    kept = list(_dicts(list(state.values()) if is_optimizer else state))
    for name, inner in vars(part).items():
        if isinstance(inner, (Optimizer, nn.Module)) and id(inner) not in map(id, parts.values()):
            shared = is_optimizer and getattr(inner, "state", None) is part.state
            if not shared and not any(inner.state_dict().keys() <= one.keys() for one in kept):
                return f"has a state_dict without that of its {name} ({type(inner).__name__})"
    return None


def _dicts(content: Any) -> Iterator[Mapping[Any, Any]]:
    """All dicts in a state, at any depth."""
    if isinstance(content, Mapping):
        yield content
        content = list(content.values())
    if isinstance(content, (list, tuple)):
        for value in content:
            yield from _dicts(value)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load weights from a file into the model.

    Raises:
        UserError: if the file does not exist, cannot be read, or has no weights of this model.
    """
    model.load_state_dict(read_weights(path, model.state_dict()))


# Which torch reads back safely, but only by name: a number of NumPy's beside the weights.
NUMPY_NUMBERS = [
    np.dtype,
    *{type(np.dtype(letter)) for letter in "?bhilqBHILQefd"},
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
]


def read_weights(path: str | Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a network's weights: in the file, the dict at any depth that has their names.

    All the names may begin with the same words, such as the `module.` of `nn.DataParallel`, the
    `_orig_mod.` of `torch.compile` or the `model.` of Lightning. A `.safetensors` file is read by
    the package of this name.

    Args:
        wanted: the names and shapes that the weights must have.

    Raises:
        UserError: if the file does not exist, cannot be read, or has other names or shapes.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{path} does not exist: name a file such as the net.pt of a run")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            content = load(path.read_bytes())
        else:
            with torch.serialization.safe_globals(NUMPY_NUMBERS):
                content = from_bytes(path.read_bytes())
    except Exception as error:  # of a damaged file, torch raises nearly anything
        if isinstance(error, ImportError):  # of safetensors
            raise
        told = f"{path} is damaged, or has more than tensors: save model.state_dict()"
        raise UserError(told) from None
    first = next(iter(wanted))
    for weights in _dicts(content):
        for name in [name for name in map(str, weights) if name.endswith(first)]:
            prefix = name.removesuffix(first)
            found = {
                name.removeprefix(prefix): value
                for name, value in weights.items()
                if str(name).startswith(prefix)
            }
            if found.keys() == wanted.keys():
                for name, weight in wanted.items():
                    if (shape := getattr(found[name], "shape", ())) != weight.shape:
                        sizes = f"{tuple(shape)} in place of {tuple(weight.shape)}"
                        raise UserError(f"{path}: {name} has the shape {sizes}")
                return found
    closest = max(_dicts(content), key=lambda found: len(found.keys() & wanted.keys()), default={})
    name = next(name for name in [*wanted, *closest] if (name in wanted) != (name in closest))
    differs = "is missing" if name in wanted else "belongs to no layer of it"
    raise UserError(f"{path} has no weights of this network: {name} {differs}")
