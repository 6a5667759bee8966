"""C2PA credentials in files: what made a file, what may be done with it, and how it is found again.

Signing runs here, on the caller's own file. Foreign files are read in a child process with limits, see `read_marks`.
No thumbnail is embedded, which keeps a manifest at some 13 kB, and no time-stamp server is asked, so nothing needs a
network. `Trusted` says that a root that was given vouches for the signer; never that the content is true.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import c2pa
from cryptography import x509

from zkinfer.circuits.errors import EngineError, InputError, why
from zkinfer.circuits.sandbox.child import Limits, run
from zkinfer.works.errors import CredentialsError
from zkinfer.works.ingredients import edited, to_c2pa
from zkinfer.works.kinds import ALGORITHM, SOURCE_TYPES, Origin
from zkinfer.works.vocabularies import to_cawg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.verifier.signing import Signer
    from zkinfer.works.content import Content
    from zkinfer.works.ingredients import Ingredient
    from zkinfer.works.statement import WorkPredicate

LABEL: Final = "org.zkinfer.inference"
MAX_BYTES: Final = 512 << 20
_NEWSCODES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SETTINGS: Final[dict[str, Any]] = {"builder": {"thumbnail": {"enabled": False}}}
_LIMITS: Final = Limits(seconds=60.0, memory=3_000_000_000)
_OFFLINE: Final[dict[str, Any]] = {"verify": {"verify_trust": False, "remote_manifest_fetch": False}}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A chain of certificates in PEM, leaf first, and the signer with the leaf's key; see `zkinfer.works.keys`."""

    chain: bytes
    signer: Signer


@dataclass(frozen=True, slots=True)
class Marks:
    """What C2PA says about a file.

    Args:
        state: `Trusted`, `Valid` (the signature is right, but no given root vouches for it), `Invalid`, or `none`.
        problems: codes of what is wrong.
        issuer: who signed, by the certificate; empty if unknown.
        source_type: the IPTC digital source type that it names; empty if none.
        iscc: the soft binding; empty if none.
        assertions: data of each assertion of the active manifest, by label.
        store: SHA-256 of the manifest store, as hex; empty if there is none.
    """

    state: str
    problems: tuple[str, ...] = ()
    issuer: str = ""
    source_type: str = ""
    iscc: str = ""
    assertions: dict[str, Any] = field(default_factory=dict)
    store: str = ""


def mark(
    content: Content,
    out: Path,
    predicate: WorkPredicate,
    credentials: Credentials,
    *,
    sidecar: bool = False,
    ingredients: Sequence[Ingredient] = (),
) -> str:
    """Sign a file's credentials, embedded in a copy of it or in a sidecar.

    Args:
        content: the file.
        out: the signed copy to write, or the sidecar.
        predicate: what is said.
        credentials: sign.
        sidecar: write the manifest store alone.
        ingredients: what it was made from.

    Returns:
        SHA-256 of the manifest store, as hex.

    Raises:
        CredentialsError: the kind of file is not supported by C2PA, or the certificate is not accepted.
        InputError: a file cannot be read or written.
    """
    context = c2pa.Context.from_dict(_SETTINGS)
    target = out.with_name(out.name + ".unembedded") if sidecar else out
    try:
        with c2pa.Builder(_manifest(content, predicate, ingredients), context) as builder:
            intent = c2pa.C2paBuilderIntent.EDIT if edited(ingredients) else c2pa.C2paBuilderIntent.CREATE
            builder.set_intent(intent, _source_type(predicate.origin))
            if sidecar:
                builder.set_no_embed()
            chain = credentials.chain.decode("ascii")
            sign = credentials.signer.sign
            signer = c2pa.Signer.from_callback(sign, c2pa.C2paSigningAlg.ES256, chain, None)
            with content.path.open("rb") as source, target.open("w+b") as copy:
                store: bytes = builder.sign(signer, content.media_type, source, copy)
        if sidecar:
            target.unlink()
            out.write_bytes(store)
    except c2pa.C2paError as err:
        target.unlink(missing_ok=True)
        raise CredentialsError(
            f"C2PA's library refused to sign {content.path.name}: {str(err)[:200]}",
            "Use a picture, film, sound or document that C2PA supports, and a certificate of `zkinfer works keys`.",
        ) from err
    except OSError as err:
        raise InputError(f"{out} cannot be written: {why(err)}.", "Choose another place.") from err
    return hashlib.sha256(store).hexdigest()


def read_marks(path: Path, media_type: str, *, root: Path | None = None, sidecar: Path | None = None) -> Marks:
    """What C2PA says about a file, read in a child process.

    Args:
        path: the file.
        media_type: of the file.
        root: certificates in PEM whose signers are trusted; without any, no state is `Trusted`.
        sidecar: the manifest store, if it is not embedded.

    Raises:
        CredentialsError: the file is too large, or the reader failed or used too much.
        InputError: a file cannot be read.
    """
    arguments = {
        "path": str(path.absolute()),
        "media_type": media_type,
        "root": None if root is None else str(root.absolute()),
        "sidecar": None if sidecar is None else str(sidecar.absolute()),
    }
    try:
        found = run("zkinfer.works.credentials:read_here", arguments, limits=_LIMITS)
    except EngineError as err:
        raise CredentialsError(f"The credentials of {path.name} could not be read safely: {err.cause}") from err
    return _marks(found)


def read_here(path: str, media_type: str, root: str | None, sidecar: str | None) -> dict[str, Any]:
    """The reader's report and the digest of the store; runs in the child of `read_marks`.

    Raises InputError if a file cannot be read.
    """
    settings: dict[str, Any] = {"verify": {"verify_trust": root is not None, "remote_manifest_fetch": False}}
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise InputError(f"The file exceeds the limit of {MAX_BYTES:,} bytes.", "Give a smaller one.")
        if root is not None:
            settings["trust"] = {"trust_anchors": _certificates(Path(root).read_bytes())}
        store = None if sidecar is None else Path(sidecar).read_bytes()
        with Path(path).open("rb") as stream:
            return _report(stream, media_type, store, c2pa.Context.from_dict(settings))
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"A file cannot be read: {str(err)[:120]}.", "Give the file and roots in PEM.") from err


def report_of(data: bytes, media_type: str) -> dict[str, Any] | None:
    """The reader's report on a file's content, or on a store alone (`application/c2pa`); None without credentials.

    It has all manifests, and `failure` if they cannot be read or are elsewhere. For use in a child with limits.
    """
    report: dict[str, Any] | None = _report(io.BytesIO(data), media_type, None, c2pa.Context.from_dict(_OFFLINE))[
        "report"
    ]
    return report


def _certificates(pem: bytes) -> str:
    """Certificates in PEM as C2PA's library takes them; raises InputError if there are none, which it would ignore."""
    try:
        x509.load_pem_x509_certificates(pem)
        return pem.decode("ascii")
    except ValueError as err:
        raise InputError("The roots are no certificates in PEM.", "Give a file such as root.pem.") from err


def _report(stream: Any, media_type: str, store: bytes | None, context: Any) -> dict[str, Any]:  # noqa: ANN401 - untyped library
    try:
        with c2pa.Reader(media_type, stream, store, context=context) as reader:
            return {"report": json.loads(reader.json()), "store": "" if store is None else _digest(store)}
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return {"report": None, "store": ""}
    except c2pa.C2paError as err:
        return {"report": {"validation_state": "Invalid", "failure": str(err)[:200]}, "store": ""}


def _digest(store: bytes) -> str:
    return hashlib.sha256(store).hexdigest()


def _marks(found: dict[str, Any]) -> Marks:
    report = found["report"]
    if report is None:
        return Marks("none")
    manifest = report.get("manifests", {}).get(report.get("active_manifest"), {})
    assertions = {one.get("label"): one.get("data") for one in manifest.get("assertions", [])}
    problems = [str(one.get("code")) for one in report.get("validation_status", [])]
    if "failure" in report:
        problems.append(str(report["failure"]))
    return Marks(
        state=str(report.get("validation_state", "Invalid")),
        problems=tuple(problems),
        issuer=str(manifest.get("signature_info", {}).get("issuer", "")),
        source_type=_source_type_in(assertions),
        iscc=_iscc_in(assertions),
        assertions=assertions,
        store=found["store"],
    )


def _source_type_in(assertions: dict[str, Any]) -> str:
    for label in ("c2pa.actions.v2", "c2pa.actions"):
        data = assertions.get(label)
        for action in data.get("actions", []) if isinstance(data, dict) else []:
            if isinstance(action, dict) and str(action.get("digitalSourceType", "")).startswith(_NEWSCODES):
                return str(action["digitalSourceType"]).removeprefix(_NEWSCODES)
    return ""


def _iscc_in(assertions: dict[str, Any]) -> str:
    data = assertions.get("c2pa.soft-binding")
    if not isinstance(data, dict) or data.get("alg") != ALGORITHM:
        return ""
    blocks = data.get("blocks")
    return (
        str(blocks[0].get("value", "")) if isinstance(blocks, list) and blocks and isinstance(blocks[0], dict) else ""
    )


def _source_type(origin: Origin) -> c2pa.C2paDigitalSourceType:
    return {
        Origin.GENERATED: c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA,
        Origin.COMPOSITE: c2pa.C2paDigitalSourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA,
        Origin.HUMAN: c2pa.C2paDigitalSourceType.DIGITAL_CREATION,
    }.get(origin, c2pa.C2paDigitalSourceType.EMPTY)


def _manifest(content: Content, predicate: WorkPredicate, ingredients: Sequence[Ingredient]) -> dict[str, Any]:
    assertions: list[dict[str, Any]] = []
    if edited(ingredients) and predicate.origin in SOURCE_TYPES:
        source = _NEWSCODES + SOURCE_TYPES[predicate.origin]
        actions = [{"action": "c2pa.edited", "digitalSourceType": source}]
        assertions.append({"label": "c2pa.actions.v2", "data": {"actions": actions}})
    if predicate.rights is not None:
        assertions.append({"label": "cawg.training-mining", "data": to_cawg(predicate.rights)})
    if predicate.content.iscc256 is not None:
        blocks = [{"scope": {}, "value": predicate.content.iscc256}]
        assertions.append({"label": "c2pa.soft-binding", "data": {"alg": ALGORITHM, "blocks": blocks}})
    inference = {
        "evidence": str(predicate.evidence.level),
        "modelId": predicate.evidence.model_id,
        "attestation": predicate.evidence.attestation,
        "record": predicate.evidence.record,
        "work": predicate.chain.work if predicate.chain else None,
    }
    known = {name: value for name, value in inference.items() if value is not None}
    assertions.append({"label": LABEL, "data": known})
    return {
        "claim_generator_info": [{"name": "zkinfer"}],
        "title": content.path.name,
        "format": content.media_type,
        "assertions": assertions,
        "ingredients": to_c2pa(ingredients),
    }
