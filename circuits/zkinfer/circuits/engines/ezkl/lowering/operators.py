"""Which ONNX operators a circuit can take. A table, without any import of onnx.

`SUPPORTED` was measured: every operator in it ran through ezkl 23.0.5 in small graphs, and in the forms that pass
`capabilities` the answer agreed with onnxruntime's within quantisation. The engine accepts more and answers *wrongly*:
whole operators (Trilu, GlobalLpPool, QuantizeLinear, MatMulInteger) are refused here; wrong forms of supported ones
(Cast of fractions to integers or bool, MaxPool that pads, negative indices, Equal read as a number, Pow with
a negative exponent, CumSum backwards, ...) are rewritten by `lowering` and `repairs`, or refused by `capabilities`.
"""

from __future__ import annotations

from zkinfer.circuits.frontend.operators import CLASSICAL, COMPOSITE, words

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
# Replaced by the normaliser itself.
REWRITTEN = words("CastLike Constant Dropout Tile")
# Fine where every input is constant: then the normaliser computes them.
CONSTANT_ONLY = words(
    """
    BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Compress ConstantOfShape EyeLike IsInf IsNaN Mod NonZero
    Range Scatter Shape Size Trilu
    """
)

_UNROLL = "Unroll it: export by tracing with fixed shapes (torch: dynamo=False and no data-dependent branches)."
_CLASSICAL_CURE = "Use trees or linear models, or convert to torch with hummingbird-ml and export that to ONNX."
_FLOAT = "Export the float model: zkinfer quantises it itself."
_RANDOM = "Export in evaluation mode (torch: model.eval()), or feed the noise as an input."
_TEXT = "Turn text into numbers before the model."
_DYNAMIC = "Rewrite it so that every shape is fixed, for instance with a mask and Mul or Where."
_PLAIN = "Rewrite it with plain tensor operators and export again."
_RESIZE = "Export again with opset_version=17, with nearest interpolation."

_GROUPS: dict[str, tuple[str, str]] = {
    "If Loop Scan SequenceMap": ("is control flow, which no circuit has", _UNROLL),
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike": ("is random", _RANDOM),
    "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer": ("works on text", _TEXT),
    "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear": (
        "belongs to a model that was quantised already",
        _FLOAT,
    ),
    "NonMaxSuppression Unique": ("has a result whose size depends on the input", _DYNAMIC),
    "ConcatFromSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "SplitToSequence": ("works on sequences of tensors", "Use Split and Concat on tensors instead."),
    "Optional OptionalGetElement OptionalHasElement": ("works on optional values", _PLAIN),
    "Upsample": ("is an old form of Resize", _RESIZE),
    "ImageDecoder": ("decodes image files", "Decode images before the model."),
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


def refusal(operator: str, domain: str = "") -> tuple[str, str] | None:
    """Cause and cure where no model with this operator can be taken; None where one might."""
    if domain not in ("", "ai.onnx"):
        return _foreign(operator, domain)
    if operator in _ALLOWED:
        return None
    why, cure = REFUSED.get(operator, ("is none that circuits support", _simplify(operator)))
    return f"Operator {operator} {why}.", cure


def remaining(operator: str) -> tuple[str, str] | None:
    """Cause and cure where this operator is still there after normalising and the engine cannot take it."""
    if operator in SUPPORTED:
        return None
    if operator in CONSTANT_ONLY:
        return f"Operator {operator} depends on the model's input; circuits take it on constants only.", _DYNAMIC
    return f"Operator {operator} is used in a way that cannot be rewritten for a circuit.", _simplify(operator)


def _foreign(operator: str, domain: str) -> tuple[str, str] | None:
    if domain == "ai.onnx.ml":
        return (
            None
            if operator in CLASSICAL
            else (f"Operator {operator} of {domain} is none that circuits support.", _CLASSICAL_CURE)
        )
    return f"Operator {operator} belongs to the custom domain {domain[:80]!r}.", (
        "Export with standard ONNX operators only (domain ai.onnx)."
    )


def _simplify(operator: str) -> str:
    return f"Replace {operator[:80]} by supported operators (docs/operators.md lists them), or simplify the model."
