"""Where a program departs from its model: constants that it holds as 0, and inputs for which the model has no answer.

The engine chooses the scale of a constant from its neighbours, after its reader of ONNX has changed them, and forgets
the float. The scales are therefore found by a probe: the same network with a marker in place of every small constant.
The values of constants do not affect scales, and the compiled program shows the markers as integers.

A RangeError of an inference is explained in terms of the model: by the first node that got a value outside its domain.
Imported in the child only, and by sessions after a refusal only: an inference that succeeds does not pay for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK
from zkinfer.circuits.errors import OUT_OF_RANGE, ModelError, RangeError
from zkinfer.circuits.frontend.domains import DomainCheck
from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, attributes, constant, static_shape
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.validate import label
from zkinfer.circuits.frontend.worker import reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


_READERS = words("Add Clip Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mul Sub Where")
_NORMALISATIONS = words("GroupNormalization InstanceNormalization LayerNormalization")
_MARKED = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)  # markers are no whole numbers in these types
_SMALL = 2.0**-3  # larger constants are held by every scale that the search considers
_MAX_ELEMENTS, _MAX_CONSTANTS = 1 << 12, 256
_FIRST_MARKER, _BETWEEN_MARKERS = 1500.37, 5.13  # all markers are within one octave, so that no two look alike
_SCALES = range(64)
_MAX_SENTENCES = 8


@dataclass(frozen=True, slots=True)
class LostConstant:
    """A constant of which every element is 0 in the program, though not in the model.

    `value` is the element of the largest magnitude; `steps` is the scale at which the program holds the constant.
    """

    value: float
    steps: int

    @property
    def missing_bits(self) -> int:
        """The number of bits by which the scale is too small to hold the value to within a third."""
        return max(1, math.ceil(-math.log2(abs(self.value)) - self.steps))


def lost_constants(network: Path, settings: Path) -> dict[bytes, LostConstant]:
    """The lost constants of a network under the engine's settings, by the bytes of the constant.

    Constants that the engine merges into others are not found. The probe is written beside the settings.
    """
    model = onnx.load(network)
    markers = _with_markers(model.graph)
    if not markers:
        return {}
    probe = settings.with_name("probe.onnx")
    probe.write_bytes(model.SerializeToString())
    with bindings.compiled(probe, settings) as path:
        program = _read(path)
    found = ((key, _largest(key), _scale_of(marker, program)) for key, marker in markers.items())
    return {
        key: LostConstant(value, scale)
        for key, value, scale in found
        if scale is not None and abs(value) * 2.0**scale < 0.5
    }


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - a descriptor of this process
        return file.read()


class _Markers:
    """Markers that replace constants, by the constant's bytes; equal constants share one."""

    def __init__(self) -> None:
        self.found: dict[bytes, float] = {}

    def of(self, values: NDArray[Any] | float) -> float | None:
        """The marker of a constant; None if it needs none."""
        array = np.asarray(values, np.float32)
        key = array.tobytes()
        if array.size > _MAX_ELEMENTS or not 0 < np.abs(array).max(initial=0.0) < _SMALL:
            return None
        if key not in self.found and len(self.found) == _MAX_CONSTANTS:
            return None
        return self.found.setdefault(key, _FIRST_MARKER + _BETWEEN_MARKERS * len(self.found))


def _with_markers(graph: onnx.GraphProto) -> dict[bytes, float]:
    """Replace small constants of elementwise operators, and epsilons, by markers, in place."""
    markers = _Markers()
    read = {name for node in graph.node if node.op_type in _READERS for name in node.input}
    factors = {name for node in graph.node if node.op_type in ("Div", "Mul") for name in node.input}
    for tensor in graph.initializer:
        if tensor.name in read and tensor.data_type in _MARKED:
            array = numpy_helper.to_array(tensor)
            renames = tensor.name in factors and _are_powers_of_two(array)  # the engine changes the scale instead
            marker = None if renames else markers.of(array)
            if marker is not None:
                tensor.CopyFrom(constant(tensor.name, np.full_like(array, marker)))
    for node in graph.node:
        marker = markers.of(attributes(node).get("epsilon", 1e-5)) if node.op_type in _NORMALISATIONS else None
        if marker is not None:
            _set_epsilon(node, marker)
    return markers.found


def _are_powers_of_two(array: NDArray[Any]) -> bool:
    return bool((np.abs(np.frexp(array)[0]) == 0.5).all())


def _set_epsilon(node: onnx.NodeProto, value: float) -> None:
    kept = [entry for entry in node.attribute if entry.name != "epsilon"]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("epsilon", value)])


def _largest(key: bytes) -> float:
    array = np.frombuffer(key, np.float32)
    return float(array[np.abs(array).argmax()])


def _scale_of(marker: float, program: bytes) -> int | None:
    """The smallest scale at which a marker stands in a program."""
    value = float(np.float32(marker))
    return next((scale for scale in _SCALES if _word(math.floor(value * 2.0**scale + 0.5)) in program), None)


def _word(integer: int) -> bytes:
    return integer.to_bytes(32, "little")


def sentences(lost: dict[bytes, LostConstant], original: onnx.ModelProto) -> list[str]:
    """One sentence for the model's owner on each lost constant: node, value, scale and effect."""
    said = list(dict.fromkeys(_sentence(key, one, original.graph) for key, one in lost.items()))
    more = len(said) - _MAX_SENTENCES
    return [*said[:_MAX_SENTENCES], *([f"{more} more constants are 0 in this circuit"] if more > 0 else [])]


def _sentence(key: bytes, lost: LostConstant, graph: onnx.GraphProto) -> str:
    node = _reader(np.abs(np.frombuffer(key, np.float32)), graph)
    where = "" if node is None else f" of {node.op_type} {label(node)}"
    return (
        f"the constant {abs(lost.value):.6g}{where} is 0 in this circuit: the scale there is {lost.steps}, in steps of "
        f"{2.0**-lost.steps:.3g}, and {lost.missing_bits} more bits would hold it. Where the model depends on it, as "
        "for inputs much smaller than the samples, the circuit answers as if it were 0, or has no proof"
    )


def _reader(wanted: Floats, graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The first node of the model that has a constant of these magnitudes, as an operand or as an attribute."""
    names = {name for name, values in _values(graph) if values.size == wanted.size and (abs(values) == wanted).all()}
    for node in graph.node:
        if names.intersection(node.input) or (wanted.size == 1 and wanted[0] in _numbers(node)):
            return node
    return None


def _values(graph: onnx.GraphProto) -> Iterator[tuple[str, Floats]]:
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= _MAX_ELEMENTS and tensor.data_type in FLOATS:
            yield tensor.name, numpy_helper.to_array(tensor).astype(np.float32).ravel()
    for node in graph.node:
        value = attributes(node).get("value") if node.op_type == "Constant" else None
        if isinstance(value, onnx.TensorProto) and value.data_type in FLOATS:
            yield node.output[0], numpy_helper.to_array(value).astype(np.float32).ravel()


def _numbers(node: onnx.NodeProto) -> list[np.float32]:
    """Magnitudes of the numbers among a node's attributes; normalisations have a default epsilon."""
    given = attributes(node)
    if node.op_type in _NORMALISATIONS:
        given.setdefault("epsilon", 1e-5)
    return [np.float32(abs(value)) for value in given.values() if isinstance(value, float)]


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
