"""Mutants of `AshlarVerifier` answer some call otherwise than the honest contract, or another check shadows theirs."""

import sys

import pytest
from benchmarks.gas import anvil_node
from tests.ashlar import cases, contract_mutants, verdicts
from tests.ashlar.verifiers import ACCEPTED, Contract, question
from tests.integration import bench
from tests.paths import ROOT

sys.path.insert(0, str(ROOT / "contracts"))
import compiler  # a script beside the contracts, in no package

NAME = "src/verifiers/ashlar/AshlarVerifier.sol"


@pytest.fixture(scope="module")
def creation():
    bench.skip_without_anvil()
    solc = compiler.Solc.find(ROOT / "contracts/solc.js")

    def compiled(sources):
        return bytes.fromhex(
            solc.compile(sources, contract_mutants.LIGHT)[NAME]["AshlarVerifier"]["evm"]["bytecode"]["object"]
        )

    return compiled


def test_every_mutant_changes_one_place_of_the_sources():
    sources = contract_mutants.honest()
    assert all(mutant.of(sources) != sources for mutant in contract_mutants.MUTANTS)


@pytest.mark.slow
def test_contract_without_the_check_of_the_hint_accepts_a_false_claim(creation):
    [mutant] = [one for one in contract_mutants.MUTANTS if "times(inverse, zeta)" in one.text]
    [lie] = [one for one in verdicts.entries("bad/lies") if one["test"] == "hint_of_another_point"]
    call = question(verdicts.bad_case(lie, cases.KNOWN_TAU))
    with anvil_node() as node:
        assert list(Contract(node).answers([call])) == ["ProofRejected"]
        assert list(Contract(node, creation(mutant.of(contract_mutants.honest()))).answers([call])) == [ACCEPTED]


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_no_mutant_survives_unless_another_check_shadows_it(creation):
    sources = contract_mutants.honest()
    with anvil_node() as node:
        judge = contract_mutants.Judge(node)
        assert judge.survives(creation(sources))
        survivors = [mutant.text for mutant in contract_mutants.MUTANTS if judge.survives(creation(mutant.of(sources)))]
    assert set(survivors) == set(contract_mutants.SHADOWED)
