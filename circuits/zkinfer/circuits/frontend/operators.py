"""Operators that the frontend expands, replaces or rejects, for every engine. Does not import onnx."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text as a set, for readable tables of names."""
    return frozenset(text.split())


# Expanded into their definition in the ONNX standard.
COMPOSITE = words("Gelu MeanVarianceNormalization Mish RMSNormalization Swish")


# Of the domain ai.onnx.ml: replaced by `ml.rules`, or removed earlier (ZipMap).
CLASSICAL = words(
    """
    ArrayFeatureExtractor Imputer LinearClassifier LinearRegressor Normalizer Scaler TreeEnsemble
    TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
    """
)

_UNROLL = "Unroll it: export by tracing with fixed shapes (torch: dynamo=False and no data-dependent branches)."
_CLASSICAL_CURE = "Use trees or linear models, or convert to torch with hummingbird-ml and export that to ONNX."
_RANDOM = "Export in evaluation mode (torch: model.eval()), or feed the noise as an input."
_TEXT = "Turn text into numbers before the model."
_DYNAMIC = "Rewrite it so that every shape is fixed, for instance with a mask and Mul or Where."
_PLAIN = "Rewrite it with plain tensor operators and export again."

_GROUPS: dict[str, tuple[str, str]] = {
    "If Loop Scan SequenceMap": ("is control flow, which a circuit cannot have", _UNROLL),
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike": ("is random", _RANDOM),
    "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer": ("works on text", _TEXT),
    "NonMaxSuppression Unique": ("has a result whose size depends on the input", _DYNAMIC),
    "ConcatFromSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "SplitToSequence": ("works on sequences of tensors", "Use Split and Concat on tensors instead."),
    "Optional OptionalGetElement OptionalHasElement": ("works on optional values", _PLAIN),
    "ImageDecoder": ("decodes image files", "Decode images before the model."),
}
REFUSED = {name: why for names, why in _GROUPS.items() for name in names.split()}


def refusal(operator: str, domain: str = "") -> tuple[str, str] | None:
    """Cause and cure if no engine can support this operator; None if one might."""
    if domain == "ai.onnx.ml":
        if operator in CLASSICAL:
            return None
        return f"Operator {operator} of {domain} is not supported.", _CLASSICAL_CURE
    if domain not in ("", "ai.onnx"):
        return (
            f"Operator {operator} belongs to the custom domain {domain[:80]!r}.",
            "Export with standard ONNX operators only (domain ai.onnx).",
        )
    if operator not in REFUSED:
        return None
    why, cure = REFUSED[operator]
    return f"Operator {operator} {why}.", cure
