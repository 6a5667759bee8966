"""What a proof is for, on the wire of zkinfer.v1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from zkinfer.circuits.context import NOBODY, Context
from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import BadFieldError, blaming
from zkinfer.service.submission import ProofRequest
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from zkinfer.v1 import proofs_pb2

_NUMBER = re.compile(r"[0-9]{1,78}")
_MAX_REQUEST_ID = 128


class ContextRequest(ProofRequest):
    """A wish for a proof whose context may have another request id than the caller's idempotency key.

    Args:
        word: the context's request id; empty for the key, if it is one, or else a random one.
    """

    word: str = ""

    @property
    def names_word(self) -> bool:
        """Whether the context's request id is the caller's."""
        return bool(self.word) or super().names_word

    def context(self) -> Context:
        """What the proof is for."""
        if not self.word:
            return super().context()
        return self.model_copy(update={"request_id": self.word, "word": ""}).context()


def proof_request(request: proofs_pb2.CreateProofRequest) -> ContextRequest:
    """Read what a proof is wanted for; raises BadFieldError."""
    asked = request.context
    with blaming("request_id"):
        key = request.request_id
        if len(key) > _MAX_REQUEST_ID or not key.isprintable():
            raise DataError(f"It has up to {_MAX_REQUEST_ID} printable characters.")
    with blaming("context.chain_id"):
        if asked.chain_id and _NUMBER.fullmatch(asked.chain_id) is None:
            raise DataError("It is a decimal number below 2^256.")
    found = ContextRequest(
        request_id=key or None,
        chain_id=int(asked.chain_id or 0),
        consumer=asked.consumer or NOBODY,
        requester=asked.requester or NOBODY,
        expiry=asked.expiry,
        word=asked.request_id,
    )
    _refuse_malformed(found)
    return found


def _refuse_malformed(found: ContextRequest) -> None:
    fields = {"chainId": found.chain_id, "consumer": found.consumer, "requester": found.requester}
    try:
        Context.model_validate(fields | {"requestId": found.word or "0x" + "00" * 32, "expiry": found.expiry})
    except ValidationError as err:
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(first["loc"][0])).lower()
        raise BadFieldError(f"context.{name}", f"{first['msg']}.", "Write hex digits in lower case, in full.") from err


def context_message(context: Context) -> values_pb2.Context:
    """All five fields."""
    return values_pb2.Context(
        chain_id=str(context.chain_id),
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
        expiry=context.expiry,
    )
