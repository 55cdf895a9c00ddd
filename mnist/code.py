"""The code that a result depends on: found, kept beside the result, and compared.

A line of a notebook counts if it sets something that the last cell, the one that trains, uses,
directly or through other lines; and so do the learner's own files that were imported. What only
prints or draws does not count, nor do comments, docstrings and formatting.
"""

import ast
import difflib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from symtable import SymbolTable, symtable
from typing import NamedTuple

from IPython import get_ipython
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("mnist", "common")  # they stand behind every run and are not what a learner changes
LINES = "notebook.py"  # the name under which the lines of a notebook or a script are kept


def own_modules() -> dict[str, Path]:
    """The files of the modules that were imported from the project, tools and packages left out."""
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {name: Path(file) for name, file in files.items() if file and _is_own(Path(file))}


def _is_own(file: Path) -> bool:
    inside = file.is_relative_to(ROOT) and not file.is_relative_to(sys.prefix)
    return inside and file.relative_to(ROOT).parts[0] not in TOOLS


def forget_imports() -> None:
    """Have the learner's own files read again when they are imported the next time."""
    for name in own_modules().keys() - {"__main__"}:
        del sys.modules[name]


def collect(settings: Iterable[str]) -> dict[str, str]:
    """Give the code that decides the result of the cell that is running, or of the script.

    Args:
        settings: names whose values decide it too, but are compared as values.

    Returns:
        The text of each file by its path in the project, and of the notebook's or the script's
        lines under the name `LINES`.
    """
    files, shell = own_modules(), get_ipython()
    if script := files.pop("__main__", None):
        cells = [script.read_text(encoding="utf-8")]
    else:
        cells = shell.user_ns["In"] if shell else [""]
    code = {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
        for file in files.values()
    }
    return code | {LINES: "\n".join(relevant_lines(cells, settings)) + "\n"}


# --- The lines of a notebook that count ---------------------------------------------------


def relevant_lines(cells: list[str], settings: Iterable[str]) -> list[str]:
    """Give all statements of the last cell, and those of earlier ones that it depends on.

    The names in a function's body are looked up when it is called: what counts is how they were
    set at last. So the search is repeated until no function brings further names.
    """
    *earlier, last = [statements(cell) for cell in cells]
    before = [node for cell in earlier for node in cell]
    at_last = {name for node in before for name in effects(node).seeds}
    while True:
        kept, names = last, needed(last, at_last) - set(settings)
        for node in reversed(before):
            effect = effects(node)
            if (effect.sets | effect.seeds | effect.changes) & names:
                kept = [node, *kept]
                names = needed([node], names) - set(settings)
        in_functions = set().union(*(effects(node).uses_later for node in kept))
        if in_functions <= at_last:
            return [ast.unparse(node) for node in kept]
        at_last |= in_functions


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


def needed(nodes: Sequence[ast.stmt], after: set[str]) -> set[str]:
    """The names that must be set before some statements, given those needed after them."""
    for node in reversed(nodes):
        if isinstance(node, (ast.With, ast.For)):
            if isinstance(node, ast.For):
                heads = [(node.target, node.iter)]
            else:
                heads = [(item.optional_vars, item.context_expr) for item in node.items]
            heads = [
                ast.Assign([target or ast.Name("_", ast.Store())], value, lineno=0)
                for target, value in heads
            ]
            after = needed([*heads, *node.body], after)
        else:
            effect = effects(node)
            perhaps = isinstance(node, (ast.If, ast.While, ast.Try))
            after = (after if perhaps else after - effect.sets - effect.seeds) | effect.uses
    return after


class Effects(NamedTuple):
    """The names that a statement sets, whose objects it changes, and that it uses.

    An object is changed by its attributes, by its items, or by a method in place, whose name ends
    in `_` as PyTorch has it. `seeds` are the functions called to set a random seed.
    """

    sets: set[str]
    changes: set[str]
    seeds: set[str]
    uses: set[str]
    uses_later: set[str]  # in functions, when they are called


def effects(node: ast.stmt) -> Effects:
    """Find out what a statement sets, changes and uses."""
    found = Effects(set(), set(), set(), set(), set())

    def look(table: SymbolTable, later: bool) -> None:
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if top and (symbol.is_assigned() or symbol.is_imported()):
                found.sets.add(symbol.get_name())
            if symbol.is_referenced() and (top or symbol.is_global()):
                (found.uses_later if later else found.uses).add(symbol.get_name())
        for inner in table.get_children():  # comprehensions and classes are run at once
            at_once = inner.get_type() == "class" or inner.get_name().endswith(("comp", "expr"))
            look(inner, later or not at_once)

    look(symtable(ast.unparse(node), LINES, "exec"), False)
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and "seed" in getattr(part.func, "attr", ""):
            found.seeds.add(ast.unparse(part.func))
        if isinstance(part, (ast.Attribute, ast.Subscript)):
            name = getattr(part, "attr", "")
            in_place = name.endswith("_") and not name.endswith("__")
            if in_place or not isinstance(part.ctx, ast.Load):
                found.changes.add(re.match(r"\w*", ast.unparse(part))[0])
    return found


# --- What differs -------------------------------------------------------------------------


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Name what differs between the code of two runs, such as "model.py: 2 lines".

    Of a notebook's lines, what they set is named; of the one that trains, "the training loop".
    """
    named = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (bare(code.get(name, "")) for code in (old, new))
        if before == after:
            continue
        if name == LINES:
            before, after = (_labelled(code.get(name, "")) for code in (old, new))
            labels = dict.fromkeys([*after, *before])
            differing = [label for label in labels if before.get(label) != after.get(label)]
            named += differing or ["the order of the notebook's lines"]
        else:
            marks = [line[0] for line in difflib.unified_diff(before, after, n=0)][2:]
            count = max(marks.count("+"), marks.count("-"))
            named.append(f"{name}: {count} line{'s' * (count != 1)}")
    return named


def _labelled(text: str) -> dict[str, list[str]]:
    """Sort statements by what they set."""
    by_label = {}
    for node in statements(text):
        label = ", ".join(sorted(effects(node).sets)) or ast.unparse(node).partition("\n")[0]
        if any(getattr(part, "attr", "") == "epochs" for part in ast.walk(node)):
            label = "the training loop"
        by_label.setdefault(label, []).extend(bare(ast.unparse(node)))
    return by_label


def bare(text: str) -> list[str]:
    """The lines of code without comments, docstrings and formatting."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return [line for line in ast.unparse(tree).splitlines() if line]
