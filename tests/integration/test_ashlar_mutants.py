"""Changed Ashlar proofs, statements and keys: each is refused by all three verifiers, for the same reason."""

import pytest
from benchmarks import ashlar_mutants
from benchmarks.gas import anvil_node
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


def test_good_proofs_are_accepted_by_all(contract):
    good = [proof_mutants.source(name) for name in proof_mutants.SOURCES]
    assert set(verdicts(good, contract)) == {Verdicts(ACCEPTED, ACCEPTED, ACCEPTED)}


def test_first_mutants_are_refused_by_all(contract):
    rows = ashlar_mutants.tally(proof_mutants.mutants(1, ashlar_mutants.SHORT), contract)
    assert ashlar_mutants.odd(rows) == []
    assert set(rows) == set(proof_mutants.KINDS)
    assert set(ashlar_mutants.total(rows.values()).steps) == {f"step {step}" for step in (1, 2, 3, 4, 5, 8, 11, 15)}


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


def test_section_states_what_was_refused(contract):
    rows = ashlar_mutants.tally(proof_mutants.mutants(2, 20), contract)
    text = ashlar_mutants.section(rows, {}, 1)
    assert "| all mutants | 20 | 20 | 20 | 20 | 20 |" in text


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_all_mutants_and_all_bits_are_refused_by_all():
    bench.skip_without_anvil()
    rows, bits = ashlar_mutants.measured(ashlar_mutants.SEEDS, ashlar_mutants.SLICES, 2)
    assert ashlar_mutants.odd(rows) + ashlar_mutants.odd(bits) == []
    assert ashlar_mutants.total(rows.values()).cases == 10_000
    assert ashlar_mutants.total(bits.values()).cases == 22_320
