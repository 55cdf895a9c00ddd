"""The code that a result depends on: found, kept beside the result, and compared.

A line of a notebook counts if it sets something that the last cell, the one that trains, uses,
directly or through other lines; of files, those of the project that these lines import. What only
prints or draws does not count, nor do comments, docstrings and formatting.
"""

import ast
import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from symtable import SymbolTable, symtable
from typing import NamedTuple

from IPython import get_ipython
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("mnist", "common")  # they stand behind every run and are not what a learner changes
LINES = "notebook.py"  # the name under which the lines of a notebook or a script are kept


def is_local(file: Path) -> bool:
    """Whether a file is the learner's own: in the project, and neither a tool nor installed."""
    inside = file.is_relative_to(ROOT) and not file.is_relative_to(sys.prefix)
    return inside and file.relative_to(ROOT).parts[0] not in TOOLS


def forget_imports() -> None:
    """Have the learner's own files read again when they are imported the next time."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and is_local(Path(file)):
            del sys.modules[name]


def collect(settings: Iterable[str]) -> dict[str, str]:
    """Give the code that decides the result of the cell that is running, or of the script.

    Args:
        settings: names whose values decide it too, but are compared as values.

    Returns:
        The text of each file by its path in the project, and of the notebook's or the script's
        lines under the name `LINES`.
    """
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    shell = get_ipython()
    if is_local(script):
        cells = [script.read_text(encoding="utf-8")]
    else:
        cells = shell.user_ns["In"] if shell else [""]
    lines = relevant_lines(cells, settings)
    code = {LINES: "\n".join(lines) + "\n"}
    found = [imported(ast.parse(code[LINES]), ROOT)]
    while found:
        for file in found.pop():
            name = file.relative_to(ROOT).as_posix()
            if name not in code:
                code[name] = file.read_text(encoding="utf-8")
                found.append(imported(ast.parse(code[name]), file.parent))
    return code


def relevant_lines(cells: list[str], settings: Iterable[str]) -> list[str]:
    """Give all statements of the last cell, and those of earlier ones that it depends on.

    The names in a function's body are looked up when it is called: what counts is how they were
    set at last. So the search is repeated until no function brings further names.
    """
    *earlier, last = [statements(cell) for cell in cells]
    before = [node for cell in earlier for node in cell]
    in_functions = set()
    while True:
        kept, names = last, needed(last, in_functions) - set(settings)
        seeded = set()
        for node in reversed(before):
            seeds = _seeds(node) - seeded
            if (_symbols(node).written | changed(node)) & names or seeds:
                kept = [node, *kept]
                names = needed([node], names) - set(settings)
                seeded |= seeds
        found = set().union(*(_symbols(node).later for node in kept))
        if found <= in_functions:
            return [ast.unparse(node) for node in kept]
        in_functions |= found


def statements(cell: str) -> list[ast.stmt]:
    """Split a cell into its statements; one that is no Python has none.

    Lines such as `%pip` are translated, and a first line such as `%%time` is left out.
    """
    if cell.startswith("%%"):
        cell = cell.partition("\n")[2]
    text = TransformerManager().transform_cell(cell)
    try:
        symtable(text, LINES, "exec")
        return ast.parse(text).body
    except SyntaxError:
        return []


def needed(nodes: Iterable[ast.stmt], after: set[str]) -> set[str]:
    """The names that must be set before some statements, given those needed after them."""
    for node in reversed(list(nodes)):
        if isinstance(node, ast.With):
            after = needed(node.body, after)
            for item in reversed(node.items):
                if item.optional_vars is not None:
                    after = after - _symbols(item.optional_vars).written
                after = after | _symbols(item.context_expr).read
        elif isinstance(node, ast.For):
            body = needed(node.body, after) - _symbols(node.target).written
            after = after | body | needed(node.orelse, after) | _symbols(node.iter).read
        elif isinstance(node, (ast.If, ast.While)):
            branches = needed(node.body, after) | needed(node.orelse, after)
            after = branches | _symbols(node.test).read
        elif isinstance(node, ast.Try):
            after = after | _symbols(node).read
        else:
            after = (after - _symbols(node).written) | _symbols(node).read
    return after


class Symbols(NamedTuple):
    """The names that a piece of code may set, takes from around it, and takes when called."""

    written: set[str]
    read: set[str]
    later: set[str]


def _symbols(node: ast.stmt | ast.expr) -> Symbols:
    text = ast.unparse(node)
    if isinstance(getattr(node, "ctx", None), ast.Store):  # a target, as after `for` or `as`
        text += " = 0"
    found = Symbols(set(), set(), set())

    def look(table: SymbolTable, called_later: bool) -> None:
        for symbol in table.get_symbols():
            top = table.get_type() == "module"
            if top and (symbol.is_assigned() or symbol.is_imported()):
                found.written.add(symbol.get_name())
            if symbol.is_referenced() and (top or symbol.is_global()):
                (found.later if called_later else found.read).add(symbol.get_name())
        for inner in table.get_children():
            at_once = inner.get_type() == "class" or inner.get_name().endswith(("comp", "expr"))
            look(inner, called_later or not at_once)

    look(symtable(text, LINES, "exec"), False)
    return found


def changed(node: ast.stmt) -> set[str]:
    """The names whose objects a statement changes: by their attributes, items or methods in place.

    Methods in place are those whose name ends in `_`, as PyTorch has it.
    """
    found = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Attribute, ast.Subscript)):
            in_place = isinstance(part, ast.Attribute) and re.search("[^_]_$", part.attr)
            if in_place or not isinstance(part.ctx, ast.Load):
                found.add(_root(part))
    return found


def _seeds(node: ast.stmt) -> set[str]:
    """The functions by which a statement sets random seeds; the last call of each decides."""
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return {ast.unparse(it) for it in calls if "seed" in getattr(it, "attr", "")}


def _root(node: ast.expr) -> str:
    while not isinstance(node, ast.Name):
        node = getattr(node, "value", None) or getattr(node, "func", None)
        if node is None:
            return ""
    return node.id


def imported(tree: ast.Module, folder: Path) -> list[Path]:
    """The learner's own files that a piece of code imports.

    Args:
        folder: where the code lies, for imports such as `from . import blocks`.
    """
    files = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules, base = [alias.name for alias in node.names], ROOT
        elif isinstance(node, ast.ImportFrom):
            package = f"{node.module}." if node.module else ""
            modules = [package + alias.name for alias in node.names]
            base = [ROOT, folder, *folder.parents][node.level]
        else:
            continue
        for parts in (module.split(".") for module in modules):
            for end in range(1, len(parts) + 1):
                path = base.joinpath(*parts[:end])
                files += [path.with_name(f"{path.name}.py"), path / "__init__.py"]
    return [file for file in files if file.is_file() and is_local(file)]


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Name what differs between the code of two runs, such as "model.py: 2 lines".

    Of a notebook's lines, what they set is named; of the one that trains, "the training loop".
    """
    named = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (_bare(code.get(name, "")) for code in (old, new))
        if before == after:
            continue
        if name == LINES:
            labelled = [_labelled(code.get(name, "")) for code in (old, new)]
            labels = dict.fromkeys([*labelled[1], *labelled[0]])
            differing = [it for it in labels if labelled[0].get(it) != labelled[1].get(it)]
            named += differing or ["the order of the notebook's lines"]
        else:
            marks = [line[0] for line in difflib.unified_diff(before, after, n=0)][2:]
            count = max(marks.count("+"), marks.count("-"))
            named.append(f"{name}: {count} line{'s' * (count != 1)}")
    return named


def _labelled(text: str) -> dict[str, list[list[str]]]:
    """Sort statements by what they set; each without comments and formatting."""
    by_label = {}
    for node in statements(text):
        bare = _bare(ast.unparse(node))
        trains = any(getattr(part, "attr", "") == "epochs" for part in ast.walk(node))
        label = (
            "the training loop" if trains else ", ".join(sorted(_symbols(node).written)) or bare[0]
        )
        by_label.setdefault(label, []).append(bare)
    return by_label


def _bare(text: str) -> list[str]:
    """The lines of code without comments, docstrings and formatting."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return [line for line in ast.unparse(tree).splitlines() if line]
