"""The inference request and response of the Open Inference Protocol in JSON, with its binary tensor data extension.

A body is JSON, or JSON followed by the bytes of tensors; `Inference-Header-Content-Length` is the length of the JSON.
Tensors become raw contents of the gRPC message, so the checks of names, shapes and lengths are those of gRPC.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from zkinfer.circuits.errors import DataError
from zkinfer.oip import messages
from zkinfer.service.errors import BadFieldError, in_field
from zkinfer.service.oip.tensors import datatype_named, from_raw
from zkinfer.service.rest.bodies import Document, count_values, decoded, read_document
from zkinfer.service.rest.elements import raw_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.oip.messages import InferParameter, ModelInferRequest, ModelInferResponse
    from zkinfer.service.oip.tensors import Datatype

HEADER_LENGTH = "inference-header-content-length"
_INT64, _UINT64 = 1 << 63, 1 << 64
_BINARY_SIZE, _BINARY, _BINARY_OUTPUT = "binary_data_size", "binary_data", "binary_data_output"

Parameter = StrictBool | StrictInt | StrictFloat | StrictStr
Parameters = dict[str, Parameter]


class InputTensor(Document):
    """One input."""

    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 63)]], Field(max_length=256)]
    """The extent of every dimension."""
    datatype: str
    """BOOL, INT8 to INT64, UINT8 to UINT64, FP16, BF16, FP32 or FP64."""
    parameters: Parameters = Field(default_factory=dict)
    """`binary_data_size`: the number of bytes of this tensor after the JSON, instead of `data`."""
    data: list[Any] | None = None
    """The elements in row-major order: flat, or nested as the shape says."""


class RequestedOutput(Document):
    """An output to return."""

    name: str
    parameters: Parameters = Field(default_factory=dict)
    """`binary_data`: whether to return it after the JSON, as bytes."""


class InferRequest(Document):
    """A request for an inference."""

    id: str = ""
    parameters: Parameters = Field(default_factory=dict)
    """Those of zkinfer begin with `zkinfer_`; `binary_data_output` returns all outputs as bytes. Others are ignored."""
    inputs: Annotated[list[InputTensor], Field(max_length=256)]
    outputs: Annotated[list[RequestedOutput], Field(default_factory=list, max_length=256)]
    """Default: all outputs of the model."""


class OutputTensor(Document):
    """One output, with `data` or, if it was requested as bytes, with the parameter `binary_data_size`."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: list[bool] | list[int] | list[float] | list[str] | None = None
    """The elements in row-major order, flat."""


class InferResponse(Document):
    """The answer, and the reference to its proof."""

    model_name: str
    model_version: str
    id: str
    parameters: Parameters
    outputs: list[OutputTensor]


@dataclass(frozen=True, slots=True)
class OutputForms:
    """Which outputs are returned as bytes: those named, and the others by default."""

    named: Mapping[str, bool]
    default: bool

    def is_binary(self, name: str) -> bool:
        """Whether an output is returned as bytes."""
        return self.named.get(name, self.default)


@dataclass(slots=True)
class Decoded:
    """A decoded request, and the form of the response that it asks for."""

    request: ModelInferRequest
    forms: OutputForms


@dataclass(frozen=True, slots=True)
class InferenceDecoder:
    """Decodes the body of a request.

    Args:
        header_length: the header of that name; None if the body is JSON alone.
        model: name, of the path.
        version: of the path; empty for the newest.
    """

    header_length: str | None
    model: str
    version: str

    def count_numbers(self, data: bytes) -> int:
        """An upper bound of the values in the JSON; raises DataError if it has too many, or too many lists."""
        text, _ = self._parts(data)
        return count_values(text)

    async def decode(self, data: bytes) -> Decoded:
        """Decode it, in a thread if it is large; raises JsonError, BadFieldError, DataError."""
        return await decoded(data, self._decoded)

    def _parts(self, data: bytes) -> tuple[bytes, bytes]:
        """The JSON, and what follows it."""
        length = self.header_length
        if length is None:
            return data, b""
        if not (length.isascii() and length.isdecimal() and len(length) < 12 and 0 < int(length) <= len(data)):
            raise BadFieldError(
                HEADER_LENGTH, f"{length!r:.40} is not a number from 1 to {len(data):,}, the length of the body."
            )
        return data[: int(length)], data[int(length) :]

    def _decoded(self, data: bytes) -> Decoded:
        text, tail = self._parts(data)
        asked = read_document(text, InferRequest)
        forms = _forms(asked)
        request = messages.ModelInferRequest(model_name=self.model, model_version=self.version, id=asked.id)
        _set_parameters(request.parameters, asked.parameters, "parameters")
        for place, tensor in enumerate(asked.inputs):
            with in_field(f"inputs[{place}]"):
                raw, tail = _content(tensor, tail)
                found = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
                _set_parameters(found.parameters, tensor.parameters, "parameters")
                request.raw_input_contents.append(raw)
        for place, output in enumerate(asked.outputs):
            _set_parameters(request.outputs.add(name=output.name).parameters, output.parameters, f"outputs[{place}]")
        if tail:
            raise BadFieldError(
                "body", f"{len(tail):,} bytes follow the last tensor.", "Give each tensor's length as binary_data_size."
            )
        return Decoded(request, forms)


def _forms(asked: InferRequest) -> OutputForms:
    """The forms of the outputs; takes the parameters that say so away."""
    default = _flag(asked.parameters, _BINARY_OUTPUT, "parameters") or False
    named = {}
    for place, output in enumerate(asked.outputs):
        wanted = _flag(output.parameters, _BINARY, f"outputs[{place}].parameters")
        named[output.name] = default if wanted is None else wanted
    return OutputForms(named, default)


def _flag(parameters: Parameters, name: str, where: str) -> bool | None:
    value = parameters.pop(name, None)
    if not (value is None or isinstance(value, bool)):
        raise BadFieldError(f"{where}.{name}", "It must be true or false.")
    return value


def _set_parameters(target: Any, parameters: Parameters, field: str) -> None:  # noqa: ANN401 - a map of messages
    for name, value in parameters.items():
        _set_parameter(target[name], value, f"{field}.{name:.80}")


def _set_parameter(target: InferParameter, value: Parameter, field: str) -> None:
    match value:
        case bool():
            target.bool_param = value
        case int() if -_INT64 <= value < _INT64:
            target.int64_param = value
        case int() if 0 <= value < _UINT64:
            target.uint64_param = value
        case int():
            raise BadFieldError(field, "The number has more than 64 bits.", "Send large numbers as text.")
        case float():
            target.double_param = value
        case str():
            target.string_param = value


def _content(tensor: InputTensor, tail: bytes) -> tuple[bytes, bytes]:
    """The raw content of a tensor, and what is left of the bytes after the JSON."""
    size = tensor.parameters.pop(_BINARY_SIZE, None)
    if size is None and tensor.data is None and "shared_memory_region" not in tensor.parameters:
        raise DataError("It has neither data nor binary_data_size.", "Send the elements as one of them.")
    if size is None:
        return raw_of(tensor.data or [], tensor.shape, datatype_named(tensor.datatype)), tail
    if tensor.data is not None:
        raise DataError("It has both data and binary_data_size.", "Send the elements as one of them.")
    if type(size) is not int or not 0 <= size <= len(tail):
        raise DataError(
            f"Its binary_data_size is not a number from 0 to {len(tail):,}, the bytes that are left of the body."
        )
    return tail[:size], tail[size:]


def encoded_response(response: ModelInferResponse, forms: OutputForms) -> tuple[dict[str, str], bytes]:
    """Headers and body of a response; raises DataError for a value that JSON cannot express."""
    tails: list[bytes] = []
    outputs: list[dict[str, Any]] = []
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        shown = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if forms.is_binary(tensor.name):
            tails.append(raw)
            outputs.append(shown | {"parameters": {_BINARY_SIZE: len(raw)}})
        else:
            with in_field(f"outputs.{tensor.name}"):
                outputs.append(shown | {"data": _values(raw, datatype_named(tensor.datatype), tensor.shape)})
    document = {
        "model_name": response.model_name,
        "model_version": response.model_version,
        "id": response.id,
        "parameters": {name: _parameter(value) for name, value in sorted(response.parameters.items())},
        "outputs": outputs,
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    if not tails:
        return {"content-type": "application/json"}, text
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(text))}
    return headers, b"".join((text, *tails))


def _parameter(value: InferParameter) -> Parameter:
    found: Parameter = getattr(value, value.WhichOneof("parameter_choice") or "string_param")
    return found


def _values(raw: bytes, datatype: Datatype, shape: Sequence[int]) -> list[Any]:
    values = from_raw(raw, datatype, math.prod(shape))
    if datatype.name == "BYTES":
        return [item.decode() for item in values]
    if datatype.code[1:2] == "f" and not np.isfinite(values).all():
        raise DataError("It has a value that is not finite, which JSON cannot express.", "Request it with binary_data.")
    found: list[Any] = values.tolist()
    return found
