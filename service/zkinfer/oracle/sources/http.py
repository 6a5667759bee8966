"""A series behind a URL.

Only https, and http on this machine, unless plain http is spelt out. Answers are limited in size and time, redirects
stay on the host, and each attempt is repeated only a few times. Proxies and credentials of the environment are ignored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx2

from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.rpc import is_loopback, parse_url
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.documents import MAX_BYTES, observe_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe

MAX_REDIRECTS: Final = 3
_PAUSE: Final = 0.2
_CHUNK: Final = 1 << 16
_AGAIN: Final = (429, 500, 502, 503, 504)


class _TryAgainError(Exception):
    """A failure that may pass."""


@dataclass(frozen=True, slots=True)
class HttpSource:
    """A JSON document at a URL.

    Args:
        url: https, or http on this machine.
        timeout: seconds for an attempt as a whole.
        attempts: how often to ask, at least once.
        headers: sent along, such as an API key.
        unsafe_plain_http: also accept http to other machines, where anybody on the way can change the numbers.
        transport: sends the requests; for tests.
        sleep: pauses between attempts.

    Raises:
        SourceError: the URL is not acceptable.
    """

    url: str
    timeout: float = 5.0
    attempts: int = 3
    headers: Mapping[str, str] = field(default_factory=dict)
    unsafe_plain_http: bool = False
    transport: httpx2.BaseTransport | None = None
    sleep: Callable[[float], object] = time.sleep

    def __post_init__(self) -> None:
        try:
            parts = parse_url(self.url)
        except RpcError as err:
            raise SourceError("The URL of a source begins with https:// and names a host.", "Check `http`.") from err
        if parts.scheme != "https" and not is_loopback(parts) and not self.unsafe_plain_http:
            raise SourceError(
                f"The connection to {parts.hostname} is not encrypted, so the numbers could be changed on the way.",
                "Use https; or accept the risk with unsafe-plain-http = true.",
            )

    @property
    def origin(self) -> str:
        """Scheme and host, without path and query, which may hold a key."""
        return self._origin_of(httpx2.URL(self.url))

    def observe(self, recipe: Recipe, now: int) -> Observation:
        """The series there now, in Unix seconds; raises SourceError if it cannot be fetched or used."""
        return observe_document(self, recipe, now)

    def fetch(self) -> bytes:
        """The document; raises SourceError after the last attempt, or at once for what another one cannot cure."""
        with httpx2.Client(
            transport=self.transport, timeout=self.timeout, trust_env=False, follow_redirects=False
        ) as client:
            for attempt in range(1, self.attempts + 1):
                try:
                    return self._attempt(client)
                except _TryAgainError as err:
                    if attempt == self.attempts:
                        raise SourceError(
                            f"{self.origin} gave no answer in {attempt} attempts: {err}.", "Is the source running?"
                        ) from err
                self.sleep(_PAUSE * 2 ** (attempt - 1))
        raise SourceError("A source is asked at least once.", "Check `attempts`.")

    def _attempt(self, client: httpx2.Client) -> bytes:
        url, deadline = httpx2.URL(self.url), time.monotonic() + self.timeout
        try:
            for _ in range(MAX_REDIRECTS + 1):
                with client.stream("GET", url, headers={**self.headers, "Accept-Encoding": "identity"}) as answer:
                    if not answer.has_redirect_location:
                        return self._body(answer, deadline)
                    url = self._followed(url, answer)
        except (httpx2.HTTPError, httpx2.InvalidURL) as err:
            raise _TryAgainError(type(err).__name__) from None  # its text may hold the URL
        raise SourceError(f"{self.origin} redirects more than {MAX_REDIRECTS} times.", "Give the final URL.")

    def _followed(self, url: httpx2.URL, answer: httpx2.Response) -> httpx2.URL:
        target = url.join(answer.headers["Location"])
        if self._origin_of(target) != self.origin:
            raise SourceError(
                f"{self.origin} redirects to {self._origin_of(target)}, another host.", "Give the final URL."
            )
        return target

    def _body(self, answer: httpx2.Response, deadline: float) -> bytes:
        if answer.status_code in _AGAIN:
            raise _TryAgainError(f"status {answer.status_code}")
        if answer.status_code != httpx2.codes.OK:
            raise SourceError(f"{self.origin} answered with status {answer.status_code}.", "Check URL and key.")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceError(f"{self.origin} compresses its answer, which was not asked for.")
        data = bytearray()
        for chunk in answer.iter_raw(_CHUNK):
            data += chunk
            if len(data) > MAX_BYTES:
                raise SourceError(f"{self.origin} answered with more than {MAX_BYTES:,} bytes.", "Ask for less.")
            if time.monotonic() > deadline:
                raise _TryAgainError(f"no complete answer in {self.timeout:g} s")
        return bytes(data)

    @staticmethod
    def _origin_of(url: httpx2.URL) -> str:
        port = f":{url.port}" if url.port else ""
        return f"{url.scheme}://{url.host}{port}"
