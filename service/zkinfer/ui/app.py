"""The page as an ASGI application: routes, guard, and pages for errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from zkinfer.circuits.errors import ZkinferError
from zkinfer.ui import claim_pages, demo_pages, record_pages, server_pages, task_pages, verify_pages, work_pages
from zkinfer.ui.dependencies import dependencies, session_of
from zkinfer.ui.errors import ServerError
from zkinfer.ui.forms import read_form
from zkinfer.ui.guard import Guard
from zkinfer.ui.language import catalogues
from zkinfer.ui.render import language_of, page
from zkinfer.ui.tasks import QueueFullError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

    from zkinfer.ui.dependencies import Dependencies

_STATIC: Final = Path(__file__).parent / "static"
_PUBLIC: Final = ("/static/", "/open/")


def application(parts: Dependencies) -> Starlette:
    """The application of these parts."""
    guard = Middleware(
        Guard,
        access=parts.access,
        cookie=parts.cookie,
        hosts=parts.settings.hosts,
        max_body=parts.settings.max_upload,
        public=_PUBLIC,
        refuse=_refusal,
    )
    handlers: dict[Any, Any] = {HTTPException: _on_http_error, ZkinferError: _on_error}
    app = Starlette(routes=_routes(), middleware=[guard], exception_handlers=handlers)
    app.state.dependencies = parts
    return app


def _routes() -> list[Route | Mount]:
    return [
        Route("/", verify_pages.form_page),
        Route("/open/{key}", _open),
        Route("/language", _choose_language, methods=["POST"]),
        Route("/verify", verify_pages.start, methods=["POST"]),
        Route("/tasks/{task}", task_pages.task_page),
        Route("/tasks/{task}/events", task_pages.events),
        Route("/tasks/{task}/report.{suffix}", task_pages.report),
        Route("/tasks/{task}/forge", demo_pages.forge, methods=["POST"]),
        Route("/tasks/{task}/attestation", demo_pages.attestation),
        Route("/demo", demo_pages.choice_page),
        Route("/demo", demo_pages.start, methods=["POST"]),
        Route("/records", record_pages.lookup),
        Route("/server", server_pages.overview),
        Route("/server/models/{name}/{version}", server_pages.model),
        Route("/server/proofs/{proof}", server_pages.proof),
        Route("/server/proofs/{proof}/attestation", server_pages.attestation),
        Route("/server/proofs/{proof}/verify", server_pages.verify, methods=["POST"]),
        Route("/works", work_pages.home),
        Route("/works/look-up", work_pages.form_page),
        Route("/works/look-up", work_pages.look_up, methods=["POST"]),
        Route("/works/claims", claim_pages.form_page),
        Route("/works/claims", claim_pages.check, methods=["POST"]),
        Route("/works/{work}", work_pages.work),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]


def _open(request: Request) -> Response:
    """Open a session with the key of the printed link."""
    parts = dependencies(request)
    session = parts.access.enter(request.path_params["key"])
    if session is None:
        raise HTTPException(403, "session")
    answer = RedirectResponse("/", 303)
    answer.set_cookie(parts.cookie, session.id, httponly=True, samesite="strict", path="/")
    return answer


async def _choose_language(request: Request) -> Response:
    form = await read_form(request)
    chosen, back = form.text("language"), form.text("back")
    if chosen in catalogues():
        session_of(request).language = chosen
    # A path of this page only: `//host` and `/\host` would lead elsewhere.
    return RedirectResponse(back if back.startswith("/") and back[1:2] not in ("/", "\\") else "/", 303)


def _refusal(scope: Scope, status: int, reason: str) -> ASGIApp:
    """The answer of the guard."""
    return _reason_page(Request(scope), status, reason)


def _on_http_error(request: Request, err: HTTPException) -> Response:
    return _reason_page(request, err.status_code, err.detail)


def _reason_page(request: Request, status: int, reason: str) -> Response:
    """A page for a reason that the catalogue knows, or else for the status."""
    t = language_of(request)
    key = f"refused.{reason}" if t.has(f"refused.{reason}") else "refused.page" if status == 404 else "refused.other"
    answer = page(
        request,
        "message.html",
        status=status,
        title=t("refused.title"),
        cause=t(key),
        cure="",
        cause_lang="",
        back_to="/",
    )
    MutableHeaders(raw=answer.raw_headers).setdefault("vary", "accept-language")
    return answer


def _on_error(request: Request, err: ZkinferError) -> Response:
    """A page for an error with cause and cure."""
    status = 503 if isinstance(err, QueueFullError) else err.status if isinstance(err, ServerError) else 422
    title = language_of(request)("refused.title")
    return page(
        request,
        "message.html",
        status=status,
        title=title,
        cause=err.cause,
        cure=err.cure,
        cause_lang="en",
        back_to="/",
    )
