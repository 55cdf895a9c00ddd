"""The READMEs: links and commands work; settings, runs and the network are those of the code."""

import ast
import importlib.util
import json
import re
import shlex

import pytest
from torch import nn

import backprop.__main__
import mnist.__main__
import utils
from mnist.history import read_runs, table
from mnist.receptive_field import trace
from model import Net
from results import summary
from tests.digits import ROOT
from tests.readme import README, RESULTS, says

PAGES = {ROOT / "README.md": README, ROOT / "results" / "README.md": RESULTS}
PARSERS = {"backprop": backprop.__main__.make_parser(), "mnist": mnist.__main__.make_parser()}


def anchor(heading):
    """The part of a URL that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
    assert len(targets) > 10
    for target in targets:
        path, _, fragment = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in map(anchor, headings), target


def commands(text):
    """The commands in a page, each as its words."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    lines = [*re.split(r"\n| && ", blocks), *re.findall(r"`(python -m [^`]+)`", text)]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def settings():
    """The names and defaults of the notebook's settings."""
    cells = json.loads((ROOT / "S6.ipynb").read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if cell.get("id") == "settings")
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(source).body}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_understood(page):
    found = commands(PAGES[page])
    assert {words[0] for words in found} >= {"python", "papermill"}
    for program, *words in found:
        if program == "python" and words[1] in PARSERS:
            arguments = words[2:] if words[2:] or words[1] == "mnist" else ["build"]
            if arguments[0].startswith("-"):
                arguments.insert(0, "build")
            PARSERS[words[1]].parse_args(arguments)
        elif program == "python":
            assert importlib.util.find_spec(words[1]), words
        elif program == "papermill":
            places = [index for index, word in enumerate(words) if word == "-p"]
            for name, value in (words[place + 1 : place + 3] for place in places):
                kind = type(settings()[name])
                assert kind is str or type(ast.literal_eval(value)) is kind, (name, value)


def test_the_recipe_is_that_of_the_settings():
    recipe = settings()
    assert says(README, f"momentum {recipe['momentum']}", f"batch size {recipe['batch_size']}")
    assert says(README, f"dropout {recipe['dropout']:.2f}", f"decay {recipe['weight_decay']:.4f}")
    assert says(README, f"{recipe['epochs']} epochs", f"linearly to {recipe['learning_rate']}")
    assert says(README, f"norm {recipe['clip']:g}", f"{recipe['rotation']:g} degrees")
    assert says(README, f"{100 * recipe['scale']:g} %", f"sheared by up to {recipe['shear']} ")
    assert says(README, f"{recipe['shift']} pixels", f"{summary.TO_BEAT} %")


def test_the_two_runs_of_the_readme_are_those_of_the_logs():
    runs = read_runs(ROOT / "results" / "own-network")
    assert [len(run.history) for run in runs] == [3, 3]
    assert f"```\n{table(runs)}\n```" in README


def test_the_table_of_the_network_has_its_shapes_receptive_fields_and_parameters():
    layers = [layer for block in Net().children() for layer in block]
    counts = [sum(weights.numel() for weights in layer.parameters()) for layer in layers]
    assert set(re.findall(r"17,\d+", README)) == {f"{sum(counts):,}"}
    section = README.partition(" | parameters |\n")[2].partition("\n\n")[0]
    pattern = r"^\| .* \| ([\d x]+) \| (\d+x\d+) \| ([\d, +]+) \|$"
    rows = re.findall(pattern, section, re.MULTILINE)
    assert len(rows) == len(section.splitlines()) - 1
    told = [int(count.replace(",", "")) for *_, cell in rows for count in cell.split(" + ")]
    assert [count for count in told if count] == [count for count in counts if count]
    traced = iter(
        (" x ".join(str(side) for side in block.shape[1:] if side > 1), "{}x{}".format(*block.sees))
        for block in trace(nn.Sequential(*layers), (8, *utils.IMAGE_SHAPE))
    )
    assert all((shape, sees) in traced for shape, sees, _ in rows)
    assert not list(traced)  # the last row is the last layer
