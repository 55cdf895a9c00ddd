"""A network as a graph of layers: the operations of its forward pass, found by `torch.export`."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind, OutputKind

from common import UserError
from utils import copy_of


class Range(NamedTuple):
    """Which part of one dimension of an input an output depends on.

    Place k of the output's `dimension`, in groups of `group`, depends on `size` places of the
    input: k // group * step + offset, and those that follow at a distance of `dilation`. Row k of
    a 3x3 convolution with stride 2 and padding 1 depends on rows 2k - 1, 2k and 2k + 1 before it:
    Range(2, step=2, offset=-1, size=3).
    """

    dimension: int
    step: int = 1
    offset: int = 0
    size: int = 1
    group: int = 1
    dilation: int = 1


@dataclass(frozen=True)
class Input:
    """Where a layer gets its numbers from.

    Args:
        layer: the number of the layer that computes them, 0 for the image.
        shape: in which this layer sees them, the batch of one image first.
        reach: what of it an output depends on, for each dimension; None is all of it. An empty one
            belongs to a layer that takes numbers in another `order`.
    """

    layer: int
    shape: tuple[int, ...]
    reach: tuple[Range | None, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One operation.

    Args:
        operation: the name of its function in operations.js.
        name: for people.
        numbers: what the function needs to know, beside the weights.
        order: of a layer that only reorders numbers: which number of its inputs, counted through
            all of them, each output is; -1 is padding. Empty if it is that of the inputs.
        block: the path of the module in whose forward it is, "" for the network itself.
        label: the name that the module of PyTorch's which does it has there, if one does.
        call: the module, of those that the network itself calls, and a mark of that call.
        node: the name of the node that computes it in what torch.export gives, and which of the
            results of that node it is.
    """

    operation: str
    name: str
    inputs: tuple[Input, ...]
    shape: tuple[int, ...]
    numbers: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    block: str = ""
    label: str = ""
    call: tuple[str, str] = ("", "")
    node: tuple[str, int] = ("", 0)


class Value(NamedTuple):
    """What a layer computes, in the shape that an operation sees."""

    layer: int
    shape: tuple[int, ...]


class UnknownOperation(Exception):
    """The page cannot compute it."""


def export(model: nn.Module, image: Tensor) -> torch.export.ExportedProgram:
    """Export a network as it is tested, on the CPU.

    Args:
        image: of shape (1, C, H, W).

    Raises:
        UserError: if it cannot be exported.
    """
    table = torch.export.default_decompositions()
    for operation in list(table.keys()):  # what is known as a whole is not taken apart
        if operation._schema.name.removeprefix("aten::") in LAYERS:
            table.pop(operation)
    model = copy_of(model).cpu().float().eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.export.export(model, (image,), strict=False).run_decompositions(table)
    except Exception as error:  # of what Python may do in a forward, anything is raised
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"torch.export fails with {type(error).__name__}: {reason}") from None


def layers_of(exported: torch.export.ExportedProgram) -> list[Layer]:
    """List the layers that compute a network's answer, in order; the first is the image.

    Raises:
        UserError: if an operation is not known.
    """
    layers, values, unknown = [], {}, {}
    for node in exported.graph.nodes:
        if node.op == "output":
            outputs = zip(exported.graph_signature.output_specs, node.args[0], strict=True)
            result = next(given for spec, given in outputs if spec.kind == OutputKind.USER_OUTPUT)
        elif node.op == "placeholder":
            values[node] = _given(exported, node)
            if isinstance(values[node], Value):
                layers.append(Layer("image", "image", (), values[node].shape))
        elif node.meta.get("val") is not None:  # else it only asserts something
            try:
                values[node] = _computed(node, values, layers)
            except UnknownOperation as error:
                unknown[str(error) or _name(node)] = None
                values[node] = Value(0, tuple(getattr(_example(node), "shape", ())))
    if unknown:
        raise UserError(f"it has operations that the page does not know: {', '.join(unknown)}")
    if not isinstance(values[result], Value):
        raise UserError("the network's answer does not depend on the image")
    return _needed(layers, values[result].layer)


def shapes_of_calls(
    exported: torch.export.ExportedProgram,
) -> dict[tuple[str, str], tuple[int, ...]]:
    """The shape of what each module that the network itself calls gives, as in `Layer.call`."""
    nodes = [node for node in exported.graph.nodes if node.meta.get("val") is not None]
    return {
        _named(node)["call"]: tuple(_example(node).shape)
        for node in nodes
        if node.op == "call_function"
    }


def _given(exported: torch.export.ExportedProgram, node: fx.Node) -> Any:
    """Weights, a constant, or the image."""
    (spec,) = [spec for spec in exported.graph_signature.input_specs if spec.arg.name == node.name]
    if spec.kind == InputKind.USER_INPUT:
        return Value(0, tuple(_example(node).shape))
    held = {**exported.state_dict, **exported.constants}
    return held[spec.target].detach()


def _name(node: fx.Node) -> str:
    return node.target._schema.name.removeprefix("aten::")


def _example(node: fx.Node) -> Tensor:
    """A stand-in for what an operation gives, of its shape; of several results, for the first."""
    value = node.meta["val"]
    return value[0] if isinstance(value, (tuple, list)) else value


def _computed(node: fx.Node, values: dict[fx.Node, Any], layers: list[Layer]) -> Any:
    """Compute a node that does not depend on the image, or add the layer that it is."""
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    if not any(isinstance(values[source], Value) for source in node.all_input_nodes):
        return node.target(*args, **kwargs)
    if not isinstance(node.target, torch._ops.OpOverload):  # one of several results
        results, number = args
        if isinstance(results, Value) and number != 0:
            raise UnknownOperation(f"the second result of {_name(node.args[0])}")
        return results if isinstance(results, Value) else results[number]
    if getattr(_example(node), "dtype", None) != torch.float32:
        raise UnknownOperation(f"{_name(node)} to numbers of another type")
    if _name(node) in SAME:
        return args[0]
    names = [argument.name for argument in node.target._schema.arguments]
    defaults = {argument.name: argument.default_value for argument in node.target._schema.arguments}
    given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
    try:
        if _name(node) in REORDERING:
            made = _reordered(node.target, given, layers)
        elif _name(node) in LAYERS:
            if _name(node) == "bmm" or (_name(node) == "mm" and isinstance(given["mat2"], Value)):
                given |= {name: _value(given[name], layers) for name in ("self", "mat2")}
            made = [LAYERS[_name(node)](_name(node), given, tuple(_example(node).shape))]
        else:
            raise UnknownOperation
    except (AttributeError, TypeError, ValueError, RuntimeError):  # weights from the image, say
        raise UnknownOperation(f"{_name(node)} of this kind") from None
    results = []
    for number, result in enumerate(made):
        if isinstance(result, Layer):
            if not all(isinstance(weight, Tensor) for weight in result.weights.values()):
                raise UnknownOperation(f"{_name(node)} with weights from the image")
            layers.append(replace(result, **_named(node), node=(node.name, number)))
            result = Value(len(layers) - 1, result.shape)
        results.append(result)
    return results if len(results) > 1 else results[0]


def _value(given: Value | Tensor, layers: list[Layer]) -> Value:
    """What an operation is given as numbers of a layer; a constant becomes a layer of its own."""
    if isinstance(given, Value):
        return given
    shape = tuple(given.shape)
    layers.append(Layer("constant", "constant", (), shape, weights={"values": given}))
    return Value(len(layers) - 1, shape)


def _named(node: fx.Node) -> dict[str, Any]:
    """Where in the network a node is."""
    calls = list(node.meta.get("nn_module_stack", {}).items())
    marks = [mark for mark, _ in calls]
    paths, kinds = zip(*(call for _, call in calls), strict=True) if calls else ([""], [""])
    block, label = paths[-1], ""
    if block and str(kinds[-1]).startswith("torch.nn."):
        block, _, label = block.rpartition(".")
    call = (paths[1], marks[1]) if len(calls) > 1 else ("", "")
    return {"block": block, "label": label, "call": call}


def _needed(layers: list[Layer], last: int) -> list[Layer]:
    """The layers that lead to the last one, numbered anew."""
    needed = {0, last}
    for index in range(last, 0, -1):
        if index in needed:
            needed |= {source.layer for source in layers[index].inputs}
    numbers = {index: number for number, index in enumerate(sorted(needed))}
    return [
        replace(
            layers[index],
            inputs=tuple(
                replace(source, layer=numbers[source.layer]) for source in layers[index].inputs
            ),
        )
        for index in numbers
    ]


# --- The kinds of layers ------------------------------------------------------------------


def _same(value: Value) -> list[Range | None]:
    """Each output depends on the number in its own place."""
    return [Range(dimension) for dimension in range(len(value.shape))]


def _of(value: Value, reach: Sequence[Range | None]) -> Input:
    return Input(value.layer, value.shape, tuple(reach))


def _convolution(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    given, weight, groups = a["input"], a["weight"], a["groups"]
    if a["transposed"] or weight.ndim != 4:
        raise UnknownOperation("a convolution that is transposed or not of two dimensions")
    kernel, before = list(weight.shape[2:]), weight.shape[1]
    maps = None if groups == 1 else Range(1, before, 0, before, shape[1] // groups)
    rows = _windows(kernel, a["stride"], a["padding"], a["dilation"])
    numbers = {
        "kernel": kernel, "stride": a["stride"], "padding": a["padding"],
        "dilation": a["dilation"], "groups": groups,
    }  # fmt: skip
    weights = {"kernels": weight, "bias": _or(a["bias"], torch.zeros(shape[1]))}
    reach = [Range(0), maps, *rows]
    return Layer("convolution", "convolution", (_of(given, reach),), shape, numbers, weights)


def _windows(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> list[Range]:
    """What windows of these sizes see of rows and columns, which are the last two of four."""
    return [
        Range(2 + axis, stride[axis], -padding[axis], kernel[axis], 1, dilation[axis])
        for axis in (0, 1)
    ]


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _linear(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    given, weight = a["input"], a["weight"]
    weights = {"kernels": weight, "bias": _or(a["bias"], torch.zeros(shape[-1]))}
    reach = [*_same(given)[:-1], None]
    return Layer("linear", "linear", (_of(given, reach),), shape, {}, weights)


def _matrix(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    """A product of two matrices, or of many pairs, or with weights: `x @ weight + bias`."""
    if name != "addmm" and isinstance(a["mat2"], Value):
        *many, rows, columns = range(len(shape))
        one = [*map(Range, many), Range(rows), None]
        other = [*map(Range, many), None, Range(columns)]
        inputs = _of(a["self"], one), _of(a["mat2"], other)
        numbers = {"along": a["mat2"].shape[-2], "columns": shape[-1]}
        return Layer("matrix product", "matrix product", inputs, shape, numbers)
    given, matrix = (a["self"], a["mat2"]) if name == "mm" else (a["mat1"], a["mat2"])
    bias = None if name == "mm" else a["self"]
    if isinstance(matrix, Value) or isinstance(bias, Value):
        raise UnknownOperation("a product of two matrices that depend on the image")
    if bias is not None:
        bias = (a["beta"] * bias).reshape(-1).expand(shape[-1])
        matrix = a["alpha"] * matrix
    return _linear(name, {"input": given, "weight": matrix.T, "bias": bias}, shape)


NORMS = {
    "_native_batch_norm_legit_no_training": "batch norm",
    "native_layer_norm": "layer norm",
    "native_group_norm": "group norm",
    "instance_norm": "instance norm",
}


def _norm(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    """A norm by mean and deviation: those of training, or those of a group of the numbers."""
    kind, given, maps, area = NORMS[name], a["input"], shape[1], prod(shape[2:])
    weights, group, each, count = {}, area, area, maps
    whole = [None] * len(shape[2:])
    if kind == "layer norm":
        kept = len(shape) - len(a["normalized_shape"])
        count = group = prod(shape[kept:])
        each = 1
        reach = [*map(Range, range(kept)), *[None] * (len(shape) - kept)]
    elif kind == "group norm":
        size = maps // a["group"]
        group = size * area
        reach = [Range(0), Range(1, size, 0, size, size), *whole]
    elif kind == "instance norm" and a["use_input_stats"]:
        reach = [Range(0), Range(1), *whole]
    else:
        kind, reach = "batch norm", _same(given)
        weights = {"mean": a["running_mean"], "variance": a["running_var"]}
    weights = {
        "factor": _or(a["weight"], torch.ones(count)).reshape(-1),
        "shift": _or(a["bias"], torch.zeros(count)).reshape(-1),
        **weights,
    }
    numbers = {"epsilon": a["eps"], "group": group, "each": each}
    return Layer("norm", kind, (_of(given, reach),), shape, numbers, weights)


POOLS = {
    "max_pool2d_with_indices": "max pooling",
    "avg_pool2d": "average pooling",
    "adaptive_max_pool2d": "max pooling",
    "adaptive_avg_pool2d": "average pooling",
}


def _pool(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    kind = POOLS[name]
    if len(shape) != 4:
        raise UnknownOperation(f"{kind} of other than four dimensions")
    if a.get("divisor_override"):
        raise UnknownOperation(f"{kind} with a divisor")
    if "output_size" not in a:
        sizes = (
            a["kernel_size"],
            a["stride"] or a["kernel_size"],
            a["padding"],
            a.get("dilation", 1),
        )
        return _pooling(kind, a["self"], shape, *sizes, a.get("count_include_pad", False))
    before = a["self"].shape
    if any(before[axis] % shape[axis] for axis in (2, 3)):
        raise UnknownOperation("adaptive pooling into windows of different sizes")
    kernel = [before[axis] // shape[axis] for axis in (2, 3)]
    return _pooling(kind, a["self"], shape, kernel, kernel)


def _pooling(
    kind: str,
    given: Value,
    shape: tuple[int, ...],
    kernel: int | Sequence[int],
    stride: int | Sequence[int],
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    counted: bool = False,
) -> Layer:
    sizes = [_pair(size) for size in (kernel, stride, padding, dilation)]
    numbers = dict(zip(("kernel", "stride", "padding", "dilation"), sizes, strict=True))
    reach = [Range(0), Range(1), *_windows(*sizes)]
    return Layer(kind, kind, (_of(given, reach),), shape, numbers | {"countPadding": counted})


def _pair(value: int | Sequence[int]) -> list[int]:
    sides = [value] if isinstance(value, int) else list(value)
    return sides * 2 if len(sides) == 1 else sides


REDUCTIONS = {
    "mean": "mean",
    "sum": "sum",
    "amax": "largest",
    "amin": "smallest",
    "max": "largest",
    "min": "smallest",
    "var": "variance",
}


def _reduction(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    given = a["self"]
    count = len(given.shape)
    if "other" in a:
        raise UnknownOperation(f"{name} of two numbers")
    dimensions = a.get("dim") if a.get("dim") not in (None, []) else range(count)
    dimensions = [dimensions] if isinstance(dimensions, int) else dimensions
    reduced = sorted(dimension % count for dimension in dimensions)
    kept = [dimension for dimension in range(count) if dimension not in reduced]
    places = kept if a.get("keepdim") else range(len(kept))
    ranges = dict(zip(kept, map(Range, places), strict=True))
    inputs = (_of(given, [ranges.get(dimension) for dimension in range(count)]),)
    if name == "mean" and reduced == [2, 3] and count == 4:  # as a pooling over whole maps
        sizes = {"kernel": list(given.shape[2:]), "stride": [1, 1], "padding": [0, 0]}
        numbers = {**sizes, "dilation": [1, 1], "countPadding": False}
        return Layer("average pooling", "average pooling", inputs, shape, numbers)
    numbers = {"function": REDUCTIONS[name], "reduced": reduced}
    if name == "var":
        numbers["correction"] = _or(a.get("correction"), int(a.get("unbiased", True)))
    return Layer("reduction", REDUCTIONS[name], inputs, shape, numbers)


def _softmax(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    kind, dimension = "log-softmax" if "log" in name else "softmax", a["dim"] % len(shape)
    reach = _same(a["self"])
    reach[dimension] = None
    numbers = {"length": shape[dimension], "apart": prod(shape[dimension + 1 :])}
    return Layer(kind, kind, (_of(a["self"], reach),), shape, numbers)


# Functions of one number, with the arguments that the page gets.
PIXELWISE = {
    "relu": ("ReLU",),
    "leaky_relu": ("leaky ReLU", "negative_slope"),
    "elu": ("ELU", "alpha", "scale", "input_scale"),
    "gelu": ("GELU", "approximate"),
    "silu": ("SiLU",),
    "mish": ("Mish",),
    "softplus": ("softplus", "beta", "threshold"),
    "hardtanh": ("hardtanh", "min_val", "max_val"),
    "hardswish": ("hardswish",),
    "hardsigmoid": ("hardsigmoid",),
    "sigmoid": ("sigmoid",),
    "tanh": ("tanh",),
    "clamp": ("clamp", "min", "max"),
    "pow": ("power", "exponent"),
    "exp": ("exp",),
    "log": ("log",),
    "sqrt": ("square root",),
    "rsqrt": ("inverse square root",),
    "reciprocal": ("reciprocal",),
    "abs": ("absolute value",),
    "neg": ("negative",),
}


def _pixelwise(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    kind, *arguments = PIXELWISE[name]
    given = a["self"]
    fixed = [a[name].item() if isinstance(a[name], Tensor) else a[name] for name in arguments]
    numbers = {"function": name, "arguments": fixed}
    if not isinstance(given, Value) or any(isinstance(value, Value) for value in fixed):
        raise UnknownOperation(f"{name} of two numbers")
    return Layer("pixelwise", kind, (_of(given, _same(given)),), shape, numbers)


ARITHMETIC = {
    "add": "sum",
    "sub": "difference",
    "mul": "product",
    "div": "quotient",
    "maximum": "maximum",
    "minimum": "minimum",
    "prelu": "PReLU",
}


def _arithmetic(name: str, a: dict[str, Any], shape: tuple[int, ...]) -> Layer:
    one, other = a["self"], a["weight"] if name == "prelu" else a["other"]
    if a.get("alpha", 1) != 1 or a.get("rounding_mode"):
        raise UnknownOperation(f"{name} with alpha or rounding")
    if name == "prelu":
        other = other.view(-1, *[1] * (len(shape) - 2)) if len(shape) > 1 else other
    operands = [
        operand if isinstance(operand, Value) else torch.as_tensor(operand, dtype=torch.float32)
        for operand in (one, other)
    ]
    values = [operand for operand in operands if isinstance(operand, Value)]
    inputs = tuple(_of(value, _broadcast(value, shape)) for value in values)
    constants = [operand for operand in operands if isinstance(operand, Tensor)]
    numbers = {
        "function": name,
        "shapes": [[1] * (len(shape) - len(held.shape)) + list(held.shape) for held in operands],
        "dynamic": [isinstance(operand, Value) for operand in operands],
    }
    weights = {"constant": constants[0]} if constants else {}
    return Layer("arithmetic", ARITHMETIC[name], inputs, shape, numbers, weights)


def _broadcast(value: Value, shape: tuple[int, ...]) -> list[Range | None]:
    more = len(shape) - len(value.shape)
    return [
        None if side == 1 else Range(dimension + more) for dimension, side in enumerate(value.shape)
    ]


LAYERS: dict[str, Callable[[str, dict[str, Any], tuple[int, ...]], Layer]] = {
    "convolution": _convolution,
    "linear": _linear,
    "addmm": _matrix,
    "mm": _matrix,
    "bmm": _matrix,
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys(REDUCTIONS, _reduction),
    "_softmax": _softmax,
    "_log_softmax": _softmax,
    "_safe_softmax": _softmax,
    **dict.fromkeys(PIXELWISE, _pixelwise),
    **dict.fromkeys(ARITHMETIC, _arithmetic),
}
# They give the same numbers; of dropout and its like, nothing is left when a network is tested.
SAME = ("alias", "clone", "_to_copy")
REORDERING = (
    "view", "permute", "squeeze", "unsqueeze", "select", "slice", "split_with_sizes", "cat",
    "expand", "repeat", "flip", "roll", "index", "constant_pad_nd", "copy", "slice_scatter",
    "select_scatter", "upsample_nearest2d",
)  # fmt: skip


def _reordered(operation: Callable, a: dict[str, Any], layers: list[Layer]) -> list[Layer | Value]:
    """Find out what an operation only reorders, by giving it the numbers of their places.

    Returns:
        Each of its results: a layer, or a value that is there already, in another shape.
    """
    sources: list[Value] = []

    def places(value: Any) -> Any:
        if isinstance(value, list):
            return [places(part) for part in value]
        if isinstance(value, Tensor) and value.is_floating_point():  # else they are places already
            value = _value(value, layers)
        if not isinstance(value, Value):
            return value
        before = sum(prod(source.shape) for source in sources)
        sources.append(value)
        numbers = torch.arange(before, before + prod(value.shape), dtype=torch.float64)
        return numbers.view(value.shape)

    name = operation._schema.name.removeprefix("aten::")
    if name == "copy":  # over something of which only the shape counts
        a = {**a, "self": torch.zeros(a["self"].shape, dtype=torch.long)}
    given = {name: places(value) for name, value in a.items()}
    fill = 0.0
    if "pad" in given:
        fill, given["value"] = given["value"], -1.0
    results = operation(**given)
    inputs = tuple(Input(source.layer, source.shape) for source in sources)
    unchanged = list(range(sum(prod(source.shape) for source in sources)))
    made = []
    for result in [results] if isinstance(results, Tensor) else results:
        order, shape = result.long().flatten().tolist(), tuple(result.shape)
        if order == unchanged and len(sources) == 1:
            made.append(Value(sources[0].layer, shape))
            continue
        is_more = len(order) > len(unchanged)
        kind = "joined" if len(sources) > 1 else "copies" if is_more else NAMES.get(name, name)
        kind = "padding" if "pad" in given else kind
        order = () if order == unchanged else tuple(order)
        made.append(Layer("order", kind, inputs, shape, {"fill": fill}, order=order))
    return made


NAMES = {
    "slice": "part",
    "select": "part",
    "split_with_sizes": "part",
    "index": "selection",
    "permute": "another order",
    "flip": "mirrored",
}
