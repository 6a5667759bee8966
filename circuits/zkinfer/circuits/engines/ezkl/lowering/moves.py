"""Rewrite moves of data and products of matrices into forms that the engine supports [all measured].

`decompose` applies `RULES`. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

from zkinfer.circuits.frontend.graph import Facts, attributes, elements

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Nodes, Rule


def _all_axes(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine rejects Pad with the input `axes`: pad all axes, most of them by 0."""
    shape = facts.shape(node.input[0])
    some, axes = (
        (facts.array(name) for name in (*node.input[1:2], *node.input[3:4])) if node.input[3:4] else (None, None)
    )
    if shape is None or some is None or axes is None:
        return None
    pads = np.zeros((2, len(shape)), dtype=np.int64)
    pads[:, axes] = some.reshape(2, -1)
    names = [node.input[0], facts.new_constant(node.output[0], pads.reshape(-1)), *filter(None, node.input[2:3])]
    return [helper.make_node("Pad", names, node.output, **attributes(node))]


def _flat_places(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine supports GatherND on two axes, and cannot infer its shape: flatten the axes, and gather on one."""
    shape, indices = facts.shape(node.input[0]), facts.array(node.input[1])
    if not shape or indices is None or not indices.size:
        return None
    batch = attributes(node).get("batch_dims", 0)
    sizes = shape[: batch + indices.shape[-1]]
    places = _places(indices, sizes, batch)
    if places is None:
        return None
    result = (*places.shape, *shape[len(sizes) :])
    base = node.output[0]
    row, picked = facts.fresh(base), facts.fresh(base)
    joined = np.array([elements(sizes), *shape[len(sizes) :]], dtype=np.int64)
    return [
        helper.make_node("Reshape", [node.input[0], facts.new_constant(base, joined)], [row]),
        helper.make_node("Gather", [row, facts.new_constant(base, places.reshape(-1))], [picked], axis=0),
        helper.make_node("Reshape", [picked, facts.new_constant(base, np.array(result, dtype=np.int64))], node.output),
    ]


def _places(indices: NDArray[np.int64], sizes: tuple[int, ...], batch: int) -> NDArray[np.int64] | None:
    """Indices into the flattened first axes; None if an index is out of bounds."""
    bounds = np.array(sizes[batch:])
    if ((indices < -bounds) | (indices >= bounds)).any():
        return None
    before = np.indices(indices.shape[:-1])[:batch]
    along = np.moveaxis(np.where(indices < 0, indices + bounds, indices), -1, 0)
    return np.asarray(np.ravel_multi_index((*before, *along), sizes), dtype=np.int64)


def _same_rank(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """If Expand adds axes, the engine repeats the wrong values, or panics: add the axes first."""
    before, after = facts.shape(node.input[0]), facts.shape(node.output[0])
    if before is None or after is None or len(before) >= len(after) or 0 in after:
        return None
    wide = facts.fresh(node.output[0])
    sizes = (np.array(shape, dtype=np.int64) for shape in ((1,) * (len(after) - len(before)) + before, after))
    names = [facts.new_constant(node.output[0], array) for array in sizes]
    return [
        helper.make_node("Reshape", [node.input[0], names[0]], [wide]),
        helper.make_node("Expand", [wide, names[1]], node.output),
    ]


def _copied(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine cannot return one value as two outputs: reshape it to its own shape, which takes no rows."""
    value, shape = node.input[0], facts.shape(node.input[0])
    same = [one for one in facts.consumers.get(value, []) if _is_copy(one, facts)]
    if shape is None or node.output[0] not in facts.outputs or not (value in facts.outputs or len(same) > 1):
        return None
    sizes = facts.new_constant(node.output[0], np.array(shape, dtype=np.int64))
    return [helper.make_node("Reshape", [value, sizes], node.output)]


def _is_copy(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether the node returns its operand as an output of the model."""
    changes = node.op_type != "Identity" and (
        node.op_type != "Reshape" or facts.shape(node.input[0]) != facts.shape(node.output[0])
    )
    return not changes and node.output[0] in facts.outputs


def _full_batch(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The engine multiplies no vectors by vectors, and does not broadcast computed batches: reshape, or expand."""
    shapes = [facts.shape(name) for name in node.input]
    result = facts.shape(node.output[0])
    if result is None or any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    if all(len(shape) == 1 for shape in known):
        return _of_vectors(node, known[0][0], facts)
    nodes, names = [], list(node.input)
    for place, shape in enumerate(known):
        batch = (*result[:-2], *shape[-2:])
        if min(map(len, known)) < 3 or elements(shape) == elements(batch) or _is_one_matrix(node.input[place], facts):
            continue
        names[place] = facts.fresh(node.output[0])
        sizes = facts.new_constant(node.output[0], np.array(batch, dtype=np.int64))
        nodes.append(helper.make_node("Expand", [node.input[place], sizes], [names[place]]))
    return [*nodes, helper.make_node("MatMul", names, node.output)] if nodes else None


def _is_one_matrix(name: str, facts: Facts) -> bool:
    """Whether the value is a constant single matrix, which the engine broadcasts."""
    return name in facts.constants and elements((facts.shape(name) or ())[:-2]) == 1


def _of_vectors(node: onnx.NodeProto, size: int, facts: Facts) -> Nodes:
    base = node.output[0]
    row, column, product = (facts.fresh(base) for _ in range(3))
    sizes = [facts.new_constant(base, np.array(shape, dtype=np.int64)) for shape in ((1, size), (size, 1), ())]
    return [
        helper.make_node("Reshape", [node.input[0], sizes[0]], [row]),
        helper.make_node("Reshape", [node.input[1], sizes[1]], [column]),
        helper.make_node("MatMul", [row, column], [product]),
        helper.make_node("Reshape", [product, sizes[2]], node.output),
    ]


RULES: dict[str, Rule] = {
    "Expand": _same_rank,
    "GatherND": _flat_places,
    "Identity": _copied,
    "MatMul": _full_batch,
    "Pad": _all_axes,
}
