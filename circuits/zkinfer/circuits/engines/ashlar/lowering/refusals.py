"""Operators that Ashlar does not have, each with a cause and a cure (section 1.6)."""

from __future__ import annotations

from typing import Final, Protocol

from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.summary import SCORES_COMMAND

SCORES: Final = (
    f"`{SCORES_COMMAND}` writes the model without the labels and the Softmax at its end: a reader takes the largest "
    "of exact scores."
)
_WHOLE = "Rewrite the model without it."
_COLUMNS = (
    "Select columns of the data before the model. Export trees with skl2onnx or onnxmltools, which keep them trees."
)
_GROUPS: dict[str, tuple[str, str]] = {
    "ArgMax ArgMin Hardmax LogSoftmax Softmax TopK": ("is not part of an Ashlar circuit", SCORES),
    "GroupNormalization InstanceNormalization LayerNormalization LpNormalization MeanVarianceNormalization "
    "RMSNormalization LRN ReduceL2": (
        "is a norm of computed values, which Ashlar does not support yet",
        "Use BatchNormalization, which is folded, or normalise rows before the model.",
    ),
    "GRU LSTM RNN": (
        "is recurrent, which Ashlar does not support",
        "Use a Conv or Gemm over a window of fixed length.",
    ),
    "Compress Gather GatherElements GatherND OneHot Scatter ScatterElements ScatterND": (
        "picks elements by index, which Ashlar does not support",
        _COLUMNS,
    ),
    "And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Where Xor": (
        "compares or selects, which Ashlar does in tree ensembles only",
        f"Leave the decision to the reader of the exact outputs. {SCORES}",
    ),
    "Resize Upsample GridSample RoiAlign": ("resamples, which Ashlar does not support", _WHOLE),
    "Slice Split Pad Expand Tile DepthToSpace SpaceToDepth": (
        "moves elements in a way that Ashlar does not support",
        "Use the pads of Conv, and choose columns in the data.",
    ),
    "ConvTranspose ConvInteger MatMulInteger QLinearConv QLinearMatMul DeformConv Einsum": (
        "is not one of the linear operators that Ashlar supports",
        "Use Conv, Gemm or MatMul with constant weights.",
    ),
    "GlobalMaxPool GlobalLpPool LpPool": (
        "is a pool that Ashlar does not support",
        "Use GlobalAveragePool, or MaxPool over windows of 2^p.",
    ),
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceLogSum ReduceLogSumExp ReduceSumSquare "
    "CumSum": (
        "reduces an axis, which Ashlar does by pools and matrices only",
        "Use GlobalAveragePool for a mean over maps, or a MatMul by ones for a sum.",
    ),
    "PRelu": ("has a slope for each channel, and Ashlar's tables have one", "Use LeakyRelu, or PRelu with one slope."),
    "Ceil Floor Round Sign Sin Cos Tan Mod": ("is not a function that Ashlar has a table for", _WHOLE),
}
REFUSED = {name: why for names, why in _GROUPS.items() for name in names.split()}
_OTHER = ("is not supported by Ashlar", _WHOLE)
OF_EZKL: Final = words(
    """
    And ArgMax ArgMin Ceil ConvTranspose Cos CumSum DepthToSpace Einsum Equal Expand Floor GRU Gather GatherElements
    GatherND GlobalMaxPool Greater GreaterOrEqual InstanceNormalization LSTM LayerNormalization Less LessOrEqual
    LogSoftmax MeanVarianceNormalization Not Or PRelu Pad RMSNormalization RNN ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Resize Round ScatterElements
    ScatterND Sign Sin Slice Softmax SpaceToDepth Split Tan Tile TopK Where Xor
    """
)
"""The operators refused here that the engine ezkl supports in some form."""


class Refused(Protocol):
    """A node as messages name it."""

    op: str

    @property
    def label(self) -> str:
        """Operator and value."""
        ...


def known_refusal(operator: str) -> tuple[str, str] | None:
    """Why an operator is not supported in any form, and the cure; None if it has a rule, or is not known."""
    if operator not in REFUSED:
        return None
    why, cure = REFUSED[operator]
    return why, f"{cure} The engine ezkl {'supports it' if operator in OF_EZKL else 'does not support it either'}."


def refuse_operator(node: Refused) -> UnsupportedModelError:
    """Why a node of an operator without a rule is refused."""
    why, cure = known_refusal(node.op) or _OTHER
    return UnsupportedModelError(f"{node.label} {why}.", cure)


def refuse_product(node: Refused) -> UnsupportedModelError:
    """The refusal of a product of two computed tensors that is in no chain."""
    return UnsupportedModelError(
        f"{node.label} multiplies or divides computed tensors, which Ashlar does only within one activation.",
        "Use functions of one value such as x · Sigmoid(x), or the engine ezkl, which supports it.",
    )
