"""What a result depends on beside the settings: found, kept with the result, and compared.

That is code: a line of a notebook counts if it sets or changes something that the training loop
uses, directly or through other lines, and so do the learner's own files that were imported. What
only prints or draws does not count, nor do comments, docstrings and formatting. And it is the
network and the images as they are when the training begins, whatever made them so.
"""

import ast
import contextlib
import difflib
import hashlib
import logging
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from symtable import SymbolTable, symtable
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

import numpy as np
import torch
from IPython import get_ipython
from IPython.core.inputtransformer2 import TransformerManager
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

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
        if name in ("__main__", "__mp_main__") or not isinstance(module, ModuleType):
            continue
        held = vars(module)  # a folder of modules without __init__.py has a path, but no file
        places = [held.get("__file__")]
        with contextlib.suppress(KeyError):  # of a folder within a package that failed to import
            places += held.get("__path__") or []
        if any(map(_is_own, filter(None, places))):
            found.append(module)
    return found


def _is_own(place: str) -> bool:
    path = Path(place).resolve()
    if "site-packages" in path.parts or not path.is_relative_to(ROOT):
        return False
    # An environment may lie within the project, or the project within an environment.
    environments = [
        folder for folder in map(Path, (sys.prefix, sys.base_prefix)) if ROOT in folder.parents
    ]
    return not any(map(path.is_relative_to, [*environments, *(ROOT / tool for tool in TOOLS)]))


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
    if _SCRIPT:
        cells = [_SCRIPT]
    elif shell := get_ipython():
        cells = shell.history_manager.input_hist_raw
    else:
        cells = [_without_file()]
    code = {LINES: "\n".join(relevant_lines(cells, settings)) + "\n"}
    for module in own_modules():
        file = vars(module).get("__file__") or ""
        if file.endswith(".py"):
            if file not in _texts:
                _texts[file] = _read(Path(file))
            code[Path(file).resolve().relative_to(ROOT).as_posix()] = _texts[file]
    return code


def _read(file: Path) -> str:
    with tokenize.open(file) as text:  # in its own encoding, without a byte-order mark
        return text.read()


def _script() -> str:
    """The text of the script that was started; empty in a notebook, or if it has no file."""
    file = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    return _read(file) if file.is_file() and file.suffix == ".py" else ""


_SCRIPT = _script()  # as it is now: it may be edited while it runs


def script_arguments() -> list[str]:
    """What the script was started with; nothing in a notebook, whose kernel has arguments too."""
    return sys.argv[1:] if hasattr(sys.modules["__main__"], "__file__") else []


def _without_file() -> str:
    """Stands for a script that was typed, or read from standard input."""
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
    return f"digest = {_digest(_described(frame.f_code, {}))!r}"


# --- The lines of a notebook that count ---------------------------------------------------


def relevant_lines(cells: list[str], settings: Iterable[str]) -> list[str]:
    """Give the statement of the last cell that trains, and those before that it depends on.

    As the live-variable analysis of compilers does, it goes from the last statement to the first
    with the names that are needed below; a statement counts if it sets or changes one of them:

        rate = 0.1                    counts     needed below: rate
        print(rate)                              rate
        net = Net()                   counts     net, rate
        picture = draw(net)                      net, rate
        optimizer = SGD(net, rate)    counts     net, optimizer
        train(net, optimizer)         the last

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
    return any(name == getattr(call, "attr", getattr(call, "id", "")) for call in calls)


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


# The methods of lists, dicts and sets that their constant counterparts do not have.
CHANGING = {*dir(list), *dir(dict), *dir(set)}.difference(
    dir(tuple), dir(MappingProxyType), dir(frozenset)
)


class Effects(NamedTuple):
    """The names that a statement sets, whose objects it changes, and that it uses.

    An object is changed by its attributes, by its items, by a method of Python's lists, dicts and
    sets, or by one in place, whose name ends in `_` as PyTorch has it. `seeds` are the functions
    called whose names speak of a seed.
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
        if isinstance(part, ast.Call):
            function = ast.unparse(part.func)
            if re.fullmatch(r"[\w.]*seed\w*", function):
                found.seeds.add(function)
            if function in ("setattr", "delattr"):
                found.changes.update(_names(part.args[0]))
            if isinstance(part.func, ast.Attribute) and part.func.attr in CHANGING:
                found.changes.update(_names(part.func.value))
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            found.uses.add(part.target.id)
        if isinstance(part, (ast.Attribute, ast.Subscript)):
            name = getattr(part, "attr", "")
            in_place = name.endswith("_") and not name.endswith("__")
            if in_place or not isinstance(part.ctx, ast.Load):
                found.changes.update(_names(part.value))
    return found


def _names(node: ast.AST) -> set[str]:
    """The names of the objects in an expression, without those of the functions that it calls."""
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    return {part.id for part in names if id(part) not in called}


# --- The network, its optimizer and the images --------------------------------------------


def objects(
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    loaders: Mapping[str, DataLoader],
) -> dict[str, str]:
    """Give digests of all that a training begins with, by name.

    That is the network, its weights, its optimizer and schedule, for each loader the images behind
    it, with how they are put into batches, and the state of PyTorch's random numbers.
    """
    groups = [group | {"params": len(group["params"])} for group in optimizer.param_groups]
    schedule = {**vars(scheduler), "optimizer": None} if scheduler else {}
    found = {
        "the network": [repr(model), *map(_make, model.modules())],
        "the starting weights": list(model.parameters()),
        "the random numbers": torch.get_rng_state(),
        "the optimizer": [type(optimizer), *groups],
        "the schedule": [type(scheduler), schedule],
    }
    for name, loader in loaders.items():
        sampler, size = loader.sampler, loader.batch_size
        sampling = [type(sampler), getattr(sampler, "batch_size", 0), loader.drop_last]
        found[name] = [loader.dataset, len(loader), size, sampling, loader.collate_fn]
    return {name: _digest(_described(value, {})) for name, value in found.items()}


def _make(layer: nn.Module) -> list[Any]:
    """What a layer is beside its weights: its options, its hooks, and what of it is frozen.

    What batch norm counts in training changes with every look at the network, and is left out.
    """
    held, plain = vars(layer), (bool, int, float, str, tuple, FunctionType, BuiltinFunctionType)
    options = {
        name: value for name, value in held.items() if type(value) in plain and name != "training"
    }
    hooks = [list(value.values()) for name, value in held.items() if name.endswith("_hooks")]
    buffers = {} if isinstance(layer, _NormBase) else dict(layer.named_buffers(recurse=False))
    weights = [
        (name, *weight.shape, weight.requires_grad)
        for name, weight in layer.named_parameters(recurse=False)
    ]
    return [options, hooks, buffers, weights]


LONG = 100  # letters, from which a description is replaced by its digest


def _described(value: Any, known: dict[int, tuple[Any, str]]) -> str:
    """Describe a value by its content: an array by its numbers, a function by its bytecode.

    Of what cannot be looked into, the type is all that counts.

    Args:
        known: what was described already, by `id`: kept alive, so that no other gets its `id`.
    """
    if id(value) not in known:
        known[id(value)] = value, "itself"  # while it is being described
        try:
            text = _content(value, lambda part: _described(part, known))
        except Exception:  # of objects of any kind, anything is raised
            text = f"a {type(value).__qualname__}"
        known[id(value)] = value, text if len(text) < LONG else _digest(text)
    return known[id(value)][1]


def _content(value: Any, describe: Callable[[Any], str]) -> str:
    def each(values: Iterable[Any]) -> list[str]:
        return [describe(value) for value in values]

    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return f"{tuple(value.shape)} {value.dtype} {hashlib.md5(content).hexdigest()}"
    if hasattr(type(value), "__array_interface__") or _is_table(value):  # such as a PIL image
        value = np.asarray(value)
        if value.dtype != object:
            return f"{value.shape} {value.dtype} {hashlib.md5(value.tobytes()).hexdigest()}"
        value = value.tolist()
    if isinstance(value, Mapping):
        return f"{each(value)} {each(value.values())}"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, range)):
        return str(each(value))
    if isinstance(value, Set):
        return str(sorted(each(value)))
    if isinstance(value, CodeType):
        return str([value.co_code, value.co_names, *each(value.co_consts)])
    if isinstance(value, partial):
        return str(each([value.func, value.args, value.keywords]))
    if isinstance(value, MethodType):
        return str(each([value.__self__, value.__func__]))
    if isinstance(value, FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = [value.__defaults__, value.__kwdefaults__]
        return str(each([value.__qualname__, value.__code__, defaults, held]))
    if isinstance(value, (type, ModuleType, logging.Logger)):
        return repr(value)
    held = {**getattr(value, "__dict__", {})}
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        held |= {slot: getattr(value, slot) for slot in slots if hasattr(value, slot)}
    if isinstance(value, Dataset):
        held.pop("root", None)  # where it is kept
    plain = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) if not held else ""
    return f"{type(value).__qualname__} {each([held])} {plain}"


def _is_table(value: Any) -> bool:
    """Whether a value is a long list of numbers, or of lists of them: as an array, it is quick."""
    is_long = isinstance(value, list) and len(value) > LONG
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return is_long and isinstance(value, (int, float))


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
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # such as of a newer version
        return text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *_DEFINES)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return [line for line in ast.unparse(tree).splitlines() if line]
