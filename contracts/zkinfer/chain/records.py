"""Step 12 of a verification: the ledger on the chain has recorded this answer.

The checks, after those that the verifier made offline:

(1) the node is on the chain that the proof was made for
(2) the code at the ledger's address is zkinfer's ledger, with zkinfer's registry and router; if the caller gives the
    address book of a deployment, the code of all its contracts is compared
(3) the ledger has an answer to the request on record, with these outputs
(4) code and record were the same in the last block with enough confirmations, which the node still has afterwards
(5) the request, whose hash is its id, is the one that the proof was made for, and is for this model
(6) the request is about this input, unless it lets the prover choose
(7) contracts may still act on the answer: its listing was not revoked since, nor its verifier stopped or removed

The caller chooses the ledger's address. Its governance is not checked; see `verify_deployment`. The node is believed:
its answers are compared with the proof and with each other. To notice a chain made up, another node must be asked: see
`zkinfer.chain.agreement`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from zkinfer.chain.blocks import Blocks, moment
from zkinfer.chain.errors import (
    NodeError,
    NotFinalError,
    NotRecordedError,
    OtherChainError,
    RecordMismatchError,
    translated,
)
from zkinfer.chain.ledger_code import LedgerCode
from zkinfer.contracts import ANY_INPUT, input_commitment, output_commitment
from zkinfer.contracts.address_book import read_book
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.rpc import connect
from zkinfer.verifier import RecordedAnswer

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.chain.blocks import Header
    from zkinfer.contracts import Request
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.ledger import Entry
    from zkinfer.verifier import ProvenAnswer


_DIGEST: Final = 2 + 2 * 26  # 0x and the hex digits of the part of the digest that a ledger stores


class LedgerRecord:
    """The records of one ledger, for `Verifier.verify`.

    Args:
        blocks: of the ledger's chain.
        ledger: its address, in lower case; or the address book of its deployment, whose code is then compared.
        confirmations: blocks that the record needs, including its own; None requires a finalized block.
        request: the request, if the caller has it; by default it is read from the ledger's logs.
    """

    def __init__(
        self,
        blocks: Blocks,
        ledger: str | AddressBook,
        *,
        confirmations: int | None = None,
        request: Request | None = None,
    ) -> None:
        self._blocks = blocks
        self._code = LedgerCode(ledger)
        self._ledger = self._code.ledger
        self._confirmations = confirmations
        self._request = request

    @classmethod
    def connect(
        cls, url: str, ledger: str | Path, *, confirmations: int | None = None, request: Request | None = None
    ) -> Self:
        """The records of a ledger, from the URL of a node and the ledger's address or address book file.

        Sends nothing to the node yet.

        Raises:
            NodeError: the URL is invalid.
            LedgerError: the file is missing, altered or of another version.
        """
        with translated():
            address_or_book = ledger if isinstance(ledger, str) else read_book(ledger)
            return cls(Blocks(connect(url)), address_or_book, confirmations=confirmations, request=request)

    def settled(self) -> int:
        """The number of the last block with enough confirmations; raises NodeError."""
        with translated():
            return self._blocks.settled(self._confirmations).number

    def agree(self, answer: ProvenAnswer, *, at: int | None = None) -> RecordedAnswer:
        """Return where and when this answer was recorded, after the checks of the module.

        Args:
            answer: what was proven.
            at: the number of the block to read, at most `settled`, which it is by default.

        Raises:
            OtherChainError, NotRecordedError, NotFinalError, RecordMismatchError: see there.
            LedgerError: the contract at the address is not zkinfer's ledger.
            NodeError: the node failed, or contradicts itself.
        """
        with translated():
            chain = self._blocks.latest()
            _same_chain(chain, answer)  # (1)
            registry = self._code.registry(chain)  # (2)
            _recorded(chain, self._ledger, answer)  # (3)
            block = self._blocks.settled(self._confirmations) if at is None else self._blocks.header(at)
            then = self._blocks.at(block.number)
            entry = self._settled(then, block, answer)  # (4)
            request = self._find_request(then, answer, block)
            _same_context(request, answer)  # (5)
            _same_model(then, registry, request, answer)
            _same_input(request, answer)  # (6)
            _still_sound(chain, registry, request)  # (7)
            code = self._code.compared(then, registry)
            recorded_at = moment(entry.recorded_at)
            self._require_still(block)
        return RecordedAnswer(
            chain_id=answer.context.chain_id,
            ledger=self._ledger,
            listing=request.listing,
            recorded_at=recorded_at,
            block=block.number,
            block_hash=block.hash,
            confirmations=self._confirmations,
            code=code,
        )

    def _settled(self, then: Chain, block: Header, answer: ProvenAnswer) -> Entry:
        """The record as it was at a block, by the same code as now."""
        deployed = then.code(self._ledger)
        if not deployed or Ledger(then, self._ledger).entry(answer.context.request_id).state != "recorded":
            raise NotFinalError(
                f"The answer is on record, but was not yet at block {block.number}, the last with enough "
                "confirmations.",
                "Wait, then verify again.",
            )
        self._code.registry(then)
        return _recorded(then, self._ledger, answer)

    def _require_still(self, block: Header) -> None:
        """A block that changed while it was read makes the answers about it worthless."""
        if self._blocks.header(block.number) != block:
            raise NodeError(
                f"The node's block {block.number} changed while it was read.",
                "Verify again; with --confirmations, require more of them.",
            )

    def _find_request(self, chain: Chain, answer: ProvenAnswer, block: Header) -> Request:
        """The request itself; its hash must be the id, so its source does not matter."""
        wanted = answer.context.request_id
        request = self._request or self._blocks.request(self._ledger, wanted, block.number)
        if request is None:
            raise NodeError(
                "The node has no log of the request.", "Use a node that keeps all logs, or give the request."
            )
        if request.id(chain.read("InferenceLedger", self._ledger, "HOME_CHAIN"), self._ledger) != wanted:
            raise RecordMismatchError(
                f"The proof is for the request {wanted}; the request that was given or logged has another id.",
                "Give the request that the prover answered.",
            )
        return request


def _same_chain(chain: Chain, answer: ProvenAnswer) -> None:
    wanted, found = answer.context.chain_id, chain.id
    if wanted != found:
        made = f"for a request on chain {wanted}" if wanted else "without a chain"
        raise OtherChainError(f"The proof was made {made}; the node is on chain {found}.", "Use a node of that chain.")


def _recorded(chain: Chain, ledger: str, answer: ProvenAnswer) -> Entry:
    entry = Ledger(chain, ledger).entry(answer.context.request_id)
    if entry.state != "recorded":
        found = {
            "none": "has no such request",
            "open": "still waits for an answer",
            "refunded": "refunded the fees",
            "paid": "paid the prover, but the model was revoked before",
        }
        raise NotRecordedError(
            f"No answer to the request {answer.context.request_id} is on record: the ledger {found[entry.state]}.",
            "Is it another ledger's request? If it is open, post the answer.",
        )
    if entry.output_digest != output_commitment(answer.statement.outputs)[:_DIGEST]:
        raise RecordMismatchError("The ledger has other outputs on record for this request.", "Do not rely on it.")
    return entry


def _same_context(request: Request, answer: ProvenAnswer) -> None:
    """The id is compared already; the ledger rejects proofs for another consumer, requester or expiry."""
    context = answer.context
    if (request.consumer, request.requester, request.expiry) != (context.consumer, context.requester, context.expiry):
        raise RecordMismatchError(
            "The proof was made for another consumer, requester or expiry than the request names.",
            "It is not the proof that was recorded; do not rely on it.",
        )


def _same_model(chain: Chain, registry: str, request: Request, answer: ProvenAnswer) -> None:
    found = Registry(chain, registry).model_id(request.listing)
    if found != answer.model_id:
        raise RecordMismatchError(
            f"The request is for the model {found}; the proof is of {answer.model_id}.",
            "The recorded answer is of another model.",
        )


def _same_input(request: Request, answer: ProvenAnswer) -> None:
    if request.input_commitment not in (ANY_INPUT, input_commitment(answer.statement.inputs)):
        raise RecordMismatchError("The request was about another input than the proof.", "Do not rely on it.")


def _still_sound(chain: Chain, registry: str, request: Request) -> None:
    """The conditions of the ledger's `requireSound`, as of now and not of when the answer was recorded."""
    at = Registry(chain, registry)
    if at.status(request.listing) == "revoked":
        raise RecordMismatchError(
            f"The answer is on record, but its listing {request.listing} was revoked: no contract acts on it any more.",
            "Do not rely on it; ask the listing's owner why.",
        )
    if not at.verifier_is_live(request.listing):
        raise RecordMismatchError(
            "The answer is on record, but the verifier of its listing was stopped or removed: it may be forged.",
            "Do not rely on it; ask again under a listing with a sound verifier.",
        )
