"""The settings: taken from the notebook's names, and refused in one line."""

import math

import nbformat
import pytest
import yaml

from mnist.config import SettingsError, check_settings
from tests.digits import ROOT


@pytest.fixture(scope="module")
def good():
    """The notebook's settings."""
    cells = {cell.id: cell for cell in nbformat.read(ROOT / "S6.ipynb", as_version=4).cells}
    settings = {}
    exec(cells["settings"].source, {}, settings)
    return settings


@pytest.mark.parametrize(
    ("name", "wanted", "values"),
    [
        ("epochs", "a whole number, 0 or more, not", [-1, 2.5, "many", True, None]),
        ("learning_rate", "a number, 0 or more, not", [-1, math.nan, math.inf, True, None]),
        ("clip", "a number, 0 or more; 0 clips nothing, not", [-1, math.nan, math.inf]),
        ("nesterov", "True or False, not", [1, "True"]),
        ("weights", "a text, not", [7, None]),
    ],
)
def test_a_bad_setting_is_named_in_one_line(name, wanted, values, good):
    for value in values:
        with pytest.raises(SettingsError, match=rf"^{name} must be {wanted} [^\n]+$"):
            check_settings(good | {name: value})


def test_a_number_that_yaml_reads_as_a_text_is_told_how_to_write(good):
    for text, number in {"1e-1": "0.1", "5e-4": "0.0005", "1e-05": "0.00001"}.items():
        with pytest.raises(SettingsError, match=rf"not '{text}', which YAML .*: write {number}$"):
            check_settings(good | yaml.safe_load(f"learning_rate: {text}"))
        check_settings(good | yaml.safe_load(f"learning_rate: {number}"))
    with pytest.raises(SettingsError, match=r"not .high.$"):
        check_settings(good | {"learning_rate": "high"})


def test_good_settings_are_taken_from_among_others(good):
    good = good | {"clip": 0, "warmup": 1, "weights": "~/net.pt"}
    assert check_settings({"np": object(), **good, "image": None}) == good


def test_a_parameter_that_is_no_setting_is_refused_with_the_nearest(good):
    injected = "# Parameters\nepochs = 1\nweight = 3\n"  # as papermill does it
    with pytest.raises(SettingsError, match="there is no setting weight; there is weights"):
        check_settings(good | {"In": ["", injected, "check"]})
    with pytest.raises(SettingsError, match="there is no setting foo; there is epochs, batch_size"):
        check_settings(good | {"In": ["", injected.replace("weight", "foo"), "check"]})
    # A cell that papermill did not put in, before the one that checks, may set anything.
    assert check_settings(good | {"In": [injected, "weight = 3", "check"]}) == good
