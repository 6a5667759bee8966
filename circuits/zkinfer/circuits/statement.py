"""The statement of a proof: its context, inputs and outputs, in one form for all engines, verifiers and contracts.

Engines may encode a statement in field elements in any way; attestations, requests and contracts do not depend on it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.tensors import Visibility

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zkinfer.circuits.tensors import TensorSpec

Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
Word = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
ZERO_ADDRESS = "0x" + "00" * 20
DIGEST_BYTES = 32
MAX_VALUES = 1 << 17
OUTPUT_LIMIT = 1 << 63
"""Every output is smaller than this in magnitude."""
_WIDTHS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Statement:
    """The public values that a proof is about.

    Args:
        context: the 32 bytes that bind the proof to one request: `Context.hash`.
        inputs: encoded as in the program's `Layout`: packed integers, digests, or nothing.
        outputs: the integers of all output tensors, one after the other, each smaller than 2^63 in magnitude.
    """

    context: bytes
    inputs: bytes
    outputs: tuple[int, ...]


class Context(BaseModel):
    """The request that a proof answers: five fields, written as on an EVM chain (lower-case hex).

    Without a chain, `chain_id` is 0 and `consumer` the zero address. `expiry` is in Unix seconds; 0 means that the
    request does not expire.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    chain_id: Annotated[int, Field(ge=0, lt=1 << 256, alias="chainId")] = 0
    consumer: Address = ZERO_ADDRESS
    request_id: Annotated[Word, Field(alias="requestId")]
    requester: Address = ZERO_ADDRESS
    expiry: Annotated[int, Field(ge=0, lt=1 << 64)] = 0

    @classmethod
    def offline(cls) -> Self:
        """A context for a proof outside any chain, with a fresh random request id."""
        return cls.model_validate({"requestId": "0x" + secrets.token_hex(32)})

    @property
    def abi_encoded(self) -> bytes:
        """Five 32-byte words: the ABI encoding of (uint256, address, bytes32, address, uint256)."""
        fields = (
            self.chain_id,
            int(self.consumer, 16),
            int(self.request_id, 16),
            int(self.requester, 16),
            self.expiry,
        )
        return b"".join(field.to_bytes(32, "big") for field in fields)

    @property
    def hash(self) -> bytes:
        """The 32 bytes in a statement: keccak256 of `abi_encoded`."""
        return keccak256(self.abi_encoded).value


class Layout(BaseModel):
    """How the inputs and outputs of a statement are encoded.

    `inputs` is the number of integers if the inputs are public, the number of digests if they are hashed, and 0 if they
    are private. `input_width` is the size of each in bytes; `signed` says whether public integers are in two's
    complement.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)

    visibility: Visibility
    input_width: Annotated[int, Field(ge=0, le=DIGEST_BYTES)]
    signed: bool
    inputs: Annotated[int, Field(ge=0, le=MAX_VALUES)]
    outputs: Annotated[int, Field(ge=1, le=MAX_VALUES)]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        widths = {"public": _WIDTHS, "hashed": (DIGEST_BYTES,), "private": (0,)}[self.visibility]
        if self.input_width not in widths or (self.inputs == 0) != (self.visibility == "private"):
            raise ValueError(f"{self.visibility} inputs cannot have {self.inputs} values of {self.input_width} bytes")
        if self.visibility != "public" and self.signed:
            raise ValueError("only public inputs have a sign")
        return self

    @classmethod
    def of(
        cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], *, least: int, largest: int, signed: bool
    ) -> Self:
        """The narrowest layout for these tensors, which all have one visibility.

        Args:
            inputs: in the program's order.
            outputs: in the program's order.
            least: the smallest integer that any input may hold.
            largest: the largest integer that any input may hold.
            signed: whether the engine reads public integers in two's complement.
        """
        visibility, count = inputs[0].visibility, sum(spec.size for spec in outputs)
        if visibility == "public":
            width = _width(least, largest, signed=signed)
            total = sum(spec.size for spec in inputs)
            return cls(visibility=visibility, input_width=width, signed=signed, inputs=total, outputs=count)
        if visibility == "hashed":
            return cls(visibility=visibility, input_width=32, signed=False, inputs=len(inputs), outputs=count)
        return cls(visibility=visibility, input_width=0, signed=False, inputs=0, outputs=count)

    @property
    def input_bytes(self) -> int:
        """Exact length of a statement's `inputs`."""
        return self.inputs * self.input_width

    def pack(self, integers: Iterable[int]) -> bytes:
        """Encode the integers of all public inputs, row-major, big-endian.

        Raises:
            InputError: an integer does not fit the width, or their number differs from the layout's.
        """
        try:
            packed = b"".join(value.to_bytes(self.input_width, "big", signed=self.signed) for value in integers)
        except OverflowError as err:
            raise InputError(
                f"An input does not fit {self.input_width} bytes.", "It is outside the circuit's range."
            ) from err
        if self.visibility != "public" or len(packed) != self.input_bytes:
            raise InputError(
                f"The statement has {self.inputs} public integers, not {len(packed) // max(1, self.input_width)}."
            )
        return packed

    def unpack(self, inputs: bytes) -> list[int]:
        """Decode the integers that `pack` encoded; raises InputError unless they are public and of the right length."""
        if self.visibility != "public" or len(inputs) != self.input_bytes:
            raise InputError(f"The statement's inputs have {len(inputs)} bytes; the layout has {self.input_bytes}.")
        return [
            int.from_bytes(inputs[at : at + self.input_width], "big", signed=self.signed)
            for at in range(0, len(inputs), self.input_width)
        ]

    def digests(self, inputs: bytes) -> list[bytes]:
        """The digest of each hashed input; raises InputError unless they are hashed and of the right length."""
        if self.visibility != "hashed" or len(inputs) != self.input_bytes:
            raise InputError(f"The statement's inputs have {len(inputs)} bytes; the layout has {self.input_bytes}.")
        return [inputs[at : at + DIGEST_BYTES] for at in range(0, len(inputs), DIGEST_BYTES)]


def split_by_tensor(integers: Sequence[int], specs: Sequence[TensorSpec]) -> dict[str, list[int]]:
    """Split the integers of all tensors into those of each, by name; raises InputError if the counts differ."""
    if len(integers) != sum(spec.size for spec in specs):
        raise InputError(f"There are {len(integers)} integers for tensors of {sum(spec.size for spec in specs)}.")
    tensors, start = {}, 0
    for spec in specs:
        tensors[spec.name] = list(integers[start : start + spec.size])
        start += spec.size
    return tensors


def output_words(outputs: Iterable[int]) -> bytes:
    """The outputs as the elements of a contract's `int256[]`: 32 bytes each, two's complement, big-endian."""
    return b"".join(value.to_bytes(32, "big", signed=True) for value in outputs)


def _width(least: int, largest: int, *, signed: bool) -> int:
    for width in _WIDTHS:
        bits = 8 * width - signed
        if -(1 << bits) * signed <= least and largest < 1 << bits:
            return width
    raise InputError(f"Integers from {least} to {largest} do not fit 8 bytes.", "Use a smaller scale for the inputs.")
