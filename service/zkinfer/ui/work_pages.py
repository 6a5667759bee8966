"""Pages of works: one work, and the look-up of a file. All of it is what the server says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from zkinfer.circuits.cost import size
from zkinfer.circuits.errors import InputError
from zkinfer.ui.dependencies import dependencies
from zkinfer.ui.forms import read_form
from zkinfer.ui.lineage import drawn_children, family_of, narrow, wide
from zkinfer.ui.render import WORKS, page
from zkinfer.ui.work_browser import MAX_FILE_BYTES, USES, is_work
from zkinfer.ui.work_text import income_rows, pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from zkinfer.ui.work_browser import WorkBrowser
    from zkinfer.ui.work_values import Authorisation, Lookup, Work

LOOK_UP = "/works/look-up"
_MOST_LISTED = 200


def home(_request: Request) -> Response:
    """Lead to the look-up."""
    return RedirectResponse(LOOK_UP, 303)


async def work(request: Request) -> Response:
    """One work, and on request whether somebody may use it."""
    browser = _browser(request)
    found = await browser.work(request.path_params["work"])
    subject, uses = _question(request.query_params)
    answer = await browser.authorisation(found.work, subject, uses) if subject else None
    related = await browser.related([*(one.work for one in found.parents), *drawn_children(found)])
    values: dict[str, Any] = {"answer": answer, "subject": subject, "chosen": uses, "uses": USES}
    return page(
        request, "work.html", section=WORKS, tab="", work=found, related=related, **_pictures(found, related), **values
    )


async def form_page(request: Request) -> Response:
    """The form, and what the code in the query finds."""
    browser = dependencies(request).works
    if browser is None or not await browser.knows_works():
        return page(
            request, "works_none.html", section=WORKS, tab="look-up", url=None if browser is None else browser.url
        )
    code = request.query_params.get("code", "").strip()
    subject, uses = _question(request.query_params)
    found = await browser.lookup(code, subject, uses) if code else None
    return await _answered(request, browser, found, code, (subject, uses))


async def look_up(request: Request) -> Response:
    """What a file finds, or lead to the page of a code. The file is forgotten when the answer is sent."""
    form, browser = await read_form(request), _browser(request)
    code = form.text("code")
    subject, uses = _question({name: form.text(name) for name in ("subject", *USES)})
    if "content" in form.files:
        if code:
            raise InputError("Both a file and a code were given.", "Give one of them.")
        found = await browser.lookup_file(form.files["content"].data, subject, uses)
        return await _answered(request, browser, found, "", (subject, uses), name=form.files["content"].name)
    if not code:
        raise InputError("There is nothing to look up.", "Choose a file, or write a code.")
    asked = {"subject": subject, **dict.fromkeys(uses, "on")} if subject else {}
    if is_work(code):
        return RedirectResponse("?".join(filter(None, (f"/works/{code}", urlencode(asked)))), 303)
    return RedirectResponse(f"{LOOK_UP}?{urlencode({'code': code, **asked})}", 303)


async def _answered(
    request: Request,
    browser: WorkBrowser,
    found: Lookup | None,
    code: str,
    asked: tuple[str, tuple[str, ...]],
    name: str = "",
) -> Response:
    """The page of an answer, with the licence that covers the use of the first match."""
    subject, uses = asked
    answer: Authorisation | None = None
    if found is not None and found.matches and subject:
        answer = await browser.authorisation(found.matches[0].work.work, subject, uses)
    limit = min(dependencies(request).settings.max_upload, MAX_FILE_BYTES)
    values: dict[str, Any] = {"answer": answer, "subject": subject, "chosen": uses, "uses": USES, "name": name}
    values |= {"limit": limit, "limit_text": size(limit), "url": browser.url, "code": code, "found": found}
    return page(request, "works_look_up.html", section=WORKS, tab="look-up", back=LOOK_UP, **values)


def _pictures(found: Work, related: Mapping[str, Work]) -> dict[str, Any]:
    family = family_of(found, related)
    return {
        "pictures": (wide(family), narrow(family)) if family.parents or family.children else (),
        "listed": found.children[:_MOST_LISTED],
        "rows": income_rows(found.income) if found.income is not None else (),
        "dots": pattern(found.print_bits, found.print_sure),
    }


def _question(fields: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Who wants to use a work, and for what."""
    return fields.get("subject", "").strip(), tuple(use for use in USES if fields.get(use) == "on")


def _browser(request: Request) -> WorkBrowser:
    browser = dependencies(request).works
    if browser is None:
        raise HTTPException(404, "page")
    return browser
