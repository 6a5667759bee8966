"""Untrusted ONNX files: look at them, bring them to one normal form, run them as the float reference.

Nothing here parses a model in the caller's process: each call starts a limited child (`zkinfer.circuits.child`).
"""

from zkinfer.circuits.models.calls import evaluate, inspect_model, model_digest, normalise_model, objections
from zkinfer.circuits.models.summary import (
    CONTEXT_INPUT,
    CONTEXT_OUTPUT,
    NORMALISER,
    ModelSummary,
    NormalisedModel,
    Objection,
    Port,
)
from zkinfer.circuits.models.workload import Layer, Workload

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
