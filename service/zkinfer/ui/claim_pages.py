"""The page where a contributor sees its part of a data set. It needs no server, chain or key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.cost import size
from zkinfer.circuits.errors import InputError
from zkinfer.ui.claims import claim_of
from zkinfer.ui.dependencies import dependencies
from zkinfer.ui.forms import read_form
from zkinfer.ui.render import WORKS, page
from zkinfer.works.dataset import MAX_BYTES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def form_page(request: Request) -> Response:
    """The form."""
    return _page(request)


async def check(request: Request) -> Response:
    """What an account has in an uploaded data set; the file is forgotten when the answer is sent."""
    form = await read_form(request)
    file, account, fund = form.file("contributions", "data set"), form.text("account"), form.text("fund")
    if len(file.data) > MAX_BYTES:
        raise InputError(
            f"The data set exceeds {MAX_BYTES:,} bytes.", "Choose the file that the fund's owner publishes."
        )
    claim = await asyncio.to_thread(claim_of, file, account, fund)
    return _page(request, claim=claim, account=account, fund=fund)


def _page(request: Request, **values: Any) -> Response:  # noqa: ANN401 - whatever the template shows
    limit = min(dependencies(request).settings.max_upload, MAX_BYTES)
    shown = {"claim": None, "account": "", "fund": "", "limit": limit, "limit_text": size(limit)} | values
    return page(request, "works_claims.html", section=WORKS, tab="claims", back="/works/claims", **shown)
