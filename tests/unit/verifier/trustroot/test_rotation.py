from datetime import timedelta, timezone

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import (
    DAY,
    P256,
    YEAR,
    A,
    B,
    C,
    D,
    begun,
    first,
    following,
    key_entry,
    revocation,
    roots,
    signed,
)

from zkinfer.verifier.errors import (
    MalformedRootError,
    RootExpiredError,
    RootRollbackError,
    RootSignatureError,
    TrustRootError,
)
from zkinfer.verifier.statement import to_base64
from zkinfer.verifier.trustroot.publisher import changed
from zkinfer.verifier.trustroot.rotation import require_current, require_fingerprint, require_history
from zkinfer.verifier.trustroot.signed import RootFile, SignedRoot


def test_root_signed_by_its_own_threshold_is_accepted():
    require_history(signed(begun(A, B, P256, threshold=2), A, P256), None)


@pytest.mark.parametrize("signers", [(), (A,), (P256,)])
def test_too_few_signatures_are_refused(signers):
    with pytest.raises(RootSignatureError, match=f"lacks signatures by its own root keys: it has {len(signers)} of 2"):
        require_history(signed(begun(A, B, P256, threshold=2), *signers), None)


def test_rotation_signed_by_both_thresholds_is_accepted():
    file = following(first(A, B, threshold=2), A, B, C, D, roots=roots(C, D, threshold=2))
    require_history(file, None)
    require_history(following(file, C, D), file.versions[0])


@pytest.mark.parametrize(
    ("signers", "message"),
    [
        ((A, B), "its own root keys: it has 0 of 2"),
        ((A, B, C), "its own root keys: it has 1 of 2"),
        ((C, D), "the root keys of version 1: it has 0 of 2"),
        ((A, C, D), "the root keys of version 1: it has 1 of 2"),
    ],
)
def test_rotation_without_one_of_the_thresholds_is_refused(signers, message):
    file = following(first(A, B, threshold=2), *signers, roots=roots(C, D, threshold=2))
    with pytest.raises(RootSignatureError, match=message):
        require_history(file, None)


def test_retired_key_cannot_sign_any_more():
    file = following(first(A), A, B, roots=roots(B))
    forged = SignedRoot(following(file, B).current.root)
    forged = SignedRoot(forged.root, ((A.public.fingerprint, A.sign(forged.signed_bytes)),))
    with pytest.raises(RootSignatureError, match="which is no root key of it"):
        require_history(RootFile((*file.versions, forged)), None)


def test_wrong_signature_beyond_the_threshold_is_refused():
    good = first(A, B).current
    bad = SignedRoot(good.root, (good.signatures[0], (good.signatures[1][0], good.signatures[0][1])))
    with pytest.raises(RootSignatureError, match="is wrong"):
        require_history(RootFile((bad,)), None)


def test_signature_of_another_root_is_refused():
    other = first(A, name="other.example").current
    with pytest.raises(RootSignatureError, match="is wrong"):
        require_history(RootFile((SignedRoot(first(A).current.root, other.signatures),)), None)


HISTORY = following(following(following(first(A), A), A), A)


def part(start, stop):
    return RootFile(HISTORY.versions[start:stop])


@pytest.mark.parametrize(("start", "accepted"), [(0, 0), (0, 3), (1, 0), (1, 1), (3, 3), (3, 2)])
def test_file_that_continues_the_accepted_version_is_accepted(start, accepted):
    require_history(part(start, 4), HISTORY.versions[accepted])


def test_older_file_is_refused():
    with pytest.raises(RootRollbackError, match=r"version 2 .*; version 3 was accepted before. Use the newer file"):
        require_history(part(0, 2), HISTORY.versions[2])


def test_gap_after_the_accepted_version_is_refused():
    with pytest.raises(RootRollbackError, match=r"begins with version 3 .* those between are missing"):
        require_history(part(2, 4), HISTORY.versions[0])


def test_second_version_of_one_number_is_refused():
    fork = following(part(0, 1), A, setups=["hermez"])
    with pytest.raises(RootRollbackError, match=r"another version 2 .*One of the two is forged"):
        require_history(fork, HISTORY.versions[1])


def test_new_root_of_a_known_name_is_refused():
    with pytest.raises(RootRollbackError, match="another version 1"):
        require_history(first(B), HISTORY.versions[0])


def test_next_version_by_strangers_is_refused():
    stranger = following(part(0, 1), B, roots=roots(B)).versions[1:]
    with pytest.raises(RootSignatureError, match="the root keys of version 1: it has 0 of 1"):
        require_history(RootFile(stranger), HISTORY.versions[0])


def forged_history():
    """A version 1 of the attacker D before the genuine version 2, which D has signed too."""
    two = HISTORY.versions[1]
    signatures = sorted([*two.signatures, (D.public.fingerprint, D.sign(two.signed_bytes))])
    return first(D, now=NOW - DAY).current, SignedRoot(two.root, tuple(signatures))


def test_invented_version_before_a_genuine_one_is_refused():
    with pytest.raises(MalformedRootError, match=r"Version 2 follows another version 1 .* One of the two is forged"):
        require_history(RootFile(forged_history()), HISTORY.versions[1])


def test_next_version_after_another_accepted_one_is_refused():
    with pytest.raises(MalformedRootError, match="Version 2 follows another version 1"):
        require_history(part(1, 4), first(A, setups=["hermez"]).current)


def test_next_version_that_drops_a_revocation_is_refused():
    accepted = following(first(A), A, revocations=[revocation()])
    third = following(accepted, A).current.root
    third = SignedRoot(third.model_copy(update={"revocations": ()}))
    with pytest.raises(MalformedRootError, match="drops or changes the revocation"):
        require_history(RootFile((third,)), accepted.current)


def test_fingerprint_is_that_of_the_last_versions_root_keys():
    require_fingerprint(HISTORY, first(A).current.root.fingerprint)
    rotated = following(first(A), A, B, roots=roots(B))
    require_fingerprint(rotated, first(B).current.root.fingerprint)
    with pytest.raises(RootSignatureError, match="They were changed after version 1"):
        require_fingerprint(rotated, first(A).current.root.fingerprint)


def test_fingerprint_of_another_root_is_refused():
    with pytest.raises(RootSignatureError, match=r"version 4, have the fingerprint .*Do not use the file"):
        require_fingerprint(HISTORY, first(B).current.root.fingerprint)


@pytest.mark.parametrize("late", [DAY, YEAR - DAY])
def test_root_between_issue_and_expiry_is_current(late):
    require_current(first().current.root, NOW + late)


def test_root_is_expired_at_its_expiry():
    with pytest.raises(RootExpiredError, match=r"expired at 2027-11-21T12:00:00Z\. Ask its publisher"):
        require_current(first().current.root, NOW + YEAR)


def test_root_from_the_future_is_refused():
    with pytest.raises(RootExpiredError, match="in the future"):
        require_current(first(now=NOW + DAY).current.root, NOW)


@pytest.mark.parametrize(("early", "expired"), [(timedelta(microseconds=1), False), (timedelta(0), True)])
def test_expiry_in_another_time_zone_is_the_same_moment(early, expired):
    moment = (NOW + YEAR - early).astimezone(timezone(timedelta(hours=14)))
    if not expired:
        require_current(first().current.root, moment)
        return
    with pytest.raises(RootExpiredError, match="expired at"):
        require_current(first().current.root, moment)


def test_key_that_is_listed_twice_under_two_labels_is_refused():
    twice = {"threshold": 2, "keys": [key_entry(A, label="one"), key_entry(A, label="two")]}
    with pytest.raises(TrustRootError, match="roots names one entry twice"):
        changed(begun(A, B), {"roots": twice}, now=NOW, lifetime=YEAR)


def test_other_encoding_of_a_listed_key_is_no_second_key():
    point = load_der_public_key(P256.public.der).public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    again = {"publicKey": to_base64(header + point)}
    with pytest.raises(TrustRootError, match="public key"):
        changed(begun(A), {"roots": {"threshold": 2, "keys": [key_entry(P256), again]}}, now=NOW, lifetime=YEAR)


def test_signature_of_one_key_does_not_count_for_another():
    good = first(A, B, threshold=2).current
    (one, signature), (two, _) = good.signatures
    with pytest.raises(RootSignatureError, match="is wrong"):
        require_history(RootFile((SignedRoot(good.root, ((one, signature), (two, signature))),)), None)
