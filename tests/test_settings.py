import pytest

from settings import SettingsError, check_settings


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
        ("seed", -1, "0 or more"),
        ("validation_size", 60_000, "0 to 59999"),
        ("resume", 1, "True or False"),
        ("data_dir", "", "folder"),
        ("output_dir", 7, "folder"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(name, value, wanted):
    with pytest.raises(SettingsError) as error:
        check_settings(**{name: value})
    message = str(error.value)
    assert message.startswith(f"{name} must be ")
    assert wanted in message
    assert message.endswith(f"not {value!r}")
    assert "\n" not in message


def test_an_unwritable_output_dir_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    output_dir = str(tmp_path / "file" / "run")
    with pytest.raises(SettingsError, match=r"output_dir .* cannot be written: Not a directory"):
        check_settings(output_dir=output_dir)


def test_good_settings_leave_only_the_folder(tmp_path):
    output_dir = tmp_path / "new" / "run"
    check_settings(epochs=1, learning_rate=1, dropout=0, seed=0, output_dir=str(output_dir))
    assert list(output_dir.iterdir()) == []


def test_ipython_shows_one_line():
    assert SettingsError("epochs must be")._render_traceback_() == ["SettingsError: epochs must be"]
