"""The REST interface and the stream of Chainlink Data Streams and of APRO, which are the same, over stored reports.

Paths, parameters and answers are theirs (docs.chain.link/data-streams/reference/interface-api,
docs.apro.com/en/data-pull/api-and-websocket-guide). `fullReport` is what the hub's `verify` takes. The reports are
public, since they go to chains; so the headers with which clients identify themselves are not needed, and not read.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect, WebSocketState

from zkinfer.oracle.errors import NoReportError, UnknownFeedError
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store.rounds import MAX_PAGE_BYTES
from zkinfer.oracle.web import answer, parameters
from zkinfer.service.errors import BadFieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.rounds import StoredRound

MAX_FEEDS: Final = 100
MAX_PAGE: Final = 100
MAX_STREAMS: Final = 256
_POLL_SECONDS: Final = 0.25
_SEND_SECONDS: Final = 10.0
_POLICY_VIOLATION, _TRY_AGAIN = 1008, 1013


def report_document(stored: StoredRound) -> dict[str, Any]:
    """A report as clients of Data Streams and APRO read it."""
    return {
        "feedID": stored.key.feed,
        "validFromTimestamp": stored.observed_at,
        "observationsTimestamp": stored.observed_at,
        "fullReport": "0x" + (stored.payload or b"").hex(),
    }


class StreamsApi:
    """Serves the reports of some feeds.

    Args:
        feeds: their ids.
        store: of the daemon.
        clock: Unix seconds.
    """

    def __init__(self, feeds: Collection[str], store: Store, clock: Callable[[], float] = time.time) -> None:
        self._feeds = frozenset(feeds)
        self._store = store
        self._clock = clock
        self._streams = 0
        self._latest: dict[str, tuple[float, StoredRound | None]] = {}

    @property
    def routes(self) -> list[BaseRoute]:
        """The paths."""
        return [
            Route("/api/v1/reports", self.report),
            Route("/api/v1/reports/latest", self.latest),
            Route("/api/v1/reports/bulk", self.bulk),
            Route("/api/v1/reports/page", self.page),
            WebSocketRoute("/api/v1/ws", self.stream),
        ]

    async def report(self, request: Request) -> Response:
        """The report that held at a time: the newest observed at or before it."""
        feed, at = parameters(request, "feedID", "timestamp")
        return answer({"report": report_document(await self._at(self._feed(feed), _time(at)))})

    async def latest(self, request: Request) -> Response:
        """The newest report."""
        (feed,) = parameters(request, "feedID")
        return answer({"report": report_document(await self._at(self._feed(feed), None))})

    async def bulk(self, request: Request) -> Response:
        """The reports of several feeds at a time, or the newest ones; 206 if some have none."""
        text, at = parameters(request, "feedIDs", "timestamp")
        names = _names(text)
        moment = None if at == "latest" else _time(at)
        found: list[StoredRound] = []
        size = 0
        for name in names:
            one = await self._found(name, moment)
            size += 0 if one is None else len(one.payload or b"")
            if one is not None and (not found or size <= MAX_PAGE_BYTES):
                found.append(one)
        if not found:
            raise NoReportError("None of these feeds has a report for this time.")
        documents = [report_document(one) for one in found]
        return answer({"reports": documents}, 200 if len(documents) == len(names) else 206)

    async def page(self, request: Request) -> Response:
        """The reports of a feed from a time on, oldest first."""
        feed, start, limit = parameters(request, "feedID", "startTimestamp", "limit")
        count = _number(limit, "limit", MAX_PAGE)
        if count < 1:
            raise BadFieldError("limit", "The limit is at least 1.")
        name = self._feed(feed)
        found = await asyncio.to_thread(self._store.rounds.reports_from, name, _time(start), count)
        return answer({"reports": [report_document(one) for one in found]})

    async def stream(self, socket: WebSocket) -> None:
        """Send each new report of some feeds; a proven one after the attested one of the same round."""
        try:
            feeds = [self._feed(name) for name in _names(socket.query_params.get("feedIDs", ""))]
        except (BadFieldError, UnknownFeedError) as err:
            await socket.close(_POLICY_VIOLATION, err.cause[:120])
            return
        if self._streams >= MAX_STREAMS:
            await socket.close(_TRY_AGAIN)
            return
        self._streams += 1
        try:
            await socket.accept()
            await self._stream(socket, feeds)
        except (WebSocketDisconnect, TimeoutError):
            pass
        finally:
            self._streams -= 1

    async def _stream(self, socket: WebSocket, feeds: list[str]) -> None:
        """Until the client leaves, or does not read for too long."""
        leaving = asyncio.create_task(_left(socket))
        try:
            seen = {feed: _version(await self._newest(feed)) for feed in feeds}
            while not leaving.done():
                for feed in feeds:
                    newest = await self._newest(feed)
                    if newest is not None and _version(newest) != seen[feed]:
                        seen[feed] = _version(newest)
                        text = json.dumps({"report": report_document(newest)})
                        async with asyncio.timeout(_SEND_SECONDS):
                            await socket.send_text(text)
                await asyncio.wait([leaving], timeout=_POLL_SECONDS)
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            if (
                socket.application_state == WebSocketState.CONNECTED
                and socket.client_state != WebSocketState.DISCONNECTED
            ):
                await socket.close()

    async def _newest(self, feed: str) -> StoredRound | None:
        """The newest report, read at most once in a while for all streams together."""
        now = time.monotonic()
        known = self._latest.get(feed)
        if known is None or now - known[0] >= _POLL_SECONDS:
            # Noted first, so that other streams do not read meanwhile.
            self._latest[feed] = (now, None if known is None else known[1])
            found = await asyncio.to_thread(self._store.rounds.newest, feed, RoundState.SIGNED, RoundState.PROVEN)
            self._latest[feed] = (now, found)
        return self._latest[feed][1]

    async def _found(self, name: str, moment: int | None) -> StoredRound | None:
        try:
            return await self._at(self._feed(name), moment)
        except (UnknownFeedError, NoReportError):
            return None

    async def _at(self, feed: str, moment: int | None) -> StoredRound:
        wanted = int(self._clock()) if moment is None else moment
        found = await asyncio.to_thread(self._store.rounds.report_at, feed, wanted)
        if found is None or (moment is not None and found.expires_at < moment):
            raise NoReportError(f"The feed {feed} has no report for this time.", "See /api/v1/reports/page")
        return found

    def _feed(self, name: str) -> str:
        if name.lower() not in self._feeds:
            raise UnknownFeedError(f"There is no feed {name!r:.80} here.", "Feed ids are 0x and 64 hex digits.")
        return name.lower()


async def _left(socket: WebSocket) -> None:
    """Return once the client has left; what it sends is not read."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _version(stored: StoredRound | None) -> tuple[int, str] | None:
    return None if stored is None else (stored.key.number, str(stored.state))


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    if not text or len(names) > MAX_FEEDS:
        raise BadFieldError(
            "feedIDs", f"The parameter feedIDs names no feed, or more than {MAX_FEEDS}.", "Separate ids by commas."
        )
    return names


def _time(text: str) -> int:
    return _number(text, "timestamp", (1 << 40) - 1)


def _number(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= most):
        raise BadFieldError(name, f"The parameter {name} is not a number up to {most}.", "Times are Unix seconds.")
    return int(text)
