"""The two names of a request: what the proof is for, and how the server knows it again."""

from __future__ import annotations

import re

from zkinfer.circuits.context import Context
from zkinfer.circuits.errors import InputError

_WORD = re.compile(r"0x[0-9a-f]{64}")
_LONGEST = 128


def made_request(context: Context | None, request_id: str | None) -> tuple[Context, str]:
    """Context and idempotency key, complete.

    The caller must know the context to check the proof, so it is made here, never by the server.

    Raises:
        InputError: the key is empty, too long or not printable, or one without which the request would not be the
            same when it is made again.
    """
    if request_id is None:
        known = context or Context.offline()
        return known, known.request_id
    if not (request_id.isascii() and request_id.isprintable() and 0 < len(request_id) <= _LONGEST):
        raise InputError(f"A request id has 1 to {_LONGEST} printable ASCII characters.")
    if context is not None:
        return context, request_id
    if _WORD.fullmatch(request_id) is None:
        raise InputError(
            "With a request id of your own words, the context must be given too.",
            "A new one would be made at each call, and the second call would not be the same request.",
        )
    return Context.model_validate({"requestId": request_id}), request_id
