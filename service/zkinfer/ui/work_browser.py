"""The works that a running `zkinfer serve` knows, as the page reads them over HTTP."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError
from zkinfer.ui.errors import ServerError
from zkinfer.ui.server_http import ServerHttp
from zkinfer.ui.server_values import parsed
from zkinfer.ui.work_values import Authorisation, Lookup, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zkinfer.ui.settings import ServerAccess

USES: Final = ("commercial", "derivatives", "training", "inference")
"""What a licence may permit."""
MAX_FILE_BYTES: Final = 16 << 20
"""The largest file that a server looks up."""
_MAX_DOCUMENT: Final = 4 << 20
_AT_ONCE: Final = 4
_WORK: Final = re.compile(r"0x[0-9a-f]{64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ISCC: Final = re.compile(r"(ISCC:)?[A-Z2-7]{16,60}")
_SUBJECT: Final = re.compile(r"dns:[^\s/?#]{1,253}|0x[0-9a-fA-F]{40}")


class WorkBrowser:
    """Reads the works of one server, with the operator's token.

    Args:
        access: the server's URL and the token.
        http: gets its documents.

    Raises:
        InputError: the CAs of the access cannot be used.
    """

    def __init__(self, access: ServerAccess, http: ServerHttp | None = None) -> None:
        self._access, self._http = access, http or ServerHttp(access)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._access.url

    async def knows_works(self) -> bool:
        """Whether the server follows works at all; raises ServerError if it says neither."""
        try:
            await self._http.get("services/supportedAlgorithms", most=_MAX_DOCUMENT)
        except ServerError as err:
            if err.status != 404:
                raise
            return False
        return True

    async def work(self, work: str) -> Work:
        """One work; raises InputError for a malformed id, and ServerError."""
        return parsed(Work, await self._http.get(f"v1/works/{_id(work)}", most=_MAX_DOCUMENT), "work")

    async def related(self, works: Iterable[str]) -> dict[str, Work]:
        """Those of these works that the server knows, by id; raises InputError and ServerError as `work`."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(work: str) -> Work | None:
            async with gate:
                try:
                    return await self.work(work)
                except ServerError as err:
                    if err.status != HTTPStatus.NOT_FOUND:
                        raise
                    return None

        found = await asyncio.gather(*map(one, dict.fromkeys(works)))
        return {each.work: each for each in found if each is not None}

    async def lookup(self, code: str, subject: str = "", uses: Iterable[str] = ()) -> Lookup:
        """The works that a SHA-256 or an ISCC finds; raises InputError if it is neither, and ServerError."""
        query = {**_code(code), **_asked(subject, uses)}
        return parsed(Lookup, await self._http.get("v1/works", query=query, most=_MAX_DOCUMENT), "look-up")

    async def lookup_file(self, data: bytes, subject: str = "", uses: Iterable[str] = ()) -> Lookup:
        """The works that a file finds, which the server decodes; raises InputError if it is too large, ServerError."""
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"The file exceeds {MAX_FILE_BYTES:,} bytes.", "Look up its SHA-256 or its ISCC instead.")
        query = _asked(subject, uses)
        answer = await self._http.post("v1/works:lookup", data, query=query, most=_MAX_DOCUMENT)
        return parsed(Lookup, answer, "look-up")

    async def authorisation(self, work: str, subject: str, uses: Iterable[str]) -> Authorisation:
        """Whether somebody may use a work now; raises InputError for a malformed question, and ServerError."""
        query = _asked(subject, uses)
        if len(query) < 2:
            raise InputError("Who wants to use the work, or for what, is missing.", "Name both.")
        answer = await self._http.get(f"v1/works/{_id(work)}/authorisation", query=query, most=_MAX_DOCUMENT)
        return parsed(Authorisation, answer, "authorisation")


def is_work(text: str) -> bool:
    """Whether a text is the id of a work: 0x and 64 hex digits. A SHA-256 has no 0x."""
    return _WORK.fullmatch(text) is not None


def _id(work: str) -> str:
    if not is_work(work):
        raise InputError(f"{work[:80]!r} is not the id of a work.", "Write it as 0x and 64 hex digits.")
    return work


def _code(text: str) -> Mapping[str, str]:
    if _SHA256.fullmatch(text.lower()) is not None:
        return {"sha256": text.lower()}
    if _ISCC.fullmatch(text.upper()) is not None:
        return {"iscc": f"ISCC:{text.upper().removeprefix('ISCC:')}"}
    raise InputError(
        f"{text[:80]!r} is neither a SHA-256, an ISCC nor the id of a work.",
        "Write 64 hex digits, ISCC:EEA..., or 0x and 64 hex digits.",
    )


def _asked(subject: str, uses: Iterable[str]) -> dict[str, str]:
    """The part of a query that asks who may use a work; empty if nobody asks."""
    chosen = [use for use in USES if use in set(uses)]
    if not subject:
        return {}
    if _SUBJECT.fullmatch(subject) is None:
        raise InputError(f"{subject[:80]!r} names nobody.", "Write dns:acme.example, or an account: 0x and 40 digits.")
    if not chosen:
        raise InputError("It is not said what the work would be used for.", "Choose at least one use.")
    return {"subject": subject, "uses": ",".join(chosen)}
