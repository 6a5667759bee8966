"""Operator names that the frontend itself expands, for every engine."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text, for tables that one can read."""
    return frozenset(text.split())


# Expanded into the nodes that the ONNX standard defines them with.
COMPOSITE = words("Gelu MeanVarianceNormalization Mish RMSNormalization Swish")


# Of the domain ai.onnx.ml: turned into plain operators by `classical`, or gone already (ZipMap).
CLASSICAL = words(
    """
    ArrayFeatureExtractor Imputer LinearClassifier LinearRegressor Normalizer Scaler TreeEnsemble
    TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
    """
)
