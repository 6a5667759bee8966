"""The entries of a ledger on a chain, as the page shows them. Needs the extra `chain`, which is loaded on first use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.contracts.chain import Chain
    from zkinfer.ui.settings import ChainAccess


@dataclass(frozen=True, slots=True)
class RecordState:
    """What a node says of one request.

    Args:
        chain_id: of the node's chain.
        ledger: the contract's address.
        request_id: of the request.
        state: `none`, `open`, `recorded`, `refunded` or `paid`.
        recorded_at: by the chain's clock; None if nothing was recorded.
        output_digest: the recorded part of the answer's digest; empty if nothing was recorded.
    """

    chain_id: int
    ledger: str
    request_id: str
    state: str
    recorded_at: datetime | None
    output_digest: str


class LedgerBrowser:
    """Reads entries of one ledger.

    Args:
        access: the node and the ledger.
        connected: makes the chain from the node's URL; by default over HTTP.
    """

    def __init__(self, access: ChainAccess, connected: Callable[[str], Chain] | None = None) -> None:
        self._access = access
        self._connected = connected or _connected

    def entry(self, request_id: str) -> RecordState:
        """The entry of a request in the newest block.

        Raises:
            NodeError: the node cannot be used, or there is no ledger at the address.
        """
        from zkinfer.chain.errors import NodeError  # noqa: PLC0415 - an optional library
        from zkinfer.contracts import ChainError  # noqa: PLC0415
        from zkinfer.contracts.ledger import Ledger  # noqa: PLC0415

        try:
            chain = self._connected(self._access.url)
            ledger = Ledger(chain, self._address())
            found = ledger.entry(request_id)
            number = chain.id
        except ChainError as err:
            raise NodeError(err.cause, err.cure) from err
        recorded = found.recorded_at > 0
        return RecordState(
            chain_id=number,
            ledger=ledger.address,
            request_id=request_id,
            state=found.state,
            recorded_at=datetime.fromtimestamp(found.recorded_at, UTC) if recorded else None,
            output_digest=found.output_digest if recorded else "",
        )

    def _address(self) -> str:
        """The ledger's address; raises AddressBookError."""
        from zkinfer.contracts.address_book import read_book  # noqa: PLC0415

        named = self._access.ledger
        return str(read_book(named).addresses["InferenceLedger"]) if isinstance(named, Path) else named


def _connected(url: str) -> Chain:
    from zkinfer.contracts.chain import Chain  # noqa: PLC0415
    from zkinfer.contracts.rpc import connect  # noqa: PLC0415

    return Chain(connect(url))
