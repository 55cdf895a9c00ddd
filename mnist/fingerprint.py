"""A fingerprint of what a run depends on beside its settings: code, network, optimizer, loader."""

import inspect
import io
import tokenize
from hashlib import sha256
from pathlib import Path

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Sampler

ROOT = Path(__file__).resolve().parent.parent
CODE = ("model.py", "utils.py")


def fingerprint(
    model: nn.Module, optimizer: Optimizer, scheduler: LRScheduler, train_loader: DataLoader
) -> dict[str, str]:
    """Give a hash of each thing that a run depends on, by its name for people.

    The code is that of the files in `CODE`, without comments and blank lines. Network, optimizer,
    schedule and loader can change in the notebook while those files stay the same. What the
    notebook's transforms do is not part of it.
    """
    texts = {}
    for name in CODE:
        with tokenize.open(ROOT / name) as file:
            texts[name] = bare(file.read())
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    classes = {type(layer) for layer in model.modules()}
    own = sorted(source(kind) for kind in classes if not kind.__module__.startswith("torch."))
    texts["the network"] = f"{model}\n{shapes}\n{own}"
    groups = [
        {key: len(value) if key == "params" else value for key, value in group.items()}
        for group in optimizer.param_groups
    ]
    texts["the optimizer"] = f"{type(optimizer).__name__} {groups}"
    texts["the schedule"] = f"{type(scheduler).__name__} {scheduler.base_lrs}"
    sampler = sampler_of(train_loader)
    kind = f"{type(sampler).__name__} {getattr(sampler, 'generator', None) is None}"
    texts["the training loader"] = f"{kind} {len(train_loader)} {train_loader.num_workers}"
    return {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}


def bare(code: str) -> str:
    """Remove comments, blank lines and spaces at the ends of lines from Python code.

    The tokenizer only says where a comment begins, which every version of Python does alike.
    """
    lines = code.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def source(kind: type) -> str:
    """The code of a class, from a file or a notebook's cell; only its name where there is none."""
    try:
        return bare(inspect.getsource(kind))
    except (OSError, TypeError):
        return kind.__qualname__


def sampler_of(loader: DataLoader) -> Sampler:
    """The innermost sampler of a loader, which decides the order of the images."""
    sampler = loader.batch_sampler or loader.sampler
    while hasattr(sampler, "sampler"):
        sampler = sampler.sampler
    return sampler
