"""The settings: taken from the notebook's names, and refused in one line."""

import pytest

from mnist.settings import SettingsError, check_settings


@pytest.fixture
def good(tmp_path):
    """A value for each setting."""
    return {
        "epochs": 1,
        "batch_size": 256,
        "learning_rate": 1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "dropout": 0,
        "rotation": 7.0,
        "scale": 0.07,
        "shear": 0.1,
        "shift": 1.4,
        "precision": "auto",
        "seed": 0,
        "validation_size": 0,
        "resume": True,
        "weights": "",
        "own_image": __file__,
        "data_dir": "data",
        "output_dir": str(tmp_path / "new" / "run"),
    }


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("epochs", 0, "1 or more"),
        ("epochs", 2.5, "whole number"),
        ("batch_size", 0, "1 or more"),
        ("batch_size", "many", "whole number"),
        ("batch_size", True, "whole number"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", float("nan"), "above 0"),
        ("learning_rate", float("inf"), "above 0"),
        ("momentum", 1.0, "from 0 to just under 1"),
        ("dropout", 1.5, "from 0 to just under 1"),
        ("dropout", -0.1, "from 0 to just under 1"),
        ("weight_decay", -1, "0 or more"),
        ("rotation", None, "a number"),
        ("precision", "float16", "bfloat16"),
        ("weights", "no-such-file.pt", "existing file"),
        ("own_image", "no-such-file.png", "existing file"),
        ("seed", -1, "0 or more"),
        ("validation_size", 60_000, "0 to 59999"),
        ("resume", 1, "True or False"),
        ("data_dir", "", "folder"),
        ("output_dir", 7, "folder"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(name, value, wanted, good):
    with pytest.raises(SettingsError) as error:
        check_settings(good | {name: value})
    message = str(error.value)
    assert message.startswith(f"{name} must be ")
    assert wanted in message
    assert message.endswith(f"not {value!r}")
    assert "\n" not in message


def test_an_unwritable_output_dir_is_named(tmp_path, good):
    (tmp_path / "file").write_text("in the way")
    output_dir = str(tmp_path / "file" / "run")
    with pytest.raises(SettingsError, match=r"output_dir .* cannot be written: Not a directory"):
        check_settings(good | {"output_dir": output_dir})


def test_good_settings_are_taken_from_among_others_and_leave_only_the_folder(tmp_path, good):
    assert check_settings({"np": object(), **good, "image": None}) == good
    assert list((tmp_path / "new" / "run").iterdir()) == []


def test_a_setting_that_was_deleted_is_named(good):
    del good["seed"]
    with pytest.raises(SettingsError, match="seed is not set: it must be a whole number, 0 or mo"):
        check_settings(good)


def test_ipython_shows_one_line():
    assert SettingsError("epochs must be")._render_traceback_() == ["SettingsError: epochs must be"]
