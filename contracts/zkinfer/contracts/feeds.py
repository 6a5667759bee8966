"""Client of the hub of data feeds of one deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zkinfer.contracts.abi import hex_to_bytes
from zkinfer.contracts.errors import FeedContradictedError, TransactionFailedError
from zkinfer.contracts.feed_formats import NO_CONFIG, FeedSpec, Level, SignerConfig, feed_id
from zkinfer.contracts.feed_parts import deploy_face

__all__ = ["FeedHub", "FeedRound", "FeedState", "deploy_face"]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.feed_formats import FeedPayload


@dataclass(frozen=True, slots=True)
class FeedRound:
    """The one answer of a round, as the hub stored it; the time is that of the observation."""

    answer: int
    observed_at: int
    level: Level


@dataclass(frozen=True, slots=True)
class FeedState:
    """What changes about a feed, as `FeedState` in IFeedHub.sol.

    Args:
        latest: the newest round with an answer of any level.
        latest_proven: the newest round with a proven answer.
        doubted_below: rounds below this are not read as attested, because a proof contradicted the signers then.
        contradicted: whether a proof contradicted the present signers.
        sourced: whether a contract computes the inputs, so that there are no signers.
    """

    latest: int
    latest_proven: int
    doubted_below: int
    contradicted: bool
    sourced: bool


class FeedHub:
    """The hub at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def configure(self, config: SignerConfig) -> str:
        """Make a set of signers available to feeds, unless it is; returns its digest."""
        self._chain.ensure(
            lambda: self.signers_of(config.digest) is not None,
            lambda: self._write("configure", list(config.signers), config.threshold),
        )
        return config.digest

    def create(self, spec: FeedSpec, config_digest: str = NO_CONFIG) -> str:
        """Create a feed, as its owner, unless it exists; returns its id.

        The signers of a feed that exists are left as they are: see `choose`.

        Raises:
            FeedFormatError: its maximum age ends too late for the report's 32 bits.
            RevertedError: the hub refuses it, for example because the account is not the owner.
        """
        feed = feed_id(spec)
        if not self.exists(feed):
            spec.require_creatable(self._chain.time())
        self._chain.ensure(
            lambda: self.exists(feed),
            lambda: self._write("create", spec.fields, hex_to_bytes(config_digest)),
        )
        return feed

    def choose(self, feed: str, config_digest: str) -> TxReceipt | None:
        """Give a feed other signers, as its owner; None if it has them. Raises as `Chain.send`."""
        return self._chain.ensure(
            lambda: self.config_of(feed) == config_digest,
            lambda: self._write("choose", hex_to_bytes(feed), hex_to_bytes(config_digest)),
        )

    def verify(self, payload: FeedPayload, *, gas: int | None = None) -> TxReceipt | None:
        """Post a payload; None if its round has its answer at its level already, so posting is idempotent.

        A payload that has expired can only raise the level of its round, by its proof.

        Raises:
            RevertedError: the hub refuses it, for example because the round has another answer.
            FeedContradictedError: its proof contradicts the signers; that is on record now.
            TransactionFailedError, RpcError, SignerError: as `Chain.send`.
        """
        return self._take([payload], lambda: self._post(payload, gas))

    def verify_all(self, payloads: Sequence[FeedPayload], *, gas: int | None = None) -> TxReceipt | None:
        """Post several payloads in one transaction; None if the hub has them all. If it refuses one, it takes none.

        Raises as `verify`.
        """
        data = [one.encode() for one in payloads]
        return self._take(payloads, lambda: self._write("verifyBulk", data, b"", gas=gas))

    def exists(self, feed: str) -> bool:
        """Whether the feed was created on this hub."""
        return self.config_of(feed) != NO_CONFIG or self.state_of(feed).sourced

    def spec_of(self, feed: str) -> FeedSpec:
        """What a feed is; raises RevertedError if there is none."""
        return FeedSpec.of(self._read("specOf", feed))

    def config_of(self, feed: str) -> str:
        """The digest of a feed's signers; zero if there is no feed, or it has an on-chain source."""
        return "0x" + bytes(self._read("configOf", feed)).hex()

    def signers_of(self, config_digest: str) -> SignerConfig | None:
        """A config; None if nobody has set it."""
        signers, threshold = self._read("signersOf", config_digest)
        return SignerConfig(tuple(signers), threshold) if threshold else None

    def state_of(self, feed: str) -> FeedState:
        """What changes about a feed; zeros if there is none."""
        return FeedState(*self._read("stateOf", feed))

    def is_contradicted(self, feed: str) -> bool:
        """Whether a proof contradicted the present signers of a feed."""
        return bool(self._read("isContradicted", feed))

    def round_of(self, feed: str, number: int) -> FeedRound | None:
        """A round as it was stored; None if it has no answer.

        Consumers are refused some of these answers: see `requireRound` in IFeedHub.sol.
        """
        answer, observed_at, level = self._read("roundOf", feed, number)
        return FeedRound(answer, observed_at, Level(level)) if level else None

    def latest(self, feed: str, level: Level) -> tuple[int, FeedRound] | None:
        """The newest round with an answer of this level or a higher one, as it was stored; None if there is none."""
        state = self.state_of(feed)
        number = state.latest_proven if level == Level.PROVEN else state.latest
        found = self.round_of(feed, number)
        return None if found is None or found.level < level else (number, found)

    def require_at(self, feed: str, number: int, level: Level) -> int:
        """The answer of a round, as contracts get it.

        Raises RevertedError if there is none of that level, or the feed was stopped or contradicted.
        """
        return int(self._read("requireAt", feed, number, level))

    def _take(self, payloads: Sequence[FeedPayload], send: Callable[[], TxReceipt | None]) -> TxReceipt | None:
        try:
            return self._chain.ensure(lambda: all(self._has(one) for one in payloads), send)
        except TransactionFailedError as err:
            for feed in {one.report.feed_id for one in payloads}:
                if self.is_contradicted(feed):
                    raise FeedContradictedError(
                        f"A proof contradicted the signers of {feed}.",
                        "The feed's owner must find out why, and choose other signers.",
                    ) from err
            raise

    def _has(self, payload: FeedPayload) -> bool:
        report = payload.report
        found = self.round_of(report.feed_id, payload.round)
        if found is None or found.level < payload.level:
            return False
        return (found.answer, found.observed_at) == (report.answer, report.observed_at)

    def _post(self, payload: FeedPayload, gas: int | None) -> TxReceipt | None:
        if payload.level == Level.PROVEN and self._chain.time() > payload.report.expires_at:
            return self._write("prove", payload.encode(), gas=gas)
        return self._write("verify", payload.encode(), b"", gas=gas)

    def _read(self, name: str, digest: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        return self._chain.read("FeedHub", self.address, name, hex_to_bytes(digest), *arguments)

    def _write(self, name: str, *arguments: object, gas: int | None = None) -> TxReceipt | None:
        return self._chain.write("FeedHub", self.address, name, *arguments, gas=gas)
