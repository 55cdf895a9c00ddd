"""A fingerprint of what a run depends on beside its settings: the code and the network."""

import io
import tokenize
from hashlib import sha256
from pathlib import Path

from torch import nn

ROOT = Path(__file__).resolve().parent.parent
CODE = ("model.py", "utils.py")


def fingerprint(model: nn.Module) -> dict[str, str]:
    """Give a hash of each file of `CODE`, without comments and blank lines, and of the network.

    The network's is that of its layers, their options and the shapes of their weights, which a
    notebook can change while `model.py` stays the same.
    """
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    texts = {name: bare((ROOT / name).read_text(encoding="utf-8")) for name in CODE}
    texts["the network"] = f"{model}\n{shapes}"
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
