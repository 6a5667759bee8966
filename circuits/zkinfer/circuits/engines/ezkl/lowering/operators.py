"""Tables of the ONNX operators that ezkl supports. They do not import onnx.

`SUPPORTED` was measured: every operator in it ran through ezkl 23.0.5 in small graphs, and in the forms that pass
`unsupported` the answer agreed with onnxruntime's within quantisation. The engine accepts more and answers *wrongly*:
such operators (Trilu, GlobalLpPool, QuantizeLinear, MatMulInteger) are rejected here; such forms of supported ones
(Cast of fractions to integers or bool, MaxPool that pads, negative indices, Equal read as a number, Pow with a negative
exponent, CumSum backwards, ...) are rewritten by `decompose` and `workarounds`, or rejected by `unsupported`.
"""

from __future__ import annotations

from zkinfer.circuits.frontend.operators import COMPOSITE, words
from zkinfer.circuits.frontend.operators import REFUSED as NO_ENGINE

SUPPORTED = words(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip
    Concat Conv ConvTranspose Cos Cosh CumSum DepthToSpace Div Einsum Elu Equal Erf Exp Expand Flatten Floor GRU
    Gather GatherElements GatherND Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish
    Identity InstanceNormalization LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul
    Max MaxPool Mean Min Mul Neg Not Or PRelu Pad Pow RNN Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
    ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth Split
    Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu TopK Transpose Unsqueeze Where Xor
    """
)
# Rewritten by the frontend or by `decompose`.
REWRITTEN = words("CastLike Constant Dropout Tile")
# Supported if all inputs are constant: then the frontend evaluates them.
CONSTANT_ONLY = words(
    """
    BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Compress ConstantOfShape EyeLike IsInf IsNaN Mod NonZero
    Range Scatter Shape Size Trilu
    """
)

_FLOAT = "Export the float model: zkinfer quantises it itself."
_DYNAMIC = "Rewrite it so that every shape is fixed, for instance with a mask and Mul or Where."
_PLAIN = "Rewrite it with plain tensor operators and export again."
_RESIZE = "Export again with opset_version=17, with nearest interpolation."

_GROUPS: dict[str, tuple[str, str]] = {
    "ConvInteger DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul": (
        "belongs to a model that was quantised already",
        _FLOAT,
    ),
    "DequantizeLinear QuantizeLinear": (
        "quantises values that depend on the model's input; on constants it is fine",
        "Export the float model, or one in which only weights are quantised: zkinfer quantises the rest itself.",
    ),
    "Upsample": ("is an old form of Resize", _RESIZE),
    "GroupNormalization": (
        "makes the engine panic",
        "Use InstanceNormalization, LayerNormalization or BatchNormalization.",
    ),
    "Hardmax OneHot": (
        "has a result that the engine lets a prover choose",
        "Compare the indices (for Hardmax those of ArgMax) with 0, 1, 2, ... by Equal, and choose with Where.",
    ),
    "GlobalLpPool LpNormalization LpPool": ("is a norm that the engine computes wrongly or not at all", _PLAIN),
}
REFUSED = {name: why for names, why in _GROUPS.items() for name in names.split()}
_ALLOWED = SUPPORTED | COMPOSITE | REWRITTEN | CONSTANT_ONLY


def refusal(operator: str) -> tuple[str, str] | None:
    """Cause and cure if ezkl, but not every engine, rejects any model with this operator; otherwise None."""
    if operator in _ALLOWED or operator in NO_ENGINE:
        return None
    why, cure = REFUSED.get(operator, ("is not supported", _simplify(operator)))
    return f"Operator {operator} {why}.", cure


def remaining(operator: str) -> tuple[str, str] | None:
    """Cause and cure if the engine does not support an operator that is left after lowering; otherwise None."""
    if operator in SUPPORTED:
        return None
    if operator in CONSTANT_ONLY:
        return f"Operator {operator} depends on the model's input; it is supported on constants only.", _DYNAMIC
    return f"Operator {operator} is used in a way that cannot be rewritten for a circuit.", _simplify(operator)


def _simplify(operator: str) -> str:
    return f"Replace {operator[:80]} by supported operators (see docs/reference/operators.md), or simplify the model."
