"""Fetch reports from a report server, over the REST interface of Data Streams; what it sends is not trusted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from zkinfer.contracts import strict_json
from zkinfer.contracts.feed_formats import FeedPayload, FeedSpec, feed_id
from zkinfer.oracle.errors import NoReportError, SourceError
from zkinfer.oracle.sources.http import HttpSource


def fetch_report(server: str, spec: FeedSpec, number: int | None = None) -> FeedPayload:
    """The report of a round, or the latest.

    Args:
        server: URL of the report server; https, or a port of this machine.
        spec: of the feed.
        number: of the round; None for the latest.

    Raises:
        SourceError: the server does not answer, or answers something else.
        FeedFormatError: what it sends is not a payload.
        NoReportError: it has no report of this round.
    """
    feed = feed_id(spec)
    if number is None:
        answer = _ask(server, "latest", {"feedID": feed}).get("report")
    else:
        page = {"feedID": feed, "startTimestamp": number * spec.tick, "limit": 1}
        reports = _ask(server, "page", page).get("reports")
        answer = reports[0] if isinstance(reports, list) and reports else None
    text = answer.get("fullReport") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise NoReportError(f"The server has no report of {feed} for that round.", "Ask for another round.")
    try:
        payload = FeedPayload.decode(bytes.fromhex(text.removeprefix("0x")))
    except ValueError as err:
        raise SourceError("The server sent a report that is not hex.", "Is it a report server?") from err
    if payload.report.feed_id != feed or number not in (None, payload.round):
        raise NoReportError(
            f"The server sent round {payload.round} of {payload.report.feed_id} instead.", "Ask for another round."
        )
    return payload


def _ask(server: str, what: str, query: dict[str, object]) -> dict[str, Any]:
    data = HttpSource(f"{server.rstrip('/')}/api/v1/reports/{what}?{urlencode(query)}").fetch()
    try:
        document = strict_json.loads(data)
    except ValueError as err:
        raise SourceError("The server's answer is not strict JSON.", "Is it a report server?") from err
    if not isinstance(document, dict):
        raise SourceError("The server's answer is not a JSON object.", "Is it a report server?")
    return document
