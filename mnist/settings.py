"""The settings of a run, checked before it begins."""

import ast
import difflib
import math
import tempfile
from collections.abc import Mapping
from os.path import expanduser, isfile
from pathlib import Path
from typing import Any

from common import UserError


class SettingsError(UserError, ValueError):
    """A setting that cannot work; the message names it and says what it may be."""


_FROM_1 = (int, "a whole number, 1 or more", lambda value: value >= 1)
_BELOW_1 = (float, "a number from 0 to just under 1", lambda value: 0 <= value < 1)
_FROM_0 = (float, "a number, 0 or more", lambda value: 0 <= value < math.inf)
_PRECISIONS = ("auto", "float32", "bfloat16")
_SWITCH = (bool, "True or False", lambda value: True)
_FOLDER = (str, "the name of a folder", lambda value: value != "")
_PATHS = ("weights", "own_image", "data_dir", "output_dir")
_RULES = {
    "epochs": _FROM_1,
    "batch_size": _FROM_1,
    "learning_rate": (float, "a number above 0", lambda value: 0 < value < math.inf),
    "warmup": (float, "a number from 0 to 1", lambda value: 0 <= value <= 1),
    "momentum": _BELOW_1,
    "nesterov": _SWITCH,
    "weight_decay": _FROM_0,
    "clip": (float, "a number, 0 or more; 0 clips nothing", lambda value: 0 <= value < math.inf),
    "dropout": _BELOW_1,
    "rotation": _FROM_0,
    "scale": _BELOW_1,
    "shear": _FROM_0,
    "shift": _FROM_0,
    "precision": (str, '"auto", "float32" or "bfloat16"', lambda value: value in _PRECISIONS),
    "seed": (int, "a whole number, 0 or more", lambda value: 0 <= value < 2**63),
    "validation_size": (int, "a whole number from 0 to 59999", lambda value: 0 <= value < 60000),
    "resume": _SWITCH,
    "weights": (
        str,
        "the name of an existing file, or empty",
        lambda value: not value or isfile(expanduser(value)),
    ),
    "own_image": (str, "the name of an existing file", lambda value: isfile(expanduser(value))),
    "data_dir": _FOLDER,
    "output_dir": _FOLDER,
}


def check_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check every setting of a run before the run begins.

    Args:
        values: the settings by name, among others such as the notebook's `globals()`. If the
            cell before the running one, by `In`, has papermill's parameters, these must be
            settings too.

    Returns:
        The settings alone, with `~` in paths written out.

    Raises:
        SettingsError: if one is not there, of the wrong kind or out of its range, if a parameter
            is no setting, or if nothing can be written to `output_dir`.
    """
    for cell in values.get("In", [])[-2:-1]:
        if cell.startswith("# Parameters\n"):  # as papermill begins the cell that it puts in
            for node in ast.parse(cell).body:
                if isinstance(node, ast.Assign) and (unknown := node.targets[0].id) not in _RULES:
                    raise SettingsError(f"there is no setting {unknown}: {_advice(unknown)}")
    for name, (kind, wanted, fits) in _RULES.items():
        if name not in values:
            raise SettingsError(f"{name} is not set: it must be {wanted}")
        value = values[name]
        accepted = (int, float) if kind is float else (kind,)
        if type(value) not in accepted or not fits(value):
            is_text = kind is float and isinstance(value, str)
            hint = ", a text: YAML reads 1e-1 as one, and 0.1 or 1.0e-1 as a number" * is_text
            raise SettingsError(f"{name} must be {wanted}, not {value!r}{hint}")
    settings = {name: values[name] for name in _RULES}
    settings |= {name: expanduser(settings[name]) for name in _PATHS}
    output_dir = Path(settings["output_dir"])
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output_dir).close()
    except OSError as error:
        raise SettingsError(
            f"output_dir {str(output_dir)!r} cannot be written: {error.strerror}"
        ) from None
    return settings


def _advice(unknown: str) -> str:
    """Name the nearest setting; of a short form such as "lr", the one with these initials."""
    names = {name: name for name in _RULES}
    names |= {"".join(word[0] for word in name.split("_")): name for name in _RULES if "_" in name}
    nearest = difflib.get_close_matches(unknown, names, 1)
    return f"did you mean {names[nearest[0]]}?" if nearest else f"there are {', '.join(_RULES)}"
