"""Chains as the daemon sees them: the hub's state, the height of blocks, and the account that pays."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from zkinfer.contracts.errors import RpcError
from zkinfer.oracle.feed import FAILURES
from zkinfer.oracle.schedule import MAX_SKEW, Last
from zkinfer.oracle.states import OPEN_DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zkinfer.circuits.errors import ZkinferError
    from zkinfer.contracts.errors import ChainError
    from zkinfer.contracts.feed_formats import Level
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.store import Store


T = TypeVar("T")
LEAST_PATIENCE: Final = 1.0
MOST_PATIENCE: Final = 10.0


def patience(tick: int) -> float:
    """Seconds that the thread of a feed waits for a node's answer, so that ticks of so many seconds are not missed."""
    return min(max(tick / 4, LEAST_PATIENCE), MOST_PATIENCE)


class HubRound(Protocol):
    """A round as a hub keeps it."""

    @property
    def answer(self) -> int:
        """In the feed's decimals."""
        ...

    @property
    def observed_at(self) -> int:
        """Unix seconds."""
        ...

    @property
    def level(self) -> Level:
        """How much the answer rests on."""
        ...


class HubState(Protocol):
    """What one chain has of the feeds. Errors are ChainErrors."""

    @property
    def name(self) -> str:
        """In the configuration."""
        ...

    def round_of(self, feed: str, number: int) -> HubRound | None:
        """A round that the hub has."""
        ...

    def latest(self, feed: str, level: Level) -> tuple[int, HubRound] | None:
        """The newest round of at least this level, with its number."""
        ...


class ChainAccess(HubState, Protocol):
    """One chain, and the account that posts to it. Errors are ChainErrors."""

    @property
    def id(self) -> int:
        """The chain id."""
        ...

    @property
    def account(self) -> str:
        """Address of the account that pays."""
        ...

    @property
    def posts(self) -> bool:
        """Whether there is an account to post with; else others must."""
        ...

    @property
    def confirmations(self) -> int:
        """Blocks after which a round is final, including its own."""
        ...

    @property
    def min_balance(self) -> int:
        """Wei below which the operator is alerted."""
        ...

    def height(self) -> int:
        """The number of the latest block."""
        ...

    def time(self) -> int:
        """The time of the latest block, in Unix seconds."""
        ...

    def balance(self) -> int:
        """Wei of the account."""
        ...

    def is_contradicted(self, feed: str) -> bool:
        """Whether a proof contradicted the feed's signers."""
        ...

    def post(self, payload: bytes) -> str | None:
        """Give a payload to the hub, and return the transaction once a block includes it; None if it was not needed."""
        ...

    def post_all(self, payloads: Sequence[bytes]) -> str | None:
        """As `post`, for several in one transaction: if the hub refuses one, none is taken."""
        ...


class ImpatientState:
    """A chain's state for those who serve other chains too: a node that is silent must not delay them.

    Args:
        chain: the chain.
        seconds: to wait for an answer. While a question is unanswered, no other is asked.
    """

    def __init__(self, chain: HubState, seconds: float) -> None:
        self._chain = chain
        self._seconds = seconds
        self._asking: threading.Thread | None = None

    @property
    def name(self) -> str:
        """In the configuration."""
        return self._chain.name

    def round_of(self, feed: str, number: int) -> HubRound | None:
        """As the chain's; raises RpcError too if there is no answer in time."""
        return self.ask(lambda: self._chain.round_of(feed, number))

    def latest(self, feed: str, level: Level) -> tuple[int, HubRound] | None:
        """As the chain's; raises RpcError too if there is no answer in time."""
        return self.ask(lambda: self._chain.latest(feed, level))

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to any question to the chain; raises RpcError if there is none in time, and what the chain raises.

        The question is asked in a thread of its own, and its answer is dropped if it comes late.
        """
        if self._asking is not None and self._asking.is_alive():
            raise RpcError(f"{self.name} has not answered an earlier question yet.", "Is its node overloaded?")
        answers: list[T] = []
        refusals: list[ZkinferError | ChainError] = []

        def work() -> None:
            try:
                answers.append(question())
            except FAILURES as err:
                refusals.append(err)

        # A daemon thread: the end of the process must not wait for the node.
        self._asking = threading.Thread(target=work, name=f"question to {self.name}", daemon=True)
        self._asking.start()
        self._asking.join(self._seconds)
        if refusals:
            raise refusals[0]
        if not answers:
            raise RpcError(f"{self.name} gave no answer in {self._seconds:g} s.", "Is its node overloaded?")
        return answers[0]


def last_round(store: Store, feed: Feed, chain: HubState, now: float) -> Last | None:
    """The newest round that a chain has, or that is on its way to it. One from the future was made by a wrong clock.

    Raises ChainError if the chain does not answer.
    """
    found = chain.latest(feed.id, feed.highest)
    on_chain = None if found is None else Last(found[1].observed_at, found[1].answer)
    on_the_way = store.deliveries.newest(feed.id, chain.name)
    if on_the_way is None or on_the_way.state not in OPEN_DELIVERIES:
        return on_chain
    known = store.rounds.find(on_the_way.key.round)
    if (
        known is None
        or known.observed_at > now + MAX_SKEW
        or (on_chain is not None and on_chain.observed_at >= known.observed_at)
    ):
        return on_chain
    return Last(known.observed_at, known.answer)
