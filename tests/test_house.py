"""Which module of the repository may import which."""

import ast
import doctest
import re
from graphlib import TopologicalSorter

import pytest

from backprop import check
from tests.digits import ROOT

FILES = [
    ROOT / "model.py",
    ROOT / "utils.py",
    *(path for part in ("common", "mnist", "backprop") for path in (ROOT / part).rglob("*.py")),
]


def name_of(path):
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, modules):
    """The modules that a file imports, in its functions too, as far down as it names them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            longer = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else node.module for name in longer)


@pytest.fixture(scope="module")
def graph():
    """What each of the project's modules imports of all that is in the repository."""
    modules = {name_of(path): path for path in FILES}
    own = {*modules, "tests", "results"}
    return {
        name: {other for other in imported(path, modules) if other.split(".")[0] in own}
        for name, path in modules.items()
    }


def part_of(name):
    """Common, backprop, or else the MNIST part."""
    first = name.partition(".")[0]
    return first if first in ("common", "backprop") else "mnist"


def test_imports_run_in_no_circle(graph):
    TopologicalSorter(graph).prepare()


def test_the_two_parts_share_common_alone(graph):
    for name, others in graph.items():
        assert {part_of(other) for other in others} <= {part_of(name), "common"}, name


def test_nothing_but_the_command_line_knows_the_network(graph):
    for name, others in graph.items():
        assert name == "mnist.__main__" or "model" not in others, name
    assert graph["model"] == set()


def test_each_step_of_check_imports_only_those_before_it(graph):
    named = dict.fromkeys(re.findall(r"`(\w+)`", check.__doc__))
    order = [f"backprop.check.{name}" for name in named]
    steps = {name: others for name, others in graph.items() if name.startswith("backprop.check.")}
    assert {*order} == {*steps}
    for place, name in enumerate(order):
        assert steps[name] & {*steps} <= {*order[:place]}, name


def test_the_example_of_check_computes_what_it_says():
    assert doctest.testmod(check) == (0, 11)


def test_the_project_does_without_tests_and_results(graph):
    assert set().union(*graph.values()) <= set(graph)


def test_no_module_of_tests_is_a_library_of_another():
    tests = ROOT / "tests"
    modules = {f"tests.{path.stem}" for path in tests.glob("*.py")}
    for path in tests.glob("*.py"):
        others = imported(path, modules)
        assert not [name for name in others if name.startswith("tests.test_")], path
