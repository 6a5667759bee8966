"""Post a report, and wait if the chain's clock has not reached its observation yet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.errors import RevertedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.feed_formats import FeedPayload
    from zkinfer.contracts.feeds import FeedHub

PATIENCE: Final = 60
"""Seconds to wait for a block; the slowest large chains make one in 15."""


def post(
    hub: FeedHub, chain: Chain, payload: FeedPayload, *, sleep: Callable[[float], object] = time.sleep
) -> TxReceipt | None:
    """Post a payload; None if its round has its answer already.

    The clock of a chain stands still between two blocks, and a hub refuses what was observed after the last one. So a
    fresh report is tried again until there is a later block, which a source on a chain wants, too.

    Raises as `FeedHub.verify`.
    """
    for _ in range(PATIENCE):
        try:
            return hub.verify(payload)
        except RevertedError:
            if chain.time() > payload.report.observed_at:
                raise
        sleep(1)
    return hub.verify(payload)
