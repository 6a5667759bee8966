"""Inspect untrusted ONNX files, convert them to one normal form, and run them as the float reference.

Models are never parsed in the caller's process: each call starts a child with limits
(`zkinfer.circuits.sandbox.child`).
"""

from zkinfer.circuits.frontend.api import (
    evaluate,
    findings,
    first_bad_index,
    inspect_model,
    model_digest,
    normalise_model,
    write_scores,
)
from zkinfer.circuits.frontend.summary import (
    NORMALISER,
    Finding,
    Layer,
    ModelSummary,
    NormalisedModel,
    Port,
    Workload,
)

__all__ = [
    "NORMALISER",
    "Finding",
    "Layer",
    "ModelSummary",
    "NormalisedModel",
    "Port",
    "Workload",
    "evaluate",
    "findings",
    "first_bad_index",
    "inspect_model",
    "model_digest",
    "normalise_model",
    "write_scores",
]
