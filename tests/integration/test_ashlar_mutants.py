"""Changed Ashlar proofs, statements and keys: each is refused by all three verifiers, for the same reason."""

import pytest
from benchmarks import ashlar_mutants
from benchmarks.gas import anvil_node
from benchmarks.sections import section_of
from tests.ashlar import proof_mutants
from tests.ashlar.verifiers import ACCEPTED, Contract, Verdicts, verdicts
from tests.integration import bench

pytest.importorskip("zkinfer_ashlar", reason="the core of Ashlar is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def contract():
    bench.skip_without_anvil()
    with anvil_node() as node:
        yield Contract(node)


def odd(rows):
    return [line for row in rows.values() for line in row.odd]


def test_good_proofs_are_accepted_by_all(contract):
    good = [proof_mutants.source(name) for name in proof_mutants.SOURCES]
    assert set(verdicts(good, contract)) == {Verdicts(ACCEPTED, ACCEPTED, ACCEPTED)}


def test_first_mutants_are_refused_by_all(contract):
    rows = ashlar_mutants.tally(proof_mutants.mutants(ashlar_mutants.SEED, ashlar_mutants.SHORT), contract)
    assert odd(rows) == []
    assert set(rows) == set(proof_mutants.KINDS)
    assert set(ashlar_mutants.total(rows).steps) == {f"step {step}" for step in (1, 2, 3, 4, 5, 8, 11, 15)}


def test_mutants_of_a_seed_are_always_the_same():
    made = [list(proof_mutants.mutants(7, 20)) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0] != list(proof_mutants.mutants(8, 20))


@pytest.mark.parametrize(
    ("core", "python", "contract", "agree"),
    [
        (ACCEPTED, ACCEPTED, ACCEPTED, True),
        ("step 8", "step 8", "ProofRejected", True),
        ("step 1", "step 1", "MalformedKey", True),
        ("step 8", "step 15", "ProofRejected", False),
        ("step 3", "step 3", "ProofRejected", False),
        ("step 8", "step 8", ACCEPTED, False),
        ("step 1", "step 1", ACCEPTED, False),
        (ACCEPTED, "step 8", "ProofRejected", False),
    ],
)
def test_verdicts_agree_if_they_stand_for_the_same_step(core, python, contract, agree):
    assert Verdicts(core, python, contract).agree == agree


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_all_mutants_and_all_bits_are_refused_as_the_page_says(contract):
    rows = ashlar_mutants.tally(proof_mutants.mutants(ashlar_mutants.SEED, ashlar_mutants.COUNT), contract)
    bits = ashlar_mutants.tally(proof_mutants.every_bit(proof_mutants.source(ashlar_mutants.BITS_OF)), contract)
    assert odd(rows) + odd(bits) == []
    stated = section_of(ashlar_mutants.PAGE.read_text(), ashlar_mutants.TITLE)
    assert stated == ashlar_mutants.section(rows, bits, ashlar_mutants.COUNT, ashlar_mutants.SEED)
