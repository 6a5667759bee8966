import sys
from pathlib import Path

import pytest
import typer

from zkinfer.chain.agreement import AgreeingNodes
from zkinfer.chain.errors import LedgerError, NodeError
from zkinfer.chain.records import LedgerRecord
from zkinfer.circuits.errors import InputError
from zkinfer.cli.chain.record import ChainOptions, chain_record
from zkinfer.contracts.address_book import AddressBook, write_book
from zkinfer.contracts.deploy import Governance

URL = "https://node.example/5ec4e7"
LEDGER = "0x" + "1E" * 20


def test_no_chain_options_require_no_record():
    assert chain_record(ChainOptions()) is None


def test_node_and_ledger_require_a_record():
    assert chain_record(ChainOptions([URL], ledger=LEDGER)).agree


def test_node_url_is_read_from_a_file(tmp_path):
    (tmp_path / "url").write_text(f"{URL}\n")
    options = ChainOptions(rpc_file=[tmp_path / "url"], ledger=LEDGER)
    assert options.urls == [URL]
    assert isinstance(chain_record(options), LedgerRecord)


def test_several_nodes_must_agree(tmp_path):
    (tmp_path / "url").write_text("https://other.example/5ec4e7")
    assert isinstance(chain_record(ChainOptions([URL], [tmp_path / "url"], LEDGER)), AgreeingNodes)


@pytest.mark.parametrize("again", [URL, "https://node.example:443/another-5ec4e7", "https://u:5ec4e7@NODE.example"])
def test_one_node_named_twice_is_refused_without_its_secrets(again):
    with pytest.raises(
        NodeError, match=r"^Node 1 \(node\.example\) and node 2 \(node\.example\) are the same"
    ) as caught:
        chain_record(ChainOptions([URL, again], ledger=LEDGER))
    assert "5ec4e7" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--ledger", {"ledger": LEDGER}),
        ("--deployment", {"deployment": Path("d")}),
        ("--request", {"request": Path("r")}),
        ("--confirmations", {"confirmations": 1}),
    ],
)
def test_chain_option_without_a_node_is_refused(option, given):
    with pytest.raises(typer.BadParameter, match=f"{option} has no effect without --rpc"):
        ChainOptions(**given)


@pytest.mark.parametrize("given", [{}, {"ledger": LEDGER, "deployment": Path("d")}])
def test_node_without_exactly_one_ledger_is_refused(given):
    with pytest.raises(typer.BadParameter, match="name it with --ledger, or with --deployment"):
        ChainOptions([URL], **given)


def test_deployment_determines_the_ledger(tmp_path):
    book = AddressBook(31337, Governance(LEDGER.lower(), (LEDGER.lower(),)))
    write_book(book, tmp_path / "31337.json")
    record = chain_record(ChainOptions([URL], deployment=tmp_path / "31337.json"))
    assert record._ledger == book.addresses["InferenceLedger"]


def test_malformed_deployment_is_refused(tmp_path):
    (tmp_path / "31337.json").write_text("{}")
    with pytest.raises(LedgerError, match="not an address book"):
        chain_record(ChainOptions([URL], deployment=tmp_path / "31337.json"))


@pytest.mark.parametrize("ledger", ["", "0x12", "1e" * 20, "0x" + "1g" * 20, "0x" + "1e" * 21])
def test_malformed_ledger_address_is_refused(ledger):
    with pytest.raises(typer.BadParameter, match="is not an address"):
        ChainOptions([URL], ledger=ledger)


@pytest.mark.parametrize("url", ["file:///5ec4e7", "http://node.example/5ec4e7", "5ec4e7"])
def test_invalid_node_url_is_refused_and_not_repeated(url):
    with pytest.raises(NodeError, match="URL") as caught:
        chain_record(ChainOptions([url], ledger=LEDGER))
    assert "5ec4e7" not in str(caught.value)


def test_missing_library_is_refused_with_its_extra(monkeypatch):
    ours = ("zkinfer.chain.records", "zkinfer.chain.records", "zkinfer.contracts.rpc")
    for module in ours:
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in ("web3", "eth_account", "eth_keyfile"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"needs web3, which is not installed\. pip install 'zkinfer\[chain\]'"):
        chain_record(ChainOptions([URL], ledger=LEDGER))
