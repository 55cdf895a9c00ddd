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
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from symtable import SymbolTable, symtable
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from IPython import get_ipython
from IPython.core.inputtransformer2 import TransformerManager
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("mnist", "common")  # they stand behind every run and are not what a learner changes
LINES = "notebook or script.py"  # under which their lines are kept; no module has such a name


_texts: dict[str, str] = {}  # of the learner's files, by path, as they were when imported


class _TextKeeper(MetaPathFinder):
    """Reads a file of the learner's just before Python does: an edit counts once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        spec = PathFinder.find_spec(name, path)
        if spec and spec.has_location and _is_own(spec.origin) and spec.origin.endswith(".py"):
            _texts[spec.origin] = _read(Path(spec.origin))


sys.meta_path.insert(0, _TextKeeper())


def own_modules() -> list[ModuleType]:
    """The modules that were imported from the project, tools and installed packages left out."""
    found = []
    for name, module in list(sys.modules.items()):
        held = vars(module)  # a folder of modules without __init__.py has a path, but no file
        places = filter(None, [held.get("__file__"), *held.get("__path__", [])])
        if name not in ("__main__", "__mp_main__") and any(map(_is_own, places)):
            found.append(module)
    return found


def _is_own(place: str) -> bool:
    path = Path(place).resolve()
    inside = path.is_relative_to(ROOT) and "site-packages" not in path.parts
    return inside and path.relative_to(ROOT).parts[:1] not in [(tool,) for tool in TOOLS]


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
    script = Path(getattr(sys.modules["__main__"], "__file__", ""))
    shell = get_ipython()
    if script.is_file():
        cells = [_read(script)]
    else:
        cells = shell.user_ns["In"] if shell else [_without_file()]
    code = {LINES: "\n".join(relevant_lines(cells, settings)) + "\n"}
    for module in own_modules():
        if file := vars(module).get("__file__"):
            name = Path(file).resolve().relative_to(ROOT).as_posix()
            code[name] = _texts.setdefault(file, _read(Path(file)))
    return code


def _without_file() -> str:
    """Stands for a script that was typed, or read from standard input."""
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
    return f"digest = {_digest(_described(frame.f_code))!r}"


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
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            found.uses.add(part.target.id)
        if isinstance(part, (ast.Attribute, ast.Subscript)):
            name = getattr(part, "attr", "")
            in_place = name.endswith("_") and not name.endswith("__")
            if in_place or not isinstance(part.ctx, ast.Load):
                found.changes.add(re.match(r"\w*", ast.unparse(part))[0])
    return found


def is_seeded(lines: str) -> bool:
    """Whether a notebook's lines call a function whose name speaks of a seed."""
    return any(effects(node).seeds for node in statements(lines))


# --- The network, its optimizer and the images --------------------------------------------


def objects(
    model: nn.Module, optimizer: Optimizer, loaders: Mapping[str, DataLoader]
) -> dict[str, str]:
    """Give digests of a network, its weights, its optimizer and the images behind each loader."""
    groups = [group | {"params": len(group["params"])} for group in optimizer.param_groups]
    found = {
        "the network": [repr(model), *map(_make, model.modules())],
        "the starting weights": list(model.parameters()),
        "the optimizer": [type(optimizer), *groups],
    }
    found |= {name: loader.dataset for name, loader in loaders.items()}
    return {name: _digest(_described(value)) for name, value in found.items()}


def _make(layer: nn.Module) -> list[Any]:
    """What a layer is beside its weights: its options, its hooks, and what of it is frozen."""
    held, plain = vars(layer), (bool, int, float, str)
    options = {name: it for name, it in held.items() if type(it) in plain and name != "training"}
    hooks = [list(it.values()) for name, it in held.items() if name.endswith("_hooks")]
    weights = layer.named_parameters(recurse=False)
    return [options, hooks, [(name, *it.shape, it.requires_grad) for name, it in weights]]


def _described(value: Any, within: tuple[int, ...] = ()) -> str:
    """Describe a value by its content: an array by its numbers, a function by its bytecode.

    An attribute of the name `root` is left out: it says where a data set is kept.
    """
    if id(value) in within:
        return "itself"

    def each(values: Iterable[Any]) -> list[str]:
        return [_described(it, (*within, id(value))) for it in values]

    if hasattr(value, "__array_interface__"):  # an array, or an image of PIL
        array = np.ascontiguousarray(value)
        value = array.tolist() if array.dtype == object else torch.tensor(array)
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
        return f"{tuple(value.shape)} {value.dtype} {hashlib.md5(content).hexdigest()}"
    if isinstance(value, Mapping):
        return f"{each(value)} {each(value.values())}"
    if isinstance(value, (list, tuple)):
        return str(each(value))
    if isinstance(value, (set, frozenset)):
        return str(sorted(each(value)))
    if isinstance(value, CodeType):
        return str([value.co_code, value.co_names, *each(value.co_consts)])
    if hasattr(value, "__code__"):
        kept = [cell.cell_contents for cell in value.__closure__ or ()]
        return str(each([value.__qualname__, value.__code__, value.__defaults__, kept]))
    if not isinstance(value, (type, ModuleType)) and getattr(value, "__dict__", None):
        kept = {name: it for name, it in vars(value).items() if name != "root"}
        return f"{type(value).__qualname__} {each([kept])}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(errors="replace")).hexdigest()


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
