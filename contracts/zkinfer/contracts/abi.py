"""ABI encoding of calls, and decoding of results and revert reasons. Needs the extra `chain`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from zkinfer.contracts.artifacts import CONTRACTS, load
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.feed_reverts import FEED_REVERTS
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.work_reverts import WORK_REVERTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.contracts.artifacts import ContractName

_ADVICE: Final = FEED_REVERTS | WORK_REVERTS


def function_named(contract: ContractName, name: str) -> dict[str, Any]:
    """The ABI entry of a function; raises KeyError unless there is exactly one."""
    found = [one for one in load(contract).abi if one["type"] == "function" and one["name"] == name]
    if len(found) != 1:
        raise KeyError(f"{contract} has {len(found)} functions named {name}")
    return found[0]


def hex_to_bytes(text: str) -> bytes:
    """The bytes of 0x-prefixed hex; the ABI encoder takes words as bytes."""
    return bytes.fromhex(text.removeprefix("0x"))


def type_of(entry: dict[str, Any]) -> str:
    """The canonical type of an argument, with tuples expanded."""
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(type_of(one) for one in entry['components'])}){kind.removeprefix('tuple')}"


def signature_of(entry: dict[str, Any]) -> str:
    """The signature of a function or an error: its name and types."""
    return f"{entry['name']}({','.join(type_of(one) for one in entry['inputs'])})"


def call_data(entry: dict[str, Any], arguments: Sequence[Any]) -> bytes:
    """The calldata of a call, in the canonical encoding."""
    return keccak256(signature_of(entry).encode())[:4] + encode([type_of(one) for one in entry["inputs"]], arguments)


def creation_code(contract: ContractName, arguments: Sequence[Any]) -> bytes:
    """The creation code of a contract with the arguments of its constructor."""
    entries = [one for one in load(contract).abi if one["type"] == "constructor"]
    types = [type_of(one) for one in entries[0]["inputs"]] if entries else []
    return load(contract).creation + encode(types, arguments)


def revert_reason(data: object) -> str:
    """A revert's reason as a sentence, decoded with the errors of our contracts."""
    raw = _raw(data)
    entry = _errors().get(raw[:4])
    if entry is None:
        return f"The contract refused without a reason that is known: 0x{raw.hex()[:72]}."
    try:
        values = decode([type_of(one) for one in entry["inputs"]], raw[4:])
    except DecodingError:
        values = ()
    fields = ", ".join(
        f"{one['name']} = {'0x' + value.hex() if isinstance(value, bytes) else value}"
        for one, value in zip(entry["inputs"], values, strict=False)
    )
    return f"The contract refused: {entry['name']}({fields})."


def revert_advice(data: object) -> tuple[str, str]:
    """What a revert of a contract of feeds or works means, and the cure; empty for others."""
    entry = _errors().get(_raw(data)[:4])
    return ("", "") if entry is None else _ADVICE.get(signature_of(entry), ("", ""))


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    entries = [one for name in CONTRACTS for one in load(name).abi if one["type"] == "error"]
    return {keccak256(signature_of(one).encode())[:4]: one for one in entries}


def _raw(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    return bytes.fromhex(data.removeprefix("0x")) if isinstance(data, str) else b""


def decode_result(entry: dict[str, Any], answer: bytes) -> Any:  # noqa: ANN401 - any ABI value
    """The result of a view function, several as a tuple; raises RpcError if the bytes cannot be decoded."""
    try:
        values = decode([type_of(one) for one in entry["outputs"]], answer)
    except DecodingError as err:
        raise RpcError(f"There was no answer to {entry['name']}.", "Is it another contract?") from err
    return values[0] if len(values) == 1 else values
