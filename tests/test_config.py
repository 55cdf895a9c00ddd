"""The settings: taken from the notebook's names, and refused in one line."""

import math

import nbformat
import pytest
import yaml

from common import UserError
from mnist.config import check_settings
from tests.digits import ROOT


@pytest.fixture(scope="module")
def good():
    """The notebook's settings."""
    cells = {cell.id: cell for cell in nbformat.read(ROOT / "S6.ipynb", as_version=4).cells}
    settings = {}
    exec(cells["settings"].source, {}, settings)
    return settings


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_a_number_that_is_not_finite_or_negative_is_named_in_one_line(value, good):
    with pytest.raises(UserError, match=rf"^momentum must be a finite number, .*not {value}$"):
        check_settings(good | {"momentum": value})
    with pytest.raises(UserError, match=r"clip must be .*; 0 clips nothing, not"):
        check_settings(good | {"clip": value})


def test_a_setting_that_would_fail_late_is_named_in_one_line(good):
    for name, value in {"epochs": 2.5, "batch_size": 0}.items():
        with pytest.raises(UserError, match=f"^{name} must be a whole number, 1 or more, not"):
            check_settings(good | {name: value})


def test_a_number_that_yaml_reads_as_a_text_is_told_how_to_write(good):
    for text, number in {"1e-1": "0.1", "5e-4": "0.0005", "1e-05": "0.00001"}.items():
        with pytest.raises(UserError, match=f"learning_rate: {text} as a text: write {number}$"):
            check_settings(good | yaml.safe_load(f"learning_rate: {text}"))
        check_settings(good | yaml.safe_load(f"learning_rate: {number}"))


def test_good_settings_are_taken_from_among_others(good):
    good = good | {"clip": 0, "warmup": 1, "weights": "~/net.pt"}
    assert check_settings({"np": object(), **good, "image": None}) == good


def test_a_parameter_that_is_no_setting_is_refused(good):
    injected = "# Parameters\nepochs = 1\nweight = 3\n"  # as papermill does it
    with pytest.raises(UserError, match="there is no setting weight; there are epochs, batch_size"):
        check_settings(good | {"In": ["", injected, "check"]})
    # A cell that papermill did not put in, before the one that checks, may set anything.
    assert check_settings(good | {"In": [injected, "weight = 3", "check"]}) == good
