"""Canonical encodings: each document has exactly one byte string."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.verifier.errors import MalformedAttestationError

if TYPE_CHECKING:
    from typing import Any


Document = TypeVar("Document", bound=BaseModel)


def to_base64(data: bytes) -> str:
    """Encode bytes in base64 with the standard alphabet and padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """Decode canonical base64.

    Decoders usually accept other alphabets, missing padding and stray bits, with which a file could be altered without
    changing its meaning. Here they raise MalformedAttestationError, which names the text as `what`.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:  # ValueError: non-ASCII characters
        raise MalformedAttestationError(f"The {what} is not base64.") from err
    if to_base64(data) != text:
        raise MalformedAttestationError(f"The {what} is not canonical base64.", "It was altered.")
    return data


def write(document: BaseModel) -> bytes:
    """The canonical encoding of a document."""
    return canonical.dump(document.model_dump(mode="json", by_alias=True))


def load(data: bytes, *, what: str, max_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """Parse canonical JSON; raises MalformedAttestationError, which names the document as `what`, for anything else."""
    try:
        return canonical.load_canonical(data, max_bytes=max_bytes, what=what)
    except JsonError as err:
        raise MalformedAttestationError(err.cause, err.cure) from err


def read(data: bytes, kind: type[Document], *, what: str) -> Document:
    """Convert a document that `load` accepted to a model.

    The result is encoded again and compared, so that differences between the two parsers, or default values, cannot
    make a document ambiguous.

    Raises:
        MalformedAttestationError: a field is missing, unknown, of the wrong type, or not in canonical form.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as err:
        raise MalformedAttestationError(f"The {what} is malformed: {_first(err)}.") from err
    if write(document) != data:
        raise MalformedAttestationError(f"The {what} has a field that is not in canonical form.")
    return document


def _first(err: ValidationError) -> str:
    """The first validation error; its location is truncated and escaped, since an attacker can choose names in it."""
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:120]
    return f"at {place!r}: {first['msg'][:200]!a}"
