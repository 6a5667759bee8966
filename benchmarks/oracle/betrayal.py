"""Two of three signers lie about a round; somebody proves what the model really answers, and shows it to the hubs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zkinfer.circuits import Home
from zkinfer.contracts.errors import ChainError, FeedContradictedError
from zkinfer.contracts.feeds import FeedHub
from zkinfer.oracle import reports
from zkinfer.oracle.answers import answer_of
from zkinfer.oracle.observations import observation_of
from zkinfer.prover import Prover

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.oracle.lab import Lab

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.contracts.feed_formats import FeedPayload

LIE: Final = 1000
"""By how much the signed answer is too large, in the feed's decimals."""
_LIAR, _WITNESS = 6, 7
_AHEAD_SECONDS: Final = 8
_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class Betrayal:
    """A lie and its contradiction.

    Args:
        feed: that is betrayed.
        rounds: of which a chain took the lie; the contradiction is about the last.
        shown_at: when the last hub had the proof, in Unix seconds.
    """

    feed: str
    rounds: frozenset[int]
    shown_at: float


def betray(lab: Lab, feed: str, engine: Engine) -> Betrayal:
    """Lie, and show the contradiction on every chain; raises TimeoutError if the honest reports always come first."""
    rounds = set()
    with ThreadPoolExecutor(len(lab.hubs)) as threads:
        for _ in range(_ATTEMPTS):
            signed, proven = _prepare(lab, feed, engine)
            time.sleep(max(signed.report.observed_at + 0.1 - time.time(), 0))
            accepted = [*threads.map(lambda name, lie=signed: _accepted(lab, name, lie), lab.hubs)]
            if any(accepted):
                rounds.add(signed.round)
            if all(accepted):
                _show(lab, feed, proven)
                return Betrayal(feed, frozenset(rounds), time.time())
    raise TimeoutError("the liars were never first")


def _prepare(lab: Lab, feed: str, engine: Engine) -> tuple[FeedPayload, FeedPayload]:
    """The lie about a round to come, without and with the proof against it."""
    file, series = lab.feeds[feed], lab.source.series[feed]
    now = time.time()
    observed_at = (int(now) + _AHEAD_SECONDS) // file.spec.tick * file.spec.tick + file.spec.tick
    seen = observation_of(file.recipe, series.at(now), observed_at=observed_at, origin="http://the-liars")
    answer = answer_of(lab.circuit, engine, file.spec, seen.inputs).value
    liars = [one.signer for one in lab.operators[1:]]
    lie = reports.attest(file, reports.unsigned(file, seen, answer + LIE), liars)
    truth = reports.unsigned(file, seen, answer)
    honest = reports.prove(file.spec, lab.circuit, Prover(home=Home(lab.folder / "home")), truth)
    return lie, replace(lie, outputs=honest.outputs, proof=honest.proof)


def _accepted(lab: Lab, name: str, signed: FeedPayload) -> bool:
    hub = FeedHub(lab.chain(name, _LIAR), lab.hubs[name].address)
    return _repeated(lambda: hub.verify(signed) is not None, signed.report.observed_at + lab.plan.tick)


def _show(lab: Lab, feed: str, proven: FeedPayload) -> None:
    """Post the contradiction twice on every chain."""
    for name, hub in lab.hubs.items():
        for account in (_WITNESS, _LIAR):
            _contradict(FeedHub(lab.chain(name, account), hub.address), proven)
        if not hub.is_contradicted(lab.feeds[feed].id):
            raise RuntimeError(f"{name} shows no contradiction")


def _contradict(hub: FeedHub, proven: FeedPayload) -> None:
    try:
        hub.verify(proven)
    except FeedContradictedError:
        return


def _repeated(post: Callable[[], bool], until: float) -> bool:
    """Whether a post succeeded before a time; until then a chain's clock may be behind the report."""
    while time.time() < until:
        try:
            return post()
        except ChainError:
            time.sleep(0.1)
    return False
