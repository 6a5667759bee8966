"""Post-processing of classical models: transformed scores and labels. Imported in the child only.

Where the standard leaves the result open, this follows onnxruntime [measured]; unusual combinations are rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend.validate import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkinfer.circuits.frontend.graph import Draft

_TRANSFORMS = {"NONE": "", "LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}
_INT64 = onnx.TensorProto.INT64


def transform_of(node: onnx.NodeProto, given: Mapping[str, Any], allowed: tuple[str, ...]) -> str:
    """The name of the transformation of the scores; raises UnsupportedModelError unless it is one of `allowed`."""
    name = str(given.get("post_transform", b"NONE").decode("ascii", "replace"))
    if name not in allowed:
        raise UnsupportedModelError(
            f"{node.op_type} {label(node)} transforms its scores by {name[:40]!r}, which is not supported.",
            f"Use one of {', '.join(allowed)}.",
        )
    return name


def labels_of(node: onnx.NodeProto, given: Mapping[str, Any]) -> list[int]:
    """The integer labels; raises ModelError for fewer than two."""
    found = [int(value) for value in given.get("classlabels_int64s", given.get("classlabels_ints", []))]
    if len(found) < 2:
        raise ModelError(f"{node.op_type} {label(node)} has fewer than two classes.", "Export the model again.")
    return found


def transform_scores(scores: str, transform: str, draft: Draft) -> str:
    """The transformed scores [N, C]."""
    operator = _TRANSFORMS[transform]
    if not operator:
        return scores
    return draft.add(operator, scores, **({"axis": 1} if operator == "Softmax" else {}))


def label_of_largest(scores: str, labels: list[int], draft: Draft) -> str:
    """The label of the largest score, the first among equals: [N]."""
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


def _labelled(place: str, labels: list[int], draft: Draft) -> str:
    if labels == list(range(len(labels))):
        return place
    return draft.add("Gather", draft.constant(np.array(labels, dtype=np.int64)), place, axis=0)
