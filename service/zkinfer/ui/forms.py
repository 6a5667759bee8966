"""Forms: fields and files of one post, within limits, and with the token of the session that the page was made for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from zkinfer.circuits.errors import InputError
from zkinfer.ui.access import is_token_of
from zkinfer.verifier.report.content import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

_MAX_FILES, _MAX_FIELDS, _MAX_FIELD_BYTES, _MAX_NAME = 6, 24, 1 << 14, 100


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file: its last name, which may be shown and is never used as a path, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A form's fields and files by name; each has at most one value, and an empty file counts as none."""

    fields: Mapping[str, str]
    files: Mapping[str, File]

    def text(self, name: str) -> str:
        """A field without surrounding space; empty if it is missing."""
        return self.fields.get(name, "").strip()

    def is_set(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.fields.get(name) == "on"

    def file(self, name: str, what: str) -> File:
        """A file that the form requires; raises InputError if it was not chosen."""
        if name not in self.files:
            raise InputError(f"No file was chosen as the {what}.", "Choose one.")
        return self.files[name]


async def read_form(request: Request) -> Form:
    """Read the form of a request.

    Raises:
        HTTPException: 400 for too many or malformed parts, 403 without the token of the request's session.
    """
    async with _parts(request) as (fields, files):
        session = request.scope["session"]
        if session is None or not is_token_of(session, fields.pop("token", "")):
            raise HTTPException(403, "token")
        return Form(fields, {name: File(_last_name(part.filename or name), await part.read()) for name, part in files})


@asynccontextmanager
async def _parts(request: Request) -> AsyncIterator[tuple[dict[str, str], list[tuple[str, UploadFile]]]]:
    """Fields and files; what the parser has spooled to disk is removed at the end of the block."""
    limits = {"max_files": _MAX_FILES, "max_fields": _MAX_FIELDS, "max_part_size": _MAX_FIELD_BYTES}
    async with request.form(**limits) as form:
        entries = form.multi_items()
        if len({name for name, _ in entries}) != len(entries):
            raise HTTPException(400, "repeated")
        fields = {name: value for name, value in entries if isinstance(value, str)}
        yield fields, [(name, part) for name, part in entries if isinstance(part, UploadFile) and part.size]


def _last_name(name: str) -> str:
    """The last part of a path of any system, short and printable."""
    last = PurePosixPath(PureWindowsPath(name).name).name
    return printable(last)[-_MAX_NAME:] or "file"
