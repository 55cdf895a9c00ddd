"""What counts as the code of a run, and what of it differs."""

import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from mnist import source
from mnist.source import NOTEBOOK, bare, collect, differences


@pytest.fixture
def notebook(monkeypatch):
    """Execute cells; gives the notebook's code, once those that were executed before count too."""
    executed = [""]
    history = SimpleNamespace(input_hist_raw=executed)
    shell = SimpleNamespace(history_manager=history)
    monkeypatch.setattr(source, "get_ipython", lambda: shell)
    monkeypatch.setattr(source, "own_modules", dict)

    def run(*cells):
        executed.extend(cells)
        return collect(["epochs", "rate"])[NOTEBOOK]

    return run


CELLS = "import torch", "epochs = 3\nrate = 0.1", "net = Net(rate)", "train(net)"


def test_it_is_all_cells_so_far_without_comments_and_those_that_only_set_settings(notebook):
    cells = notebook(*CELLS[:2], "# Parameters\nepochs = 1", "net = Net( rate )  # mine", CELLS[3])
    assert cells == "import torch\nnet = Net(rate)\ntrain(net)\n"


def test_cells_run_again_count_once_and_an_edit_is_seen(notebook):
    first = notebook(*CELLS)
    assert notebook(CELLS[3]) == first
    assert notebook(*CELLS) == first
    edited = notebook(*CELLS[:2], "net = Net(2 * rate)", CELLS[3])
    assert edited == "import torch\nnet = Net(2 * rate)\ntrain(net)\n"
    assert notebook(*CELLS) == first
    assert notebook("print(net)", CELLS[3]) == f"{first}print(net)\n"


def test_magic_lines_count_and_a_cell_that_is_no_python_is_no_error(notebook):
    cells = notebook("%%time\ntrain( net )", "%matplotlib inline", "%%bash\nls -l |", "rate = (")
    assert cells.startswith("train(net)\nget_ipython()")
    assert cells.endswith("ls -l |\n\nrate = (\n\n")


def test_a_cell_that_sets_settings_and_more_counts(notebook):
    assert notebook("rate = 0.1\nmine = 2", "train()") == "rate = 0.1\nmine = 2\ntrain()\n"


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


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of a file, a package and a tool that stands behind all runs."""
    monkeypatch.setattr(source, "ROOT", tmp_path)
    monkeypatch.setattr(source, "_texts", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("mine.py", "blocks/__init__.py", "blocks/head.py", "mnist/tool.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("VALUE = 1\n")
    source.forget_imports()
    return tmp_path


def test_your_files_that_are_imported_are_taken_as_they_were_imported(project):
    import_module("mine")
    import_module("blocks.head")
    names = ("mine.py", "blocks/__init__.py", "blocks/head.py")
    assert collect([]).items() >= dict.fromkeys(names, "VALUE = 1\n").items()
    (project / "blocks" / "head.py").write_text("VALUE = 2\n")
    assert collect([])["blocks/head.py"] == "VALUE = 1\n"
    source.forget_imports()
    assert import_module("blocks.head").VALUE == 2
    assert collect([])["blocks/head.py"] == "VALUE = 2\n"
    assert "mine.py" not in collect([])
