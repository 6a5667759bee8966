"""Bodies of requests in JSON: bounded before they are parsed, and checked against a type that OpenAPI describes too."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import BadFieldError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ROWS = 1 << 16  # lists and objects in JSON, each of which costs as much as several numbers
_FEW_BYTES = 1 << 16
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
ResultT = TypeVar("ResultT")
DocumentT = TypeVar("DocumentT", bound="Document")


class Document(BaseModel):
    """A JSON object with these members and no others, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


def count_values(text: bytes) -> int:
    """An upper bound of the values in JSON, without parsing it; raises DataError if there are too many, or lists."""
    rows = text.count(b"[") + text.count(b"{")
    if rows > MAX_ROWS:
        raise DataError(
            f"The request has more than {MAX_ROWS:,} lists.", "Send the elements of tensors flat, or as bytes."
        )
    values = text.count(b",") + rows
    if values > canonical.MAX_VALUES:
        raise DataError(
            f"The request has more than {canonical.MAX_VALUES:,} values in JSON.",
            "Send the elements of large tensors as bytes.",
        )
    return values + rows


def read_document(text: bytes, kind: type[DocumentT]) -> DocumentT:
    """Parse JSON as a document of a type; raises JsonError, and BadFieldError for the first member that differs."""
    document = canonical.load(text, max_bytes=len(text), what="request")
    if _SURROGATE.search(text) is not None:
        _require_text(document)
    try:
        return kind.model_validate(document)
    except ValidationError as err:
        raise _first_error(err, document) from err


def _require_text(document: object) -> None:
    """Raise BadFieldError if a text cannot be encoded, because an escape names half of a pair of surrogates."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as err:
        raise BadFieldError("body", "A text holds half of a pair of surrogates.", "Send texts as UTF-8.") from err


def _first_error(err: ValidationError, document: object) -> BadFieldError:
    """The first member that differs, with what each of its types requires."""
    places: dict[str, list[str]] = {}
    for one in err.errors(include_url=False, include_context=False, include_input=False):
        messages = places.setdefault(_place(one["loc"], document), [])
        messages += [one["msg"]] if one["msg"] not in messages else []
    place, messages = next(iter(places.items()))
    return BadFieldError(place[:120] or "body", f"{'; or '.join(messages)}.", "/openapi.json describes the request.")


def _place(location: tuple[int | str, ...], document: object) -> str:
    """The name of a member; pydantic's location of a value with several types ends in the name of one of them."""
    place = ""
    for part in location:
        if isinstance(document, list) and isinstance(part, int):
            place, document = f"{place}[{part}]", document[part]
        elif isinstance(document, dict):
            place, document = f"{place}.{part}", document.get(part)
    return place.lstrip(".")


async def decoded(data: bytes, decode: Callable[[bytes], ResultT]) -> ResultT:
    """Decode a body, in a thread if it is large; raises the errors of `decode`."""
    if len(data) <= _FEW_BYTES:
        return decode(data)
    return await asyncio.to_thread(decode, data)
