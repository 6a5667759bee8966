"""Export torch modules to ONNX files, which are compared with torch and checked for support before they are written.

torch is an optional extra and is imported on first use. The module is the caller's own code: it runs in this process,
with all its permissions.
"""

from zkinfer.circuits.export.example_inputs import forward_inputs, random_inputs
from zkinfer.circuits.export.export import Exported, export_torch
from zkinfer.circuits.export.torch_backend import EXPORTERS, OPSET, Exporter, load_torch

__all__ = [
    "EXPORTERS",
    "OPSET",
    "Exported",
    "Exporter",
    "export_torch",
    "forward_inputs",
    "load_torch",
    "random_inputs",
]
