"""Groups of operators whose integers grow alike, for `ezkl_bounds` and `ezkl_growth`."""

from __future__ import annotations

from zkinfer.circuits.models.operators import words

WITH_BIAS = words("Conv ConvTranspose Gemm")
PRODUCTS = words("Conv ConvTranspose Einsum Gemm MatMul Mul")
SUMS = words("Add CumSum ReduceL1 ReduceSum Sub Sum")
PAIRS = words("Add Sub")
MEANS = words("AveragePool GlobalAveragePool Mean ReduceMean")
MERGED = words("AveragePool GlobalAveragePool ReduceMean ReduceSum")  # with a product before them
MOVES = words(
    """
    Cast Clip Concat DepthToSpace Expand Flatten Gather GatherElements GatherND GlobalMaxPool Identity Max MaxPool Min
    Neg Pad ReduceMax ReduceMin Reshape Resize ScatterElements ScatterND Slice SpaceToDepth Split Squeeze TopK
    Transpose Unsqueeze Where
    """
)
"""Move values, or choose among them: their results are as wide as what they are given, at one scale."""
COMPARISONS = words("Equal Greater GreaterOrEqual Less LessOrEqual")
LOGIC = words("And Not Or Xor")
VERDICTS = COMPARISONS | LOGIC | words("ArgMax ArgMin Sign")
ALIGNED = words("Add Clip Concat Max Mean Min Pad ScatterElements ScatterND Sub Sum Where") | VERDICTS  # at one scale
KEPT = words("Abs Relu")  # decomposed, at the scale they were given
ROUNDED = words("Ceil Floor Round")
BOUNDED = words("Acos Asin Atan Cos Erf Sigmoid Sin Tanh")  # looked up, of no more than 4
UNBOUNDED = words("Acosh Atanh Cosh Exp Log Sinh Tan")  # as wide as a table holds
GENTLE = words("Asinh HardSwish")
EXPONENTIAL = words("Celu Elu LogSoftmax ReduceLogSum ReduceLogSumExp Selu Softplus")
ROOTED = words("InstanceNormalization LayerNormalization")
RECURRENT = words("GRU LSTM RNN")
