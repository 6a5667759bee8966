import pytest
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import DAY, YEAR, A, B, C, begun, first, following, revocation, roots, signed

from zkinfer.verifier.errors import RootSignatureError, TrustRootError
from zkinfer.verifier.trustroot.publisher import changed, is_complete, missing_signatures, signed_by, with_root_keys


def test_change_of_an_unsigned_version_stays_in_it():
    file = changed(begun(), {"setups": ["hermez"]}, now=NOW + DAY, lifetime=YEAR)
    assert (len(file.versions), file.current.root.version, file.current.root.setups) == (1, 1, ("hermez",))


def test_change_of_a_signed_version_begins_the_next():
    file = changed(first(), {"setups": ["hermez"]}, now=NOW + DAY, lifetime=YEAR)
    assert [one.root.version for one in file.versions] == [1, 2]
    assert file.versions[0] == first().current
    assert file.current.root.issued_at == NOW + DAY


def test_change_of_a_partly_signed_version_drops_its_signatures():
    file = signed(begun(A, B, threshold=2), A)
    file = changed(file, {"setups": ["hermez"]}, now=NOW, lifetime=YEAR)
    assert (file.current.root.version, file.current.signatures) == (1, ())


def test_missing_signatures_are_named_until_there_are_enough():
    file = begun(A, B, threshold=2)
    assert "lacks signatures by its own root keys: it has 0 of 2" in missing_signatures(file)
    assert is_complete(signed(file, A, B))


def test_rotation_is_complete_with_the_keys_of_both_versions():
    file = following(first(A), C, roots=roots(C))
    assert "the root keys of version 1: it has 0 of 1" in missing_signatures(file)
    assert is_complete(signed_by(file, A))


def test_foreign_key_cannot_sign():
    with pytest.raises(RootSignatureError, match=r"is no root key of the trust root acme\.example"):
        signed_by(begun(A), B)


def test_key_cannot_sign_twice():
    with pytest.raises(RootSignatureError, match="has signed version 1 already"):
        signed_by(first(A), A)


def test_root_keys_are_added_and_removed():
    now = with_root_keys(begun(A, B).current.root.roots, add=[C.public], remove=[A.public.fingerprint], threshold=2)
    assert now == roots(B, C, threshold=2) | {"keys": [key | {"label": ""} for key in roots(B, C)["keys"]]}


def test_removing_an_unknown_root_key_is_refused():
    with pytest.raises(TrustRootError, match="has no root key"):
        with_root_keys(begun(A).current.root.roots, remove=[C.public.fingerprint])


def test_revocation_stays_through_later_changes():
    file = following(following(first(), A, revocations=[revocation()]), A, setups=["hermez"])
    assert file.current.root.revocations[0].reason == "a test"


def test_last_root_key_cannot_be_removed():
    content = with_root_keys(begun(A).current.root.roots, remove=[A.public.fingerprint])
    with pytest.raises(TrustRootError, match="keys"):
        changed(begun(A), {"roots": content}, now=NOW, lifetime=YEAR)
