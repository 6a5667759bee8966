"""What the views share, made once when the page starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from zkinfer.chain.lookup import LedgerLookup
    from zkinfer.ui.access import Access, Session
    from zkinfer.ui.browser import ServerBrowser
    from zkinfer.ui.digits import Demo
    from zkinfer.ui.settings import UiSettings
    from zkinfer.ui.tasks import Task, Tasks
    from zkinfer.ui.verification import Auditor
    from zkinfer.ui.work_browser import WorkBrowser


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The parts of a running page.

    Args:
        settings: as the operator chose them.
        access: sessions.
        cookie: name of the session's cookie.
        tasks: the queue.
        auditor: verifies.
        demo: proves digits.
        browser: reads a server; None if none is configured.
        works: reads the works of that server.
        ledger: connects to the configured ledger; None if none is configured.
    """

    settings: UiSettings
    access: Access
    cookie: str
    tasks: Tasks
    auditor: Auditor
    demo: Demo
    browser: ServerBrowser | None = None
    works: WorkBrowser | None = None
    ledger: Callable[[], LedgerLookup] | None = None


def dependencies(request: Request) -> Dependencies:
    """The parts of the page that a request is for."""
    return cast("Dependencies", request.app.state.dependencies)


def session_of(request: Request) -> Session:
    """The session of a request; the guard lets no other one through to views that ask for it."""
    session: Session | None = request.scope["session"]
    if session is None:
        raise HTTPException(403, "session")
    return session


def task_of(request: Request) -> Task:
    """The task that the path names; raises HTTPException 404 if this session has none of that name."""
    task = dependencies(request).tasks.find(request.path_params["task"], session_of(request).id)
    if task is None:
        raise HTTPException(404, "task")
    return task
