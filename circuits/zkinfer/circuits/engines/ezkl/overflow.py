"""Check from a network's graph alone that no value that a prover can choose wraps around the field.

A circuit computes with elements of a field of 254 bits, a model with integers. They agree while every integer stays
below half of the modulus. Inputs, and every value that the engine compares, looks up or rescales, are range-checked.
Between two checks values grow by sums and products. A bound of every value therefore follows from the graph by interval
arithmetic on bits (`overflow_rules`); a network whose bound reaches the field is rejected. The lowering adds range
checks for hidden inputs (`lowering.guards`). Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from zkinfer.circuits.engines.ezkl.bounds import MAX_SHIFT, Step
from zkinfer.circuits.engines.ezkl.overflow_rules import Rules
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.graph import elements, static_shape, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ezkl.bounds import Bound
    from zkinfer.circuits.engines.ezkl.run_args import EzklArguments

FIELD_BITS = 240.0  # half of the modulus has 252; the rest is a margin for effects that the rules ignore
_VARIADIC_SUMS = frozenset({"Mean", "Sum"})  # element by element, of any number of operands


def refuse_overflow(network: Path, arguments: EzklArguments, names: Mapping[str, str] | None = None) -> None:
    """Raise UnsupportedModelError if a value could reach the size of the field before it is range-checked.

    Also if a tensor's shape does not follow from the graph, so that there is no bound. `names` are those of the nodes
    in the owner's file, by the first output; a node without one is named by that output.
    """
    graph = onnx.shape_inference.infer_shapes(onnx.load(network), data_prop=True).graph
    rules = Rules(arguments)
    known: dict[str, Bound] = {port.name: rules.input(port) for port in graph.input}
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    constants = {name: array.astype(np.float64) for name, array in arrays.items()}
    known |= {name: rules.constant(constants[name], typed=array.dtype.kind in "iub") for name, array in arrays.items()}
    called = names or {}
    for step in _steps(graph, constants, known):
        label = called.get(step.node.output[0], step.node.output[0])
        if not step.shift <= MAX_SHIFT:
            raise _refusal(step.node, label, "combines scales that are more than 63 bits apart")
        bits, result = rules.apply(step)
        if not bits <= FIELD_BITS:  # negated, so that NaN is rejected
            raise _refusal(step.node, label, f"could grow to 2^{bits:.0f} before it is range-checked")
        known.update(dict.fromkeys(step.node.output, result))


def _refusal(node: onnx.NodeProto, label: str, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The result of {node.op_type} {label[:80]!r} {why}, beyond the field that proofs are made in.",
        "Put an activation between long chains of products, or use smaller constants.",
    )


def _steps(
    graph: onnx.GraphProto, constants: dict[str, NDArray[np.float64]], known: dict[str, Bound]
) -> Iterator[Step]:
    """Every node with its operands; the caller adds the bounds of each result to `known` before the next step."""
    shapes = {name: static_shape(port) for name, port in values(graph).items()}
    shapes |= {name: array.shape for name, array in constants.items()}
    for node in graph.node:
        names = [name for name in node.input if name]
        operands, arrays = tuple(known[name] for name in names), tuple(constants.get(name) for name in names)
        yield Step(node, operands, arrays, _terms(node, [_size(node, name, shapes.get(name)) for name in names]))


def _size(node: onnx.NodeProto, name: str, shape: tuple[int, ...] | None) -> int:
    if shape is None:
        raise UnsupportedModelError(
            f"{node.op_type} {node.output[0][:80]!r} reads {name[:80]!r}, whose shape does not follow from the graph.",
            "Rewrite the model so that every shape is fixed.",
        )
    return elements(shape)


def _terms(node: onnx.NodeProto, counts: Sequence[int]) -> float:
    """log2 of the maximum number of values, or products, that are summed in one element of a result."""
    if node.op_type in _VARIADIC_SUMS:
        return math.log2(1 + len(counts))
    return math.log2(1 + (math.prod(counts) if node.op_type == "Einsum" else max(counts, default=1)))
