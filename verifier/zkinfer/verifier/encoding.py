"""Reading a document of a known shape so that one meaning has one byte string."""

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


def to_base64(data: bytes) -> str:
    """Write bytes in the standard alphabet, padded."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """Read what `to_base64` writes.

    Decoders accept other alphabets, missing padding and stray bits, all of which would let somebody change the
    file without changing its meaning. Here they raise MalformedAttestationError, which calls the text `what`.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:  # ValueError: characters beyond ASCII
        raise MalformedAttestationError(f"The {what} is not base64.") from err
    if to_base64(data) != text:
        raise MalformedAttestationError(f"The {what} is not in the canonical form of base64.", "It was altered.")
    return data


Document = TypeVar("Document", bound=BaseModel)


def write(document: BaseModel) -> bytes:
    """The canonical bytes of a document."""
    return canonical.dump(document.model_dump(mode="json", by_alias=True))


def load(data: bytes, *, what: str, max_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """Read canonical JSON; raises MalformedAttestationError, which calls the document `what`, for anything else."""
    try:
        return canonical.load_canonical(data, max_bytes=max_bytes, what=what)
    except JsonError as err:
        raise MalformedAttestationError(err.cause, err.cure) from err


def read(data: bytes, kind: type[Document], *, what: str) -> Document:
    """Give a document that `load` accepted its shape.

    The document is written again and compared, so that nothing which the two parsers or a default value could
    read in two ways gets through.

    Raises:
        MalformedAttestationError: a field is missing, unknown, of the wrong type, or spelt in another way.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as err:
        raise MalformedAttestationError(f"The {what} is not one: {_first(err)}.") from err
    if write(document) != data:
        raise MalformedAttestationError(f"The {what} spells a field in another way than it is written.")
    return document


def _first(err: ValidationError) -> str:
    """The first complaint; the place is cut and escaped, for it may hold names that an attacker chose."""
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:120]
    return f"at {place!r}: {first['msg'][:200]!a}"
