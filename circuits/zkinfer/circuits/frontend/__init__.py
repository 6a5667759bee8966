"""Untrusted ONNX files: look at them, bring them to one normal form, run them as the float reference.

Nothing here parses a model in the caller's process: each call starts a child with limits
(`zkinfer.circuits.sandbox.child`).
"""

from zkinfer.circuits.frontend.api import evaluate, inspect_model, model_digest, normalise_model, objections
from zkinfer.circuits.frontend.summary import (
    CONTEXT_INPUT,
    CONTEXT_OUTPUT,
    NORMALISER,
    Layer,
    ModelSummary,
    NormalisedModel,
    Objection,
    Port,
    Workload,
)

__all__ = [
    "CONTEXT_INPUT",
    "CONTEXT_OUTPUT",
    "NORMALISER",
    "Layer",
    "ModelSummary",
    "NormalisedModel",
    "Objection",
    "Port",
    "Workload",
    "evaluate",
    "inspect_model",
    "model_digest",
    "normalise_model",
    "objections",
]
