"""Three pay-days of a data set with 10,000 assets: 100 contributors claim from the file alone."""

import csv

import pytest
from tests.unit.contracts.work_scene import image, scene

from zkinfer.contracts.deploy import create
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.tills import ContributorFund
from zkinfer.contracts.work_parts import fund_of
from zkinfer.works.dataset import Dataset, Proofs, build, require_fund
from zkinfer.works.errors import ConsentError, DatasetError

pytestmark = pytest.mark.slow
ASSETS, CONTRIBUTORS = 10_000, 100
PAY_DAYS = (10**15, 777, 31_415_926)
ACCOUNTS = [f"0x{number:040x}" for number in range(0x1000, 0x1000 + CONTRIBUTORS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Assets, each of one contributor."""
    found = tmp_path_factory.mktemp("assets")
    with (found / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "account"])
        for number in range(ASSETS):
            (found / f"{number}.txt").write_text(f"asset {number}")
            rows.writerow([f"{number}.txt", ACCOUNTS[number % 7 * number % CONTRIBUTORS]])
    return found


@pytest.fixture(scope="module")
def published(folder):
    """The file that is published, read again."""
    return Dataset.from_bytes(build(folder, folder / "table.csv").to_bytes())


@pytest.fixture(scope="module")
def paid(published):
    """What each contributor got, after all pay-days; on each, they claim in another order."""
    found = scene()
    part = fund_of(published.contributors_root, published.total_weight, published.digest, "", found.market.address)
    fund = ContributorFund(found.chain, create(found.chain, part))
    require_fund(published, fund)
    found.works.register(image(kind="dataset"), found.address(0))
    work = found.works.id_of(found.address(0), image().content)
    found.works.transfer(found.address(0), fund.address, work)
    proofs = Proofs(published)
    accounts = [one.account for one in published.contributors]
    for day, amount in enumerate(PAY_DAYS):
        found.market.pay(work, amount)
        found.market.settle([work])
        for account in accounts[day:] + accounts[:day]:
            weight, proof = proofs.of_contributor(account)
            if fund.due(account, weight):
                fund.claim(account, weight, proof)
    return found, fund, {account: found.chain.balance(account) for account in accounts}


def test_all_assets_are_in_the_data_set(published):
    assert (len(published.assets), published.total_weight) == (ASSETS, ASSETS)
    assert len(published.contributors) == CONTRIBUTORS
    assert len({one.weight for one in published.contributors}) > 1
    assert all(Proofs(published).of_asset(one.sha256) for one in published.assets[:3])


def test_everybody_gets_the_share_of_all_pay_days(paid, published):
    _, _, got = paid
    total = sum(PAY_DAYS)
    for one in published.contributors:
        assert got[one.account] == total * one.weight // ASSETS


def test_fund_keeps_less_than_a_wei_for_each(paid):
    found, fund, got = paid
    left = found.chain.balance(fund.address) + found.market.credit(fund.address)
    assert 0 <= left == sum(PAY_DAYS) - sum(got.values()) < CONTRIBUTORS


def test_nobody_claims_twice(paid, published):
    _, fund, _ = paid
    account = published.contributors[0].account
    weight, proof = Proofs(published).of_contributor(account)
    with pytest.raises(RevertedError):
        fund.claim(account, weight, proof)


def test_file_of_another_data_set_is_refused(paid, published):
    _, fund, _ = paid
    other = Dataset.of(list(published.assets[:10]))
    with pytest.raises(DatasetError, match="is of the data set"):
        require_fund(other, fund)


def test_asset_that_says_no_is_refused_by_name(folder):
    (folder / "4711.txt").write_text("http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING")
    with pytest.raises(ConsentError, match=r"on 1 of 10000 files: 4711\.txt \(xmp\)\."):
        build(folder, folder / "table.csv")
