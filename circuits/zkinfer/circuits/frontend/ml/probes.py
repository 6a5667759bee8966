"""Probe inputs for trees: values at and next to their thresholds. Imported in the child only.

Random inputs reach the same few branches of every tree, so that a wrong rewrite could pass the equivalence check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from zkinfer.circuits.frontend.exporter_artifacts import is_classical
from zkinfer.circuits.frontend.graph import attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

PROBES = 32


def probes(model: onnx.ModelProto, inputs: Sequence[TensorSpec], seed: int) -> list[dict[str, NDArray[Any]]]:
    """Seeded inputs whose columns are at or just beside the thresholds of their trees; none for a model without trees.

    A tree behind a scaler sees other values; for it these are only further random inputs.
    """
    thresholds = _thresholds(model)
    if not thresholds:
        return []
    rng = np.random.default_rng(seed)
    return [{spec.name: _probe(spec, thresholds, rng) for spec in inputs} for _ in range(PROBES)]


def _thresholds(model: onnx.ModelProto) -> dict[int, list[float]]:
    """Thresholds by the column they apply to."""
    found: dict[int, list[float]] = {}
    for node in model.graph.node:
        if is_classical(node) and node.op_type.startswith("TreeEnsemble"):
            given = attributes(node)
            tensor = given.get("nodes_splits", given.get("nodes_values_as_tensor"))
            values = given.get("nodes_values", []) if tensor is None else numpy_helper.to_array(tensor).ravel().tolist()
            for column, value in zip(given.get("nodes_featureids", []), values, strict=False):
                found.setdefault(column, []).append(value)
    return found


def _probe(spec: TensorSpec, thresholds: dict[int, list[float]], rng: np.random.Generator) -> NDArray[Any]:
    values = rng.normal(size=spec.shape)
    for column in range(spec.shape[-1] if spec.shape else 0):
        if known := thresholds.get(column):
            chosen = rng.choice(known, size=spec.shape[:-1]).astype(np.float32)
            towards = rng.choice(np.array([-np.inf, 0, np.inf], dtype=np.float32), size=chosen.shape)
            values[..., column] = np.nextafter(chosen, np.where(towards, towards, chosen))
    if spec.is_float:
        return values.astype(spec.dtype)
    return np.clip(np.rint(values), *spec.integer_range).astype(spec.dtype)
