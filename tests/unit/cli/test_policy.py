"""`zkinfer policy show` and `check` in this process."""

import json

import pytest
from tests.unit.circuits import factories
from typer.testing import CliRunner

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.cli.main import app

TOML = """version = 1
[[allOf]]
notExpired = true
[[allOf]]
anyOf = [{setupIs = "hermez"}, {engineIs = ["ezkl"]}]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.toml").write_text(TOML)
    return lambda *arguments: CliRunner().invoke(app, ["policy", *map(str, arguments)], env={"COLUMNS": "200"})


def test_policy_is_shown_in_words_and_as_json(run):
    shown = run("show", "p.toml").stdout.splitlines()
    assert shown[1:] == [
        "  notExpired: the request has not expired; a request without an expiry never does",
        "  anyOf: at least one holds",
        '    setupIs "hermez": it was proven under this ceremony',
        '    engineIs ["ezkl"]: it was proven by one of these engines',
    ]
    document = json.loads(run("show", "p.toml", "--json").stdout)["policy"]
    assert document["allOf"][1] == {"anyOf": [{"setupIs": "hermez"}, {"engineIs": ["ezkl"]}]}


@pytest.mark.parametrize("command", ["show", "check"])
@pytest.mark.parametrize(
    ("text", "error"),
    [("version = 1\nallOf = []", "EmptyPolicyError"), ("version = 1\n[[allOf]]\nsetupis = 1", "PolicyFileError")],
)
def test_bad_policy_is_refused(run, tmp_path, command, text, error):
    (tmp_path / "bad.toml").write_text(text)
    done = run(command, "bad.toml", "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["type"]) == (1, error)


def test_good_policy_is_confirmed(run):
    assert "is well formed" in run("check", "p.toml").stdout


class Sound(FakeEngine):
    """Passes for an engine whose proofs are sound."""

    production = True


@pytest.fixture
def circuit(tmp_path, monkeypatch):
    factories.without_children(monkeypatch)
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("zkinfer.circuits.engines.production_engines", lambda _limits: {Sound.id: Sound()})
    model, home = factories.write_model(tmp_path / "tiny.onnx"), Home(tmp_path / "home")
    return compile_model(model, tmp_path / "circuit", engine=FakeEngine(), home=home, options=factories.DEV).circuit


def policy(tmp_path, *rules):
    (tmp_path / "p.json").write_text(json.dumps({"version": 1, "allOf": rules}))


def test_policy_that_can_accept_a_circuit_is_confirmed(run, circuit, tmp_path):
    policy(tmp_path, {"modelIs": circuit.model_id}, {"unsafeAcceptDevSetup": True})
    assert json.loads(run("check", "p.json", "--circuit", "circuit", "--json").stdout) == {"ok": True}


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ([{"notExpired": True}], "InsecureDevSetupError"),
        ([{"modelIs": "0x" + "11" * 32}, {"unsafeAcceptDevSetup": True}], "PolicyRefusedError"),
        ([{"engineIs": ["ezkl"]}, {"unsafeAcceptDevSetup": True}], "PolicyRefusedError"),
    ],
)
def test_policy_that_can_accept_no_proof_of_a_circuit_is_refused(run, circuit, tmp_path, rules, error):
    assert circuit.model_id
    policy(tmp_path, *rules)
    done = run("check", "p.json", "--circuit", "circuit", "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["type"]) == (1, error)
