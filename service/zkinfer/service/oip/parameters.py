"""The request parameters that begin with `zkinfer_`: whether a proof is requested, and its context."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import BadFieldError, in_field
from zkinfer.service.submission import Mode, ProofRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.oip.messages import InferParameter

PREFIX = "zkinfer_"
_MODES = get_args(Mode)
_BYTES32 = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER = re.compile(r"[0-9]{1,78}|0x[0-9a-fA-F]{1,64}")
_MAX_REQUEST_ID = 128
_MAX_PARAMETERS = 64


def proof_request(parameters: Mapping[str, InferParameter], mode: Mode = "async") -> ProofRequest:
    """Parse the parameters that begin with `zkinfer_`; all others are ignored.

    Args:
        parameters: of the request.
        mode: if the request names none.

    Raises:
        BadFieldError: a parameter is unknown, has the wrong type, or is out of range.
    """
    with in_field("parameters"):
        if len(parameters) > _MAX_PARAMETERS:
            raise DataError(f"There are {len(parameters):,} parameters.", f"At most {_MAX_PARAMETERS} are accepted.")
        if unknown := sorted(name for name in parameters if name.startswith(PREFIX) and name not in _READERS):
            raise DataError(f"{unknown[0]:.80} is not a parameter.", f"The parameters are {', '.join(_READERS)}.")
    found: dict[str, object] = {"mode": mode}
    for name, (field, read) in _READERS.items():
        if name in parameters:
            with in_field(f"parameters.{name}"):
                found[field] = read(_value(parameters[name]))
    try:
        return ProofRequest.model_validate(found)
    except ValidationError as err:
        raise BadFieldError("parameters", f"The proof's context is not valid: {err.errors()[0]['msg']}.") from err


def request_id_in(parameters: Mapping[str, InferParameter]) -> str | None:
    """The idempotency key, parsed before the other parameters; None if it is missing or invalid."""
    if "zkinfer_request_id" not in parameters:
        return None
    try:
        return _request_id(_value(parameters["zkinfer_request_id"]))
    except DataError:
        return None


def _value(parameter: InferParameter) -> object:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)


def _mode(value: object) -> str:
    if value not in _MODES:
        raise DataError(f"The proof mode must be one of {', '.join(_MODES)}.")
    return str(value)


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise DataError(f"It must be {what}.")
        return value.lower()

    return read


def _number(bits: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = int(value, 16 if value.startswith("0x") else 10)
        if type(value) is not int or not 0 <= value < 1 << bits:
            raise DataError(f"It must be an integer from 0 to 2^{bits} - 1.", "Large numbers may be sent as text.")
        return value

    return read


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise DataError("It must be true or false.")
    return value


def _request_id(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_REQUEST_ID or not value.isprintable():
        raise DataError(f"It must have 1 to {_MAX_REQUEST_ID} printable characters.")
    return value.lower() if _BYTES32.fullmatch(value) else value


_READERS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "zkinfer_proof_mode": ("mode", _mode),
    "zkinfer_request_id": ("request_id", _request_id),
    "zkinfer_chain_id": ("chain_id", _number(256)),
    "zkinfer_consumer": ("consumer", _matching(_ADDRESS, "an address, 0x and 40 hex digits")),
    "zkinfer_requester": ("requester", _matching(_ADDRESS, "an address, 0x and 40 hex digits")),
    "zkinfer_expiry": ("expiry", _number(64)),
    "zkinfer_float": ("floats", _flag),
}
