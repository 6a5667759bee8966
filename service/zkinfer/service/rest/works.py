"""Works over HTTP: the answers of zkinfer.v1.Works, token metadata, and C2PA's Soft Binding Resolution API 1.0."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.errors import DataError
from zkinfer.service.documents import document_of
from zkinfer.service.errors import BadFieldError, RequestTooLargeError, in_field
from zkinfer.service.rest.bodies import Document, decoded, read_document
from zkinfer.service.rest.handlers import Answer, context_of, json_answer
from zkinfer.service.rest.route import C2PA
from zkinfer.service.rest.work_metadata import metadata_of, usage_headers
from zkinfer.v1 import works_pb2
from zkinfer.works.directory.messages import DEFAULT_RESULTS, MAX_CONTENT_BYTES, MAX_RESULTS
from zkinfer.works.kinds import ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.service.rest.request import HttpRequest
    from zkinfer.service.servicers import Servicers
    from zkinfer.works.directory.lookup import BoundManifest

_COUNT: Final = re.compile(r"[0-9]{1,6}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,77}")
_MAX_VALUE: Final = 400


class Binding(Document):
    """A soft binding whose manifests are asked for."""

    alg: str
    """The algorithm: io.iscc.v0."""
    value: str
    """Its value, in base64."""


@dataclass(frozen=True, slots=True)
class FileDecoder:
    """Takes the body as a file."""

    def count_numbers(self, _data: bytes) -> int:
        """None: the bytes stay as they are."""
        return 0

    async def decode(self, data: bytes) -> bytes:
        """The bytes; raises RequestTooLargeError."""
        if len(data) > MAX_CONTENT_BYTES:
            raise RequestTooLargeError(
                f"The file exceeds {MAX_CONTENT_BYTES:,} bytes.", "Look up its SHA-256 or its ISCC instead."
            )
        return data


@dataclass(frozen=True, slots=True)
class BindingDecoder:
    """Takes the body as a soft binding in JSON."""

    def count_numbers(self, data: bytes) -> int:
        """An upper bound of the values in it."""
        return len(data)

    async def decode(self, data: bytes) -> Binding:
        """The binding; raises JsonError, BadFieldError."""
        return await decoded(data, lambda text: read_document(text, Binding))


@dataclass(frozen=True, slots=True)
class WorkHandlers:
    """Translate requests about works to calls of the service.

    Args:
        servicers: that gRPC calls too.
    """

    servicers: Servicers

    async def work(self, request: HttpRequest, _body: object) -> Answer:
        """One work."""
        request.query()
        found = await self._work(request)
        return json_answer(document_of(found), headers=usage_headers(found))

    async def metadata(self, request: HttpRequest, _body: object) -> Answer:
        """The metadata of a work's token, to which its tokenURI leads."""
        request.query()
        found = await self._work(request)
        return json_answer(metadata_of(found), headers=usage_headers(found))

    async def find(self, request: HttpRequest, _body: object) -> Answer:
        """The works that a digest or a fingerprint finds."""
        query = request.query("sha256", "iscc", *_OPTIONS)
        asked = _lookup(query)
        if ("sha256" in query) == ("iscc" in query):
            raise BadFieldError("query", "Either sha256 or iscc is looked up.", "POST /v1/works:lookup takes files.")
        kind = "sha256" if "sha256" in query else "iscc"
        setattr(asked, kind, query[kind])
        with in_field(kind):
            return json_answer(document_of(await self.servicers.works.LookupWork(asked, context_of(request))))

    async def lookup(self, request: HttpRequest, body: bytes) -> Answer:
        """The works that a file finds."""
        asked = _lookup(request.query(*_OPTIONS))
        asked.content = body
        with in_field("body"):
            return json_answer(document_of(await self.servicers.works.LookupWork(asked, context_of(request))))

    async def authorisation(self, request: HttpRequest, _body: object) -> Answer:
        """Whether somebody may use a work now."""
        query = request.query("subject", "uses")
        asked = works_pb2.CheckAuthorisationRequest(
            work=_id_of(request), subject=query.get("subject", ""), uses=_uses(query)
        )
        return json_answer(document_of(await self.servicers.works.CheckAuthorisation(asked, context_of(request))))

    async def by_binding(self, request: HttpRequest, body: Binding | None) -> Answer:
        """The manifests of works with a similar fingerprint; GET has the binding in the query, POST in the body."""
        query = request.query("maxResults") if body else request.query("alg", "value", "maxResults")
        algorithm, value = (body.alg, body.value) if body else (query.get("alg", ""), query.get("value", ""))
        _require_algorithm(algorithm, "alg")
        with in_field("value"):
            found = await self.servicers.works.manifests_by_iscc(_iscc_of(value), _most(query))
        return json_answer(_matches(found))

    async def by_content(self, request: HttpRequest, body: bytes) -> Answer:
        """The manifests of works that a file finds."""
        query = request.query("alg", "hintAlg", "hintValue", "maxResults")
        for name in ("alg", "hintAlg"):
            if name in query:
                _require_algorithm(query[name], name)
        self.servicers.works.require_known()
        if not _is_picture(body):
            request.refusal = 415
            raise BadFieldError("body", "The file is no picture of a known kind.", "Send JPEG, PNG, WebP, GIF or TIFF.")
        with in_field("body"):
            return json_answer(_matches(await self.servicers.works.manifests_by_content(body, _most(query))))

    async def manifest(self, request: HttpRequest, _body: object) -> Answer:
        """A C2PA manifest store, as it was registered."""
        active = request.query("returnActiveManifest").get("returnActiveManifest", "false")
        with in_field("returnActiveManifest"):
            if active not in ("true", "false"):
                raise DataError("It is true or false.")
        store = await self.servicers.works.manifest(request.path["id"])
        if active == "true":
            from zkinfer.works.jumbf import only_active  # noqa: PLC0415 - an extra

            store = only_active(store)
        return Answer(body=store, headers={"content-type": C2PA})

    async def algorithms(self, request: HttpRequest, _body: object) -> Answer:
        """The algorithms of soft bindings that are known."""
        request.query()
        self.servicers.works.require_known()
        return json_answer({"watermarks": [], "fingerprints": [{"alg": ALGORITHM}]})

    async def _work(self, request: HttpRequest) -> works_pb2.Work:
        return await self.servicers.works.GetWork(works_pb2.GetWorkRequest(work=_id_of(request)), context_of(request))


_OPTIONS: Final = ("distance", "max_results", "subject", "uses")


def _lookup(query: dict[str, str]) -> works_pb2.LookupWorkRequest:
    asked = works_pb2.LookupWorkRequest(subject=query.get("subject", ""), uses=_uses(query))
    for name in ("distance", "max_results"):
        if name in query:
            setattr(asked, name, _count(query[name], name))
    return asked


def _uses(query: dict[str, str]) -> list[str]:
    return [one.strip() for one in query.get("uses", "").split(",") if one.strip()]


def _count(text: str, name: str) -> int:
    with in_field(name):
        if _COUNT.fullmatch(text) is None:
            raise DataError("It must be a whole number.")
    return int(text)


def _most(query: dict[str, str]) -> int:
    """How many matches are wanted; C2PA sets no limit, so more than are given are no fault."""
    wanted = _count(query["maxResults"], "maxResults") if "maxResults" in query else DEFAULT_RESULTS
    return min(max(1, wanted), MAX_RESULTS)


def _id_of(request: HttpRequest) -> str:
    """The id in the path; token URIs have it in decimal."""
    text = request.path["work"]
    if _DECIMAL.fullmatch(text) and int(text) < 1 << 256:
        return f"0x{int(text):064x}"
    return text


def _require_algorithm(name: str, field: str) -> None:
    with in_field(field):
        if name != ALGORITHM:
            raise DataError(f"{name!r:.60} is no known algorithm.", f"It is {ALGORITHM}.")


def _iscc_of(value: str) -> str:
    """The ISCC in a binding: base64 of its text, or of the code's bytes, in either alphabet; raises DataError."""
    if len(value) > _MAX_VALUE:
        raise DataError("It is too long for a fingerprint.")
    text = value.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")  # a query has a space for +
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as err:
        raise DataError("It is not base64.", "Encode the ISCC, such as ISCC:EEA..., or its bytes.") from err
    if data.startswith(b"ISCC:"):
        return data.decode("ascii", "replace")
    return "ISCC:" + base64.b32encode(data).decode().rstrip("=")


def _is_picture(body: bytes) -> bool:
    from pathlib import Path  # noqa: PLC0415 - with the imports of an extra

    from zkinfer.works.content import HEAD, PICTURES, media_type_of  # noqa: PLC0415

    return media_type_of(body[:HEAD], Path("file")) in PICTURES


def _matches(found: Iterable[BoundManifest]) -> dict[str, Any]:
    return {"matches": [{"manifestId": one.manifest_id, "similarityScore": one.similarity} for one in found]}
