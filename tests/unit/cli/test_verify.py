import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from zkinfer.chain.errors import LedgerError, NodeError
from zkinfer.circuits.errors import InputError
from zkinfer.cli.main import app
from zkinfer.cli.verify import ChainOptions, Requirements, chain_record, command_of
from zkinfer.contracts.address_book import AddressBook, write_book
from zkinfer.contracts.deploy import Governance

URL = "https://node.example/5ec4e7"
LEDGER = "0x" + "1E" * 20


def test_no_chain_options_require_no_record():
    assert chain_record(ChainOptions()) is None


def test_node_and_ledger_require_a_record():
    assert chain_record(ChainOptions(URL, ledger=LEDGER)).agree


def test_node_url_is_read_from_a_file(tmp_path):
    (tmp_path / "url").write_text(f"{URL}\n")
    assert ChainOptions(rpc_file=tmp_path / "url", ledger=LEDGER).url == URL
    assert chain_record(ChainOptions(rpc_file=tmp_path / "url", ledger=LEDGER))


def test_node_url_given_twice_is_refused():
    with pytest.raises(typer.BadParameter, match="exclude each other"):
        ChainOptions(URL, Path("url"), LEDGER)


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
        ChainOptions(URL, **given)


def test_deployment_determines_the_ledger(tmp_path):
    book = AddressBook(31337, Governance(LEDGER.lower(), (LEDGER.lower(),)))
    write_book(book, tmp_path / "31337.json")
    record = chain_record(ChainOptions(URL, deployment=tmp_path / "31337.json"))
    assert record._ledger == book.addresses["InferenceLedger"]


def test_malformed_deployment_is_refused(tmp_path):
    (tmp_path / "31337.json").write_text("{}")
    with pytest.raises(LedgerError, match="not an address book"):
        chain_record(ChainOptions(URL, deployment=tmp_path / "31337.json"))


@pytest.mark.parametrize("ledger", ["", "0x12", "1e" * 20, "0x" + "1g" * 20, "0x" + "1e" * 21])
def test_malformed_ledger_address_is_refused(ledger):
    with pytest.raises(typer.BadParameter, match="is not an address"):
        ChainOptions(URL, ledger=ledger)


@pytest.mark.parametrize("url", ["file:///5ec4e7", "http://node.example/5ec4e7", "5ec4e7"])
def test_invalid_node_url_is_refused_and_not_repeated(url):
    with pytest.raises(NodeError, match="URL") as caught:
        chain_record(ChainOptions(url, ledger=LEDGER))
    assert "5ec4e7" not in str(caught.value)


def test_missing_library_is_refused_with_its_extra(monkeypatch):
    ours = ("zkinfer.chain.records", "zkinfer.chain.records", "zkinfer.contracts.rpc")
    for module in ours:
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in ("web3", "eth_account", "eth_keyfile"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"needs web3, which is not installed\. pip install 'zkinfer\[chain\]'"):
        chain_record(ChainOptions(URL, ledger=LEDGER))


def test_verifying_offline_loads_no_chain_libraries(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    code = """
import sys
from zkinfer.cli.main import app
print(app(["verify", "a.json", "--model", "a.json"], standalone_mode=False))
print({"web3", "eth_abi", "requests", "zkinfer.chain", "zkinfer.contracts"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-2:] == ["1", "set()"]
    assert "Verdict: refused" in done.stdout


# --- reports


def requirements(**changes):
    defaults = {
        "model": Path("m.onnx"),
        "circuit": None,
        "policy": None,
        "input_": None,
        "signer": [],
        "request_id": None,
        "unsafe_accept_dev_setup": False,
    }
    return Requirements(**(defaults | changes))


def test_command_has_every_option_but_the_reports():
    wanted = requirements(
        circuit=Path("c"),
        policy=Path("p.json"),
        input_=Path("i.json"),
        signer=[Path("a.pub"), Path("b.pub")],
        request_id="0x11",
        unsafe_accept_dev_setup=True,
        second_opinion=True,
        accept_engine=["ashlar"],
        reports=[Path("r.html")],
    )
    assert " ".join(command_of(wanted, Path("a.json"))) == (
        "zkinfer verify a.json --model m.onnx --circuit c --policy p.json --input i.json --request-id 0x11 "
        "--signer a.pub --signer b.pub --accept-engine ashlar --unsafe-accept-dev-setup --second-opinion"
    )


def test_command_never_has_the_url_of_a_node():
    chain = ChainOptions(URL, ledger=LEDGER, confirmations=2)
    words = command_of(requirements(chain=chain), Path("a.json"))
    assert "5ec4e7" not in " ".join(words)
    assert words[-6:] == ["--rpc", "URL", "--ledger", LEDGER, "--confirmations", "2"]


def test_file_that_looks_like_an_option_stays_a_file():
    assert command_of(requirements(), Path("-a.json"))[2] == "./-a.json"


@pytest.mark.parametrize(("name", "cause"), [("r.txt", "none of"), ("no/r.html", "does not exist")])
def test_unwritable_report_is_refused_before_the_verification(tmp_path, name, cause):
    outcome = CliRunner().invoke(app, ["verify", "missing.json", "--model", "m", "--report", str(tmp_path / name)])
    assert outcome.exit_code == 1
    assert cause in " ".join(outcome.stderr.split())
    assert "missing.json" not in outcome.stderr


def test_refused_file_has_a_report_in_each_form(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    reports = [tmp_path / f"r{suffix}" for suffix in (".html", ".pdf", ".md", ".json")]
    options = [word for path in reports for word in ("--report", str(path))]
    arguments = ["verify", str(tmp_path / "a.json"), "--model", str(tmp_path / "a.json"), *options, "--json"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout)["reports"] == [str(path) for path in reports]
    assert json.loads(reports[-1].read_bytes())["outcome"] == "refused"
    assert all(path.stat().st_size > 500 for path in reports)
