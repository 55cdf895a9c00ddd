"""The settings: taken from the notebook's names, and refused in one line."""

import math

import nbformat
import pytest
import yaml

from mnist.settings import SettingsError, check_settings
from tests.digits import ROOT


@pytest.fixture
def good(tmp_path, monkeypatch):
    """The notebook's settings, with a folder of the test to write to."""
    monkeypatch.chdir(ROOT)
    cells = {cell.id: cell for cell in nbformat.read("S6.ipynb", as_version=4).cells}
    settings = {}
    exec(cells["settings"].source, {}, settings)
    return settings | {"output_dir": str(tmp_path / "new" / "run")}


BAD = {
    "epochs": ("1 or more", [0, 2.5]),
    "batch_size": ("whole number", ["many", True]),
    "learning_rate": ("above 0", [0, math.nan, math.inf]),
    "warmup": ("from 0 to 1", [1.1, -0.1]),
    "momentum": ("from 0 to just under 1", [1.0]),
    "nesterov": ("True or False", [1]),
    "weight_decay": ("0 or more", [-1]),
    "clip": ("0 clips nothing", [-1, math.nan, math.inf]),
    "dropout": ("from 0 to just under 1", [1.5, -0.1]),
    "rotation": ("a number", [None, -1]),
    "precision": ("bfloat16", ["float16"]),
    "seed": ("0 or more", [-1, 2**63]),
    "validation_size": ("0 to 59999", [60_000]),
    "resume": ("True or False", [1]),
    "weights": ("existing file, or empty", ["no-such-file.pt"]),
    "own_image": ("existing file", ["no-such-file.png", ""]),
    "data_dir": ("folder", [""]),
    "output_dir": ("folder", [7]),
}


@pytest.mark.parametrize(
    ("name", "wanted", "value"),
    [(name, wanted, value) for name, (wanted, values) in BAD.items() for value in values],
)
def test_a_bad_setting_is_named_in_one_line(name, wanted, value, good):
    with pytest.raises(SettingsError) as error:
        check_settings(good | {name: value})
    message = str(error.value)
    assert message.startswith(f"{name} must be ")
    assert wanted in message
    assert message.endswith(f"not {value!r}")
    assert "\n" not in message


def test_a_number_that_yaml_reads_as_a_text_is_told_how_to_write(good):
    with pytest.raises(SettingsError, match=r"not '1e-1', a text: .* 0\.1 or 1\.0e-1 as a number"):
        check_settings(good | yaml.safe_load("learning_rate: 1e-1"))
    assert check_settings(good | yaml.safe_load("learning_rate: 1.0e-1"))["learning_rate"] == 0.1


def test_a_setting_that_was_deleted_is_named(good):
    del good["seed"]
    with pytest.raises(SettingsError, match="seed is not set: it must be a whole number, 0 or mo"):
        check_settings(good)


def test_an_unwritable_output_dir_is_named(tmp_path, good):
    (tmp_path / "new").write_text("in the way")
    with pytest.raises(SettingsError, match=r"output_dir .* cannot be written: Not a directory"):
        check_settings(good)


def test_good_settings_are_taken_from_among_others_and_leave_only_the_folder(tmp_path, good):
    good |= {"clip": 0, "warmup": 1, "momentum": 0, "dropout": 0, "own_image": __file__}
    assert check_settings({"np": object(), **good, "image": None}) == good
    assert list((tmp_path / "new" / "run").iterdir()) == []


def test_the_home_folder_is_written_out_in_all_paths(tmp_path, monkeypatch, good):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("net.pt", "own.png"):
        (tmp_path / name).touch()
    paths = {"weights": "net.pt", "own_image": "own.png", "data_dir": "data", "output_dir": "runs"}
    settings = check_settings(good | {name: f"~/{path}" for name, path in paths.items()})
    assert settings == good | {name: str(tmp_path / path) for name, path in paths.items()}
    assert (tmp_path / "runs").is_dir()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("weight", "did you mean weights?"),
        ("lr", "did you mean learning_rate?"),
        ("bs", "did you mean batch_size?"),
        ("foo_bar_baz", "there are epochs, batch_size, "),
    ],
)
def test_a_parameter_that_is_no_setting_is_refused_with_the_nearest(name, advice, good):
    injected = f"# Parameters\nepochs = 1\n{name} = 3\n"  # as papermill does it
    with pytest.raises(SettingsError) as error:
        check_settings(good | {"In": ["", injected, "check"]})
    assert str(error.value).startswith(f"there is no setting {name}: {advice}")
    # A cell that papermill did not put in, before the one that checks, may set anything.
    assert check_settings(good | {"In": [injected, f"{name} = 3", "check"]}) == good


def test_a_cell_that_begins_as_papermill_s_may_hold_other_lines(good):
    cell = "# Parameters\nseed = 1\nimport os\nprint(1)"
    assert check_settings(good | {"In": [cell, "check"]}) == good
