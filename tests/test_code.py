"""The code that a result depends on: which lines and files count, and how a change is named."""

import importlib
import logging
import sys
import time
from collections import deque
from functools import partial, reduce
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset
from torchvision.transforms import Compose

from mnist import code
from utils import ImageBatches

SETTINGS = {"epochs", "rate"}
NOTEBOOK = [
    "import torch\ntorch.manual_seed(1)\nfrom nets import Net\nimport matplotlib.pyplot as plt",
    "epochs = 3\nrate = 0.1\nsettings = check_settings(globals())\nglobals().update(settings)",
    "def augment(images):\n    return images + strength",
    "strength = 0.5",
    "data = load(augment)",
    "model = Net()\nprint(model)",
    "for epoch in Run(model, settings).epochs():\n    train(model, data, rate)",
]


def lines(cells):
    return code.relevant_lines(cells, SETTINGS)


def with_line(line, before):
    """The notebook with a cell of one line before a cell, counted from its start."""
    return [*NOTEBOOK[:before], line, *NOTEBOOK[before:]]


@pytest.mark.parametrize(
    "look",
    [
        "plt.imshow(data[0][0])",
        "images, labels = next(iter(data))\nplt.imshow(images[0])",
        "model.summary()",
        "for p in model.parameters():\n    print(p.shape)",
        "loss, accuracy = test(model, data)",
        "%matplotlib inline",
        "!ls",
        "this is no Python",
        "import pandas as pd",
        "globals().update(shown=1)",
        "chosen = torch.randperm(9, generator=torch.Generator().manual_seed(0))",
        "\n%%time\nprint(model)",
    ],
)
def test_a_look_does_not_count(look):
    assert lines(with_line(look, 6)) == lines(NOTEBOOK)


@pytest.mark.parametrize(
    ("line", "before"),
    [
        ("data = clean(data)", 6),
        ("data.labels[0] = 3", 6),
        ("data.transform = None", 6),
        ("del data[7]", 6),
        ("model.fc = torch.nn.Linear(3, 4)", 6),
        ("model.fc.bias.zero_()", 6),
        ("for p in list(model.parameters()):\n    model.scale = p", 6),
        ("if epochs > 2:\n    model = None", 6),
        ("strength *= 2", 4),
        ("def train(model, data, rate): ...", 1),
        ("torch.manual_seed(7)", 6),
        ("set_seed(7)", 6),
        ("\n%%time\ndata = clean(data)", 6),
        ("if a:\n    data = 3\nelse:\n    data = 4", 6),
        ("(model := torch.compile(model))", 6),
        ("data.update(x=3)", 6),
        ("setattr(Net, 'forward', None)", 5),
        ("type(model).forward = None", 6),
    ],
)
def test_what_changes_something_that_training_uses_counts(line, before):
    added = set(lines(with_line(line, before))) - {*lines(NOTEBOOK), "import torch"}
    assert len(added) == 1


def test_values_of_settings_are_left_to_the_settings_until_they_are_checked():
    assert not [line for line in lines(NOTEBOOK) if line.startswith(("epochs", "rate"))]
    assert "rate = 0.2" in lines(with_line("rate = 0.2", 6))
    assert "rate = 0.2" not in lines(with_line("rate = 0.2", 1))


def test_lines_that_lead_to_training_through_others_count_and_imports_of_them():
    found = lines(with_line("strength *= 2", 4))
    assert {"from nets import Net", NOTEBOOK[2], "strength = 0.5", "strength *= 2"} <= {*found}


def test_running_all_cells_again_is_no_change():
    assert lines(NOTEBOOK + NOTEBOOK) == lines(NOTEBOOK)
    for setting in (
        "if epochs > 2:\n    strength = 3\nelse:\n    strength = 4",
        "try:\n    import strength\nexcept ImportError:\n    strength = None",
        "with open(rate) as file:\n    strength = file.read()",
    ):
        cells = [*NOTEBOOK[:3], setting, *NOTEBOOK[4:]]
        assert lines(cells + cells) == lines(cells)
        assert setting in lines(cells)


def test_what_prints_in_the_last_cell_does_not_count():
    last = f"import time\nprint(time.time())\n{NOTEBOOK[-1]}\nprint('done')"
    assert lines([*NOTEBOOK[:-1], last]) == lines(NOTEBOOK)


def test_a_loop_in_a_function_counts_with_its_call():
    cells = [*NOTEBOOK[:-1], "def fit():\n    for epoch in Run(model).epochs(): ...", "fit()"]
    *_, function, call = lines(cells)
    assert function.startswith("def fit():")
    assert call == "fit()"


def test_the_last_version_of_a_cell_counts():
    edited = [*NOTEBOOK[:3], "strength = 0.7", *NOTEBOOK[4:]]
    assert lines(NOTEBOOK + edited) == lines(edited)
    late = lines(with_line("strength = 0.7", 6))  # which the function reads when it is called
    assert "strength = 0.7" in late
    assert "strength = 0.5" not in late


def test_names_that_the_last_cell_sets_itself_are_not_sought_before_it():
    cells = ["with Run() as run:\n    for epoch in run.epochs():\n        done = epoch\n"]
    assert lines(["done = 0", "run = None", *cells]) == lines(cells)
    used_first = ["for epoch in Run().epochs():\n    total = total + epoch"]
    assert lines(["total = 0", *used_first]) == ["total = 0", *lines(used_first)]


FILES = {
    "nets/__init__.py": "from nets.small import Net\n",
    "nets/small.py": "from . import blocks\n\n\nclass Net: ...\n",
    "nets/blocks.py": "SIZE = 3\n",
    "plain/deep.py": "SIZE = 3\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder that stands for the project, whose notebook has the cells above."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=NOTEBOOK))
    monkeypatch.setattr(code, "_SCRIPT", "")
    monkeypatch.setattr(code, "get_ipython", lambda: shell)
    yield tmp_path
    code.forget_imports()


def test_a_folder_of_a_package_that_failed_to_import_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "broken" / "inner").mkdir(parents=True)
    (tmp_path / "broken" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    inner = importlib.import_module("broken.inner")
    monkeypatch.delitem(sys.modules, "broken")
    monkeypatch.setitem(sys.modules, "broken.inner", inner)
    assert inner not in code.own_modules()


@pytest.mark.parametrize(
    "script", ["", "import nets\nprint('begin')\nfor epoch in Run(nets.Net()).epochs(): ...\n"]
)
def test_the_project_s_files_that_were_imported_count(script, project, monkeypatch):
    monkeypatch.setattr(code, "_SCRIPT", script)
    importlib.import_module("nets")
    cells = [script] if script else NOTEBOOK
    own = {name: text for name, text in FILES.items() if name.startswith("nets/")}
    assert code.collect(SETTINGS) == {code.LINES: "\n".join(lines(cells)) + "\n", **own}


@pytest.mark.parametrize(
    ("prefix", "own"), [(".", True), ("..", True), ("nets", False), ("elsewhere", True)]
)
def test_environments_around_and_within_the_project(prefix, own, project, monkeypatch):
    importlib.import_module("nets")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "prefix", str((project / prefix).resolve()))
        assert ("nets/small.py" in code.collect(SETTINGS)) is own


def test_edited_files_are_read_anew_in_packages_of_either_kind(project):
    for value in (3, 4, 5):
        for name in ("nets/blocks.py", "plain/deep.py"):
            (project / name).write_text(f"SIZE = {value}{' ' * value}\n")
        code.forget_imports()
        from nets import blocks
        from plain import deep

        assert (value, value) == (blocks.SIZE, deep.SIZE)
        assert f"SIZE = {value}" in code.collect(SETTINGS)["plain/deep.py"]


@pytest.mark.parametrize("when", ["before the run", "after the run"])
def test_an_edit_counts_once_it_is_imported(when, project):
    importlib.import_module("nets.blocks")
    if when == "after the run":
        code.collect(SETTINGS)
    (project / "nets" / "blocks.py").write_text("SIZE = 4\n")
    before = code.collect(SETTINGS)
    assert before["nets/blocks.py"] == "SIZE = 3\n"
    code.forget_imports()
    importlib.import_module("nets.blocks")
    assert code.differences(before, code.collect(SETTINGS)) == ["nets/blocks.py: 1 line"]


def test_files_of_other_encodings_are_read(project):
    (project / "latin.py").write_bytes("# -*- coding: latin-1 -*-\nNAME = 'ä'\n".encode("latin-1"))
    (project / "marked.py").write_bytes("NAME = 3\n".encode("utf-8-sig"))
    importlib.import_module("latin")
    importlib.import_module("marked")
    found = code.collect(SETTINGS)
    assert "ä" in found["latin.py"]
    assert found["marked.py"] == "NAME = 3\n"


# --- The network, its optimizer and the images --------------------------------------------


def built(change=lambda *_: None, transform=float, step=1, batch_size=2):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Dropout(0.1))
    data = ImageBatches(torch.zeros(4, 1, 28, 28), torch.arange(4), Compose([transform]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    change(model, data, optimizer)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step)
    loader = DataLoader(Subset(data, [0, 1, 2, 3]), batch_size)
    return code.objects(model, optimizer, schedule, {"the training data": loader})


class Slots:
    __slots__ = ("amount",)

    def __init__(self, amount):
        self.amount = amount


class Shift:
    """A transform that says nothing of itself."""

    def __init__(self, amount):
        self.amount = amount


def changed(before, after):
    """What differs, random numbers aside."""
    return [name for name in before if before[name] != after[name] and "random" not in name]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda model, data, _: data.transform.transforms.pop(), "the training data"),
        (lambda model, data, _: setattr(data, "transform", None), "the training data"),
        (lambda model, data, _: data.labels.zero_(), "the training data"),
        (lambda model, data, _: data.images.data.add_(1), "the training data"),
        (lambda model, data, _: model.requires_grad_(False), "the network"),
        (lambda model, data, _: model.append(torch.nn.ReLU()), "the network"),
        (lambda model, data, _: setattr(model[1], "p", 0.5), "the network"),
        (lambda model, data, _: setattr(model[0], "sigma", 0.5), "the network"),
        (lambda model, data, _: model[0].register_forward_hook(print), "the network"),
        (lambda model, data, _: model[0].register_forward_pre_hook(print), "the network"),
        (lambda model, data, _: model.register_buffer("mask", torch.ones(2)), "the network"),
        (lambda model, data, _: setattr(model, "act", torch.relu), "the network"),
        (lambda model, data, _: model[0].weight.data.mul_(2), "the starting weights"),
        (lambda *parts: parts[2].param_groups[0].update(momentum=0.5), "the optimizer"),
    ],
)
def test_whatever_changes_what_training_begins_with_is_noticed(change, named):
    assert changed(built(), built(change)) == [named]


def test_schedules_and_batches_are_compared():
    assert changed(built(), built(step=2)) == ["the schedule"]
    assert changed(built(), built(batch_size=4)) == ["the training data"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: lambda x: x + 1, lambda: lambda x: x + 2),
        (lambda: Shift(1), lambda: Shift(2)),
        (lambda: Shift([Shift(1)] * 200), lambda: Shift([Shift(1)] * 199 + [Shift(2)])),
        (lambda: Shift({"by": 1}), lambda: Shift({"by": 2})),
        (lambda: Shift({1, 2}), lambda: Shift({1, 3})),
        (lambda: (lambda by: lambda x: x + by)(1), lambda: (lambda by: lambda x: x + by)(2)),
        (lambda: partial(pow, 2), lambda: partial(pow, 3)),
        (lambda: Image.new("L", (4, 4), 1), lambda: Image.new("L", (4, 4), 2)),
        (lambda: np.array([None, 1]), lambda: np.array([None, 2])),
        (lambda: torch.float32, lambda: torch.float64),
        (lambda: torch.zeros(2), lambda: torch.zeros(2, dtype=torch.int32)),
        (lambda: torch.tensor(1).bfloat16(), lambda: torch.tensor(2).bfloat16()),
        (lambda: np.array(["a"]), lambda: np.array(["b"])),
        (lambda: Shift(1).__init__, lambda: Shift(2).__init__),
        (lambda: deque([torch.zeros(3)]), lambda: deque([torch.ones(3)])),
        (lambda: Slots(1), lambda: Slots(2)),
        (lambda: [[1.0] * 50] * 200, lambda: [[1.0] * 50] * 199 + [[2.0] * 50]),
        (lambda: partial(lambda x: x + 1), lambda: partial(lambda x: x + 2)),
    ],
)
def test_values_are_described_by_their_content(one, other):
    assert built(transform=one()) == built(transform=one()) != built(transform=other())


def test_random_numbers_and_modes_are_no_difference():
    def look(model, data, optimizer):
        torch.rand(3)
        model.eval()

    assert changed(built(look), built()) == []


def test_what_holds_itself_is_described():
    ring = Shift(1)
    ring.amount = ring
    assert built(transform=ring) != built(transform=Shift(1))


class Getter(dict):
    __getattr__ = dict.get


@pytest.mark.parametrize(
    "held",
    [
        logging.getLogger("a.b"),
        Getter(a=1),
        reduce(lambda inner, _: [inner, inner], range(30), 1),  # written out, 2 to the 30 numbers
        reduce(lambda inner, _: Shift(inner), range(900), 1),
        [(torch.full((28, 28), float(k)), k) for k in range(6000)],
    ],
    ids=["logger", "answers to any name", "shared", "deep", "long"],
)
def test_whatever_a_data_set_holds_is_described_in_no_time(held):
    began = time.perf_counter()
    assert built(transform=Shift(held)) == built(transform=Shift(held))
    assert time.perf_counter() - began < 5


FILE = 'import torch\n\n\ndef half(x):\n    """Give a half."""\n    return x / 2\n'


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (FILE.replace("\n\n\n", "\n"), []),
        (FILE.replace("/ 2", "/ 2  # a half"), []),
        (FILE.replace("Give a half", "Divide by 2"), []),
        (FILE.replace("x / 2", "(x /\n    2)"), []),
        ('"""A file."""\n' + FILE, []),
        (FILE.replace("/ 2", "/ 3"), ["model.py: 1 line"]),
        (FILE.replace("/ 2", "/ len('#')"), ["model.py: 1 line"]),
        (
            FILE.replace("    return", "    y = f'{x} # {2}'\n    x = y\n    return"),
            ["model.py: 2 lines"],
        ),
        ("", ["model.py: 3 lines"]),
    ],
)
def test_comments_docstrings_and_formatting_are_no_difference(changed, named):
    assert code.differences({"model.py": FILE}, {"model.py": changed}) == named


def test_code_that_this_python_does_not_know_is_compared_as_it_is():
    assert code.differences({"model.py": "a b\nc"}, {"model.py": "a b\nd"}) == ["model.py: 1 line"]


def test_changed_lines_are_named_by_what_they_set():
    def kept(cells):
        return {code.LINES: "\n".join(lines(cells))}

    edited = [*NOTEBOOK[:3], "strength = 0.7", *NOTEBOOK[4:6], NOTEBOOK[6].replace("rate", "9")]
    assert code.differences(kept(NOTEBOOK), kept(edited)) == ["strength", "the training loop"]
    swapped = "a = 1\nb = 2", "b = 2\na = 1"
    (named,) = code.differences(*({code.LINES: text} for text in swapped))
    assert "order" in named
