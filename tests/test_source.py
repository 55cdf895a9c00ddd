"""What counts as the code of a run, and what of it differs."""

import ast
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mnist import source
from mnist.source import NOTEBOOK, bare, collect, differences


@pytest.fixture
def notebook(monkeypatch):
    """Execute cells; gives the notebook's code, once those that were executed before count too."""
    executed = [""]
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=executed))
    monkeypatch.setattr(source, "get_ipython", lambda: shell)
    monkeypatch.setattr(source, "own_modules", dict)

    def run(*cells, **changed):
        executed.extend(cells)
        return collect({"epochs": 1, "rate": 0.1, **changed})[NOTEBOOK]

    return run


CELLS = "import torch", "epochs = 1\nrate = 0.1", "net = Net(rate)", "train(net)"


def test_it_is_all_cells_so_far_without_comments_and_those_that_only_set_settings(notebook):
    settings = "epochs = 3\nrate = 0.1", "# Parameters\nepochs = 1"
    cells = notebook(CELLS[0], *settings, "net = Net( rate )  # mine", CELLS[3])
    assert cells == "import torch\nnet = Net(rate)\ntrain(net)\n"


def test_cells_run_again_count_where_they_were_last_and_an_edit_is_seen(notebook):
    first = notebook(*CELLS)
    assert notebook(CELLS[3]) == first
    assert notebook(*CELLS) == first
    edited = notebook(*CELLS[:2], "net = Net(2 * rate)", CELLS[3])
    assert edited == "import torch\nnet = Net(2 * rate)\ntrain(net)\n"
    assert notebook(*CELLS) == first
    assert (
        notebook("print(net)", CELLS[3])
        == "import torch\nnet = Net(rate)\nprint(net)\ntrain(net)\n"
    )
    there_and_back = notebook("adam()", CELLS[3], CELLS[2], CELLS[3])
    assert there_and_back.endswith("adam()\nnet = Net(rate)\ntrain(net)\n")


def test_settings_that_were_set_after_they_were_taken_count_as_code(notebook):
    assert "rate = 0.5" in notebook(*CELLS, "rate = 0.5", CELLS[3])
    assert "rate = 0.5" not in notebook(CELLS[3], rate=0.5)


@pytest.mark.parametrize(
    "cell",
    ["width, depth = (16, 3)", "conf['rate'] = 0.1", "net.p = 0.9", "mine = 2", "rate = f()"],
)
def test_cells_that_set_anything_else_count(cell, notebook):
    assert notebook(*CELLS[:2], cell, CELLS[3]) == f"import torch\n{cell}\ntrain(net)\n"


def test_what_is_no_python_counts_as_it_is(notebook):
    assert notebook("%%time\ntrain( net )", "train(net)") == "%%time\ntrain( net )\ntrain(net)\n"


def test_bare_code_has_no_comments_docstrings_and_formatting():
    text = (
        '"""Doc."""\nclass A:\n    """Doc."""\n\ndef f( x ):  # why\n    "Doc."\n    return "kept"'
    )
    assert bare(text) == "class A:\n    pass\n\ndef f(x):\n    return 'kept'"


def test_what_differs_is_counted_in_lines_of_bare_code():
    old = {"model.py": "a = 1\nb = 2\n", NOTEBOOK: "train()\n", "gone.py": "x\n"}
    new = {"model.py": "a = 1  # one\nb = 3\nc = 4\n", NOTEBOOK: "train(2)\n"}
    assert differences(old, new) == ["gone.py: 1 line", "model.py: 2 lines", "notebook: 1 line"]
    assert differences(old, {**old, "model.py": "a=1\nb=2\n# a comment\n"}) == []


SCRIPT = """from importlib import import_module
from pathlib import Path
import mine
from mnist.source import collect, forget_imports
Path("mine.py").write_text("VALUE = 2\\n")
print(collect({}))
forget_imports()
import_module("mine")
print(import_module("mnist.source").collect({}))
"""


def test_your_files_that_are_imported_are_taken_as_they_were_imported(tmp_path):
    for name in ("mnist", "common"):
        shutil.copytree(source.ROOT / name, tmp_path / name)
    files = {"train.py": SCRIPT, "mine.py": "import blocks.head\n"}
    files |= {"blocks/__init__.py": "", "blocks/head.py": "VALUE = 1\n"}
    (tmp_path / "blocks").mkdir()
    for name, text in {**files, "other.py": "not imported"}.items():
        (tmp_path / name).write_text(text)
    printed = subprocess.check_output([sys.executable, "train.py"], cwd=tmp_path, text=True)
    edited, *found = printed.splitlines()
    assert edited.startswith("mine.py was edited after it was imported")
    after = {"train.py": SCRIPT, "mine.py": "VALUE = 2\n"}
    assert [*map(ast.literal_eval, found)] == [files, after]
