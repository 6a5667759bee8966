"""Torch modules to ONNX files: exported, compared with torch's own answers, and judged before they are written.

torch is an optional extra and is imported when a call needs it. The module is code of the caller's: it runs in this
process, with all that the process may do.
"""

from zkinfer.circuits.export.example_inputs import forward_inputs, random_inputs
from zkinfer.circuits.export.export import Exported, export_torch
from zkinfer.circuits.export.torch_backend import EXPORTERS, OPSET, Exporter, load

__all__ = ["EXPORTERS", "OPSET", "Exported", "Exporter", "export_torch", "forward_inputs", "load", "random_inputs"]
