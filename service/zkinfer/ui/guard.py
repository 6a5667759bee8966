"""What every request must satisfy before a view sees it, and the headers that every answer carries.

1. The Host header names this page: a foreign name that resolves to this machine (DNS rebinding) is refused.
2. A post comes from a page of this origin, by its Origin header. (Its token is checked by `forms`.)
3. The body is not longer than allowed, whatever its headers say.
4. Unless the path is public, the cookie names an open session.
"""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from zkinfer.ui.access import Access, Session

    Refuse = Callable[[Scope, int, str], ASGIApp]

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The policy of every answer that states no stricter one: nothing inline, nothing foreign."""
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: browsers would then send the Origin `null` with a form.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")
_SAFE: Final = frozenset({"GET", "HEAD"})


class BodyTooLargeError(Exception):
    """The body exceeds the limit; raised while it is read, and answered by the guard."""


class Guard:
    """Middleware that checks requests and adds headers.

    Args:
        app: the views.
        access: the sessions.
        cookie: name of the session's cookie.
        hosts: accepted names of this page.
        max_body: maximum length of a request's body in bytes.
        public: prefixes of paths that need no session.
        refuse: makes the answer to a refused request, from its status and the name of the reason.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        cookie: str,
        hosts: frozenset[str],
        max_body: int,
        public: tuple[str, ...],
        refuse: Refuse,
    ) -> None:
        self._app, self._access, self._cookie, self._hosts = app, access, cookie, hosts
        self._max_body, self._public, self._refuse = max_body, public, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, answer = Headers(scope=scope), _with_headers(send)
        scope["session"] = session = self._session(headers)
        reason = self._reason(scope, headers, session)
        if reason is not None:
            await self._refuse(scope, *reason)(scope, receive, answer)
            return
        try:
            await self._app(scope, _limited(receive, self._max_body), answer)
        except BodyTooLargeError:
            await self._refuse(scope, 413, "too_large")(scope, receive, answer)

    def _reason(self, scope: Scope, headers: Headers, session: Session | None) -> tuple[int, str] | None:
        """Status and name of the reason to refuse a request."""
        host = headers.get("host", "").lower()
        match = _HOST.fullmatch(host)
        if match is None or match["name"] not in self._hosts:
            return 421, "host"
        if scope["method"] not in _SAFE and headers.get("origin") not in (f"http://{host}", f"https://{host}"):
            return 403, "origin"
        if _length(headers) > self._max_body:
            return 413, "too_large"
        public = any(scope["path"].startswith(prefix) for prefix in self._public)
        return None if public or session is not None else (403, "session")

    def _session(self, headers: Headers) -> Session | None:
        try:
            found = SimpleCookie(headers.get("cookie", "")[:4096]).get(self._cookie)
        except CookieError:
            return None
        return None if found is None else self._access.session(found.value)


def _length(headers: Headers) -> int:
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isdecimal() and len(stated) < 20 else 1 << 62


def _limited(receive: Receive, most: int) -> Receive:
    """The body's messages, until they exceed the limit."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise BodyTooLargeError
        return message

    return counted


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return answer
