"""`zkinfer keys` in this process: files written, and files never overwritten."""

import json
import stat

import pytest
from tests.unit.circuits import factories
from typer.testing import CliRunner

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.cli.main import app

OPEN = "--unsafe-unencrypted"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["keys", *arguments], env={"COLUMNS": "200"})


def made(run, *arguments):
    outcome = run("new", "--out", "a.key", *arguments, "--json")
    assert outcome.exit_code == 0
    return json.loads(outcome.stdout)


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256"])
def test_key_is_shown_with_its_fingerprint(run, tmp_path, algorithm):
    new = made(run, OPEN, "--algorithm", algorithm)
    shown = json.loads(run("show", "a.key.pub", "--json").stdout)
    assert (shown["fingerprint"], shown["algorithm"]) == (new["fingerprint"], algorithm)
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


def test_passphrase_encrypts_the_private_key(run, tmp_path):
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_text("a long one\n")
    made(run, "--passphrase-file", "passphrase")
    assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()


@pytest.mark.parametrize("name", ["a.key", "a.key.pub"])
def test_existing_key_is_never_overwritten(run, tmp_path, name):
    (tmp_path / name).write_text("precious")
    outcome = run("new", "--out", "a.key", OPEN)
    assert outcome.exit_code == 1
    assert "error:" in outcome.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "precious"}


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_empty_passphrase_is_refused_and_no_key_created(run, tmp_path, content):
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_bytes(content)
    outcome = run("new", "--out", "a.key", "--passphrase-file", "passphrase")
    assert (outcome.exit_code, "holds no passphrase" in outcome.stderr) == (1, True)
    assert not (tmp_path / "a.key").exists()


@pytest.mark.parametrize(
    "content", [b"", b"odd", b"\xff\xfe", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_malformed_public_key_is_refused(run, tmp_path, content):
    (tmp_path / "odd.pub").write_bytes(content)
    outcome = run("show", "odd.pub", "--json")
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout)["ok"] is False


def test_private_key_instead_of_a_public_one_is_refused(run):
    made(run, OPEN)
    assert run("show", "a.key").exit_code == 1


def test_missing_key_is_refused(run):
    outcome = run("show", "nothing.pub")
    assert (outcome.exit_code, "nothing.pub" in outcome.stderr) == (1, True)


# --- proving keys


@pytest.fixture(params=[True])
def circuit(tmp_path, monkeypatch, request):
    """A circuit of the fake engine as copied to another machine, without its proving key."""
    engine = FakeEngine(needs_proving_key=request.param)
    home, model = Home(tmp_path / "home"), factories.write_model(tmp_path / "tiny.onnx")
    factories.without_children(monkeypatch)
    monkeypatch.setenv("ZKINFER_HOME", str(home.root))
    monkeypatch.setattr("zkinfer.prover.prover.production_engines", lambda: {FakeEngine.id: engine})
    found = compile_model(model, tmp_path / "circuit", engine=engine, home=home, options=factories.DEV).circuit
    (home.keys / found.digest.hex).unlink()
    return found


def test_proving_key_is_generated_where_the_server_looks_for_it(run, circuit, tmp_path):
    outcome = run("make", "circuit", "--json")
    key = tmp_path / "home/keys" / circuit.digest.hex
    report = {"ok": True, "circuit": str(circuit.digest), "provingKey": str(key), "bytes": key.stat().st_size}
    assert json.loads(outcome.stdout) == report
    assert str(sha256_file(key)) == circuit.manifest.keys.proving_key


@pytest.mark.parametrize("circuit", [False], indirect=True)
def test_circuit_without_a_proving_key_is_rebuilt_and_vouched_for(run, circuit, tmp_path):
    report = {"ok": True, "circuit": str(circuit.digest), "provingKey": None, "bytes": 0}
    assert json.loads(run("make", "circuit", "--json").stdout) == report
    assert (tmp_path / "home/keys" / circuit.digest.hex).read_bytes() == b""
    assert "it needs no proving key" in run("make", "circuit").stdout


def test_existing_proving_key_is_kept(run, circuit, tmp_path):
    run("make", "circuit")
    key = tmp_path / "home/keys" / circuit.digest.hex
    before = key.stat().st_mtime_ns
    outcome = run("make", "circuit")
    assert (outcome.exit_code, circuit.digest.hex in outcome.stdout) == (0, True)
    assert key.stat().st_mtime_ns == before


def test_proving_key_of_a_modified_circuit_is_refused(run, circuit, tmp_path):
    (tmp_path / "circuit/network.onnx").write_bytes(b"other")
    outcome = run("make", "circuit", "--json")
    assert (outcome.exit_code, json.loads(outcome.stdout)["error"]["type"]) == (1, "CircuitError")
    assert list((tmp_path / "home/keys").iterdir()) == []


def test_proving_key_of_a_circuit_not_built_from_its_model_is_refused(run, circuit, tmp_path):
    factories.rewritten(tmp_path / "circuit", lambda document: document["keys"].update(provingKey="sha256:" + "0" * 64))
    outcome = run("make", "circuit", "--json")
    assert "differs from a rebuild from its own ONNX file and recipe" in json.loads(outcome.stdout)["error"]["cause"]
    assert list((tmp_path / "home/keys").iterdir()) == []
