"""Rules for linear models and preprocessing operators, and the labels and scores that tree classifiers share.

`zkinfer.circuits.frontend.ml.rules` applies them. Imported in the child only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend.graph import Draft, Facts, attributes
from zkinfer.circuits.frontend.validate import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Nodes

_TRANSFORMS = {"NONE": "", "LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}
_NORMS = {"L1": "ReduceL1", "L2": "ReduceL2"}
_FLOAT = onnx.TensorProto.FLOAT
_INT64 = onnx.TensorProto.INT64
_EXPORT = "Export the model again."


def regressor(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """LinearRegressor: x W + b."""
    given, draft = attributes(node), Draft(facts, node.output[0])
    transform_of(node, given, ("NONE",))
    found = feature_rows(node, facts, draft)
    if found is None:
        return None
    weights, shift = _coefficients(node, found[1], given.get("targets", 1))
    draft.named(draft.add("Gemm", found[0], draft.constant(weights), draft.constant(shift)), node.output[0])
    return draft.nodes


def classifier(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """LinearClassifier: the label and the transformed scores."""
    given, draft = attributes(node), Draft(facts, node.output[0])
    labels, targets = labels_of(node, given), len(given.get("intercepts", []))
    found = feature_rows(node, facts, draft)
    if found is None:
        return None
    if targets not in (1, len(labels)) or (targets == 1 and len(labels) != 2):
        raise ModelError(f"LinearClassifier {label(node)} has {targets} intercepts for {len(labels)} classes.", _EXPORT)
    transform = transform_of(node, given, ("NONE", "LOGISTIC", "SOFTMAX")[: 2 if targets == 1 else 3])
    weights, shift = _coefficients(node, found[1], targets)
    if targets == 2 and transform == "LOGISTIC" and _mirrored(weights, shift):  # two sigmoids that add up to 1
        weights, shift, targets = weights[:, 1:], shift[1:], 1
    scores = draft.add("Gemm", found[0], draft.constant(weights), draft.constant(shift))
    if targets == 1:
        results = (
            label_above(scores, 0.0, labels, draft),
            two_class_scores(scores, transform, draft, mirrored=False),
        )
    else:
        results = (
            label_of_largest(scores, labels, draft),
            transform_scores(scores, transform, draft),
        )
    return name_outputs(node, results, draft)


def scaler(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """Scaler: (x - offset) * scale, per feature or with one number for all."""
    given, draft = attributes(node), Draft(facts, node.output[0])
    found = feature_rows(node, facts, draft)
    if found is None:
        return None
    value, columns = found
    for operator, name in (("Sub", "offset"), ("Mul", "scale")):
        numbers = _numbers(node, given, name)
        if len(numbers) not in (1, columns):
            raise ModelError(f"Scaler {label(node)} has {len(numbers)} numbers for {columns} features.", _EXPORT)
        value = draft.add(operator, value, draft.constant(numbers))
    draft.named(value, node.output[0])
    return draft.nodes


def imputer(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """Imputer of missing values: the identity, since inputs of a circuit are never NaN."""
    given = attributes(node)
    replaced = given.get("replaced_value_float", 0.0)
    if "replaced_value_int64" in given or not math.isnan(replaced):
        raise UnsupportedModelError(
            f"Imputer {label(node)} replaces a number instead of NaN.", "Represent missing values by NaN."
        )
    draft = Draft(facts, node.output[0])
    draft.named(node.input[0], node.output[0])
    return draft.nodes


def normaliser(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """Normalizer: divide each row by its norm unless that is 0; the identity if rows are known to add up to 1."""
    norm = attributes(node).get("norm", b"MAX").decode("ascii", "replace")
    if norm not in _NORMS:
        raise UnsupportedModelError(
            f"Normalizer {label(node)} uses the norm {norm[:40]!r}, which is not supported.", "Use L1 or L2."
        )
    draft = Draft(facts, node.output[0])
    found = feature_rows(node, facts, draft)
    if found is None:
        return None
    value, _ = found
    if norm != "L1" or not _sums_to_one(node.input[0], facts):
        size = draft.reduced(_NORMS[norm], value)
        zero = draft.add("Not", draft.add("Greater", size, draft.constant(np.zeros((), dtype=np.float32))))
        value = draft.add("Div", value, draft.add("Add", size, draft.cast(zero, _FLOAT)))
    draft.named(value, node.output[0])
    return draft.nodes


def extractor(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """ArrayFeatureExtractor: the columns listed by the second input; an input [C] is one row."""
    shape, draft = facts.shape(node.input[0]), Draft(facts, node.output[0])
    if shape is None:
        return None
    if len(shape) not in (1, 2):
        raise UnsupportedModelError(
            f"ArrayFeatureExtractor {label(node)} reads a tensor of shape {list(shape)}.", "Use Gather instead."
        )
    row, flat = (draft.constant(np.array(sizes, dtype=np.int64)) for sizes in ((1, -1), (-1,)))
    value = node.input[0] if len(shape) == 2 else draft.add("Reshape", node.input[0], row)
    columns = draft.add("Reshape", node.input[1], flat)
    draft.named(draft.add("Gather", value, columns, axis=1), node.output[0])
    return draft.nodes


def feature_rows(node: onnx.NodeProto, facts: Facts, draft: Draft) -> tuple[str, int] | None:
    """The operator's input in float32 and its number of columns; None if its shape is unknown."""
    shape = facts.shape(node.input[0])
    if shape is None:
        return None
    if len(shape) != 2:
        raise UnsupportedModelError(
            f"{node.op_type} {label(node)} reads a tensor of shape {list(shape)} instead of rows of features.",
            "Give one row per sample.",
        )
    kind = facts.dtype(node.input[0])
    return (node.input[0] if kind == _FLOAT else draft.cast(node.input[0], _FLOAT)), shape[1]


def labels_of(node: onnx.NodeProto, given: Mapping[str, Any]) -> list[int]:
    """The integer labels; raises ModelError for fewer than two."""
    found = [int(value) for value in given.get("classlabels_int64s", given.get("classlabels_ints", []))]
    if len(found) < 2:
        raise ModelError(f"{node.op_type} {label(node)} has fewer than two classes.", "Export the model again.")
    return found


def transform_of(node: onnx.NodeProto, given: Mapping[str, Any], allowed: tuple[str, ...]) -> str:
    """The name of the transformation of the scores; raises UnsupportedModelError unless it is one of `allowed`."""
    name = str(given.get("post_transform", b"NONE").decode("ascii", "replace"))
    if name not in allowed:
        raise UnsupportedModelError(
            f"{node.op_type} {label(node)} transforms its scores by {name[:40]!r}, which is not supported.",
            f"Use one of {', '.join(allowed)}.",
        )
    return name


def transform_scores(scores: str, transform: str, draft: Draft) -> str:
    """The transformed scores [N, C]."""
    operator = _TRANSFORMS[transform]
    if not operator:
        return scores
    return draft.add(operator, scores, **({"axis": 1} if operator == "Softmax" else {}))


def label_of_largest(scores: str, labels: list[int], draft: Draft) -> str:
    """The label of the largest score, the first of equal ones: [N]."""
    return _labelled(draft.add("ArgMax", scores, axis=1, keepdims=0), labels, draft)


def label_above(score: str, cut: float, labels: list[int], draft: Draft) -> str:
    """The second of two labels if the score [N, 1] is above the threshold `cut`, else the first: [N]."""
    single = draft.add("Gather", score, draft.constant(np.array(0)), axis=1)
    beyond = draft.add("Greater", single, draft.constant(np.array(cut, dtype=np.float32)))
    return _labelled(draft.cast(beyond, _INT64), labels, draft)


def two_class_scores(score: str, transform: str, draft: Draft, *, mirrored: bool) -> str:
    """The scores of two classes that share one score s [N, 1]: -s and s, or 1 - s and s."""
    second = transform_scores(score, transform, draft)
    if mirrored and transform == "NONE":
        return draft.joined([draft.add("Neg", second), second])
    return draft.joined([draft.add("Sub", draft.constant(np.ones((), dtype=np.float32)), second), second])


def name_outputs(node: onnx.NodeProto, results: tuple[str, str], draft: Draft) -> Nodes:
    """Name label and scores as the classifier's outputs, each of which is optional."""
    for name, result in zip(node.output, results, strict=False):
        if name:
            draft.named(result, name)
    return draft.nodes


def _labelled(index: str, labels: list[int], draft: Draft) -> str:
    if labels == list(range(len(labels))):
        return index
    return draft.add("Gather", draft.constant(np.array(labels, dtype=np.int64)), index, axis=0)


def _coefficients(node: onnx.NodeProto, columns: int, targets: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The matrix [features, scores] and the intercepts."""
    given = attributes(node)
    weights = _numbers(node, given, "coefficients")
    shift = _numbers(node, given, "intercepts") if "intercepts" in given else np.zeros(targets, dtype=np.float32)
    if targets < 1 or len(weights) != targets * columns or len(shift) != targets:
        raise ModelError(
            f"{node.op_type} {label(node)} has {len(weights)} coefficients and {len(shift)} intercepts "
            f"for {columns} features and {targets} scores.",
            _EXPORT,
        )
    return np.ascontiguousarray(weights.reshape(targets, columns).T), shift


def _numbers(node: onnx.NodeProto, given: Mapping[str, Any], name: str) -> NDArray[np.float32]:
    found = np.array(given.get(name, []), dtype=np.float32)
    if not np.isfinite(found).all():
        raise ModelError(f"{node.op_type} {label(node)} holds NaN or infinity in {name}.", _EXPORT)
    return found


def _mirrored(weights: NDArray[np.float32], shift: NDArray[np.float32]) -> bool:
    return bool((weights[:, 0] == -weights[:, 1]).all() and shift[0] == -shift[1])


def _sums_to_one(name: str, facts: Facts) -> bool:
    """Whether the rows are a softmax, or a probability and its complement."""
    node = _source(name, facts)
    if node is None or node.op_type == "Softmax":
        return node is not None
    if node.op_type != "Concat" or len(node.input) != 2:
        return False
    rest = facts.producers.get(node.input[0])
    if rest is None or rest.op_type != "Sub" or rest.input[1] != node.input[1]:
        return False
    share, one = _source(node.input[1], facts), facts.array(rest.input[0])
    return share is not None and share.op_type == "Sigmoid" and one is not None and bool((one == 1).all())


def _source(name: str, facts: Facts) -> onnx.NodeProto | None:
    node = facts.producers.get(name)
    while node is not None and node.op_type == "Identity":
        node = facts.producers.get(node.input[0])
    return node
