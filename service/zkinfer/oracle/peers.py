"""Ask the other operators for their signatures, all at the same time and within a time limit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final

import httpx2
from pydantic import ValidationError

from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.rpc import is_loopback, parse_url
from zkinfer.oracle.errors import PeerError
from zkinfer.oracle.votes import VoteAnswer, VoteRequest, valid_signatures
from zkinfer.service.logs import log

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.store.rounds import RoundKey, StoredRound

PATH: Final = "/oracle/v1/sign"
_MAX_ANSWER: Final = 1 << 16
_MAX_SECONDS: Final = 5.0
_THREADS: Final = 8
_MAX_REFUSALS: Final = 64  # rounds whose refusals are remembered


class Peers:
    """The other operators of this one's feeds.

    Args:
        urls: of their report servers, https or on this machine.
        verify: certificates that are trusted; True for the system's.
        transport: of httpx2; for tests.

    Raises:
        PeerError: a URL is not acceptable.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        verify: ssl.SSLContext | bool = True,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._urls = [_checked(url) for url in urls]
        self._client = httpx2.Client(verify=verify, transport=transport, trust_env=False)
        # Threads for each, so that a slow peer delays no other; several, since the ticks of feeds begin together.
        self._threads = {url: ThreadPoolExecutor(_THREADS, thread_name_prefix="peer") for url in self._urls}
        self._last: dict[tuple[str, str], Future[VoteAnswer]] = {}
        self._refusals: dict[RoundKey, dict[str, str]] = {}

    def refusals(self, key: RoundKey) -> str:
        """Why peers did not sign a round when they were asked first, in one line; forgets it."""
        found = self._refusals.pop(key, {})
        return "; ".join(f"{peer}: {reason}" for peer, reason in sorted(found.items()))

    def ask(self, feed: Feed, stored: StoredRound, source: bytes, signatures: Mapping[str, bytes]) -> dict[str, bytes]:
        """The signatures that the peers give, by signer. A peer that refuses or is silent is logged.

        Returns as soon as there are enough, and at the latest after a share of the tick, whatever the peers do.
        """
        data = VoteRequest.of(stored, source, [*signatures.values()]).to_bytes()
        seconds = min(max(feed.spec.tick / 3, 0.3), _MAX_SECONDS)
        found: dict[str, bytes] = {}
        running = self._begin(stored, data, seconds)
        try:
            for future in as_completed(running, timeout=seconds):
                found |= self._taken(feed, stored, running.pop(future), future)
                if self._is_enough(feed, found, signatures):
                    self._refusals.pop(stored.key, None)
                    return found
        except TimeoutError:
            for url in running.values():
                self._refuse(stored, url, "No answer in time.")
        for forgotten in [*self._refusals][:-_MAX_REFUSALS]:
            del self._refusals[forgotten]
        return found

    def _begin(self, stored: StoredRound, data: bytes, seconds: float) -> dict[Future[VoteAnswer], str]:
        """Ask each peer that has answered the last request about the feed."""
        running = {}
        for url, threads in self._threads.items():
            last = self._last.get((stored.key.feed, url))
            if last is not None and not last.done():
                self._refuse(stored, url, "Still busy with the last request.")
                continue
            future = self._last[stored.key.feed, url] = threads.submit(self._ask, url, data, seconds)
            running[future] = url
        return running

    def _taken(self, feed: Feed, stored: StoredRound, url: str, future: Future[VoteAnswer]) -> dict[str, bytes]:
        try:
            return valid_signatures(feed, stored.signing_hash, future.result().signatures)
        except PeerError as err:
            self._refuse(stored, url, err.cause)
            return {}

    def _refuse(self, stored: StoredRound, url: str, reason: str) -> None:
        self._refusals.setdefault(stored.key, {}).setdefault(url, reason)
        log.warning("a peer did not sign", peer=url, round=stored.key.number, reason=reason)

    @staticmethod
    def _is_enough(feed: Feed, found: Mapping[str, bytes], signatures: Mapping[str, bytes]) -> bool:
        return feed.config is not None and len(found.keys() | signatures.keys()) >= feed.config.threshold

    def close(self) -> None:
        """Close the connections."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _ask(self, url: str, data: bytes, seconds: float) -> VoteAnswer:
        """One peer's answer; raises PeerError."""
        headers, end = {"content-type": "application/json"}, time.monotonic() + seconds
        try:
            with self._client.stream("POST", url, content=data, headers=headers, timeout=seconds) as answer:
                body = _body(answer, end)
        except httpx2.HTTPError as err:
            raise PeerError(f"No answer ({type(err).__name__}).", "Is the peer running, and reachable?") from err
        if answer.status_code != httpx2.codes.OK:
            raise PeerError(f"Status {answer.status_code}: {_reason(body)}", "See the peer's log.")
        try:
            return VoteAnswer.model_validate_json(body)
        except ValidationError as err:
            raise PeerError("The answer holds no signatures.", "Is the URL that of a report server?") from err


def _body(answer: httpx2.Response, end: float) -> bytes:
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if time.monotonic() > end:
            raise PeerError("No complete answer in time.", "Is the peer overloaded?")
        if len(body) > _MAX_ANSWER:
            raise PeerError("The answer is too large.", "Is the URL that of a report server?")
    return bytes(body)


def _reason(body: bytes) -> str:
    """What a problem document says, in one printable line."""
    try:
        document = httpx2.Response(200, content=body).json()
    except ValueError:
        return "without a reason"
    detail = document.get("detail") if isinstance(document, dict) else None
    return "".join(char if char.isprintable() else " " for char in str(detail))[:300]


def _checked(url: str) -> str:
    """The URL to post to; raises PeerError for one that is not encrypted."""
    try:
        parts = parse_url(url)
    except RpcError:
        parts = None
    if parts is None or parts.username or parts.query:
        raise PeerError(f"{url!r:.200} is not the URL of a peer.", "Write https://host:port")
    if parts.scheme != "https" and not is_loopback(parts):
        raise PeerError(
            f"The connection to {parts.hostname} is not encrypted.", "Use https, or a tunnel to this machine."
        )
    return url.rstrip("/") + PATH
