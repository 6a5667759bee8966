"""From answers to the tensors of a response: always raw, since that is what clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import blaming
from zkinfer.service.oip.datatypes import DATATYPES, datatype_of
from zkinfer.service.oip.raw import to_raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.oip.messages import ModelInferRequest, ModelInferResponse
    from zkinfer.service.oip.datatypes import Array

ATTESTATION = "zkinfer_attestation"
FLOAT_SUFFIX = ".float"
_LENGTH = 4
_NOT_SERVED = ("classification", "shared_memory_region")


def wanted_outputs(request: ModelInferRequest, specs: Sequence[TensorSpec]) -> list[str]:
    """The names of the outputs that are asked for, in that order; all of the model's where none is.

    Raises:
        BadFieldError: one that is unknown, repeated, or asked for in a form that is not served.
    """
    known = [spec.name for spec in specs]
    names: list[str] = []
    for place, output in enumerate(request.outputs[: len(specs) + 2]):
        with blaming(f"outputs[{place}]"):
            if output.name not in (*known, ATTESTATION):
                raise DataError(
                    f"The model has no output {output.name[:80]!r}.", f"It has {', '.join((*known, ATTESTATION))}."
                )
            if output.name in names:
                raise DataError(f"The output {output.name!r} is asked for twice.")
            if odd := [name for name in _NOT_SERVED if name in output.parameters]:
                raise DataError(f"{odd[0]} is not served.", "Ask for the output itself.")
        names.append(output.name)
    return names or known


def add_output(response: ModelInferResponse, name: str, array: Array) -> None:
    """Put one tensor behind those that are there."""
    datatype = datatype_of(array.dtype.name)
    response.outputs.add(name=name, datatype=datatype.name, shape=array.shape)
    response.raw_output_contents.append(to_raw(array, datatype))


def add_outputs(response: ModelInferResponse, arrays: Mapping[str, Array], names: Sequence[str]) -> None:
    """Put those that are asked for behind those that are there."""
    for name in names:
        if name in arrays:
            add_output(response, name, arrays[name])


def add_attestation(response: ModelInferResponse, attestation: bytes) -> None:
    """Put the attestation's file behind the tensors: one element of BYTES."""
    response.outputs.add(name=ATTESTATION, datatype=DATATYPES["BYTES"].name, shape=[1])
    response.raw_output_contents.append(len(attestation).to_bytes(_LENGTH, "little") + attestation)
