"""The last answers of another feed on a chain, as the contract AggregatorSource reads them: the same integers.

The inputs of a round are about the time round * tick: the last foreign round at or before it, and those before that
one, oldest first. All are of one phase of a proxy (phase * 2^64 + round), because nobody can know where a phase ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Protocol

from zkinfer.contracts.errors import RevertedError
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.observations import Observation

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.oracle.recipes import Recipe

PHASE: Final = 1 << 64
MAX_STEPS: Final = 1000
"""How many foreign rounds are searched backwards for the one at a time."""
_ANSWER_LIMIT: Final = 1 << 127


@dataclass(frozen=True, slots=True)
class ForeignRound:
    """A round of another feed: its answer in that feed's decimals, and when it was updated in Unix seconds."""

    answer: int
    updated_at: int


class Aggregator(Protocol):
    """Another feed, with Chainlink's AggregatorV3Interface."""

    def decimals(self) -> int:
        """Of its answers."""
        ...

    def newest(self) -> int:
        """The number of its newest round; raises SourceError if it has none."""
        ...

    def round(self, number: int) -> ForeignRound:
        """One of its rounds; raises SourceError if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ChainAggregator:
    """The feed at an address of a chain."""

    chain: Chain
    address: str

    def decimals(self) -> int:
        """Of its answers; raises RpcError if there is no such contract."""
        return int(self.chain.read("FeedFace", self.address, "decimals"))

    def newest(self) -> int:
        """The number of its newest round; raises SourceError if it has none, or RpcError."""
        try:
            return int(self.chain.read("FeedFace", self.address, "latestRoundData")[0])
        except RevertedError as err:
            raise SourceError(f"The feed at {self.address} has no answer. {err.cause}") from err

    def round(self, number: int) -> ForeignRound:
        """One of its rounds; raises SourceError if there is none, or RpcError."""
        try:
            _, answer, _, updated_at, _ = self.chain.read("FeedFace", self.address, "getRoundData", number)
        except RevertedError as err:
            raise SourceError(f"The feed at {self.address} has no round {number}. {err.cause}") from err
        if not updated_at:
            raise SourceError(f"The feed at {self.address} has no round {number}.")
        return ForeignRound(answer, updated_at)


@dataclass(frozen=True, slots=True)
class AggregatorSource:
    """The series of another feed's answers.

    Args:
        aggregator: the other feed.
        max_age: the most seconds from its last answer to the time, as in the contract.
    """

    aggregator: Aggregator
    max_age: int = (1 << 32) - 1

    def observe(self, recipe: Recipe, now: int) -> Observation:
        """The series at a time in Unix seconds, the beginning of a round.

        Raises:
            SourceError: the feed has too few answers in its present phase, or one cannot be used.
            RpcError: the node failed.
        """
        return self.observe_from(recipe, now, self.last_round_at(now))

    def observe_from(self, recipe: Recipe, time: int, last: int) -> Observation:
        """The series that ends with a foreign round, which must be the last one at a time; raises as `observe`."""
        self._require_last(last, time)
        first = last - recipe.observed + 1
        if last % PHASE < recipe.observed:
            raise SourceError(
                f"The phase of round {last} has {last % PHASE} answers; the recipe needs {recipe.observed}.",
                "Wait until the new phase has enough.",
            )
        unit = 10 ** self.aggregator.decimals()
        numbers = tuple(Fraction(self._answer(number), unit) for number in range(first, last + 1))
        integers = recipe.integers(numbers)
        _require_signed_width(integers, recipe.encoding.width)
        return Observation(time, numbers, recipe.encoding.pack(integers), f"0x{last:064x}")

    def last_round_at(self, time: int) -> int:
        """The newest foreign round that was updated at or before a time; raises SourceError if none is found."""
        number = self.aggregator.newest()
        for _ in range(MAX_STEPS):
            if number % PHASE == 0:
                raise SourceError("The feed's present phase began after the time.", "Wait for the next round.")
            if self.aggregator.round(number).updated_at <= time:
                return number
            number -= 1
        raise SourceError(f"The feed had more than {MAX_STEPS} rounds since the time.", "Ask for a later round.")

    def _require_last(self, last: int, time: int) -> None:
        """As the contract: (1) `last` is not later, nor too old, (2) the next one is later, (3) so are all phases."""
        updated_at = self.aggregator.round(last).updated_at  # (1)
        if updated_at > time:
            raise SourceError(f"Round {last} of the feed was updated at {updated_at}, after {time}.")
        if time - updated_at > self.max_age:
            raise SourceError(
                f"Round {last} of the feed, its last, is {time - updated_at} s old; at most {self.max_age} is taken.",
                "Has that feed stopped?",
            )
        newest = self.aggregator.newest()
        if last != newest:
            self._require_later(last + 1, time)  # (2)
        for phase in range(last // PHASE + 1, newest // PHASE + 1):
            self._require_later(phase * PHASE + 1, time)  # (3)

    def _require_later(self, number: int, time: int) -> None:
        updated_at = self.aggregator.round(number).updated_at
        if updated_at <= time:
            raise SourceError(f"Round {number} of the feed, of {updated_at}, is at or before {time}, too.")

    def _answer(self, number: int) -> int:
        answer = self.aggregator.round(number).answer
        if not 0 < answer < _ANSWER_LIMIT:
            raise SourceError(f"The answer of round {number} of the feed is {answer}.", "Only positive ones are used.")
        return answer


def _require_signed_width(integers: list[int], width: int) -> None:
    """The contract writes two's complement, whatever the circuit reads."""
    limit = 1 << 8 * width - 1
    for place, one in enumerate(integers):
        if not -limit <= one < limit:
            raise SourceError(f"Input {place} of the model is {one}, and does not fit {width} signed bytes.")
