"""Bad attestations of real proofs: every path by which a file is verified refuses each, for the same reason."""

import json
from datetime import UTC, datetime

import pytest
from benchmarks import bad_files as measured
from benchmarks.sections import section_of
from tests.assets.make_refusals import Case
from tests.integration.bad_files import OTHER_ARGUMENTS
from tests.integration.doors import ACCEPTED, DOORS, PIN_THE_MODEL
from tests.unit.verifier.trustroot.factory import full, revocation

from zkinfer.verifier import AllOf, Trusted, UnsafeAcceptDevSetup, Verifier, load_policy
from zkinfer.verifier.errors import RevokedError
from zkinfer.verifier.trustroot.accepted import root_policy

pytest.importorskip("zkinfer_ashlar", reason="the core of Ashlar is not installed")
pytestmark = pytest.mark.slow
HONEST = ("ezkl/public", "ashlar/hashed")


@pytest.fixture(scope="module", params=OTHER_ARGUMENTS)
def bad(request, tmp_path_factory, home):
    return measured.bad_files(request.param, tmp_path_factory.mktemp("bad"), home)


@pytest.fixture(scope="module")
def honest(tmp_path_factory, home):
    return measured.honest_files(tmp_path_factory.mktemp("honest"), home, HONEST)


def require_refusals(door, cases, model, home, folder):
    """Fail unless a path refuses each file for its reason."""
    found = DOORS[door](cases, model, home, folder)
    expected = {case.name: case.error for case in cases}
    assert found == {name: expected[name] for name in found}
    assert set(expected) - set(found) <= PIN_THE_MODEL


@pytest.mark.parametrize("door", DOORS)
def test_bad_attestation_is_refused_for_its_reason(bad, door, home, tmp_path):
    """Another third of them at each path, so that every run asks about all of them."""
    cases, model = bad
    require_refusals(door, cases[list(DOORS).index(door) % 3 :: 3], model, home, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("door", DOORS)
def test_bad_attestation_is_refused_on_every_path(bad, door, home, tmp_path):
    cases, model = bad
    require_refusals(door, cases, model, home, tmp_path)


@pytest.mark.parametrize("door", DOORS)
def test_honest_attestation_is_accepted(honest, door, home, tmp_path):
    model, cases = honest
    assert DOORS[door](cases, model, home, tmp_path) == {case.name: ACCEPTED for case in cases}


@pytest.mark.parametrize("kind", ["signer", "model", "circuit", "attestation"])
def test_revoked_attestation_of_a_real_proof_is_refused(honest, home, kind):
    """By a trust root; the same root without the revocation accepts it."""
    model, (case, *_) = honest
    verifier = Verifier(trusted=Trusted.of([model], home.setups, home.rebuilt))
    found = verifier.verify(case.data, load_policy(json.dumps({"version": 1, "allOf": case.rules}).encode()))
    names = {
        "signer": found.signer,
        "model": found.identity.model,
        "circuit": found.model_id,
        "attestation": str(found.attestation_digest),
    }
    ours = {
        "model": found.identity.model,
        "setups": ["insecure-dev"],
        "engines": ["ezkl"],
        "chains": [{"chainId": 1, "ledger": "0x" + "1e" * 20}],
    }

    def trusting(**changes):
        root = root_policy(full(**ours, **changes), datetime.now(UTC))
        return AllOf(root, UnsafeAcceptDevSetup())

    assert verifier.verify(case.data, trusting()).model_id == found.model_id
    with pytest.raises(RevokedError, match=f"The {kind} .* is revoked"):
        verifier.verify(case.data, trusting(revocations=[revocation(kind, names[kind])]))


def test_page_states_the_number_of_files(bad):
    """As many for each engine."""
    counts = dict.fromkeys(measured.ITEMS, 0)
    for case in bad[0]:
        counts[measured.item_of(case)] += 1
    assert [item for item, count in counts.items() if not count] == [measured.HONEST]
    page = section_of(measured.PAGE.read_text(), measured.TITLE)
    assert f"on every path that was asked: {2 * len(bad[0])} of" in measured.SUMS.read_text()
    for item, count in counts.items():
        assert f"| {item} | {2 * count or 12} |" in page


def test_path_that_accepts_or_names_another_cause_is_odd():
    row = measured.Row("an item")
    row.add(Case("a", "SignatureError", "", b""), dict.fromkeys(DOORS, "SignatureError"))
    row.add(Case("b", "SignatureError", "", b""), dict.fromkeys(DOORS, "SignatureError") | {"page": ACCEPTED})
    row.add(Case("c", "SignatureError", "", b""), dict.fromkeys(DOORS, "InvalidProofError"))
    assert (row.cases, row.agree, len(row.odd), row.right["page"]) == (3, 2, 2, 1)
