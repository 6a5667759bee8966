"""What one file and its sidecars say about training; runs in a child of `zkinfer.works.consent`.

Every statement counts, valid or not, whoever made it: to break a signature does not turn a no into a yes. What says
something that cannot be read is a no as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import read_file
from zkinfer.works import terms, xmp
from zkinfer.works.content import HEAD, MAX_PICTURE_BYTES, media_type_of
from zkinfer.works.kinds import Permission, strictest_of, strictest_of_known
from zkinfer.works.vocabularies import from_cawg

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIDECAR_BYTES: Final = 16 << 20
MAX_STORES: Final = 16
_STORE_TYPE: Final = "application/c2pa"
_TEXT_STORE: Final = "".join(chr(0xE0100 - 16 + one) for one in b"C2PATXT").encode()
_HINTS: Final = (b"c2pa", b"C2PA", b"jumd", b":provenance", _TEXT_STORE)
"""One is in every file with credentials, also if they are elsewhere, or in the variation selectors of a text."""
_STORE: Final = re.compile(rb"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71")
_PART: Final = re.compile(rb"jumdc2(?:ma|um|cm|as|cl|cs)\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71|<c2pa:manifest")
_LABEL: Final = re.compile(rb"(?:cawg|c2pa)\.training-mining")


@dataclass(frozen=True, slots=True)
class Consent:
    """An answer, and where it stands: `c2pa`, `xmp` or `terms`; `none`, without an answer, where the file is silent.

    `reason` is why there is a no although nothing says so: something cannot be read.
    """

    training: Permission | None
    source: str
    reason: str = ""


SILENT: Final = Consent(None, "none")


def read_here(files: list[tuple[str, list[tuple[str, str]]]]) -> list[tuple[str | None, str, str]]:
    """The fields of the answers of some files.

    Args:
        files: each with its sidecars, and what they hold: see `zkinfer.works.sidecars`.

    Raises:
        InputError: a file, which is named, cannot be read or is too large. A sidecar of that kind is a no instead.
    """
    found = []
    for path, beside in files:
        one = _strictest(_of_file(Path(path)), *(_of_sidecar(kind, Path(side)) for kind, side in beside))
        found.append((None if one.training is None else str(one.training), one.source, one.reason))
    return found


def _of_file(path: Path) -> Consent:
    data = read_file(path, max_bytes=MAX_PICTURE_BYTES)
    return _said(data, media_type_of(data[:HEAD], path))


def _of_sidecar(kind: str, path: Path) -> Consent:
    try:
        if kind == "terms":
            return Consent(terms.Terms.load(path).rights.training, "terms")
        data = read_file(path, max_bytes=MAX_SIDECAR_BYTES)
    except InputError as err:
        return Consent(Permission.NOT_ALLOWED, kind, f"{path.name}: {err.cause.removeprefix(f'{path} ')}")
    return _said(data, _STORE_TYPE) if kind == "c2pa" else _said(data, "")


def _said(data: bytes, media_type: str) -> Consent:
    try:
        packets = xmp.unpacked(data)
    except InputError as err:
        return Consent(Permission.NOT_ALLOWED, "xmp", err.cause)
    training = strictest_of_known(xmp.training_in(data), xmp.training_in(packets))
    plus = SILENT if training is None else Consent(training, "xmp")
    return _strictest(_c2pa(data, packets, media_type), plus)


def _c2pa(data: bytes, packets: bytes, media_type: str) -> Consent:
    """The assertions of all manifests: also of what the file was made from."""
    if media_type != _STORE_TYPE and not any(hint in data or hint in packets for hint in _HINTS):
        return SILENT
    from zkinfer.works.credentials import report_of  # noqa: PLC0415 - for few files only

    reports = [report_of(data, media_type or "application/octet-stream")]
    stores = list(islice(_stores(data), MAX_STORES + 1))
    if reports[0] is None and not stores and media_type != _STORE_TYPE and not _is_part(data):
        return SILENT
    if len(stores) > 1:  # the reader shows one of them
        reports += [report_of(one, _STORE_TYPE) for one in stores[:MAX_STORES]]
    if len(stores) > MAX_STORES:
        return _unread(f"there are more than {MAX_STORES}")
    answers = []
    for report in reports:
        if report is None or "failure" in report:
            return _unread("they are not where C2PA's reader looks" if report is None else str(report["failure"]))
        answers += [from_cawg(one).training for one in _assertions(report)]
    if not answers and _LABEL.search(data):
        return _unread("one is about training, and C2PA's reader does not show it")
    return Consent(strictest_of(answers), "c2pa") if answers else SILENT


def _stores(data: bytes) -> Iterator[bytes]:
    """Each whole store: a JUMBF box whose description, of that type, comes first (ISO 19566-5)."""
    for found in _STORE.finditer(data):
        begin = max(0, found.start() - 12)
        yield data[begin : begin + int.from_bytes(data[begin : begin + 4], "big")]


def _is_part(data: bytes) -> bool:
    return _PART.search(data) is not None or _TEXT_STORE in data


def _assertions(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What the assertions about training say; one that says it in no known form says nothing, which is a no."""
    found = [one for manifest in report.get("manifests", {}).values() for one in manifest.get("assertions", [])]
    about = [one.get("data") for one in found if _LABEL.match(str(one.get("label")).encode())]
    return [one if isinstance(one, dict) else {} for one in about]


def _unread(reason: str) -> Consent:
    return Consent(Permission.NOT_ALLOWED, "c2pa", f"its credentials cannot be read: {reason}")


def _strictest(*found: Consent) -> Consent:
    """The first of the strictest answers."""
    training = strictest_of_known(*(one.training for one in found))
    return next(one for one in found if one.training == training)
