"""Base64 with one spelling for each byte string."""

from __future__ import annotations

import base64
import binascii

from zkinfer.verifier.errors import MalformedAttestationError


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
