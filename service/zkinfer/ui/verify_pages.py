"""The form for an attestation, and the start of its verification."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse

from zkinfer.circuits.cost import size
from zkinfer.circuits.engines import DEFAULT_ENGINE, ENGINES
from zkinfer.circuits.errors import InputError
from zkinfer.ui.dependencies import dependencies, session_of
from zkinfer.ui.forms import read_form
from zkinfer.ui.render import page
from zkinfer.ui.tasks import Task
from zkinfer.ui.verification import Requirements
from zkinfer.verifier.errors import TITLES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from zkinfer.ui.forms import File, Form

CHECKS: Final = tuple(str(number) for number in range(1, len(TITLES) + 1))
"""The names of the lines of a verification: its numbered steps."""
EXPERIMENTAL: Final = tuple(name for name in ENGINES if name != DEFAULT_ENGINE)
"""Engines whose proofs are accepted only if the auditor says so."""
_WORD = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Named:
    """The names of the files of a verification, without their content."""

    attestation: str
    model: str


def form_page(request: Request) -> Response:
    """The form, and the last verifications of this session."""
    recent = dependencies(request).tasks.of(session_of(request).id, "verify")
    return page(request, "verify.html", section="/", recent=recent, **form_values(request))


def form_values(request: Request) -> dict[str, Any]:
    """What the fields for requirements show."""
    settings = dependencies(request).settings
    return {
        "engines": EXPERIMENTAL,
        "chain": settings.chain is not None,
        "limit": settings.max_upload,
        "limit_text": size(settings.max_upload),
    }


async def start(request: Request) -> Response:
    """Queue the verification of an uploaded attestation, and lead to its page."""
    form = await read_form(request)
    return start_verification(request, form, form.file("attestation", "attestation"))


def start_verification(request: Request, form: Form, attestation: File) -> Response:
    """Queue a verification with the requirements of a form; raises InputError if they are malformed."""
    required = requirements_of(form, attestation)
    parts = dependencies(request)

    def work(task: Task) -> object:
        task.report(CHECKS[0], "running")

        def observer(step: Any) -> None:  # noqa: ANN401 - a Step
            task.report(str(step.number), step.status, step.detail)
            if step.status == "passed" and step.number < len(CHECKS):
                task.report(str(step.number + 1), "running")

        return parts.auditor.check(required, observer)

    task = parts.tasks.start(
        Task("verify", session_of(request).id, CHECKS, work, about=Named(attestation.name, required.model.name))
    )
    return RedirectResponse(f"/tasks/{task.id}", 303)


def requirements_of(form: Form, attestation: File) -> Requirements:
    """The requirements that a form states.

    Raises:
        InputError: no model was chosen, or the request id is malformed.
    """
    return Requirements(
        attestation=attestation,
        model=form.file("model", "model"),
        manifest=form.files.get("circuit"),
        policy=form.files.get("policy"),
        expected_input=form.files.get("input"),
        signer=form.files.get("signer"),
        request_id=parse_request_id(form.text("request_id")),
        accept_engines=tuple(name for name in EXPERIMENTAL if form.is_set(f"engine_{name}")),
        unsafe_accept_dev_setup=form.is_set("unsafe_dev_setup"),
        second_opinion=form.is_set("second_opinion"),
        chain=form.is_set("chain"),
    )


def parse_request_id(text: str) -> str:
    """A request id in lower case, or none; raises InputError if it is malformed."""
    request_id = text.strip().lower()
    if request_id and _WORD.fullmatch(request_id) is None:
        raise InputError(f"{request_id[:80]!r} is not a request id.", "Write it as 0x and 64 hex digits.")
    return request_id
