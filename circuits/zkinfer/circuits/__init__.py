"""ONNX models to circuits: load, normalise, tune, compile, keys, trusted setups, and the seam to proving engines.

Names are imported on first use, so that a child process that parses a hostile model, or an auditor's script, loads
only the modules it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zkinfer.circuits.compile import Compiled, CompileOptions, compile_model
    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines import production_engines
    from zkinfer.circuits.errors import ZkinferError
    from zkinfer.circuits.export import Exported, export_torch
    from zkinfer.circuits.fidelity import Budget
    from zkinfer.circuits.frontend import inspect_model
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.circuits.srs import SetupStore
    from zkinfer.circuits.statement import Context
    from zkinfer.circuits.tensor_files import read_inputs, read_samples
    from zkinfer.circuits.tensors import TensorSpec

__all__ = [
    "Budget",
    "Circuit",
    "CompileOptions",
    "Compiled",
    "Context",
    "Digest",
    "Exported",
    "Home",
    "SetupStore",
    "TensorSpec",
    "ZkinferError",
    "compile_model",
    "export_torch",
    "inspect_model",
    "production_engines",
    "read_inputs",
    "read_samples",
]

_HOMES = {
    "Budget": "fidelity",
    "Circuit": "manifest",
    "CompileOptions": "compile",
    "Compiled": "compile",
    "Context": "statement",
    "Digest": "digest",
    "Exported": "export",
    "Home": "home",
    "SetupStore": "srs",
    "TensorSpec": "tensors",
    "ZkinferError": "errors",
    "compile_model": "compile",
    "export_torch": "export",
    "inspect_model": "frontend",
    "production_engines": "engines",
    "read_inputs": "tensor_files",
    "read_samples": "tensor_files",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any exported object
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
