"""The layout of the repository: what is in its root, and which part may import which."""

import ast
import subprocess

import pytest

from tests.digits import ROOT

# The project's own packages and modules that each part may import.
ROOMS = {
    "common": {"common"},
    "mnist": {"mnist", "common"},
    "mnist/__main__.py": {"mnist", "common", "model", "utils"},  # the command uses them
    "backprop": {"backprop", "common"},
    "model.py": set(),
    "utils.py": {"mnist", "common"},
}
OWN = {"common", "mnist", "backprop", "model", "utils", "results", "tests"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    files = [path for path in files if path == ROOT / room or name_of(path) not in ROOMS]
    assert files
    for path in files:
        assert set(imported(path)) & OWN <= ROOMS[room], path


def test_the_root_holds_two_python_files():
    assert {path.name for path in ROOT.glob("*.py")} == {"model.py", "utils.py"}


def test_every_module_says_in_its_first_line_what_is_in_it():
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("this is no git checkout")
    for name in tracked:
        assert (ROOT / name).read_text(encoding="utf-8").startswith('"""'), name
