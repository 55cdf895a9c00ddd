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
        "warmup": 0.2,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 1e-4,
        "clip": 2.0,
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
        ("warmup", 1.1, "from 0 to 1"),
        ("warmup", -0.1, "from 0 to 1"),
        ("momentum", 1.0, "from 0 to just under 1"),
        ("nesterov", 1, "True or False"),
        ("clip", 0, "above 0"),
        ("clip", float("nan"), "above 0"),
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


@pytest.mark.parametrize(
    ("name", "value"), [("clip", float("inf")), ("warmup", 0), ("warmup", 1), ("momentum", 0)]
)
def test_a_setting_may_be_at_its_limit(name, value, good):
    assert check_settings(good | {name: value})[name] == value


def test_the_home_folder_is_written_out_in_all_paths(tmp_path, monkeypatch, good):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("net.pt", "own.png"):
        (tmp_path / name).touch()
    paths = {"weights": "net.pt", "own_image": "own.png", "data_dir": "data", "output_dir": "runs"}
    settings = check_settings(good | {name: f"~/{path}" for name, path in paths.items()})
    assert settings == good | {name: str(tmp_path / path) for name, path in paths.items()}
    assert (tmp_path / "runs").is_dir()


INJECTED = "# Parameters\nepochs = 1\n{} = 3\n"


def test_parameters_of_papermill_may_be_settings(good):
    assert check_settings(good | {"In": ["", "x = 1", INJECTED.format("seed"), "check"]}) == good


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("weight", "did you mean weights?"),
        ("epoch", "did you mean epochs?"),
        ("lr", "did you mean learning_rate?"),
        ("bs", "did you mean batch_size?"),
        ("foo_bar_baz", "there are epochs, batch_size, "),
    ],
)
def test_a_parameter_that_is_no_setting_is_refused_with_the_nearest(name, advice, good):
    with pytest.raises(SettingsError) as error:
        check_settings(good | {"In": ["", INJECTED.format(name), "check"]})
    assert str(error.value).startswith(f"there is no setting {name}: {advice}")


@pytest.mark.parametrize("cell", ["mine = 3", "%pip list", "# Parameters\nimport os\nprint(1)"])
def test_cells_that_papermill_did_not_put_in_may_set_anything(cell, good):
    assert check_settings(good | {"In": ["", INJECTED.format("mine"), cell, "check"]}) == good


def test_a_setting_that_was_deleted_is_named(good):
    del good["seed"]
    with pytest.raises(SettingsError, match="seed is not set: it must be a whole number, 0 or mo"):
        check_settings(good)


def test_ipython_shows_one_line():
    assert SettingsError("epochs must be")._render_traceback_() == ["SettingsError: epochs must be"]
