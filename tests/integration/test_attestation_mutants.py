"""Changed attestations, re-signed ones included: the verifier accepts none falsely, and none crashes it."""

import pytest
from benchmarks import attestation_mutants
from tests.integration import attestation_mutants as attacks
from tests.unit.verifier import forge

pytest.importorskip("zkinfer_ashlar", reason="the core of Ashlar is not installed")
pytestmark = pytest.mark.slow
FEW = 60


@pytest.fixture(scope="module")
def subject(tmp_path_factory, home):
    made = {}

    def find(name):
        if name not in made:
            made[name] = attacks.subject(name, tmp_path_factory.mktemp("attested"), home)
        return made[name]

    return find


@pytest.mark.parametrize("name", ["ezkl/hashed", "ashlar/public"])
def test_first_mutants_of_an_attestation_are_refused(subject, name):
    found = attestation_mutants.tally(subject(name), attestation_mutants.SEED, FEW)
    assert found.odd == []
    assert found.ends["refused"] > FEW // 2


def test_new_date_signed_by_the_owner_is_the_same_content_and_by_another_no_false_accept(subject):
    honest = subject("ashlar/public").honest[0]
    document = forge.at(forge.statement(honest), ("predicate", "createdAt"), lambda date: date[:-3] + "00Z")
    if document == forge.statement(honest):
        document["predicate"]["createdAt"] = document["predicate"]["createdAt"][:-3] + "01Z"
    by_owner = attacks.Mutant("date", forge.signed(document, forge.OWNER), by_owner=True)
    by_another = attacks.Mutant("date", forge.signed(forge.taken_over(document)))
    for mutant in (by_owner, by_another):
        assert attestation_mutants.verdict(subject("ashlar/public"), mutant)[0] == "same content"


def test_accepted_file_that_the_owner_is_not_known_to_have_signed_is_a_false_accept(subject):
    """The harness finds one where there is one."""
    honest = attacks.Mutant("none", subject("ashlar/public").honest[0].to_bytes(), by_owner=False)
    assert attestation_mutants.verdict(subject("ashlar/public"), honest)[0] == "false accept"


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", attestation_mutants.SUBJECTS)
def test_mutants_of_an_attestation_are_refused(subject, name):
    count = attestation_mutants.COUNT // len(attestation_mutants.SUBJECTS)
    found = attestation_mutants.tally(subject(name), attestation_mutants.SEED, count)
    assert found.odd == []
    assert found.cases == count
