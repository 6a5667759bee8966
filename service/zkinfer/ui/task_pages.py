"""Pages of a task: its progress, also as a stream of events, its result, and the report in each form."""

from __future__ import annotations

import asyncio
import html
import json
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from zkinfer.ui.dependencies import dependencies, task_of
from zkinfer.ui.digits import Answer
from zkinfer.ui.render import language_of, page
from zkinfer.ui.verification import Checked
from zkinfer.verifier.report.files import report_bytes
from zkinfer.verifier.report.language import ENGLISH, languages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from zkinfer.ui.language import Catalogue
    from zkinfer.ui.tasks import Event, Task, Tasks

_SECTIONS: Final = {"verify": "/", "demo": "/demo", "forgery": "/demo"}
_TEMPLATES: Final = {"verify": "checked.html", "demo": "answer.html", "forgery": "checked.html"}
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".md": "text/markdown; charset=utf-8",
    ".json": "application/json",
}
_POLL: Final = 0.1  # seconds
_OWN_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">')


def task_page(request: Request) -> Response:
    """The progress of a task, its result, or why it ended without one."""
    task = task_of(request)
    section, states = _SECTIONS[task.kind], task.states()
    if not task.done.is_set():
        return page(request, "progress.html", section=section, task=task, states=states)
    if task.error is not None:
        t = language_of(request)
        message = {"title": t("result.no_verdict"), "cause": task.error.cause, "cure": task.error.cure}
        return page(request, "message.html", status=422, section=section, cause_lang="en", back_to=section, **message)
    values: dict[str, Any] = {}
    if isinstance(task.result, Answer):
        values = {"fields": dependencies(request).demo.model.fields, "pixels": pixels_of(task.result.image)}
    return page(request, _TEMPLATES[task.kind], section=section, task=task, states=states, **values)


async def events(request: Request) -> Response:
    """The changes of a task's lines so far and to come, as server-sent events; `done` is the last."""
    task = task_of(request)
    stream = _stream(task, dependencies(request).tasks, language_of(request))
    return StreamingResponse(stream, media_type="text/event-stream")


async def _stream(task: Task, tasks: Tasks, t: Catalogue) -> AsyncIterator[str]:
    sent = 0
    while not tasks.stopping:
        over = task.done.is_set()  # read first, so that no event after it is lost
        for event in task.events[sent:]:
            yield _message(event, t)
        sent = len(task.events) if not over else sent
        if over:
            yield "event: done\ndata: {}\n\n"
            return
        await asyncio.sleep(_POLL)


def _message(event: Event, t: Catalogue) -> str:
    data = {"line": event.line, "state": event.state, "word": t(f"state.{event.state}"), "detail": event.detail}
    return f"data: {json.dumps(data)}\n\n"


def report(request: Request) -> Response:
    """The report in the page's language and the form that the suffix names; with `?save` as a file to keep."""
    suffix, checked = request.path_params["suffix"], checked_of(task_of(request))
    if f".{suffix}" not in checked.forms:
        raise HTTPException(404, "page")
    data = report_bytes(checked.report, f".{suffix}", report_language(language_of(request)))
    headers = (
        {"content-disposition": f'attachment; filename="report.{suffix}"'} if "save" in request.query_params else {}
    )
    if suffix == "html":
        headers["content-security-policy"] = own_policy(data)
    return Response(data, headers=headers, media_type=_TYPES[f".{suffix}"])


def report_language(t: Catalogue) -> str:
    """The language of the page, if reports have it; else English."""
    return t.language if t.language in languages() else ENGLISH


def own_policy(document: bytes) -> str:
    """The policy that a report states, for its header too; raises ValueError if it states none."""
    found = _OWN_POLICY.search(document.decode())
    if found is None:
        raise ValueError("the report states no policy")
    return f"{html.unescape(found[1])}; frame-ancestors 'none'"


def checked_of(task: Task) -> Checked:
    """The verification that a task ended with; raises HTTPException 404 if there is none."""
    result = task.result.checked if isinstance(task.result, Answer) else task.result
    if not isinstance(result, Checked):
        raise HTTPException(404, "task")
    return result


def pixels_of(image: tuple[int, ...] | list[int], side: int = 8, most: int = 16) -> list[list[tuple[int, int, int]]]:
    """The colours of an image of levels, by row: ink on paper."""
    shades = [255 - round(255 * level / most) for level in image]
    return [[(shade, shade, shade) for shade in shades[row * side : (row + 1) * side]] for row in range(side)]
