"""Funds of contributors, by the client: what is due, and that nobody gets more."""

import pytest
from tests.unit.contracts.deployed import rolled_back
from tests.unit.contracts.work_scene import image, scene

from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import ChainError, RevertedError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.tills import ContributorFund, leaf_of
from zkinfer.contracts.work_parts import fund_of

DIGEST = "0x" + "d1" * 32


@pytest.fixture(scope="module")
def module_scene():
    return scene()


@pytest.fixture
def found(module_scene):
    with rolled_back(module_scene.chain):
        yield module_scene


@pytest.fixture
def leaves(found):
    """Two contributors, with weights 1 and 2."""
    return [leaf_of(found.address(3), 1), leaf_of(found.address(4), 2)]


@pytest.fixture
def fund(found, leaves):
    root = "0x" + keccak256(b"".join(sorted(leaves))).hex()
    part = fund_of(root, 3, DIGEST, "https://w.example/dataset.json", found.market.address)
    return ContributorFund(found.chain, create(found.chain, part))


@pytest.fixture
def dataset(found, fund):
    """A data set that belongs to the fund."""
    works, _ = found.as_(1)
    works.register(image(kind="dataset"), found.address(1))
    work = works.id_of(found.address(1), image().content)
    works.transfer(found.address(1), fund.address, work)
    return work


def test_fund_is_read_as_it_was_created(fund, leaves):
    assert (fund.total_weight(), fund.manifest()) == (3, DIGEST)
    assert fund.root() == "0x" + keccak256(b"".join(sorted(leaves))).hex()


def test_income_of_the_data_set_is_shared_by_weight_again_and_again(found, fund, dataset, leaves):
    accounts = [(found.address(3), 1, leaves[1]), (found.address(4), 2, leaves[0])]
    before = [found.chain.balance(account) for account, _, _ in accounts]
    for paid in (100, 50):
        found.market.pay(dataset, paid)
        found.market.settle([dataset])
        for account, weight, sibling in accounts:
            fund.claim(account, weight, [sibling])
    got = [found.chain.balance(account) - start for (account, _, _), start in zip(accounts, before, strict=True)]
    assert got == [50, 100]
    assert [fund.paid(account, weight) for account, weight, _ in accounts] == [50, 100]


def test_wrong_weight_or_proof_gets_nothing(found, fund, dataset, leaves):
    found.market.pay(dataset, 100)
    found.market.settle([dataset])
    for account, weight, sibling in ((3, 2, leaves[1]), (3, 1, leaves[0]), (5, 1, leaves[1])):
        with pytest.raises(RevertedError):
            fund.claim(found.address(account), weight, [sibling])


def test_fund_without_a_root_is_not_created(found):
    empty = fund_of("0x" + "00" * 32, 3, DIGEST, "", found.market.address)
    with pytest.raises(ChainError):
        create(found.chain, empty)
