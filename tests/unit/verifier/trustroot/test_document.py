from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import DAY, OTHER, A, B, C, begun, full, key_entry, revocation, roots

from zkinfer.circuits import canonical
from zkinfer.verifier.errors import TrustRootError
from zkinfer.verifier.trustroot.document import Revocation, TrustedSigner, TrustRoot
from zkinfer.verifier.trustroot.publisher import changed

LATER, EARLIER = "2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"


def test_begun_root_lists_no_model_and_no_signer():
    root = begun().current.root
    assert (root.version, root.models, root.signers, root.revocations) == (1, (), (), ())


def test_root_is_the_same_after_a_round_trip():
    root = full().current.root
    assert TrustRoot.model_validate_json(canonical.dump(root.model_dump(mode="json", by_alias=True))) == root


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Acme"}, "name"),
        ({"name": "../acme"}, "name"),
        ({"roots": roots(A, threshold=2)}, "the threshold exceeds the number of root keys"),
        ({"roots": roots(A, threshold=0)}, "threshold"),
        ({"roots": roots(threshold=1)}, "keys"),
        ({"roots": roots(A, A)}, "roots names one entry twice"),
        ({"signers": [key_entry(B), key_entry(B, label="again")]}, "signers names one entry twice"),
        ({"signers": [{"publicKey": "AAAA"}]}, "public key is malformed"),
        ({"signers": [key_entry(B, validFrom=LATER, validUntil=EARLIER)]}, "validUntil must be after validFrom"),
        ({"signers": [key_entry(B, validFrom="2027-01-01")]}, "does not match"),
        ({"signers": [key_entry(B, label="a\x1b[2Jb")]}, "label"),
        ({"models": [{"sha256": "sha256:" + "A" * 64, "circuits": "any"}]}, "sha256"),
        ({"models": [{"sha256": "sha256:" + "a" * 64, "circuits": []}]}, "circuits"),
        ({"models": [{"sha256": "sha256:" + "a" * 64}]}, "circuits"),
        ({"setups": ["hermez", "hermez"]}, "setups names one entry twice"),
        ({"engines": ["ezkl/23"]}, "engines"),
        ({"chains": [{"chainId": 0, "ledger": "0x" + "1e" * 20}]}, "chainId"),
        ({"chains": [{"chainId": 1, "ledger": "0x1E"}]}, "ledger"),
        ({"logs": [key_entry(B, origin="a b")]}, "origin"),
        ({"logRequired": True}, "logRequired needs at least one log"),
        ({"revocations": [revocation(), revocation(since=LATER)]}, "revocations names one entry twice"),
        ({"revocations": [revocation(kind="engine")]}, "kind"),
        ({"revocations": [revocation(id_="ezkl")]}, "id"),
        ({"unknown": 1}, "unknown"),
        ({"format": "zkinfer-trust-root/2"}, "format"),
    ],
)
def test_malformed_content_is_refused(changes, message):
    with pytest.raises(TrustRootError, match=message):
        changed(begun(), changes, now=NOW, lifetime=NOW - NOW.replace(year=2025))


@pytest.mark.parametrize(("version", "previous"), [(1, OTHER), (2, None)])
def test_version_and_link_to_its_predecessor_go_together(version, previous):
    content = begun().current.root.model_dump(mode="json", by_alias=True) | {"version": version, "previous": previous}
    with pytest.raises(ValidationError, match="previous must be null in version 1"):
        TrustRoot.model_validate_json(canonical.dump(content))


def test_fingerprint_depends_on_name_keys_and_threshold_only():
    root = begun(A, B).current.root
    assert full(B, A).current.root.fingerprint == root.fingerprint
    labelled = {"threshold": 1, "keys": [key_entry(A, label="vault"), key_entry(B)]}
    assert changed(begun(A, B), {"roots": labelled}, now=NOW, lifetime=DAY).current.root.fingerprint == root.fingerprint
    others = [begun(A, B, threshold=2), begun(A), begun(A, C), begun(A, B, name="other.example")]
    assert len({root.fingerprint, *(other.current.root.fingerprint for other in others)}) == 5


def test_fingerprint_of_fixed_keys_is_stable():
    """If this changes, fingerprints that were published no longer match."""
    assert begun(A).current.root.fingerprint == (
        "sha256:20b9d495b33321759f493e48ba0e5a263ff1902ea9de91d2208f7b7bd126c0c1"
    )


def test_root_that_expires_before_its_issue_is_refused():
    with pytest.raises(TrustRootError, match="expires must be after issued"):
        changed(begun(), {}, now=NOW, lifetime=NOW - NOW)


@pytest.mark.parametrize(
    ("moment", "valid"), [(datetime(2026, 1, 1, tzinfo=UTC), True), (datetime(2027, 1, 1, tzinfo=UTC), False)]
)
def test_period_includes_its_beginning_and_excludes_its_end(moment, valid):
    signer = TrustedSigner.model_validate(key_entry(A, validFrom=EARLIER, validUntil=LATER))
    assert signer.is_valid_at(moment) is valid


def test_period_without_limits_is_always_valid():
    assert TrustedSigner.model_validate(key_entry(A)).is_valid_at(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(("since", "counts"), [(None, True), (EARLIER, True), (LATER, False)])
def test_revocation_counts_from_its_date_or_from_the_beginning(since, counts):
    assert Revocation.model_validate(revocation(since=since)).counts_at(NOW) is counts
