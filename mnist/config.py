"""The settings of a run, checked before it begins."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from common import UserError

NAMES = (
    "epochs", "batch_size", "learning_rate", "warmup", "momentum", "nesterov", "weight_decay",
    "clip", "dropout", "rotation", "scale", "shear", "shift", "precision", "seed",
    "validation_size", "resume", "weights", "own_image", "data_dir", "output_dir",
)  # fmt: skip


def check_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the settings out of the notebook's `globals()`.

    Raises:
        UserError: if a number is not finite or negative, or is a text, as YAML reads 1e-1, or
            if a parameter that papermill has put into the cell before this one is no setting.
    """
    for cell in values.get("In", [])[-2:-1]:
        if cell.startswith("# Parameters\n"):  # as papermill begins it
            for name in re.findall(r"^(\w+) = ", cell, re.MULTILINE):
                if name not in NAMES:
                    raise UserError(f"there is no setting {name}; there are {', '.join(NAMES)}")
    settings = {name: values[name] for name in NAMES}
    for name in ("epochs", "batch_size"):
        if not isinstance(settings[name], int) or settings[name] < 1:
            raise UserError(f"{name} must be a whole number, 1 or more, not {settings[name]!r}")
    for name, value in settings.items():
        if isinstance(value, (int, float)) and not 0 <= value < math.inf:
            clips = "; 0 clips nothing" * (name == "clip")
            raise UserError(f"{name} must be a finite number, 0 or more{clips}, not {value}")
        if isinstance(value, str) and re.fullmatch(r"\d+e[-+]?\d+", value):
            number = np.format_float_positional(float(value))
            raise UserError(f"YAML reads {name}: {value} as a text: write {number}")
    return settings
