"""Follow a chain: its events about works go into the directory window by window, up to a settled block.

The code of the contracts is compared first, so their events say what this version's contracts say. If a block that was
followed is no longer the chain's, everything after the last one that still is goes back. Each window is written in one
transaction with its last block, so that whoever stops at any point continues there.

A record of the ledger can lose its effect after it was made, and so can all prints: whether they may be relied on is
read again each time, from the newest block, since a revocation is not to be waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import require_code_at
from zkinfer.contracts.errors import CodeMismatchError, RpcError
from zkinfer.contracts.identifiers import ZERO_ADDRESS
from zkinfer.contracts.similarity import Similarity
from zkinfer.contracts.work_events import WINDOW
from zkinfer.contracts.work_facts import Registered, WorkAddresses, facts_in
from zkinfer.contracts.work_parts import require_works_at
from zkinfer.contracts.works import Works
from zkinfer.works.directory.store import Block, Lineage, ModelState
from zkinfer.works.errors import CertificateError
from zkinfer.works.print_model import margin
from zkinfer.works.records import conditions, require_sound_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.chain.blocks import Blocks
    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.work_facts import Fact
    from zkinfer.works.directory.store import Store

NO_DEPLOYMENT: Final = "The directory was given no address book, so it knows no ledger whose records it could rely on."
OTHER_LEDGER: Final = "The works name another ledger than the deployment's."
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is: the last block that was followed, and the one to reach."""

    block: int
    target: int


@dataclass(frozen=True, slots=True)
class Sources:
    """What is followed.

    Args:
        blocks: of the node.
        deployed: the deployment whose ledger's records count; without one, nothing is proven.
        confirmations: that a block needs; None requires a finalized one.
        window: blocks in one question for logs.
        first: the number of the block in which the works were created, or an earlier one.
    """

    blocks: Blocks
    deployed: Deployed | None = None
    confirmations: int | None = None
    window: int = WINDOW
    first: int = 0


class Follower:
    """Follows the works of a contract for a directory.

    Args:
        store: the directory's database.
        sources: what is followed.
        works: address of the contract.

    Raises:
        DeploymentError, CodeMismatchError: the address is not that of works of this version.
        DirectoryError: the database is another contract's.
        RpcError: the node cannot be read.
    """

    def __init__(self, store: Store, sources: Sources, works: str) -> None:
        self._store, self._sources, self._span = store, sources, sources.window
        self._chain = sources.blocks.latest()
        require_works_at(self._chain, works)
        store.bind(self._chain.id, works)
        self._works = Works(self._chain, works)
        self._similarity = _known_similarity(self._chain, self._works.similarity)
        self._addresses = WorkAddresses(
            works, self._works.market, "" if self._similarity is None else self._works.similarity
        )

    def follow(self, progress: Callable[[Step], None] = lambda _: None) -> Block:
        """Follow the chain up to its last settled block; returns that block.

        Raises:
            ChainError: the node cannot be read, or its chain changes too fast.
            DirectoryError: another process follows for the same directory.
            StoreError: the database cannot be written.
        """
        target = self._sources.blocks.settled(self._sources.confirmations).number
        if target < self._sources.first:
            raise RpcError(f"The last settled block is {target}.", "Wait, or name an earlier first block.")
        last, failed = self._return_to_chain(target), 0
        while last is None or last.number < target:
            found = self._next(last, target)
            failed = failed + 1 if found is None else 0
            if failed == _ATTEMPTS:
                raise RpcError("The node's chain changed while it was read, again and again.", "Wait for more blocks.")
            last = found or self._return_to_chain(target)
            if found is not None:
                progress(Step(found.number, target))
        self._store.set_sound(map(self._state_of, self._store.listings()), prints=self._prints_are_sound())
        return last

    def _return_to_chain(self, target: int) -> Block | None:
        """The last block that was followed and is still the chain's; what came after it is forgotten.

        Blocks after `target` cannot be asked for: a node that is behind is no reason to forget them.
        """
        last, known = self._store.last(), self._store.checkpoints()
        if last is None:
            return None
        reachable = [one for one in known if one.number <= target]
        held = next((one for one in reachable if self._is_on_chain(one)), None)
        if not reachable or held == reachable[0]:
            return last
        self._store.roll_back(held)
        return held

    def _is_on_chain(self, block: Block) -> bool:
        return self._sources.blocks.header(block.number).hash == block.hash

    def _next(self, last: Block | None, target: int) -> Block | None:
        """Follow one window; None if the chain changed meanwhile, so that nothing was written."""
        first = self._sources.first if last is None else last.number + 1
        until, found = self._facts(first, target)
        lineages = {one.work: self._lineage(one) for one in found if isinstance(one, Registered)}
        if not self._is_on_chain(until) or (last is not None and not self._is_on_chain(last)):
            return None
        self._store.add(found, lineages, after=last, until=until)
        return until

    def _facts(self, first: int, target: int) -> tuple[Block, list[Fact]]:
        """The facts of the next window, and its last block.

        Nodes refuse more logs than some number, and anybody can write so many: then the window is halved.
        """
        while True:
            until = self._block(max(first, min(first + self._span - 1, target)))
            try:
                found = list(facts_in(self._chain, self._addresses, first, until.number))
            except RpcError:
                if until.number == first:
                    raise
                self._span = (until.number - first + 1) // 2
                continue
            self._span = min(self._sources.window, 2 * self._span)
            return until, found

    def _block(self, number: int) -> Block:
        header, time = self._sources.blocks.dated(number)
        return Block(header.number, header.hash, time)

    def _lineage(self, fact: Registered) -> Lineage:
        number = int(fact.work, 16)
        shares = dict(self._works.parents(number)) if fact.parents else {}
        if sorted(shares) != sorted(int(one, 16) for one in fact.parents):
            raise RpcError("The node tells other parents of a work than its log.", "Ask another node.")
        registered = self._block(fact.block).time
        return Lineage(self._works.till_of(number), registered, tuple(shares[int(one, 16)] for one in fact.parents))

    def _state_of(self, listing: str) -> ModelState:
        deployed = self._sources.deployed
        if deployed is None:
            return ModelState(listing, sound=False, model_id="", reason=NO_DEPLOYMENT)
        if deployed.ledger.address != self._works.ledger:
            return ModelState(listing, sound=False, model_id="", reason=OTHER_LEDGER)
        model_id = deployed.registry.model_id(listing)
        try:
            require_sound_model(deployed, listing)
        except CertificateError as err:
            return ModelState(listing, sound=False, model_id=model_id, reason=err.cause)
        return ModelState(listing, sound=True, model_id=model_id, reason=conditions(deployed))

    def _prints_are_sound(self) -> bool:
        """Whether prints are those of a known ledger, by the margin of the fingerprint circuit, and may be acted on."""
        deployed, similarity = self._sources.deployed, self._similarity
        if deployed is None or similarity is None or deployed.ledger.address != self._works.ledger:
            return False
        own = similarity.ledger() == self._works.ledger and similarity.margin() == margin(256)
        return own and similarity.is_sound()


def _known_similarity(chain: Chain, address: str) -> Similarity | None:
    """The contract that compares works: None if there is none, or if its code is not this version's.

    Whoever creates works chooses that code, so nothing of another code is believed.
    """
    if address == ZERO_ADDRESS:
        return None
    try:
        load("Similarity").require_code(require_code_at(chain, "Similarity", address))
    except CodeMismatchError:
        return None
    return Similarity(chain, address)
