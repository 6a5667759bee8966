"""Remove exporter artifacts of classical models, such as ZipMap, that circuits do not support. In the child only.

The exporters of scikit-learn, XGBoost and LightGBM write operators of the domain `ai.onnx.ml`. This module prepares
such a model for the passes that all models share; `zkinfer.circuits.frontend.ml.rules` replaces the operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import helper

from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend.graph import attributes, copy, is_default, opset, replace_all

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN = "ai.onnx.ml"
_OPSET = 17  # for models that use no operator of the default domain and declare no version of it
_NUMBERS = "Train on integer labels (scikit-learn's LabelEncoder converts strings) and export again."


def is_classical(node: onnx.NodeProto) -> bool:
    """Whether an operator belongs to ONNX's domain for classical machine learning."""
    return bool(node.domain == DOMAIN)


def as_tensors(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with tensors as outputs and one version per operator domain; the model itself if nothing changes.

    A ZipMap converts scores to one map from class to score per row; its output becomes the scores themselves, in the
    order of the classes. Everything else stays as in the file.
    """
    if not any(is_classical(node) for node in model.graph.node):
        return model
    result = copy(model)
    maps = {name for node in result.graph.node if _is_map(node) for name in node.output}
    for node in result.graph.node:
        if _is_map(node):
            node.CopyFrom(helper.make_node("Identity", node.input, node.output))
    for port in result.graph.output:
        if port.name in maps:
            port.CopyFrom(helper.make_tensor_value_info(port.name, onnx.TensorProto.FLOAT, None))
    _settle_versions(result)
    return result


def _settle_versions(model: onnx.ModelProto) -> None:
    """Keep one version per domain: exporters repeat versions, or declare none for an unused default domain."""
    once = {("" if is_default(entry.domain) else entry.domain, entry.version): entry for entry in model.opset_import}
    replace_all(model.opset_import, list(once.values()))
    if not opset(model):
        model.opset_import.append(helper.make_opsetid("", _OPSET))


def _is_map(node: onnx.NodeProto) -> bool:
    return is_classical(node) and node.op_type == "ZipMap" and len(node.input) == len(node.output) == 1


def problems(node: onnx.NodeProto, label: str) -> Iterator[ModelError]:
    """Reasons to reject a classical operator that follow from its attributes alone."""
    given = attributes(node)
    if any(name.startswith("classlabels_strings") for name in given):
        yield UnsupportedModelError(f"{node.op_type} {label} returns string labels; circuits return numbers.", _NUMBERS)
    if node.op_type == "ZipMap":
        yield ModelError(f"ZipMap {label} must have one input and one output.", "Export the model again.")
