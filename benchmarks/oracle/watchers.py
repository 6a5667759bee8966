"""Who looks on while the operators work: readers of the faces, a user who posts reports, and the operators' webhook."""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import httpx2

from zkinfer.contracts.errors import ChainError, RevertedError
from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.contracts.feeds import FeedHub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.oracle.lab import Lab

USER: Final = 8
"""The user's development account."""
_READ_SECONDS: Final = 1.0
_PULL_SECONDS: Final = 0.3
_PULL_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Reading:
    """What a consumer's call of `latestRoundData` gave; `refusal` is why it gave nothing."""

    chain: str
    feed: str
    level: Level
    chain_time: int
    round: int = 0
    answer: int = 0
    updated_at: int = 0
    refusal: str = ""


@contextmanager
def repeated(*steps: Callable[[], float]) -> Iterator[None]:
    """Call each step in a thread of its own until the block ends; a step returns the seconds until it is called again.

    Raises RuntimeError at the end if a step failed.
    """
    ending, failures = threading.Event(), deque[BaseException]()

    def work(step: Callable[[], float]) -> None:
        while not ending.wait(step()):
            pass

    def guarded(step: Callable[[], float]) -> None:
        done = False
        try:
            work(step)
            done = True
        finally:
            if not done:
                failures.append(RuntimeError(f"{step} failed; its traceback is on stderr"))

    threads = [threading.Thread(target=guarded, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(60)
    if failures:
        raise failures[0]


@dataclass
class Reader:
    """Reads all faces on one chain, as a consumer would."""

    lab: Lab
    chain: str
    readings: list[Reading] = field(default_factory=list)
    silent: int = 0

    def __post_init__(self) -> None:
        self._connection = self.lab.chain(self.chain, USER)

    def step(self) -> float:
        """Read each face once."""
        for (chain, feed, level), face in self.lab.faces.items():
            if chain == self.chain:
                self._read(feed, level, face)
        return _READ_SECONDS

    def _read(self, feed: str, level: Level, face: str) -> None:
        try:
            found = self._connection.read("FeedFace", face, "latestRoundData")
            now = self._connection.time()  # not earlier than the block of the answer
        except RevertedError as err:
            self.readings.append(Reading(self.chain, feed, level, 0, refusal=err.cause))
        except ChainError:
            self.silent += 1
        else:
            self.readings.append(Reading(self.chain, feed, level, now, found[0], found[1], found[3]))


@dataclass
class PullingUser:
    """Fetches reports from the operators' servers, and posts the same bytes on every chain, before the daemons can."""

    lab: Lab
    seed: int
    posted: dict[tuple[str, int], bytes] = field(default_factory=dict)
    transactions: dict[tuple[str, str, int], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - reproducible
        self._hubs = {name: FeedHub(self.lab.chain(name, USER), hub.address) for name, hub in self.lab.hubs.items()}
        self._seen = 0
        self._client = httpx2.Client(timeout=1.0, trust_env=False)

    def step(self) -> float:
        """Fetch the newest report of the first feed; post it with some probability."""
        payload = self._latest()
        if payload is not None and payload.round > self._seen:
            self._seen = payload.round
            if self._random.random() < _PULL_SHARE:
                self._post(payload)
        return _PULL_SECONDS

    def close(self) -> None:
        """Close the connections to the servers."""
        self._client.close()

    def _latest(self) -> FeedPayload | None:
        operator = self._random.choice(self.lab.operators)
        try:
            answer = self._client.get(f"{operator.url}/api/v1/reports/latest", params={"feedID": self.lab.feed.id})
        except httpx2.HTTPError:
            return None
        if answer.status_code != httpx2.codes.OK:
            return None
        return FeedPayload.decode(bytes.fromhex(answer.json()["report"]["fullReport"][2:]))

    def _post(self, payload: FeedPayload) -> None:
        for name, hub in self._hubs.items():
            try:
                receipt = hub.verify(payload)
            except ChainError:
                continue  # the chain is suffering a fault, or a newer level came in between
            self.transactions[name, payload.level.name, payload.round] = receipt is not None
        self.posted[payload.level.name, payload.round] = payload.encode()


class Webhook:
    """Takes the operators' alerts."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where alerts go."""
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def about(self, kind: str) -> set[str]:
        """What alerts of a kind were about."""
        return {one["about"] for one in self.told if one["kind"] == kind}

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
