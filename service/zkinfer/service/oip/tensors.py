"""Tensors of requests and responses: decode raw or typed contents after checking sizes, encode outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import MAX_ELEMENTS, MAX_RANK, describe_all
from zkinfer.service.errors import in_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.oip.messages import InferTensorContents, ModelInferRequest, ModelInferResponse

    InferInputTensor = ModelInferRequest.InferInputTensor
    Array = NDArray[np.generic]


_LENGTH_PREFIX = 4


def from_raw(data: bytes, datatype: Datatype, count: int) -> Array:
    """Decode `count` elements into a flat array; the length is checked before anything is allocated.

    Raises:
        DataError: the number of bytes does not match datatype and count, or a BOOL is neither 0 nor 1.
    """
    if datatype.name == "BYTES":
        return _strings(data, count)
    wanted = count * datatype.width
    if len(data) != wanted:
        raise DataError(
            f"The raw content has {len(data):,} bytes; {count:,} elements of {datatype.name} are {wanted:,}.",
            "Send each element at full width, little-endian.",
        )
    if datatype.name == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    if datatype.name == "BOOL" and data.strip(b"\0\1"):
        raise DataError("A BOOL must be the byte 0 or 1.")
    return np.frombuffer(data, datatype.code)


def to_raw(array: Array, datatype: Datatype) -> bytes:
    """Encode an array as raw bytes; BF16 rounds half to even, and NaN stays NaN."""
    if datatype.name == "BYTES":
        return b"".join(len(item).to_bytes(_LENGTH_PREFIX, "little") + item for item in array.ravel().tolist())
    flat = np.ascontiguousarray(array, datatype.code)
    if datatype.name == "BF16":
        bits = flat.view("<u4")
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        quiet = (bits >> 16) | 0x40
        return np.where(np.isnan(flat), quiet, rounded).astype("<u2").tobytes()
    return flat.tobytes()


def _strings(data: bytes, count: int) -> Array:
    if len(data) < count * _LENGTH_PREFIX:
        raise DataError(f"The raw content has {len(data):,} bytes, too few for {count:,} elements of BYTES.")
    found, place = np.empty(count, dtype=object), 0
    for number in range(count):
        length = int.from_bytes(data[place : place + _LENGTH_PREFIX], "little")
        start = place + _LENGTH_PREFIX
        place = start + length
        if start > len(data) or place > len(data):
            raise DataError(f"Element {number:,} of BYTES extends beyond the end of the raw content.")
        found[number] = data[start:place]
    if place != len(data):
        raise DataError(f"{len(data) - place:,} bytes are left over after {count:,} elements of BYTES.")
    return found


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype.

    Args:
        name: in the protocol.
        code: the numpy type of the decoded array, little-endian; `O` for bytes.
        width: bytes per element; 0 for length-prefixed elements.
        contents: the field of typed contents; empty if there is none.
    """

    name: str
    code: str
    width: int
    contents: str = ""


_ALL = (
    Datatype("BOOL", "?", 1, "bool_contents"),
    Datatype("INT8", "<i1", 1, "int_contents"),
    Datatype("INT16", "<i2", 2, "int_contents"),
    Datatype("INT32", "<i4", 4, "int_contents"),
    Datatype("INT64", "<i8", 8, "int64_contents"),
    Datatype("UINT8", "<u1", 1, "uint_contents"),
    Datatype("UINT16", "<u2", 2, "uint_contents"),
    Datatype("UINT32", "<u4", 4, "uint_contents"),
    Datatype("UINT64", "<u8", 8, "uint64_contents"),
    Datatype("FP16", "<f2", 2),
    Datatype("BF16", "<f4", 2),
    Datatype("FP32", "<f4", 4, "fp32_contents"),
    Datatype("FP64", "<f8", 8, "fp64_contents"),
    Datatype("BYTES", "O", 0, "bytes_contents"),
)
DATATYPES = {datatype.name: datatype for datatype in _ALL}
_OF_DTYPE = {np.dtype(one.code).name: one for one in _ALL if one.name != "BF16"}


def datatype_named(name: str) -> Datatype:
    """The datatype of this name; raises DataError for an unknown name."""
    found = DATATYPES.get(name)
    if found is None:
        raise DataError(
            f"{name[:40]!r} is not a datatype of the protocol.", f"The datatypes are {', '.join(DATATYPES)}."
        )
    return found


def datatype_of(dtype: str) -> Datatype:
    """The datatype of a tensor, by the name of its numpy type."""
    return _OF_DTYPE[dtype]


ATTESTATION = "zkinfer_attestation"
FLOAT_SUFFIX = ".float"
_UNSUPPORTED_PARAMETERS = ("classification", "shared_memory_region")


def wanted_outputs(request: ModelInferRequest, specs: Sequence[TensorSpec]) -> list[str]:
    """The names of the requested outputs, in order; all outputs of the model by default.

    Raises:
        BadFieldError: an output is unknown, repeated, or requested in an unsupported form.
    """
    known = [spec.name for spec in specs]
    names: list[str] = []
    for place, output in enumerate(request.outputs[: len(specs) + 2]):
        with in_field(f"outputs[{place}]"):
            if output.name not in (*known, ATTESTATION):
                raise DataError(
                    f"The model has no output {output.name[:80]!r}.", f"It has {', '.join((*known, ATTESTATION))}."
                )
            if output.name in names:
                raise DataError(f"The output {output.name!r} is requested twice.")
            if unsupported := [name for name in _UNSUPPORTED_PARAMETERS if name in output.parameters]:
                raise DataError(f"{unsupported[0]} is not supported.", "Request the output itself.")
        names.append(output.name)
    return names or known


def add_output(response: ModelInferResponse, name: str, array: Array) -> None:
    """Append one tensor."""
    datatype = datatype_of(array.dtype.name)
    response.outputs.add(name=name, datatype=datatype.name, shape=array.shape)
    response.raw_output_contents.append(to_raw(array, datatype))


def add_outputs(response: ModelInferResponse, arrays: Mapping[str, Array], names: Sequence[str]) -> None:
    """Append the requested tensors."""
    for name in names:
        if name in arrays:
            add_output(response, name, arrays[name])


def add_attestation(response: ModelInferResponse, attestation: bytes) -> None:
    """Append the attestation file as one element of BYTES."""
    response.outputs.add(name=ATTESTATION, datatype=DATATYPES["BYTES"].name, shape=[1])
    response.raw_output_contents.append(len(attestation).to_bytes(_LENGTH_PREFIX, "little") + attestation)


_FIELDS = sorted({datatype.contents for datatype in DATATYPES.values() if datatype.contents})
_SHARED_MEMORY = "shared_memory_region"


def arrays_of(request: ModelInferRequest, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """The inputs by name, with the shapes and datatypes that the caller sent.

    Args:
        request: has either one raw content for each input, in order, or typed contents, never both.
        specs: the model's inputs.

    Raises:
        BadFieldError: an input is missing, unknown or repeated, or has the wrong shape, datatype or length.
    """
    with in_field("inputs"):
        _check_names([tensor.name for tensor in request.inputs[: len(specs) + 1]], len(request.inputs), specs)
    raw = request.raw_input_contents
    with in_field("raw_input_contents"):
        if raw and len(raw) != len(request.inputs):
            raise DataError(
                f"There are {len(raw):,} raw contents for {len(request.inputs)} inputs.", "Send one for each, in order."
            )
    by_name = {spec.name: spec for spec in specs}
    arrays = {}
    for place, tensor in enumerate(request.inputs):
        with in_field(f"inputs[{place}]"):
            arrays[tensor.name] = _array(tensor, raw[place] if raw else None, by_name[tensor.name])
    return arrays


def _check_names(names: Sequence[str], count: int, specs: Sequence[TensorSpec]) -> None:
    known = {spec.name for spec in specs}
    if unknown := [name for name in names if name not in known]:
        raise DataError(f"The model has no input {unknown[0][:80]!r}.", f"It takes {describe_all(specs)}.")
    if repeated := _repeated(names):
        raise DataError(f"The input {repeated!r} is given twice.", f"The model takes {describe_all(specs)}.")
    if count != len(specs):
        absent = sorted(known - set(names))
        raise DataError(f"The input {absent[0]!r} is missing.", f"The model takes {describe_all(specs)}.")


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _array(tensor: InferInputTensor, raw: bytes | None, spec: TensorSpec) -> Array:
    if _SHARED_MEMORY in tensor.parameters:
        raise DataError("Inputs in shared memory are not supported.", "Send the bytes in the request.")
    datatype = datatype_named(tensor.datatype)
    if datatype.name == "BYTES":
        raise DataError(f"Input {spec.name!r} is BYTES.", f"The model takes {spec.describe()}.")
    _check_shape(tensor.shape, spec)
    with in_field("contents"):
        return _elements(tensor, datatype, raw, spec.size).reshape(tuple(tensor.shape))


def _check_shape(shape: Sequence[int], spec: TensorSpec) -> None:
    if len(shape) > MAX_RANK or any(not 0 < extent <= MAX_ELEMENTS for extent in shape):
        raise DataError(
            f"The shape of {spec.name!r} is out of range.",
            f"Use up to {MAX_RANK} dimensions of 1 to {MAX_ELEMENTS:,}; the model takes {spec.describe()}.",
        )
    if math.prod(shape) != spec.size:
        raise DataError(f"Input {spec.name!r} has shape {list(shape)}.", f"The model takes {spec.describe()}.")


def _elements(tensor: InferInputTensor, datatype: Datatype, raw: bytes | None, count: int) -> Array:
    if raw is None:
        return from_contents(tensor.contents, datatype, count)
    if tensor.HasField("contents"):
        raise DataError("There are both raw and typed contents.", "Send one kind for all inputs.")
    return from_raw(raw, datatype, count)


def from_contents(contents: InferTensorContents, datatype: Datatype, count: int) -> Array:
    """Decode typed contents into a flat array of `count` elements.

    Raises:
        DataError: the number of elements or the field is wrong, or a value exceeds the datatype.
    """
    if not datatype.contents:
        raise DataError(f"{datatype.name} has no typed contents.", "Send it in raw_input_contents.")
    if unsupported := [name for name in _FIELDS if name != datatype.contents and len(getattr(contents, name))]:
        raise DataError(f"{datatype.name} belongs in {datatype.contents}, not in {unsupported[0]}.")
    values: Sequence[Any] = getattr(contents, datatype.contents)
    if len(values) != count:
        raise DataError(f"{datatype.contents} has {len(values):,} elements; the shape needs {count:,}.")
    if datatype.name == "BYTES":
        return np.fromiter(values, dtype=object, count=count)
    array = np.fromiter(values, dtype=_field_dtype(datatype), count=count)
    narrow = array.astype(datatype.code)
    if datatype.code[1:2] in "iu" and (narrow != array).any():
        raise DataError(f"A value does not fit {datatype.name}.")
    return narrow


def _field_dtype(datatype: Datatype) -> str:
    """The numpy type of the elements of a typed field."""
    return {"int_contents": "<i4", "uint_contents": "<u4"}.get(datatype.contents, datatype.code)
