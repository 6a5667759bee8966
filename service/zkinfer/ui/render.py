"""Pages from templates, in the language of the request. All text is escaped, and made printable first."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from zkinfer.circuits.cost import size
from zkinfer.ui.dependencies import dependencies
from zkinfer.ui.language import catalogues, preferred
from zkinfer.ui.work_text import ether, span
from zkinfer.verifier.report.content import printable

if TYPE_CHECKING:
    from starlette.requests import Request

    from zkinfer.ui.language import Catalogue

WORKS: Final = "/works/look-up"
"""The navigation's entry of the pages of works."""
_SECTIONS: Final = (("/", "verify.nav"), ("/demo", "demo.nav"), ("/server", "server.nav"), (WORKS, "works.nav"))
_RECORDS: Final = ("/records", "record.nav")
_WORD: Final = re.compile(r"0x[0-9a-f]{64}")
_ROOM: Final = Path(__file__).parent


def language_of(request: Request) -> Catalogue:
    """The language that the session has chosen, or else that the browser prefers."""
    session = request.scope.get("session")
    chosen = session.language if session is not None else ""
    return catalogues()[chosen or preferred(request.headers.get("accept-language", ""))]


def page(request: Request, template: str, *, status: int = 200, section: str = "", **values: Any) -> HTMLResponse:  # noqa: ANN401 - whatever the template shows
    """A page; `section` is the path of the navigation's entry to mark."""
    values = {"back": request.url.path if request.method == "GET" else "/"} | values
    text = _ENVIRONMENT.get_template(template).render(
        t=language_of(request),
        session=request.scope.get("session"),
        languages=catalogues().values(),
        sections=(*_SECTIONS, *([_RECORDS] if dependencies(request).ledger is not None else [])),
        section=section,
        **values,
    )
    return HTMLResponse(text, status, {"vary": "accept-language, cookie"})


def percent(share: float) -> str:
    """A share as a percentage with three significant digits; a small one is not rounded to 0 or 100."""
    return f"{100 * share:.3g}%" if share < 0.99 or share in (0, 1) else f"{100 * share:.4g}%"


def _moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _shown(value: object) -> object:
    """What a template prints: markup as it is, anything else without characters that hide or reorder text."""
    return value if isinstance(value, Markup) else printable(value)


def _colour(pixel: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)


def _short(name: str) -> str:
    return name.rpartition("/")[2][:12]


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters |= {"percent": percent, "size": size, "moment": _moment, "colour": _colour, "short": _short}
    found.filters |= {"ether": ether, "span": span}
    found.filters["is_word"] = lambda text: _WORD.fullmatch(text) is not None
    return found


_ENVIRONMENT: Final = _environment()
