"""The demonstration's pages: choose or draw a digit, start the proof, start a forgery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.errors import DataError
from zkinfer.ui.dependencies import dependencies, session_of, task_of
from zkinfer.ui.digits import STEPS, Answer, levels_of
from zkinfer.ui.forms import read_form
from zkinfer.ui.render import page
from zkinfer.ui.task_pages import pixels_of
from zkinfer.ui.tasks import Task
from zkinfer.ui.verify_pages import CHECKS, EXPERIMENTAL

if TYPE_CHECKING:
    from starlette.requests import Request

    from zkinfer.ui.digits import DemoModel


def choice_page(request: Request) -> Response:
    """The samples, and a canvas for browsers with scripts."""
    demo = dependencies(request).demo
    samples = [
        {"pixels": pixels_of(levels_of(image)), "label": label}
        for image, label in zip(demo.model.images, demo.model.labels, strict=True)
    ]
    missing = " ".join(filter(None, (engine_named(name).unavailable for name in EXPERIMENTAL)))
    values: dict[str, Any] = {
        "samples": samples,
        "engine": demo.engine.id,
        "missing": missing,
        "forgeable": demo.is_forgeable,
    }
    return page(request, "demo.html", section="/demo", **values)


async def start(request: Request) -> Response:
    """Queue a proof of the answer to a digit, and lead to its page."""
    form = await read_form(request)
    parts = dependencies(request)
    image = _image(parts.demo.model, form.text("pixels"), form.text("sample"))
    lines = (*STEPS, *CHECKS)
    task = Task("demo", session_of(request).id, lines, lambda task: parts.demo.run(task, image), about=image)
    return RedirectResponse(f"/tasks/{parts.tasks.start(task).id}", 303)


async def forge(request: Request) -> Response:
    """Queue the verification of a forgery of a task's answer, and lead to its page."""
    form, origin, parts = await read_form(request), task_of(request), dependencies(request)
    answer, name = origin.result, form.text("field")
    if not isinstance(answer, Answer):
        raise HTTPException(404, "task")
    if name not in parts.demo.model.fields:
        raise DataError(f"There is no field {name!r:.40} to change.", "Choose one of the list.")

    def work(task: Task) -> object:
        return parts.demo.forgery(task, answer, name)

    task = parts.tasks.start(Task("forgery", session_of(request).id, CHECKS, work, about=name))
    return RedirectResponse(f"/tasks/{task.id}", 303)


def attestation(request: Request) -> Response:
    """The attestation of an answer, as a file."""
    answer = task_of(request).result
    if not isinstance(answer, Answer):
        raise HTTPException(404, "task")
    headers = {"content-disposition": 'attachment; filename="answer.json"'}
    return Response(answer.attestation.to_bytes(), headers=headers, media_type="application/json")


def _image(model: DemoModel, pixels: str, sample: str) -> list[int]:
    """The drawn image, or else the chosen sample; raises DataError if neither is one."""
    if pixels:
        levels = pixels.split(",")
        if not all(level.isascii() and level.isdecimal() and len(level) <= 2 for level in levels):
            raise DataError("The picture is not a list of whole numbers.", "Draw a digit, or choose a sample.")
        return [int(level) for level in levels]
    if not (sample.isascii() and sample.isdecimal() and len(sample) <= 4 and int(sample) < len(model.images)):
        raise DataError("No digit was chosen.", "Draw one, or choose a sample.")
    return levels_of(model.images[int(sample)])
