"""The cause of a RangeError in terms of the model: the first node that got a value outside its domain.

Loaded in children only, after a refusal: an inference that succeeds does not pay for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK
from zkinfer.circuits.errors import OUT_OF_RANGE, ModelError, RangeError
from zkinfer.circuits.frontend.domains import DomainCheck
from zkinfer.circuits.frontend.graph import DTYPES, static_shape
from zkinfer.circuits.frontend.worker import reference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MODEL = "model.onnx"  # the owner's file, in a circuit folder
_NEAR = 2  # multiples of the scale's resolution
_CURE = "Check the input: outside its domain the operator gives NaN or infinity, of which there is no proof."


def explained(folder: Path, settings: dict[str, Any], sample: Sequence[Sequence[int]], error: RangeError) -> RangeError:
    """The error that names the node, if the model itself has no answer to a sample; else the error as it is.

    Args:
        folder: the circuit folder; without the owner's model there is nothing to explain.
        settings: the engine's settings of the program.
        sample: the integers of the context and of all inputs.
        error: the engine's refusal; one that names its cause is returned as it is.
    """
    if error.cause != OUT_OF_RANGE[0]:
        return error
    scales = settings["model_input_scales"][1:]
    try:
        check, ports = _checked_model(folder)
        feeds = {
            port.name: _floats(tensor, scale, port)
            for port, tensor, scale in zip(ports, sample[1:], scales, strict=True)
        }
        violation = check.violation(feeds, _NEAR * 2.0 ** -settings["run_args"]["input_scale"])
    except (OSError, ModelError, ValueError, OverflowError):
        return error
    return error if violation is None else RangeError(violation.cause, _CURE)


@lru_cache(maxsize=1)
def _checked_model(folder: Path) -> tuple[DomainCheck, list[onnx.ValueInfoProto]]:
    """The owner's model, and the inputs of the program without the context."""
    path = folder / _MODEL
    model = reference(str(path), str(sha256(path.read_bytes())))
    network = onnx.load(folder / NETWORK, load_external_data=False)
    return DomainCheck(model), list(network.graph.input)[1:]


def _floats(tensor: Sequence[int], scale: int, port: onnx.ValueInfoProto) -> np.ndarray[Any, Any]:
    dtype = np.dtype(DTYPES[port.type.tensor_type.elem_type])
    values = np.ldexp(np.array(tensor, np.float64), -scale) if dtype.kind == "f" else np.array(tensor)
    return values.astype(dtype).reshape(static_shape(port) or ())
