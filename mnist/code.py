"""What a result depends on beside the settings: found, kept with the result, and compared.

That is code: a line of a notebook counts if it sets or changes something that the training loop
uses, directly or through other lines, and so do the learner's own files that were imported. What
only prints or draws does not count, nor do comments, docstrings and formatting. And it is the
network and the images as they are when the training begins, whatever made them so.
"""

import ast
import difflib
import hashlib
import re
import sys
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from symtable import SymbolTable, symtable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from IPython import get_ipython
from IPython.core.inputtransformer2 import TransformerManager
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("mnist", "common")  # they stand behind every run and are not what a learner changes
LINES = "notebook or script.py"  # under which their lines are kept; no module has such a name


def own_modules() -> list[ModuleType]:
    """The modules that were imported from the project, tools and installed packages left out."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name not in ("__main__", "__mp_main__") and _is_own(module)
    ]


def _is_own(module: ModuleType) -> bool:
    held = vars(module)  # a folder of modules without __init__.py has a path, but no file
    for place in filter(None, [held.get("__file__"), *held.get("__path__", [])]):
        place = Path(place).resolve()
        inside = place.is_relative_to(ROOT) and "site-packages" not in place.parts
        if inside and place.relative_to(ROOT).parts[:1] not in [(tool,) for tool in TOOLS]:
            return True
    return False


def forget_imports() -> None:
    """Have the learner's own files read again when they are imported the next time."""
    for module in own_modules():
        del sys.modules[module.__name__]


def collect(settings: Iterable[str]) -> dict[str, str]:
    """Give the code that decides the result of the cell that is running, or of the script.

    Args:
        settings: names whose values decide it too, but are compared as values.

    Returns:
        The text of each file by its path in the project, and of the notebook's or the script's
        lines under the name `LINES`.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    shell = get_ipython()
    cells = [_read(Path(script))] if script else shell.user_ns["In"] if shell else [""]
    code = {LINES: "\n".join(relevant_lines(cells, settings)) + "\n"}
    for module in own_modules():
        if file := vars(module).get("__file__"):
            # As it was when a run first met the module: an edit counts once it is imported.
            text = module.__dict__.setdefault("__text_of_run__", _read(Path(file)))
            code[Path(file).resolve().relative_to(ROOT).as_posix()] = text
    return code


def _read(file: Path) -> str:
    with tokenize.open(file) as text:  # in its own encoding, without a byte-order mark
        return text.read()


# --- The lines of a notebook that count ---------------------------------------------------


def relevant_lines(cells: list[str], settings: Iterable[str]) -> list[str]:
    """Give the statement of the last cell that trains, and those before that it depends on.

    The names in a function's body are looked up when it is called: what counts is how they were
    set at last. So the search is repeated until no function brings further names. Values of
    settings are taken where they are checked; set later, their lines count.
    """
    *earlier, last = [statements(cell) for cell in cells]
    loops = [node for node in last if _calls(node, "epochs") and not isinstance(node, _DEFINES)]
    if loops:
        end = last.index(loops[-1])
        before, kept = [node for cell in earlier for node in cell] + last[:end], loops[-1:]
    else:  # it is in a function
        before, kept = [node for cell in earlier for node in cell], last
    seeds = {name for node in before for name in effects(node).seeds}
    in_functions, trains = set(), kept
    while True:
        kept, names = trains, needed(trains, seeds | in_functions)
        for node in reversed(before):
            effect = effects(node)
            if (effect.sets | effect.seeds | effect.changes) & names:
                kept = [node, *kept]
                names = needed([node], names)
            if _calls(node, "check_settings"):
                names = names - set(settings)
        found = set().union(*(effects(node).uses_later for node in kept))
        if found <= in_functions:
            return [ast.unparse(node) for node in kept]
        in_functions = in_functions | found


_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _calls(node: ast.AST, name: str) -> bool:
    """Whether a function or method of this name is called within a statement."""
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(name == getattr(it, "attr", getattr(it, "id", "")) for it in calls)


def statements(cell: str) -> list[ast.stmt]:
    """Split a cell into its statements; one that is no Python has none.

    Lines such as `%pip` are translated, and a first line such as `%%time` is left out.
    """
    if cell.lstrip().startswith("%%"):
        cell = cell.lstrip().partition("\n")[2]
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
        elif isinstance(node, (ast.If, ast.While)):
            without = after if isinstance(node, ast.While) else needed(node.orelse, after)
            after = needed(node.body, after) | without | effects(ast.Expr(node.test)).uses
        elif isinstance(node, ast.Try):
            after = needed(node.finalbody, after)
            ways = [node.body + node.orelse, *(handler.body for handler in node.handlers)]
            after = set().union(*(needed(way, after) for way in ways))
        else:
            effect = effects(node)
            after = (after - effect.sets - effect.seeds) | effect.uses
    return after


class Effects(NamedTuple):
    """The names that a statement sets, whose objects it changes, and that it uses.

    An object is changed by its attributes, by its items, or by a method in place, whose name ends
    in `_` as PyTorch has it. `seeds` are the functions called whose names speak of a seed.
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
        if isinstance(part, ast.Call) and re.fullmatch(r"[\w.]*seed\w*", ast.unparse(part.func)):
            found.seeds.add(ast.unparse(part.func))
        if isinstance(part, (ast.Attribute, ast.Subscript)):
            name = getattr(part, "attr", "")
            in_place = name.endswith("_") and not name.endswith("__")
            if in_place or not isinstance(part.ctx, ast.Load):
                found.changes.add(re.match(r"\w*", ast.unparse(part))[0])
    return found


# --- The network and the images -----------------------------------------------------------


def objects(model: nn.Module, loaders: Mapping[str, DataLoader]) -> dict[str, str]:
    """Give a digest of a network's structure and of the images behind each loader, by name.

    The weights are left out; they differ with every random number that was drawn before.
    """
    parts = [repr(model)]
    parts += [f"{name} {it.shape} {it.requires_grad}" for name, it in model.named_parameters()]
    parts += [f"{name} {len(it._forward_hooks)}" for name, it in model.named_modules()]
    found = {"the network": _digest("\n".join(map(_without_addresses, parts)))}
    return found | {name: _digest(_described(it.dataset)) for name, it in loaders.items()}


def weights_digest(model: nn.Module) -> str:
    """Give a digest of all weights and statistics of a network."""
    return _digest("".join(map(_described, model.state_dict().values())))


def _described(value: Any) -> str:
    """Describe a value by its content: a data set by its attributes, an array by its numbers."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        value = torch.as_tensor(np.ascontiguousarray(value))
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
        return f"{tuple(value.shape)} {value.dtype} {hashlib.md5(content).hexdigest()}"
    if isinstance(value, (tuple, list)) and len(value) < 100:
        return " ".join(map(_described, value))
    if isinstance(value, Dataset):
        kept = {name: it for name, it in vars(value).items() if name != "root"}  # a place
        return "\n".join(
            [type(value).__name__, *(f"{n} {_described(it)}" for n, it in kept.items())]
        )
    return _without_addresses(repr(value))


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _digest(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


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
        if _calls(node, "epochs"):
            label = "the training loop"
        by_label.setdefault(label, []).extend(bare(ast.unparse(node)))
    return by_label


def bare(text: str) -> list[str]:
    """The lines of code without comments, docstrings and formatting; as they are if no Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # such as that of a newer version
        return text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *_DEFINES)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return [line for line in ast.unparse(tree).splitlines() if line]
