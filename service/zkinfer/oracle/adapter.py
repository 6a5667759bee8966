"""Chainlink's external adapter: `POST /` answers a job with a feed's report.

With `responseURL`, a new round is asked for, the answer is that the job is pending, and the report follows by PATCH
once it is there at the feed's highest level. A node asks once and waits, so jobs are kept over a restart. Such a URL
makes this server send a request, so only hosts that the operator lists are called, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import Route

from zkinfer.circuits.errors import ZkinferError
from zkinfer.contracts.feed_formats import FeedPayload, Level, in_decimals
from zkinfer.contracts.rpc import is_loopback
from zkinfer.oracle.errors import NoReportError, UnknownFeedError
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store.jobs import PendingJob
from zkinfer.oracle.web import answer, read_json, status_of
from zkinfer.service.errors import BadFieldError
from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.loop import FeedLoop
    from zkinfer.oracle.store import Store
    from zkinfer.oracle.store.rounds import StoredRound

MAX_REQUEST_BYTES: Final = 1 << 16
MAX_PENDING: Final = 64
_POLL_SECONDS: Final = 0.25
_CALL_SECONDS: Final = 10.0
_ATTEMPTS: Final = 3


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # nodes add fields of their own

    feed: Annotated[str, Field(min_length=1, max_length=80)]


class JobRequest(BaseModel):
    """What a node sends; it may hold more, such as `meta`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, Field(max_length=128)] | int | None = None
    data: _Data
    response_url: Annotated[str | None, Field(alias="responseURL", max_length=2048)] = None


class Adapter:
    """Serves `POST /`.

    Args:
        loops: of the feeds, by name.
        store: of the daemon.
        callback_hosts: `host` or `host:port` that may be called back.
        clock: Unix seconds.
        transport: of httpx2; for tests.
    """

    def __init__(
        self,
        loops: Mapping[str, FeedLoop],
        store: Store,
        callback_hosts: Collection[str],
        clock: Callable[[], float] = time.time,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._loops = {key: loop for loop in loops.values() for key in (loop.feed.name, loop.feed.id)}
        self._store = store
        self._hosts = frozenset(host.lower() for host in callback_hosts)
        self._clock = clock
        self._transport = transport
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def routes(self) -> list[BaseRoute]:
        """The path."""
        return [Route("/", self.serve, methods=["POST"])]

    async def serve(self, request: Request) -> Response:
        """Answer a job, or promise to."""
        job_id: str | None = None
        try:
            job = _job_of(await read_json(request, MAX_REQUEST_BYTES))
            job_id = None if job.id is None else str(job.id)
            loop = self._loops.get(job.data.feed)
            if loop is None:
                raise UnknownFeedError(f"There is no feed {job.data.feed!r} here.", "Give a feed's name or id.")
            if job.response_url is not None:
                return await self._promise(job_id, loop, job.response_url)
            return answer(result_document(job_id, loop.feed, await self._newest(loop.feed)))
        except ZkinferError as err:
            status = status_of(err)
            return answer(_error_document(job_id, status, str(err)), status)

    async def resume(self) -> None:
        """Go on with the jobs that were pending when the daemon ended; raises StoreError.

        Those of feeds and hosts that are not in the configuration any more are given up.
        """
        for job in await asyncio.to_thread(self._store.jobs.pending):
            loop = self._loops.get(job.feed)
            if loop is None or not self._is_allowed(job.url):
                log.warning("a job was given up", feed=job.feed, host=urlsplit(job.url).hostname)
                await asyncio.to_thread(self._store.jobs.end, job)
                continue
            self._begin(job, loop)

    async def stop(self) -> None:
        """Leave pending jobs to the next start."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _promise(self, job_id: str | None, loop: FeedLoop, url: str) -> Response:
        self._require_allowed(url)
        feed = loop.feed
        before = await asyncio.to_thread(self._store.rounds.newest, feed.id)
        after = -1 if before is None else before.key.number
        ends_at = int(self._clock()) + 3 * feed.spec.tick + feed.spec.heartbeat
        job = PendingJob.make(job_id, feed.id, url, after, ends_at)
        if not await asyncio.to_thread(self._store.jobs.add, job, MAX_PENDING):
            return answer(_error_document(job_id, 429, "Too many jobs are pending. Try again later."), 429)
        self._begin(job, loop)
        return answer({"jobRunID": job_id, "pending": True}, headers={"x-chainlink-pending": "true"})

    def _begin(self, job: PendingJob, loop: FeedLoop) -> None:
        loop.ask()
        task = asyncio.create_task(self._call_back(job, loop.feed))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    def _is_allowed(self, url: str) -> bool:
        try:
            self._require_allowed(url)
        except BadFieldError:
            return False
        return True

    def _require_allowed(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as err:
            raise BadFieldError("responseURL", "The responseURL is not a URL.") from err
        # A host without a port stands for that of https alone, not for every service there.
        listed = f"{host}:{port}" in self._hosts or (host in self._hosts and port in (None, 443))
        if not host or parts.username is not None or not listed:
            raise BadFieldError(
                "responseURL", f"{host!r:.80} may not be called back.", "List the host in server.callback-hosts."
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts) and port is not None):
            raise BadFieldError(
                "responseURL", "The responseURL is not encrypted.", "Use https, or a port of this machine."
            )

    async def _newest(self, feed: Feed) -> StoredRound:
        found = await asyncio.to_thread(self._store.rounds.report_at, feed.id, int(self._clock()))
        if found is None or found.expires_at <= self._clock():
            raise NoReportError(f"The feed {feed.name} has no fresh report.", "See zkinfer oracle status")
        return found

    async def _call_back(self, job: PendingJob, feed: Feed) -> None:
        """Wait for a new round, and send it, or why there is none; only then the job is forgotten."""
        try:
            found = await self._next(job, feed)
        except NoReportError as err:
            await self._send(job.url, {"jobRunID": job.job_id, "error": str(err)})
        else:
            document = result_document(job.job_id, feed, found)
            await self._send(job.url, {**document, "value": document["data"]})
        await asyncio.to_thread(self._store.jobs.end, job)

    async def _next(self, job: PendingJob, feed: Feed) -> StoredRound:
        """The next round at the feed's highest level; raises NoReportError if the job ends before."""
        state = RoundState.PROVEN if feed.highest == Level.PROVEN else RoundState.SIGNED
        while True:
            found = await asyncio.to_thread(self._store.rounds.newest, feed.id, state)
            if found is not None and found.key.number > job.after:
                return found
            if self._clock() >= job.ends_at:
                break
            await asyncio.sleep(_POLL_SECONDS)
        raise NoReportError(f"The feed {feed.name} made no new report in time.", "See zkinfer oracle status")

    async def _send(self, url: str, document: dict[str, Any]) -> None:
        async with httpx2.AsyncClient(timeout=_CALL_SECONDS, transport=self._transport, trust_env=False) as client:
            for attempt in range(_ATTEMPTS):
                try:
                    async with client.stream("PATCH", url, json=document) as reply:  # its body is not read
                        status = reply.status_code
                except httpx2.HTTPError as err:
                    why = type(err).__name__
                else:
                    if httpx2.codes.is_success(status):
                        return
                    why = f"status {status}"
                await asyncio.sleep(2**attempt)
        log.warning("a job was not called back", reason=why, host=urlsplit(url).hostname)


def result_document(job_id: str | None, feed: Feed, stored: StoredRound) -> dict[str, Any]:
    """The answer to a job. `result` is the answer in decimals as text, so that no parser rounds it."""
    text = in_decimals(stored.answer, feed.spec.decimals)
    level = FeedPayload.decode(stored.payload or b"").level
    data = {
        "result": text,
        "feedID": feed.id,
        "round": stored.key.number,
        "answer": str(stored.answer),
        "decimals": feed.spec.decimals,
        "observationsTimestamp": stored.observed_at,
        "level": level.name.lower(),
        "fullReport": "0x" + (stored.payload or b"").hex(),
    }
    return {"jobRunID": job_id, "statusCode": 200, "status": "success", "result": text, "data": data}


def _job_of(document: Any) -> JobRequest:  # noqa: ANN401 - JSON from outside
    try:
        return JobRequest.model_validate(document)
    except ValidationError as err:
        place = ".".join(str(part) for part in err.errors()[0]["loc"])
        raise BadFieldError(
            "body", f"The job has no valid {place or 'form'}.", 'Send {"id", "data": {"feed"}}.'
        ) from err


def _error_document(job_id: str | None, status: int, text: str) -> dict[str, Any]:
    return {
        "jobRunID": job_id,
        "statusCode": status,
        "status": "errored",
        "error": {"name": "AdapterError", "message": text},
    }
