"""One path of the HTTP interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from zkinfer.service.request_reader import Decoder
    from zkinfer.service.rest.handlers import Answer
    from zkinfer.service.rest.request import HttpRequest

    Handler = Callable[[HttpRequest, Any], Coroutine[Any, Any, Answer]]

FILE: Final = "application/octet-stream"
C2PA: Final = "application/c2pa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    Args:
        path: with variable parts in braces.
        verb: the HTTP method.
        call: the method of gRPC that it calls, for limits, metrics and logs; or a name of its own.
        serve: answers a request, given its decoded body, if it has one.
        decoder: of the body; None if there is none.
        body: the name of the body's type in the OpenAPI document, FILE for bytes; empty if there is none.
        about: what it does, in a sentence.
        query: the parameters of the query, each with its meaning and JSON type.
        answers: the type of the answer, by status: a message, a name of the OpenAPI document, C2PA for
            a manifest store, or None for no body.
    """

    path: str
    verb: str
    call: str
    serve: Handler
    about: str
    answers: dict[int, Any]
    decoder: Callable[[HttpRequest], Decoder] | None = None
    body: str = ""
    query: dict[str, tuple[str, str]] = field(default_factory=dict)
