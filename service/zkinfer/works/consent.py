"""Whether a file itself says that models may be trained on it: by C2PA, by XMP, or by a file of terms beside it.

Files are read in a child process with limits, hundreds at a time. Of several answers the strictest holds. A file that
says nothing has no answer: that it was handed in is then its contributor's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.sandbox.child import Limits, run
from zkinfer.works.content import HEAD, MAX_PICTURE_BYTES, media_type_of
from zkinfer.works.errors import ContentError
from zkinfer.works.kinds import Permission, strictest_of
from zkinfer.works.terms import Terms
from zkinfer.works.vocabularies import from_cawg

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH: Final = 500
SIDE_SUFFIX: Final = ".terms.toml"
_LIMITS: Final = Limits(seconds=300.0, memory=3_000_000_000)
_DATA_MINING: Final = re.compile(rb"DMI-([A-Z-]{1,60})")
_PLUS: Final = {
    "ALLOWED": Permission.ALLOWED,
    "PROHIBITED-SEECONSTRAINT": Permission.CONSTRAINED,
    "PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": Permission.CONSTRAINED,
}


@dataclass(frozen=True, slots=True)
class Consent:
    """An answer, and where it stands: `c2pa`, `xmp` or `terms`; `none`, without an answer, where the file is silent."""

    training: Permission | None
    source: str


def consents(paths: Sequence[Path]) -> list[Consent]:
    """What each file says about training, in their order.

    Raises:
        InputError: a file cannot be read, or its terms are malformed.
        ContentError: a file is too large, or could not be read safely.
    """
    found: list[Consent] = []
    for first in range(0, len(paths), BATCH):
        batch = paths[first : first + BATCH]
        found += [_with_terms(path, one) for path, one in zip(batch, _read(batch), strict=True)]
    return found


def _read(batch: Sequence[Path]) -> list[Consent]:
    arguments = {"paths": [str(path.absolute()) for path in batch]}
    try:
        answers = run("zkinfer.works.consent:read_here", arguments, limits=_LIMITS)
    except EngineError as err:
        raise ContentError(
            f"A file from {batch[0].name} to {batch[-1].name} could not be read safely: {err.cause}", "Leave it out."
        ) from err
    return [Consent(None if training is None else Permission(training), source) for training, source in answers]


def _with_terms(path: Path, own: Consent) -> Consent:
    beside = path.with_name(path.name + SIDE_SUFFIX)
    if not beside.is_file():
        return own
    terms = Consent(Terms.load(beside).rights.training, "terms")
    return _stricter(own, terms)


def _stricter(one: Consent, other: Consent) -> Consent:
    if one.training is None or other.training is None:
        return other if one.training is None else one
    return one if strictest_of((one.training, other.training)) == one.training else other


def read_here(paths: list[str]) -> list[tuple[str | None, str]]:
    """The answers of some files; runs in a child of `consents`, since it parses strange files.

    Raises InputError, which names the file, if one cannot be read or is too large.
    """
    found = []
    for name in paths:
        path = Path(name)
        try:
            if path.stat().st_size > MAX_PICTURE_BYTES:
                raise InputError(f"{path.name} exceeds the limit of {MAX_PICTURE_BYTES:,} bytes.", "Leave it out.")
            data = path.read_bytes()
        except OSError as err:
            raise InputError(f"{path.name} cannot be read: {str(err)[:80]}.") from err
        one = _stricter(_c2pa(path, data), _xmp(path, data))
        found.append((None if one.training is None else str(one.training), one.source))
    return found


def _c2pa(path: Path, data: bytes) -> Consent:
    """The assertion of C2PA credentials, valid or not: to break them does not turn a no into a yes."""
    if b"c2pa" not in data:
        return Consent(None, "none")
    from zkinfer.works.credentials import read_here as read_credentials  # noqa: PLC0415 - for few files only

    report: dict[str, Any] = read_credentials(str(path), media_type_of(data[:HEAD], path), None, None)["report"] or {}
    manifest = report.get("manifests", {}).get(report.get("active_manifest"), {})
    for one in manifest.get("assertions", []):
        if one.get("label") == "cawg.training-mining" and isinstance(one.get("data"), dict):
            return Consent(from_cawg(one["data"]).training, "c2pa")
    return Consent(None, "none")


def _xmp(path: Path, data: bytes) -> Consent:
    """PLUS's data mining property in XMP, which may be compressed; every occurrence counts."""
    from zkinfer.works.picture import metadata  # noqa: PLC0415 - only here does anything decode

    words = {one.decode() for one in _DATA_MINING.findall(data + metadata(path))} - {"UNSPECIFIED"}
    answers = [_PLUS.get(word.rstrip("-"), Permission.NOT_ALLOWED) for word in words]
    return Consent(strictest_of(answers), "xmp") if answers else Consent(None, "none")
