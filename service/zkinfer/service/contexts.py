"""What a proof is for, on the wire of zkinfer.v1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from zkinfer.circuits.context import Context

WORD = re.compile(r"0x[0-9a-f]{64}")


def context_message(context: Context) -> values_pb2.Context:
    """All five fields."""
    return values_pb2.Context(
        chain_id=str(context.chain_id),
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
        expiry=context.expiry,
    )
