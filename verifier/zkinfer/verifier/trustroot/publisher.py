"""What a publisher does with a trust root: begin it, change the next version, and collect signatures.

A change is made to the last version while that lacks signatures, and drops those it has. Once enough root keys have
signed, the next change begins a new version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from zkinfer.circuits import canonical
from zkinfer.verifier.errors import RootSignatureError, TrustRootError
from zkinfer.verifier.statement import first_problem, to_base64, write_time
from zkinfer.verifier.trustroot.document import RootKey, RootKeys, TrustRoot
from zkinfer.verifier.trustroot.rotation import require_signatures
from zkinfer.verifier.trustroot.signed import RootFile, SignedRoot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from zkinfer.verifier.signing import PublicKey, Signer


def new_root(
    name: str,
    keys: Iterable[PublicKey],
    *,
    threshold: int,
    setups: Iterable[str],
    engines: Iterable[str],
    now: datetime,
    lifetime: timedelta,
) -> RootFile:
    """The unsigned first version of a trust root, which lists no models and no signers.

    Args:
        name: by which auditors will know it, such as the publisher's domain.
        keys: that may sign the next version.
        threshold: how many of them must.
        setups: names of the accepted ceremonies.
        engines: names of the accepted engines.
        now: the time of issue.
        lifetime: until it expires.

    Raises:
        TrustRootError: a name or number is not acceptable, or a key occurs twice.
    """
    roots = {"threshold": threshold, "keys": [{"publicKey": to_base64(key.der)} for key in keys]}
    content = {
        "name": name,
        "version": 1,
        "issued": write_time(now),
        "expires": write_time(now + lifetime),
        "roots": roots,
        "setups": list(setups),
        "engines": list(engines),
    }
    return RootFile((SignedRoot(_root(content)),))


def changed(file: RootFile, changes: dict[str, Any], *, now: datetime, lifetime: timedelta) -> RootFile:
    """The file with changes in its last version, or in a new one if the last is signed by enough keys.

    Args:
        file: the file to change.
        changes: new values by the field's name in JSON; `version`, `previous`, `issued` and `expires` are set here.
        now: the time of issue.
        lifetime: until the version expires.

    Raises:
        TrustRootError: a value is not acceptable.
        MalformedRootError: the result drops a revocation.
    """
    kept = file.versions if is_complete(file) else file.versions[:-1]
    draft = file.current.root
    place = (kept[-1].root.version + 1, str(kept[-1].digest)) if kept else (draft.version, draft.previous)
    times = {"issued": write_time(now), "expires": write_time(now + lifetime)}
    content = draft.model_dump(mode="json", by_alias=True) | changes | times
    content |= dict(zip(("version", "previous"), place, strict=True))
    return RootFile((*kept, SignedRoot(_root(content))))


def signed_by(file: RootFile, key: Signer) -> RootFile:
    """The file with one more signature under its last version.

    Raises:
        RootSignatureError: the key is not one of the root keys of this version or the one before, or has signed it.
    """
    *before, last = file.versions
    fingerprint = key.public.fingerprint
    if fingerprint not in {known.fingerprint for one in file.versions[-2:] for known in one.root.roots.keys}:
        raise RootSignatureError(
            f"The key {fingerprint} is no root key of the trust root {file.name}.",
            "Sign with a root key: zkinfer trust show FILE",
        )
    if any(keyid == fingerprint for keyid, _ in last.signatures):
        raise RootSignatureError(f"The key {fingerprint} has signed version {last.root.version} already.")
    signatures = sorted([*last.signatures, (fingerprint, key.sign(last.signed_bytes))])
    return RootFile((*before, SignedRoot(last.root, tuple(signatures))))


def is_complete(file: RootFile) -> bool:
    """Whether enough root keys have signed the last version."""
    return missing_signatures(file) == ""


def missing_signatures(file: RootFile) -> str:
    """What the last version still needs, in one sentence; empty if enough root keys have signed it."""
    before = file.versions[-2] if len(file.versions) > 1 else None
    try:
        require_signatures(file.current, before)
    except RootSignatureError as err:
        return err.cause
    return ""


def with_root_keys(
    roots: RootKeys, *, add: Iterable[PublicKey] = (), remove: Iterable[str] = (), threshold: int | None = None
) -> dict[str, Any]:
    """The field `roots` with other keys or another threshold; raises TrustRootError if a key to remove is missing."""
    gone = set(remove)
    if unknown := gone - {key.fingerprint for key in roots.keys}:
        raise TrustRootError(f"The trust root has no root key {min(unknown)}.")
    kept = [key for key in roots.keys if key.fingerprint not in gone]
    keys = [*kept, *(RootKey(public_key=to_base64(key.der)) for key in add)]
    number = roots.threshold if threshold is None else threshold
    return {"threshold": number, "keys": [key.model_dump(mode="json", by_alias=True) for key in keys]}


def _root(content: dict[str, Any]) -> TrustRoot:
    try:
        return TrustRoot.model_validate_json(canonical.dump(content))
    except ValidationError as err:
        raise TrustRootError(f"The trust root cannot be written: {first_problem(err)}.") from err
