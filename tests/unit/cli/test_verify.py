import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zkinfer.cli.chain.record import ChainOptions
from zkinfer.cli.main import app
from zkinfer.cli.verify import Requirements, command_of

URL = "https://node.example/5ec4e7"
LEDGER = "0x" + "1E" * 20


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
    chain = ChainOptions([URL, URL], [Path("u")], ledger=LEDGER, confirmations=2)
    words = " ".join(command_of(requirements(chain=chain), Path("a.json")))
    assert "5ec4e7" not in words
    assert words.endswith(f"--ledger {LEDGER} --confirmations 2 --rpc URL --rpc URL --rpc-file u")


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


def test_report_is_in_the_language_that_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    report = tmp_path / "r.md"
    arguments = ["verify", str(tmp_path / "a.json"), "--model", str(tmp_path / "a.json"), "--report", str(report)]
    assert CliRunner().invoke(app, [*arguments, "--language", "fr"]).exit_code == 1
    assert report.read_text().startswith("# Rapport de vérification")


def test_unknown_language_is_refused_before_the_verification(tmp_path):
    arguments = ["verify", "missing.json", "--model", "m", "--report", str(tmp_path / "r.md"), "--language", "de"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 1
    assert "Choose one of en, fr" in " ".join(outcome.stderr.split())
    assert "missing.json" not in outcome.stderr
