"""The settings of a run, checked before it begins."""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from common import UserError

KINDS = {
    "a whole number": ("epochs", "batch_size", "seed", "validation_size"),
    "a number": (
        "learning_rate", "warmup", "momentum", "weight_decay", "clip", "dropout",
        "rotation", "scale", "shear", "shift",
    ),
    "True or False": ("nesterov", "resume"),
    "a text": ("precision", "weights", "own_image", "data_dir", "output_dir"),
}  # fmt: skip
TYPES = {"a whole number": int, "a number": (int, float), "True or False": bool, "a text": str}


class SettingsError(UserError):
    """A setting that cannot work; the message names it and says what it may be."""


def check_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the kind of every setting, and that numbers are finite and not negative.

    Args:
        values: the settings by name, among others such as the notebook's `globals()`. If the
            cell before the running one, by `In`, has papermill's parameters, these must be
            settings too.

    Returns:
        The settings alone.

    Raises:
        SettingsError: if one is missing or cannot be, or if a parameter is no setting.
    """
    kinds = {name: kind for kind, names in KINDS.items() for name in names}
    for cell in values.get("In", [])[-2:-1]:
        if cell.startswith("# Parameters\n"):  # as papermill begins the cell that it puts in
            for name in re.findall(r"^(\w+) = ", cell, re.MULTILINE):
                if name not in kinds:
                    near = difflib.get_close_matches(name, kinds, 1) or kinds
                    raise SettingsError(f"there is no setting {name}; there is {', '.join(near)}")
    for name, kind in kinds.items():
        value = values.get(name)
        fits = isinstance(value, TYPES[kind]) and isinstance(value, bool) == (TYPES[kind] is bool)
        if not fits or not (isinstance(value, str) or 0 <= value < math.inf):
            zero = ", 0 or more" * kind.endswith("number") + "; 0 clips nothing" * (name == "clip")
            hint = ""
            if isinstance(value, str) and re.fullmatch(r"\d+e[-+]?\d+", value):
                number = np.format_float_positional(float(value))
                hint = f", which YAML reads as a text: write {number}"
            raise SettingsError(f"{name} must be {kind}{zero}, not {value!r}{hint}")
    return {name: values[name] for name in kinds}
