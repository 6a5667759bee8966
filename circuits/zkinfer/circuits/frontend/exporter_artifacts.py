"""What exporters of classical models add to a graph, and no circuit has. Imported in the child only.

scikit-learn's, XGBoost's and LightGBM's exporters write operators of the domain `ai.onnx.ml`. Here is what must be
settled before such a model is read like any other; `classical` turns the operators themselves into plain ones.
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
_OPSET = 17  # for models that use no operator of the default domain, and so name no version of it
_NUMBERS = "Train on numbers (scikit-learn's LabelEncoder makes them of words), and export again."


def is_classical(node: onnx.NodeProto) -> bool:
    """Whether an operator belongs to ONNX's domain of classical machine learning."""
    return bool(node.domain == DOMAIN)


def as_tensors(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with tensors for outputs, and one version of each domain's operators; itself where it has that.

    A ZipMap turns scores into one map from class to score per row; its output becomes the scores themselves, in the
    order of the classes. Everything else is as in the file.
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
    """Exporters write the same version twice, or none where they use no operator of the default domain."""
    once = {("" if is_default(entry.domain) else entry.domain, entry.version): entry for entry in model.opset_import}
    replace_all(model.opset_import, list(once.values()))
    if not opset(model):
        model.opset_import.append(helper.make_opsetid("", _OPSET))


def _is_map(node: onnx.NodeProto) -> bool:
    return is_classical(node) and node.op_type == "ZipMap" and len(node.input) == len(node.output) == 1


def problems(node: onnx.NodeProto, label: str) -> Iterator[ModelError]:
    """Reasons to refuse a classical operator that its attributes alone show."""
    given = attributes(node)
    if any(name.startswith("classlabels_strings") for name in given):
        yield UnsupportedModelError(f"{node.op_type} {label} answers in words, and circuits in numbers.", _NUMBERS)
    if node.op_type == "ZipMap":
        yield ModelError(f"ZipMap {label} has not one input and one output.", "Export the model again.")
