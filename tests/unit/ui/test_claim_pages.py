"""The page of a contributor: what the file says, and what it does not."""

import pytest
from tests.unit.ui import work_documents as documents

from zkinfer.circuits.errors import InputError
from zkinfer.ui import claims
from zkinfer.ui.claims import claim_of
from zkinfer.ui.forms import File
from zkinfer.works.dataset import Asset, Dataset
from zkinfer.works.errors import DatasetError

FUND = "0x" + "f0" * 20


def asset(number, contributor=documents.ANN, weight=1):
    return Asset(
        name=f"coast/{number:03}<b>.jpg",
        sha256=f"{number:064x}",
        media_type="image/jpeg",
        contributor=contributor,
        weight=weight,
        consent="allowed",
        source="c2pa",
        licence=None,
    )


@pytest.fixture
def dataset():
    return Dataset.of([asset(1, weight=2), asset(2), asset(3, documents.BOB, 5)])


def sent(browser, data, **fields):
    files = {"contributions": ("dataset.json", data)}
    return browser.post("/works/claims", {"account": documents.ANN} | fields, files)


def test_share_assets_and_command_are_shown(browser, dataset):
    text = sent(browser, dataset.to_bytes(), fund=FUND).text
    assert "37.5% is yours" in text
    assert "coast/001&lt;b&gt;.jpg" in text
    assert "coast/003" not in text
    assert f"--fund {FUND} --contributor {documents.ANN}" in text
    assert dataset.digest in text


def test_unknown_fund_is_left_to_the_reader(dataset):
    claim = claim_of(File("-my data.json", dataset.to_bytes()), documents.BOB.upper().replace("0X", "0x"), "")
    assert "--manifest './-my data.json' --fund FUND" in claim.command
    assert (claim.weight, claim.total, claim.included, claim.all_included) == (5, 8, True, True)


def test_changed_weight_is_refused(browser, dataset):
    answer = sent(browser, dataset.to_bytes().replace(b'"weight":5', b'"weight":6'))
    assert answer.status_code == 422
    assert "is yours" not in answer.text


def test_stranger_has_no_part(dataset):
    with pytest.raises(DatasetError, match="has contributed nothing"):
        claim_of(File("d.json", dataset.to_bytes()), "0x" + "00" * 20, "")


@pytest.mark.parametrize("account", ["", "0x12", "dns:x", "0x" + "g" * 40])
def test_malformed_address_is_refused(dataset, account):
    with pytest.raises(InputError, match="not the address"):
        claim_of(File("d.json", dataset.to_bytes()), account, "")
    if account:
        with pytest.raises(InputError, match="not the address of a fund"):
            claim_of(File("d.json", dataset.to_bytes()), documents.ANN, account)


def test_long_list_is_cut_and_says_so(browser, dataset, monkeypatch):
    monkeypatch.setattr(claims, "MOST_SHOWN", 1)
    text = sent(browser, dataset.to_bytes()).text
    assert "coast/002" not in text
    assert "not listed: 1" in text


def test_missing_file_is_named(browser):
    answer = browser.post("/works/claims", {"account": documents.ANN})
    assert (answer.status_code, "No file was chosen" in answer.text) == (422, True)
