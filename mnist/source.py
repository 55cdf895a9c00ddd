"""The code of a run: the notebook's cells or the script, and your files that were imported."""

import ast
import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython import get_ipython

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("mnist", "common")  # they stand behind every run and are not what a learner changes
NOTEBOOK = "notebook cells.py"  # under which its cells are kept; no module has such a name


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace")


# The project's files as they are imported, for they may be edited while a run goes on.
_texts = {path: _read(path) for depth in ("", "*/", "*/*/") for path in ROOT.glob(f"{depth}*.py")}


def own_modules() -> dict[Path, ModuleType]:
    """The project's files that are imported, by their absolute paths."""
    found = {}
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "")
        if path.is_relative_to(ROOT) and path.suffix == ".py" and "site-packages" not in path.parts:
            found[path] = module
    return found


def forget_imports() -> None:
    """Have the project's files read again when they are imported the next time."""
    for module in own_modules().values():
        if module.__name__ != "__main__":
            del sys.modules[module.__name__]


def collect(settings: Mapping[str, Any]) -> dict[str, str]:
    """Give the code of the run that begins, as texts by their paths in the project.

    A notebook's cells, under the name `NOTEBOOK`, are those that were executed since its first one
    was, each where it was last. Those that only set settings are left out: values are compared.
    """
    texts, shell = {}, get_ipython()
    for path in own_modules():
        name = path.relative_to(ROOT)
        if name.parts[0] not in TOOLS:
            texts[name.as_posix()] = _texts.get(path) or _read(path)
            if texts[name.as_posix()] != _read(path):
                print(f"{name} was edited after it was imported: run all cells for it to count")
    if cells := shell.history_manager.input_hist_raw[1:] if shell else []:
        texts[NOTEBOOK] = _cells_that_count([bare(cell) for cell in cells], settings)
    elif (main := Path(getattr(sys.modules["__main__"], "__file__", None) or "")).is_file():
        texts.setdefault(main.name, _read(main))
    return texts


def _cells_that_count(cells: list[str], settings: Mapping[str, Any]) -> str:
    since_first = cells[::-1][: cells[::-1].index(cells[0]) + 1]
    kept = [*dict.fromkeys(since_first)][::-1]
    set_only = {cell: values for cell in kept if (values := _values(cell, settings))}
    latest = {name: value for values in set_only.values() for name, value in values.items()}
    if latest.items() <= settings.items():  # else some were set after the settings were taken
        kept = [cell for cell in kept if cell not in set_only]
    return "\n".join(kept) + "\n"


def _values(cell: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a cell sets, if it does nothing but to set settings, as papermill's parameters do."""
    try:
        nodes = ast.parse(cell).body
        values = {node.targets[0].id: ast.literal_eval(node.value) for node in nodes}
    except (SyntaxError, ValueError, AttributeError):
        return {}
    return values if values.keys() <= settings.keys() else {}


def bare(text: str) -> str:
    """Code without comments, docstrings and formatting; as it is if it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    documented = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Name what differs between the code of two runs, such as "model.py: 2 lines"."""
    named = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (bare(code.get(name, "")).splitlines() for code in (old, new))
        marks = [line[0] for line in difflib.unified_diff(before, after, n=0)][2:]
        if count := max(marks.count("+"), marks.count("-")):
            named.append(f"{name.removesuffix(' cells.py')}: {count} line{'s' * (count != 1)}")
    return named
