"""The request of one operator to another to sign its report, and the rules by which it is signed.

A signature is given only after all of these hold, in this order, cheapest first:

1. The request has the form below and is small.
2. The feed is served here and has signers.
3. The hash is signed by at least one of the feed's signers: nobody else can make this operator work.
4. If this round is on record already, it is this very report. Then the signature is given again. This operator's own
   signature is over nothing else: otherwise another process has its key.
5. The report is fresh: of this moment, give or take the tolerated clock skew, and not about to expire.
6. The recipe makes the inputs from the sent source file; with the claimed answer, their report has the signed hash.
   Reports are public, so a stranger can send a signer's signature, but not over this hash. Only then this operator's
   own circuit runs, and its answer must be the claimed one.
7. This operator's own observation of the round agrees within the recipe's tolerance.
8. The report is on record as the only one of its round, before the signature leaves.
"""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.contracts.errors import FeedFormatError, FeedSignatureError
from zkinfer.contracts.feed_formats import recover, sign
from zkinfer.oracle.alerts import AlertKind
from zkinfer.oracle.errors import UnknownFeedError, VoteError
from zkinfer.oracle.feed import FAILURES, packed, unpacked
from zkinfer.oracle.schedule import MAX_SKEW, last_vote
from zkinfer.oracle.store.rounds import RoundKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zkinfer.circuits.errors import ZkinferError
    from zkinfer.contracts.errors import ChainError
    from zkinfer.contracts.feed_formats import HashSigner
    from zkinfer.oracle.alerts import Alerts
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.rounds import NewRound, StoredRound

MAX_REQUEST_BYTES: Final = 1 << 21
_BUSY_SECONDS: Final = 5.0
MOST_REFUSED: Final = 10
"""Reports of one signer for one round that are looked at; an honest one asks again five times in a tick."""
Word = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
Hex = Annotated[str, Field(pattern=r"^0x([0-9a-f]{2})*$")]
Integer = Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,57})$")]
Signed = Annotated[str, Field(pattern=r"^0x[0-9a-f]{130}$")]


class VoteRequest(BaseModel):
    """What an operator sends: the source file, and who has signed the report made from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)

    feed_id: Annotated[Word, Field(alias="feedID")]
    round: Annotated[int, Field(ge=0, lt=1 << 40)]
    signing_hash: Word
    source: Hex
    answer: Integer
    signatures: Annotated[tuple[Signed, ...], Field(min_length=1, max_length=31)]

    @classmethod
    def of(cls, stored: StoredRound, source: bytes, signatures: Sequence[bytes]) -> VoteRequest:
        """The request to sign a round on record."""
        return cls(
            feed_id=stored.key.feed,
            round=stored.key.number,
            signing_hash=stored.signing_hash,
            source="0x" + source.hex(),
            answer=str(stored.answer),
            signatures=tuple("0x" + one.hex() for one in signatures),
        )

    def to_bytes(self) -> bytes:
        """JSON."""
        return canonical.dump(self.model_dump(by_alias=True, mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> VoteRequest:
        """Read a request strictly; raises VoteError."""
        try:
            canonical.load(data, max_bytes=MAX_REQUEST_BYTES, what="request to sign")
            return cls.model_validate_json(data)
        except JsonError as err:
            raise VoteError(err.cause, err.cure) from err
        except ValidationError as err:
            place = ".".join(str(part) for part in err.errors()[0]["loc"])
            raise VoteError(
                f"The request to sign has no valid {place or 'form'}.", "Do both run the same version?"
            ) from err


class VoteAnswer(BaseModel):
    """The signatures of a report that an operator knows, its own among them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    signatures: Annotated[tuple[Signed, ...], Field(max_length=31)]


class Voter:
    """Signs peers' reports.

    Args:
        feeds: that are served here, by id.
        store: of this daemon.
        clock: Unix seconds.
        alerts: to the operator.
        closed: by feed, up to which round none is signed that is not on record.

    Attributes:
        spreads: by feed id, how far the last peer's answer was from this operator's own, as the feed's number.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        store: Store,
        clock: Callable[[], float] = time.time,
        alerts: Alerts | None = None,
        closed: Mapping[str, int] | None = None,
    ) -> None:
        self._feeds = feeds
        self._store = store
        self._clock = clock
        self._alerts = alerts
        self._closed = {} if closed is None else closed
        self._refused: Counter[tuple[RoundKey, str]] = Counter()
        self.spreads: dict[str, Fraction] = {}

    def vote(self, request: VoteRequest) -> VoteAnswer:
        """Sign a peer's report, or give the signatures on record.

        Raises:
            UnknownFeedError: the feed is not served here.
            VoteError: one of the rules above does not hold.
            StoreError: the database cannot be used; nothing was signed.
        """
        feed = self._feed(request.feed_id)
        known = _known_signatures(feed, request)
        # One at a time: a peer cannot make this operator work in parallel.
        if not feed.deciding.acquire(timeout=_BUSY_SECONDS):
            raise VoteError("This operator is busy with another report of the feed.", "Ask again.")
        try:
            return self._vote(feed, request, known)
        finally:
            feed.deciding.release()

    def _vote(self, feed: Feed, request: VoteRequest, known: Mapping[str, bytes]) -> VoteAnswer:
        stored = self._store.rounds.find(RoundKey(feed.id, request.round))
        if stored is None or stored.signing_hash != request.signing_hash:
            observed, new = self._claimed(feed, request, next(iter(known)))
            if feed.address in known:
                self._tell_of_key(feed, request.round)
            if stored is None and request.round <= self._closed.get(feed.id, -1):
                raise VoteError(f"Round {request.round} may have been signed here before.", "The next ones are signed.")
            stored = stored or self._adopt(feed, observed, new)
        if stored.signing_hash != request.signing_hash:
            raise VoteError(f"Another report for round {request.round} is signed here.", "One per round, ever.")
        return VoteAnswer(signatures=tuple("0x" + one.hex() for one in self._signed(feed, stored, known).values()))

    def _tell_of_key(self, feed: Feed, number: int) -> NoReturn:
        text = f"This operator's key signed a report of round {number} that is not on record here."
        cure = "Another process has the key, or the database was lost: use another key, or find that process."
        if self._alerts is not None:
            self._alerts.begin(AlertKind.KEY_ELSEWHERE, feed.name, f"{text} {cure}")
        raise VoteError(text, cure)

    def _feed(self, name: str) -> Feed:
        """Rule 2."""
        feed = self._feeds.get(name)
        if feed is None or feed.config is None or feed.signer is None:
            raise UnknownFeedError(f"No feed {name} is signed here.", "Is the peer configured with the same file?")
        return feed

    def _claimed(self, feed: Feed, request: VoteRequest, proposer: str) -> tuple[Observation, NewRound]:
        """The report that a signer has really signed just now: rule 5, and rule 6 up to the hash."""
        try:
            observed = feed.model.reconstruct(bytes.fromhex(request.source[2:]))
            self._require_fresh(feed, request, observed)
            new = feed.new_round(observed, int(request.answer), proposer)
        except FAILURES as err:
            raise _refusal(err) from err
        if new.signing_hash != request.signing_hash:
            raise VoteError("The source file gives another report here.", "Do both have the same feed and signers?")
        return observed, new

    def _adopt(self, feed: Feed, observed: Observation, new: NewRound) -> StoredRound:
        """The rest of rules 6 to 8, before the signature. Of a signer whose reports are refused, only a few are seen.

        They are counted only here, so that nobody but the signer can use them up.
        """
        asking = new.key, new.proposer
        if self._refused[asking] >= MOST_REFUSED:
            raise VoteError(f"Too many reports of {new.proposer} for this round were refused.", "Ask for the next one.")
        try:
            if (own := feed.model.answer(observed)) != new.answer:
                raise VoteError(f"The circuit answers {own} here, not {new.answer}.", "Do both have the same circuit?")
            seen = feed.model.observe(new.key.number)
            self._note_spread(feed, seen, new.answer)
            feed.model.require_agreement(seen, observed)
            return self._store.rounds.record(new)
        except FAILURES as err:
            self._count_refusal(asking)
            raise _refusal(err) from err

    def _note_spread(self, feed: Feed, seen: Observation, other: int) -> None:
        """Note how far the answers are apart, also if they are too far; not if this observation has no answer."""
        try:
            own = feed.model.answer(seen)
        except FAILURES:
            self.spreads.pop(feed.id, None)
            return
        self.spreads[feed.id] = Fraction(abs(own - other), 10**feed.spec.decimals)

    def _count_refusal(self, asking: tuple[RoundKey, str]) -> None:
        """Count it, and forget those of rounds that are too old to be asked for."""
        for key, signer in [*self._refused]:
            if key.feed == asking[0].feed and key.number + 2 < asking[0].number:
                del self._refused[key, signer]
        self._refused[asking] += 1

    def _require_fresh(self, feed: Feed, request: VoteRequest, observed: Observation) -> None:
        now = self._clock()
        if feed.round_at(observed.observed_at) != request.round:
            raise VoteError(f"The source file is not of round {request.round}.")
        if observed.observed_at > now + MAX_SKEW:
            raise VoteError(
                f"The report is {observed.observed_at - now:.0f} s ahead of this clock.", "Check both clocks."
            )
        if now > last_vote(feed.spec, observed.observed_at):
            raise VoteError(f"The report is {now - observed.observed_at:.0f} s old.", "Ask within its tick.")

    def _signed(self, feed: Feed, stored: StoredRound, known: Mapping[str, bytes]) -> dict[str, bytes]:
        for signer, signature in known.items():
            self._store.rounds.sign(stored.key, signer, signature)
        found = self._store.rounds.signatures(stored.key)
        if feed.address not in found:
            own = packed(sign(bytes.fromhex(stored.signing_hash[2:]), _key(feed)))
            self._store.rounds.sign(stored.key, feed.address, own)
            found[feed.address] = own
        return found


def _refusal(err: ZkinferError | ChainError) -> VoteError:
    return err if isinstance(err, VoteError) else VoteError(f"Not confirmed here: {err.cause}", err.cure)


def _known_signatures(feed: Feed, request: VoteRequest) -> dict[str, bytes]:
    """Rule 3: the signers who have signed this hash."""
    found = valid_signatures(feed, request.signing_hash, request.signatures)
    if not found:
        raise VoteError("No signer of the feed has signed this hash.", "Only its signers may ask.")
    return found


def valid_signatures(feed: Feed, signing_hash: str, signatures: Sequence[str]) -> dict[str, bytes]:
    """Those of the signatures that are of the feed's signers, by signer."""
    signers = () if feed.config is None else feed.config.signers
    found = {}
    for text in signatures:
        data = bytes.fromhex(text[2:])
        try:
            signer = recover(bytes.fromhex(signing_hash[2:]), unpacked(data))
        except (FeedFormatError, FeedSignatureError):
            continue
        if signer in signers:
            found[signer] = data
    return found


def _key(feed: Feed) -> HashSigner:
    assert feed.signer is not None  # noqa: S101 - `_feed` has checked it
    return feed.signer
