"""What a ledger and its registry say of one request, without any proof: the entry, the model's listing, the code.

Everything is read in the state after one block, the newest one; the entry also in the last block with enough
confirmations, since a newest block can still be replaced. To rely on an answer, verify its attestation: see `records`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zkinfer.chain.blocks import Blocks, moment
from zkinfer.chain.errors import NodeError, translated
from zkinfer.chain.ledger_code import LedgerCode
from zkinfer.contracts.address_book import read_book
from zkinfer.contracts.ledger import Entry, Ledger
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.rpc import connect

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from zkinfer.chain.blocks import Header
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Status
    from zkinfer.contracts.ledger import State
    from zkinfer.verifier import ContractCode


@dataclass(frozen=True, slots=True)
class ListedModel:
    """What the registry says of a request's model.

    Args:
        listing: under which it is registered.
        model_id: of its circuit, which policies name.
        status: `active`, `deprecated` or `revoked`.
        verifier_live: whether proofs of it can still be accepted.
    """

    listing: str
    model_id: str
    status: Status
    verifier_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestState:
    """What a node says of one request.

    Args:
        chain_id: of the node's chain.
        ledger: the contract's address.
        request_id: of the request.
        state: in the newest block.
        recorded_at: by the chain's clock; None if nothing was recorded.
        output_digest: the recorded part of the answer's digest; empty if nothing was recorded.
        model: None if the node has no log of the request.
        code: of the contracts, in the newest block; it was compared with the expected one.
        newest: the newest block.
        settled: the last block with enough confirmations.
        settled_state: in that block.
        confirmations: how many that block has; None if it is finalised.
    """

    chain_id: int
    ledger: str
    request_id: str
    state: State
    recorded_at: datetime | None
    output_digest: str
    model: ListedModel | None
    code: tuple[ContractCode, ...]
    newest: Header
    settled: Header
    settled_state: State
    confirmations: int | None


class LedgerLookup:
    """The requests of one ledger.

    Args:
        blocks: of the ledger's chain.
        ledger: its address, in lower case; or the address book of its deployment, whose code is then compared.
        confirmations: of the block in which the entry is read a second time; None for a finalised one.
    """

    def __init__(self, blocks: Blocks, ledger: str | AddressBook, *, confirmations: int | None = None) -> None:
        self._blocks, self._confirmations = blocks, confirmations
        self._code = LedgerCode(ledger)

    @classmethod
    def connect(cls, url: str, ledger: str | Path, *, confirmations: int | None = None) -> Self:
        """The requests of a ledger, from the URL of a node and the ledger's address or address book file.

        Sends nothing to the node yet.

        Raises:
            NodeError: the URL is invalid.
            LedgerError: the file is missing, altered or of another version.
        """
        with translated():
            address_or_book = ledger if isinstance(ledger, str) else read_book(ledger)
            return cls(Blocks(connect(url)), address_or_book, confirmations=confirmations)

    def state_of(self, request_id: str) -> RequestState:
        """The state of a request.

        Raises:
            LedgerError: the contract at the address is not zkinfer's ledger.
            NodeError: the node failed, or contradicts itself.
        """
        with translated():
            newest, settled = self._blocks.settled(1), self._blocks.settled(self._confirmations)
            chain = self._blocks.at(newest.number)
            registry = self._code.registry(chain)
            entry = Ledger(chain, self._code.ledger).entry(request_id)
            recorded = entry.recorded_at > 0
            found = RequestState(
                chain_id=chain.id,
                ledger=self._code.ledger,
                request_id=request_id,
                state=entry.state,
                recorded_at=moment(entry.recorded_at) if recorded else None,
                output_digest=entry.output_digest if recorded else "",
                model=self._model(chain, registry, request_id, newest),
                code=self._code.compared(chain, registry),
                newest=newest,
                settled=settled,
                settled_state=self._entry_at(settled, request_id).state,
                confirmations=self._confirmations,
            )
            for block in (newest, settled):
                if self._blocks.header(block.number) != block:
                    raise NodeError(f"The node's block {block.number} changed while it was read.", "Look it up again.")
            return found

    def _entry_at(self, block: Header, request_id: str) -> Entry:
        """The entry as it was in a block, by the same code; none before the ledger was deployed."""
        then = self._blocks.at(block.number)
        if not then.code(self._code.ledger):
            return Entry("none", 0, "")
        self._code.registry(then)
        return Ledger(then, self._code.ledger).entry(request_id)

    def _model(self, chain: Chain, registry: str, request_id: str, block: Header) -> ListedModel | None:
        """The model that the request names; None if there is no log whose hash is the request's id."""
        ledger = self._code.ledger
        request = self._blocks.request(ledger, request_id, block.number)
        if request is None or request.id(chain.read("InferenceLedger", ledger, "HOME_CHAIN"), ledger) != request_id:
            return None
        at, listing = Registry(chain, registry), request.listing
        return ListedModel(listing, at.model_id(listing), at.status(listing), at.verifier_is_live(listing))
