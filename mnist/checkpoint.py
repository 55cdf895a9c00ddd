"""What is saved of a training: the state of its parts, and weights in all the usual forms."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves, tree_map

from common import UserError


def as_bytes(state: Any) -> bytes:
    """Write a state as `torch.save` does, with NumPy's numbers as Python's."""
    file = BytesIO()
    torch.save(tree_map(lambda x: x.item() if isinstance(x, np.generic) else x, state), file)
    return file.getvalue()


def from_bytes(content: bytes) -> Any:
    """Read a state back onto the CPU; of objects that torch does not know, an error is raised."""
    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def why_not_kept(part: Any, parts: Collection[Any]) -> str | None:
    """Say why a part of a training could not go on after a stop; each of `parts` is kept."""
    if not hasattr(part, "state_dict") or not hasattr(part, "load_state_dict"):
        return "has no state_dict and load_state_dict"
    state = part.state_dict()
    try:
        from_bytes(as_bytes(state))
    except Exception:  # torch and pickle raise nearly anything
        return "has a state_dict with more than tensors, numbers, texts, lists and dicts"
    if not state:
        return "has an empty state_dict"
    is_optimizer = isinstance(part, Optimizer)  # which has a state and groups of its own
    kept = list(_dicts(list(state.values()) if is_optimizer else state))
    for name, held in vars(part).items():
        is_submodules = isinstance(part, nn.Module) and name[0] == "_"
        for inner in [] if is_submodules else tree_leaves(held):
            if isinstance(inner, (Optimizer, nn.Module)) and all(inner is not one for one in parts):
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


# Which torch reads back safely, but only by name: a number of NumPy's beside the weights.
NUMPY_NUMBERS = [
    np.dtype,
    *{type(np.dtype(letter)) for letter in "?bhilqefd"},
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
]


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load weights from a file into the model: the dict, at any depth, that has their names.

    All names may begin with the same words, such as the `module.` of `nn.DataParallel` or the
    `model.` of Lightning. A `.safetensors` file is read by the package of this name.

    Raises:
        UserError: if the file does not exist, cannot be read, or has other names or shapes.
    """
    path, names = Path(path).expanduser(), model.state_dict().keys()
    if not path.is_file():
        raise UserError(f"{path} does not exist: name a file such as the net.pt of a run")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        content = load_file(path)
    else:
        try:
            with torch.serialization.safe_globals(NUMPY_NUMBERS):
                content = from_bytes(path.read_bytes())
        except Exception:  # of a damaged file, torch raises nearly anything
            told = f"{path} is damaged, or has more than tensors: save model.state_dict()"
            raise UserError(told) from None
    candidates = [part for found in _dicts(content) for part in _without_prefix(found, names)]
    try:
        model.load_state_dict(max(candidates, key=lambda one: len(one.keys() & names), default={}))
    except RuntimeError as error:
        told = " ".join(str(error).split())
        raise UserError(f"{path} has no weights of this network. {told[:400]}") from None


def _without_prefix(found: Mapping[str, Any], names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The parts of a dict whose names, after a common prefix, begin as the network's."""
    first = next(iter(names))
    for prefix in [name.removesuffix(first) for name in map(str, found) if name.endswith(first)]:
        inside = {str(name): value for name, value in found.items() if str(name).startswith(prefix)}
        yield {name.removeprefix(prefix): value for name, value in inside.items()}
