"""What a proof was made for: one request, of one requester, for one consumer on one chain, until a time.

Its hash is part of every statement, so a proof made for one request cannot serve another. A contract computes the same
value with `keccak256(abi.encode(chainId, consumer, requestId, requester, expiry))`.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from zkinfer.circuits.digest import keccak256

Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
Word = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
ZERO_ADDRESS = "0x" + "00" * 20


class Context(BaseModel):
    """The five fields of a request, spelt as on an EVM chain (lower-case hex).

    Without a chain, `chain_id` is 0 and `consumer` the zero address. `expiry` is in Unix seconds; 0 means that
    the request does not expire.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    chain_id: Annotated[int, Field(ge=0, lt=1 << 256, alias="chainId")] = 0
    consumer: Address = ZERO_ADDRESS
    request_id: Annotated[Word, Field(alias="requestId")]
    requester: Address = ZERO_ADDRESS
    expiry: Annotated[int, Field(ge=0, lt=1 << 64)] = 0

    @classmethod
    def offline(cls) -> Self:
        """A context for a proof that no chain asked for, with a fresh random request id."""
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
        """The 32 bytes that a statement carries: keccak256 of `abi_encoded`."""
        return keccak256(self.abi_encoded).value
