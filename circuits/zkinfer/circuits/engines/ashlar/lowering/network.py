"""A normalised network as the passes change it: nodes with names for values, constants and shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering.refusals import known_refusal
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import runtime
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts, attributes, elements

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.draft import StoredFunction
    from zkinfer.circuits.engines.ashlar.lowering.linear import Linear

    Floats = NDArray[np.float64]

RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
VIEWS = RESHAPES | {"Transpose"}


@dataclass(slots=True, eq=False)
class Node:
    """An operator with one result.

    `inputs` are the operands that take part in views and blocks; weights and biases are in `linear`. `position` is that
    in the file. `function` is set for a chain that became one activation.
    """

    op: str
    inputs: list[str]
    output: str
    position: int
    attributes: dict[str, Any] = field(default_factory=dict)
    linear: Linear | None = None
    function: StoredFunction | None = None

    @property
    def label(self) -> str:
        """The node in messages."""
        return f"{self.op} {self.output[:80]!r}"


class Network:
    """The nodes in the order of the file; passes replace them, and `readers` follows."""

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = runtime.infer_shapes(model)
        facts = Facts(inferred)
        if len(inferred.graph.input) != 1:
            raise UnsupportedModelError(
                f"The model has {len(inferred.graph.input)} inputs, and an Ashlar circuit has one.",
                "Use one input, whose parts a MatMul by zeros and ones picks, or the engine ezkl.",
            )
        self.input = inferred.graph.input[0].name
        self.outputs = [(port.name, port.name) for port in inferred.graph.output]
        self.constants = {name: array for name in facts.constants if (array := facts.array(name)) is not None}
        self.nodes = [_node(node, position) for position, node in enumerate(inferred.graph.node)]
        names = {self.input, *(name for node in self.nodes for name in (*node.inputs, node.output) if name)}
        self.shapes = {name: shape for name in names if (shape := facts.shape(name)) is not None}
        self.floats = {name for name in names if facts.dtype(name) in FLOATS | {0}}
        self._complete_shapes()
        self.input_dtype = DTYPES.get(facts.dtype(self.input), "unknown")
        self.current: Node | None = None
        self.touch()

    @property
    def output_values(self) -> set[str]:
        """The values that are outputs."""
        return {value for _, value in self.outputs}

    def _complete_shapes(self) -> None:
        for node in self.nodes:
            if node.op.startswith("TreeEnsemble"):  # onnx infers none for them
                leading = self.shapes[node.inputs[0]][:-1]
                self.shapes[node.output] = (*leading, int(node.attributes.get("n_targets", 1)))
            for name in (*node.inputs, node.output):
                if name and name not in self.shapes:
                    raise UnsupportedModelError(
                        f"The shape of {name[:80]!r} depends on the input.",
                        "Rewrite the model so that every shape is fixed.",
                    )

    def touch(self) -> None:
        """Forget who reads and computes what: a pass calls this after it changed nodes."""
        self._readers: dict[str, list[Node]] = {}
        self._producers = {node.output: node for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value, once for each operand."""
        return list(self._readers.get(name, ()))

    def read_once(self, name: str) -> Node | None:
        """The node that alone reads a value, in one operand; None if there is no such node, or it is an output."""
        found = self.readers(name) if name not in self.output_values else []
        return found[0] if len(found) == 1 else None

    def producer(self, name: str) -> Node | None:
        """The node that computes a value; None for the input and for constants."""
        return self._producers.get(name)

    def next(self, name: str) -> Node | None:
        """The node that reads a value which is read once, seen through view operators; None if there is none."""
        node = self.read_once(name)
        while node is not None and node.op in VIEWS:
            node = self.read_once(node.output)
        return node

    def drop(self, node: Node) -> None:
        """Remove a node: what read its result reads its first operand, and an output is that operand."""
        self.nodes.remove(node)
        self.redirect(node.output, node.inputs[0])

    def redirect(self, old: str, new: str) -> None:
        """Let the readers of one value read another."""
        for reader in self.nodes:
            reader.inputs = [new if name == old else name for name in reader.inputs]
        self.outputs = [(port, new if value == old else value) for port, value in self.outputs]
        self.touch()

    def computed(self, node: Node) -> list[str]:
        """The operands that are no constants."""
        return [name for name in node.inputs if name not in self.constants]

    def scalar(self, name: str) -> NDArray[Any] | None:
        """A constant of one element; None for other values."""
        array = self.constants.get(name)
        return array.reshape(()) if array is not None and array.size == 1 else None


def varying(array: NDArray[Any], rank: int) -> NDArray[Any] | None:
    """A constant with `rank` dimensions, of which those along which it does not vary have size 1.

    None if it has more dimensions that are not of size 1.
    """
    if array.ndim > rank:
        if elements(array.shape[: array.ndim - rank]) != 1:
            return None
        array = array.reshape(array.shape[array.ndim - rank :])
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    for axis in range(rank):
        first = array.take([0], axis)
        if array.shape[axis] > 1 and bool((array == first).all()):
            array = first
    return array


def along(array: NDArray[Any], shape: tuple[int, ...], axis: int) -> Floats | None:
    """A constant that varies along one axis of this shape at most, as a vector; None if it varies along others."""
    found = varying(array, len(shape))
    if found is None or any(size != 1 for at, size in enumerate(found.shape) if at != axis % len(shape)):
        return None
    return np.broadcast_to(found.astype(np.float64).reshape(-1), (shape[axis],))


def fits(array: NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Whether broadcasting with this constant keeps the shape."""
    try:
        return np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        return False


def _node(node: onnx.NodeProto, position: int) -> Node:
    outputs = [name for name in node.output if name]
    if len(outputs) != 1 and (refusal := known_refusal(node.op_type)) is not None:
        why, cure = refusal
        raise UnsupportedModelError(f"{node.op_type} {node.output[0][:80]!r} {why}.", cure)
    if len(outputs) != 1:
        raise UnsupportedModelError(
            f"{node.op_type} {node.output[0][:80]!r} has {len(outputs)} results; Ashlar takes operators with one.",
            "Rewrite the model without it, or use the engine ezkl.",
        )
    inputs = list(node.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    return Node(node.op_type, inputs, outputs[0], position, attributes(node))
