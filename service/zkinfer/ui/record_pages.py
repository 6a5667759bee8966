"""The page that looks up a request on the configured ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from zkinfer.ui.dependencies import dependencies
from zkinfer.ui.render import page
from zkinfer.ui.verify_pages import parse_request_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def lookup(request: Request) -> Response:
    """The form, and what ledger and registry say of the request that the query names."""
    ledger = dependencies(request).ledger
    if ledger is None:
        raise HTTPException(404, "page")
    request_id = parse_request_id(request.query_params.get("request_id", ""))
    found = ledger().state_of(request_id) if request_id else None
    return page(request, "records.html", section="/records", request_id=request_id, found=found)
