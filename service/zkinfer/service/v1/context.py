"""The context of a proof in messages of zkinfer.v1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.statement import ZERO_ADDRESS, Context
from zkinfer.service.errors import BadFieldError, in_field
from zkinfer.service.submission import ProofRequest
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from zkinfer.v1 import proofs_pb2

_NUMBER = re.compile(r"[0-9]{1,78}")
_MAX_REQUEST_ID = 128


class ContextRequest(ProofRequest):
    """A proof request whose context may have another request id than the caller's idempotency key.

    Args:
        word: the context's request id; if empty, the key if it has the right form, else a random one.
    """

    word: str = ""

    @property
    def names_word(self) -> bool:
        """Whether the caller determines the context's request id."""
        return bool(self.word) or super().names_word

    def context(self) -> Context:
        """The context of the proof."""
        if not self.word:
            return super().context()
        return self.model_copy(update={"request_id": self.word, "word": ""}).context()


def proof_request(request: proofs_pb2.CreateProofRequest) -> ContextRequest:
    """Parse the key and the context of a request; raises BadFieldError."""
    asked = request.context
    with in_field("request_id"):
        key = request.request_id
        if len(key) > _MAX_REQUEST_ID or not key.isprintable():
            raise DataError(f"It must have up to {_MAX_REQUEST_ID} printable characters.")
    with in_field("context.chain_id"):
        if asked.chain_id and _NUMBER.fullmatch(asked.chain_id) is None:
            raise DataError("It must be a decimal number below 2^256.")
    found = ContextRequest(
        request_id=key or None,
        chain_id=int(asked.chain_id or 0),
        consumer=asked.consumer or ZERO_ADDRESS,
        requester=asked.requester or ZERO_ADDRESS,
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
    """The message with all five fields."""
    return values_pb2.Context(
        chain_id=str(context.chain_id),
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
        expiry=context.expiry,
    )
