"""Contracts of works are used only if their code is ours and they name each other."""

import pytest

from zkinfer.contracts.artifacts import load
from zkinfer.contracts.errors import CodeMismatchError, DeploymentError
from zkinfer.contracts.identifiers import ZERO_ADDRESS
from zkinfer.contracts.work_parts import require_works_at, similarity_at

WORKS, MARKET, TILL, SIMILARITY, LEDGER, OTHER = ("0x" + f"{number:02x}" * 20 for number in range(1, 7))
NAMES = {WORKS: "Works", MARKET: "Market", TILL: "Till", SIMILARITY: "Similarity"}
SOUND = {
    (WORKS, "MARKET"): MARKET,
    (WORKS, "TILL"): TILL,
    (WORKS, "SIMILARITY"): SIMILARITY,
    (WORKS, "LEDGER"): LEDGER,
    (MARKET, "WORKS"): WORKS,
    (TILL, "MARKET"): MARKET,
    (SIMILARITY, "WORKS"): WORKS,
    (SIMILARITY, "LEDGER"): LEDGER,
}


class TableChain:
    """Has the contracts' code at fixed addresses, and answers reads from a table."""

    id = 1

    def __init__(self, answers=SOUND, codes=NAMES):
        self.answers, self.codes = answers, codes

    def code(self, address):
        return load(self.codes[address]).deployed if address in self.codes else b""

    def read(self, _contract, address, name):
        return self.answers[address, name]


def test_works_that_name_each_other_are_accepted():
    require_works_at(TableChain(), WORKS)


def test_contract_that_compares_is_found_by_its_works():
    assert similarity_at(TableChain(), WORKS) == SIMILARITY


@pytest.mark.parametrize("part", [(MARKET, "WORKS"), (TILL, "MARKET"), (SIMILARITY, "WORKS"), (SIMILARITY, "LEDGER")])
def test_part_of_other_works_is_refused(part):
    with pytest.raises(DeploymentError, match=f"belongs to {OTHER}"):
        similarity_at(TableChain(SOUND | {part: OTHER}), WORKS)


@pytest.mark.parametrize("getter", ["MARKET", "TILL", "SIMILARITY"])
def test_part_without_code_is_refused(getter):
    with pytest.raises(DeploymentError, match="There is no"):
        similarity_at(TableChain(SOUND | {(WORKS, getter): OTHER}), WORKS)


@pytest.mark.parametrize("address", NAMES)
def test_part_with_other_code_is_refused(address):
    with pytest.raises(CodeMismatchError):
        similarity_at(TableChain(codes=NAMES | {address: "ContributorFund"}), WORKS)


def test_works_that_compare_nothing_are_refused():
    with pytest.raises(DeploymentError, match="compare no fingerprints"):
        similarity_at(TableChain(SOUND | {(WORKS, "SIMILARITY"): ZERO_ADDRESS}), WORKS)
