"""Verify the versions of a trust root, and decide whether one may follow the version that was accepted before.

As in The Update Framework (https://theupdateframework.github.io/specification/, 5.3), a new version is accepted only
step by step:

 1. its predecessor's root keys have signed it, at least as many as the predecessor's threshold
 2. its own root keys have signed it, at least as many as its own threshold
 3. its number is the predecessor's plus one; a gap, a smaller number or a second version of one number are refused
 4. it names the digest of its predecessor; revocations are never dropped, and the time of issue never decreases
 5. the last version has been issued and has not expired; this is not required of the versions before it

Every signature must be right, also those beyond the threshold, so that no byte of a file can change unnoticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.verifier.errors import RootExpiredError, RootRollbackError, RootSignatureError, SignatureError
from zkinfer.verifier.policy import CLOCK_SKEW
from zkinfer.verifier.trustroot.signed import RootFile

if TYPE_CHECKING:
    from datetime import datetime

    from zkinfer.verifier.trustroot.document import RootKeys, TrustRoot
    from zkinfer.verifier.trustroot.signed import SignedRoot


def require_history(file: RootFile, accepted: SignedRoot | None) -> None:
    """Check all signatures of a file, and that it continues what was accepted: steps 1 to 4.

    Args:
        file: the claimed history.
        accepted: the version that was accepted before; None at first use, when the first version of the file is
            trusted because the caller names the file, and only its own keys must have signed it.

    Raises:
        RootSignatureError: a version lacks signatures, or has a wrong one.
        RootRollbackError: the file is older than `accepted`, contradicts it or leaves a gap after it.
        MalformedRootError: `accepted` has another name, or a revocation that the file drops.
    """
    if accepted is not None:
        _require_continuation(file, accepted)
    before: SignedRoot | None = None
    if accepted is not None and file.versions[0].root.version == accepted.root.version + 1:
        before = accepted
    for signed in file.versions:
        require_signatures(signed, before)
        before = signed


def require_fingerprint(file: RootFile, expected: str) -> None:
    """Raise RootSignatureError unless the root keys of the last version have this fingerprint.

    `TrustRoot.fingerprint` of an earlier version does not suffice: its keys may have been replaced because they leaked.
    """
    root = file.current.root
    if root.fingerprint == expected:
        return
    earlier = [one.root.version for one in file.versions if one.root.fingerprint == expected]
    raise RootSignatureError(
        f"The root keys of the trust root {root.name}, version {root.version}, have the fingerprint "
        f"{root.fingerprint}, not {expected}.",
        f"They were changed after version {earlier[-1]}: ask its publisher for the new fingerprint."
        if earlier
        else "Do not use the file: ask its publisher for file and fingerprint again, by two channels.",
    )


def require_current(root: TrustRoot, now: datetime) -> None:
    """Step 5; raises RootExpiredError."""
    if root.issued_at > now + CLOCK_SKEW:
        raise RootExpiredError(
            f"Version {root.version} of the trust root {root.name} is issued for {root.issued}, in the future.",
            "Check the clock of this machine.",
        )
    if now >= root.expires_at:
        raise RootExpiredError(
            f"Version {root.version} of the trust root {root.name} expired at {root.expires}.",
            "Ask its publisher for the current file. To judge as of an earlier date, give that date with --at.",
        )


def require_signatures(signed: SignedRoot, before: SignedRoot | None) -> None:
    """Steps 1 and 2; raises RootSignatureError.

    Args:
        signed: the version to check.
        before: its predecessor; None for the first version that is known.
    """
    roots, older = signed.root.roots, before.root.roots if before else None
    begins = before is None and signed.root.version > 1  # then it may also bear the signatures of keys before it
    valid = _verified(signed, roots, older, ignores_others=begins)
    if older is not None:
        _require_threshold(signed.root, valid, older, f"the root keys of version {signed.root.version - 1}")
    _require_threshold(signed.root, valid, roots, "its own root keys")


def _verified(signed: SignedRoot, *known: RootKeys | None, ignores_others: bool) -> set[str]:
    """The fingerprints of the known keys that signed; every signature must be a right one."""
    keys = {key.fingerprint: key for roots in known if roots is not None for key in roots.keys}
    for keyid, signature in signed.signatures:
        if keyid not in keys and ignores_others:
            continue
        if keyid not in keys:
            raise RootSignatureError(
                f"Version {signed.root.version} of the trust root is signed by {keyid}, which is no root key of it.",
                "The file was altered, or signed with another key.",
            )
        try:
            keys[keyid].key.verify(signed.signed_bytes, signature)
        except SignatureError as err:
            raise RootSignatureError(
                f"The signature of version {signed.root.version} of the trust root by {keyid} is wrong.",
                "The file was altered: ask its publisher for it again.",
            ) from err
    return keys.keys() & {keyid for keyid, _ in signed.signatures}


def _require_threshold(root: TrustRoot, valid: set[str], roots: RootKeys, whose: str) -> None:
    count = sum(key.fingerprint in valid for key in roots.keys)
    if count < roots.threshold:
        raise RootSignatureError(
            f"Version {root.version} of the trust root {root.name} lacks signatures by {whose}: it has {count} of "
            f"{roots.threshold}.",
            "Its publisher signs with: zkinfer trust sign FILE --key KEY",
        )


def _require_continuation(file: RootFile, accepted: SignedRoot) -> None:
    """Step 3, against the version that was accepted before."""
    first, last, known = file.versions[0].root, file.current.root, accepted.root
    if last.version < known.version:
        raise RootRollbackError(
            f"This file has version {last.version} of the trust root {known.name}; version {known.version} was "
            "accepted before.",
            "Use the newer file: an old one may lack a revocation.",
        )
    if first.version > known.version + 1:
        raise RootRollbackError(
            f"This file begins with version {first.version} of the trust root {known.name}; version {known.version} "
            "was accepted before, and those between are missing.",
            "Ask its publisher for the file with all versions.",
        )
    if first.version == known.version + 1:
        RootFile((accepted, file.versions[0]))  # link, name, time of issue and revocations
    elif file.versions[known.version - first.version].digest != accepted.digest:
        raise RootRollbackError(
            f"This file has another version {known.version} of the trust root {known.name} than was accepted before.",
            "One of the two is forged: ask its publisher by another channel.",
        )
