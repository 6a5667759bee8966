"""What the ledger's events hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from zkinfer.contracts import Request, load
from zkinfer.contracts.abi import signature_of, type_of
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.hashing import keccak256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _event(name: str) -> dict[str, Any]:
    return next(one for one in load("InferenceLedger").abi if one["type"] == "event" and one["name"] == name)


_REQUESTED: Final = _event("Requested")
REQUESTED: Final = keccak256(signature_of(_REQUESTED).encode())
"""The first topic of the event that tells a request; the second is the request's id."""


def request_in(log: Mapping[str, Any]) -> Request:
    """The request that a log of `Requested` tells. Its hash must be compared: a node can make up a log.

    Raises RpcError where the log holds no request.
    """
    types = [type_of(one) for one in _REQUESTED["inputs"] if not one["indexed"]]
    try:
        (fields,) = decode(types, bytes(log["data"]))
    except DecodingError as err:
        raise RpcError("The node's log of a request cannot be read.", "Is the ledger another version's?") from err
    values: Iterator[Any] = (f"0x{one.hex()}" if isinstance(one, bytes) else one for one in fields)
    return Request(*values)
