"""Indices that depend on integer inputs: where a graph uses them, and whether those of a sample are in range.

An engine computes no answer for an index outside of its table, or a wrong one. So indices are compared with the size of
their table before an engine runs. Imported in the child only.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes, copy, replace_all, static_shape
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes.rewrite import node_key
from zkinfer.circuits.frontend.prune import pruned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Interval = tuple[int, int]

LOOKUPS = words("Gather GatherElements GatherND ScatterElements ScatterND")
_MOVES = words(
    """
    Expand Flatten Gather GatherElements GatherND Identity ReduceMax ReduceMin Reshape Slice Split Squeeze Tile
    Transpose Unsqueeze
    """
)
_ANY = (-(1 << 63), (1 << 63) - 1)
_CHOICES = words("Concat Max Min ScatterElements ScatterND Where")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A node whose indices may be out of range.

    Args:
        node: it reads a table at indices that depend on inputs, or writes to it.
        sizes: of the indexed axes of the table: one, or for GatherND and ScatterND one per entry of an index.
    """

    node: onnx.NodeProto
    sizes: tuple[int, ...]

    @property
    def indices(self) -> str:
        """The name of the indices."""
        return self.node.input[1]


def lookups(model: onnx.ModelProto) -> list[Lookup]:
    """The nodes of a model with inferred shapes whose indices are not known to be in range, in order."""
    facts = Facts(model)
    known = intervals(model, facts)
    found = [Lookup(node, _sizes(node, facts)) for node in model.graph.node if node.op_type in LOOKUPS]
    return [one for one in found if not _is_inside(one, known, facts)]


def _is_inside(lookup: Lookup, known: Mapping[str, Interval], facts: Facts) -> bool:
    """Whether every entry of the indices is known to be in range; entries may be joined from one value each."""
    parts, node = [lookup.indices] * len(lookup.sizes), facts.producers.get(lookup.indices)
    if node is not None and node.op_type == "Concat" and len(node.input) == len(parts):
        rank = len(facts.shape(lookup.indices) or ())
        parts = list(node.input) if attributes(node)["axis"] in (-1, rank - 1) else parts
    bounds = [known.get(part, _ANY) for part in parts]
    return all(low >= 0 and high < size for (low, high), size in zip(bounds, lookup.sizes, strict=True))


def _sizes(node: onnx.NodeProto, facts: Facts) -> tuple[int, ...]:
    """The sizes of the indexed axes; empty for constant indices and unknown shapes."""
    table, indices = facts.shape(node.input[0]), facts.shape(node.input[1])
    if not table or indices is None or node.input[1] in facts.constants:
        return ()
    given = attributes(node)
    if not node.op_type.endswith("ND"):
        return (table[given.get("axis", 0)],)
    first = given.get("batch_dims", 0)
    return table[first : first + indices[-1]]


def intervals(model: onnx.ModelProto, facts: Facts) -> dict[str, Interval]:
    """Bounds of the integers and booleans of a graph, as far as they follow from types, constants and operators."""
    known: dict[str, Interval] = {}
    for name, tensor in facts.constants.items():
        if tensor.data_type not in FLOATS and tensor.data_type in DTYPES:
            array = facts.array(name)
            known[name] = (int(array.min()), int(array.max())) if array is not None and array.size else (0, 0)
    for port in model.graph.input:
        known |= _of_type(port.name, facts)
    for node in model.graph.node:
        found = _interval(node, [known.get(name) for name in node.input if name], facts)
        for name in node.output:
            known |= _of_type(name, facts)
            if found is not None and name in known:
                known[name] = (max(found[0], known[name][0]), min(found[1], known[name][1]))
    return known


def _of_type(name: str, facts: Facts) -> dict[str, Interval]:
    kind = facts.dtype(name)
    if kind in FLOATS or kind not in DTYPES:
        return {}
    if kind == onnx.TensorProto.BOOL:
        return {name: (0, 1)}
    limits = np.iinfo(DTYPES[kind])
    return {name: (int(limits.min), int(limits.max))}


def _interval(node: onnx.NodeProto, operands: list[Interval | None], facts: Facts) -> Interval | None:
    kind = node.op_type
    if kind in ("ArgMax", "ArgMin"):
        shape = facts.shape(node.input[0])
        return (0, shape[attributes(node).get("axis", 0)] - 1) if shape else None
    data = {"Where": operands[1:], "ScatterElements": operands[::2], "ScatterND": operands[::2]}.get(kind, operands)
    bounds = [one for one in data if one is not None]
    if kind in _CHOICES and bounds and len(bounds) == len(data):
        return _chosen(kind, bounds)
    if kind in _MOVES | {"Cast"} and operands and operands[0] is not None:
        return operands[0]
    if kind in _ARITHMETIC and len(bounds) == 2:
        ends = [_ARITHMETIC[kind](left, right) for left in bounds[0] for right in bounds[1]]
        return min(ends), max(ends)
    return None


_ARITHMETIC = {"Add": operator.add, "Sub": operator.sub, "Mul": operator.mul}


def _chosen(kind: str, bounds: list[Interval]) -> Interval:
    lows, highs = zip(*bounds, strict=True)
    if kind in ("Max", "Min"):
        extreme = max if kind == "Max" else min
        return extreme(lows), extreme(highs)
    return min(lows), max(highs)


class IndexCheck:
    """Compares the indices of samples with the sizes of their tables.

    Args:
        model: a normal form, of the frontend or of an engine.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = runtime.infer_shapes(model)
        self._ports = list(inferred.graph.input)
        self._lookups = lookups(inferred)
        origins = _origins(inferred) if self._lookups else {}
        self._given = [(one, *origins[one.indices]) for one in self._lookups if one.indices in origins]
        self._computed = [one for one in self._lookups if one.indices not in origins]
        self._sources = {one.indices: _integer_inputs(inferred, one.indices) for one in self._computed}
        self._network = _index_network(inferred, self._lookups, self._computed) if self._computed else None
        self._session = None if self._network is None else runtime.Session(self._network)

    def refuse_integers(self, sample: Sequence[Sequence[int]], scales: Sequence[int]) -> None:
        """Raise RangeError for an index that is out of range, given quantised inputs in the order of the graph."""
        found = self.first(_dequantised(self._ports, sample, scales)) if self._lookups else None
        if found is not None:
            raise RangeError(*found)

    def first(self, inputs: Mapping[str, Array]) -> tuple[str, str] | None:
        """Cause and cure for the first index that is out of range; None if there is none."""
        for one, name, places in self._given:
            outside = _first_outside(inputs[name].ravel()[places], one.sizes)
            if outside is not None:
                at, size = outside
                place = np.unravel_index(int(places[at]), inputs[name].shape)
                return _about_input(name, inputs[name][place], place, size)
        computed = {} if self._session is None else self._session.run(self._fed(inputs))
        for one in self._computed:
            values = computed[one.indices]
            outside = _first_outside(values, one.sizes)
            if outside is not None:
                return _about_index(self._sources[one.indices], values[outside[0]], *outside)
        return None

    def _fed(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        ports = () if self._network is None else self._network.graph.input
        return {port.name: inputs[port.name].astype(DTYPES[port.type.tensor_type.elem_type]) for port in ports}


def _dequantised(
    ports: Sequence[onnx.ValueInfoProto], sample: Sequence[Sequence[int]], scales: Sequence[int]
) -> dict[str, Array]:
    arrays = {}
    for port, integers, scale in zip(ports, sample, scales, strict=True):
        values = np.array(integers) if not scale else np.ldexp(np.array(integers, np.float64), -scale)
        kind = DTYPES[port.type.tensor_type.elem_type]
        arrays[port.name] = values.astype(kind).reshape(static_shape(port) or ())
    return arrays


def _first_outside(values: Array, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], int] | None:
    """The place of the first index that is out of range, and the size of its axis."""
    outside = np.argwhere((values < 0) | (values >= np.array(sizes)))
    if not len(outside):
        return None
    at = tuple(outside[0].tolist())
    return at, sizes[at[-1] if len(sizes) > 1 else 0]


def _about_input(name: str, value: Any, place: tuple[Any, ...], size: int) -> tuple[str, str]:  # noqa: ANN401
    at = [int(one) for one in place]
    return (
        f"Input {name!r} is {value} at element {at}, which is no index into the model's table of {size} entries.",
        f"Give indices from 0 to {size - 1}{_NOT_FROM_THE_END if value < 0 else ''}.",
    )


_NOT_FROM_THE_END = "; circuits do not support negative ones, which count from the end"


def _about_index(names: str, value: Any, at: tuple[int, ...], size: int) -> tuple[str, str]:  # noqa: ANN401
    what = f"An index that the model computes from {names} is {value} (element {list(at)})"
    return f"{what}, outside of its table of {size} entries.", (
        f"Give inputs for which it is from 0 to {size - 1}{_NOT_FROM_THE_END if value < 0 else ''}."
    )


def _origins(model: onnx.ModelProto) -> dict[str, tuple[str, NDArray[np.int64]]]:
    """For values that are elements of an integer input, moved at most: the input, and the places of the elements."""
    facts = Facts(model)
    known: dict[str, tuple[str, NDArray[np.int64]]] = {}
    for port in model.graph.input:
        shape = facts.shape(port.name)
        if shape is not None and facts.dtype(port.name) not in FLOATS:
            known[port.name] = (port.name, np.arange(math.prod(shape)).reshape(shape))
    for node in model.graph.node:
        source = known.get(node.input[0]) if node.input else None
        moved = None if source is None else _moved(node, source[1], facts)
        if source is not None and moved is not None and facts.dtype(node.output[0]) not in FLOATS:
            known[node.output[0]] = (source[0], moved)
    return known


def _moved(node: onnx.NodeProto, places: NDArray[np.int64], facts: Facts) -> NDArray[np.int64] | None:
    kind, shape, given = node.op_type, facts.shape(node.output[0]), attributes(node)
    if kind in ("Cast", "Identity"):
        return places
    if kind in ("Flatten", "Reshape", "Squeeze", "Unsqueeze") and shape is not None:
        return places.reshape(shape)
    if kind == "Expand" and shape is not None:
        return np.broadcast_to(places, shape)
    if kind == "Transpose":
        return np.transpose(places, given.get("perm"))
    indices = facts.array(node.input[1]) if kind == "Gather" else None
    return None if indices is None else places.take(indices, given.get("axis", 0))


def _integer_inputs(model: onnx.ModelProto, name: str) -> str:
    """The integer inputs that a value depends on: `input 'a'`, or `inputs 'a', 'b'`."""
    wanted = {name}
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
    facts = Facts(model)
    names = [repr(port.name) for port in model.graph.input if port.name in wanted]
    whole = [
        repr(port.name) for port in model.graph.input if port.name in wanted and facts.dtype(port.name) not in FLOATS
    ]
    names = whole or names
    return f"input{'s' * (len(names) > 1)} {', '.join(names)}"


def _index_network(model: onnx.ModelProto, found: Sequence[Lookup], wanted: Sequence[Lookup]) -> onnx.ModelProto:
    """The part of a model that computes indices; it reads every table within its range, so that no lookup fails."""
    result = copy(model)
    facts = Facts(result)
    sizes = {node_key(one.node): one.sizes for one in found}
    nodes = []
    for node in result.graph.node:
        if node_key(node) in sizes:
            nodes += _clipped(node, sizes[node_key(node)], facts)
        nodes.append(node)
    replace_all(result.graph.node, nodes)
    result.graph.initializer.extend(facts.added)
    names = dict.fromkeys(one.indices for one in wanted)
    ports = [helper.make_tensor_value_info(name, facts.dtype(name), facts.shape(name)) for name in names]
    replace_all(result.graph.output, ports)
    pruned(result)
    read = {name for node in result.graph.node for name in node.input}
    replace_all(result.graph.input, [port for port in result.graph.input if port.name in read])
    return result


def _clipped(node: onnx.NodeProto, sizes: tuple[int, ...], facts: Facts) -> list[onnx.NodeProto]:
    """Nodes before a lookup that replace indices out of range by 0; the lookup is changed to read their result."""
    indices = node.input[1]
    kind = DTYPES[facts.dtype(indices)]
    zero = facts.new_constant(indices, np.zeros((), kind))
    size = facts.new_constant(indices, np.array(sizes if len(sizes) > 1 else sizes[0], kind))
    below, negative, positive, inside, clipped = (facts.fresh(indices) for _ in range(5))
    replace_all(node.input, [node.input[0], clipped, *node.input[2:]])
    return [
        helper.make_node("Less", [indices, size], [below]),
        helper.make_node("Less", [indices, zero], [negative]),
        helper.make_node("Not", [negative], [positive]),
        helper.make_node("And", [below, positive], [inside]),
        helper.make_node("Where", [inside, indices, zero], [clipped]),
    ]
