"""`zkinfer bundle` in this process."""

import base64
import json
import sys

import pytest
from tests.paths import ROOT
from tests.unit.circuits import factories
from tests.unit.verifier import sigstore_instance
from tests.unit.verifier.forge import P256
from typer.testing import CliRunner

from zkinfer.circuits import Circuit
from zkinfer.cli.main import app
from zkinfer.verifier import SigningKey, save_public_key, save_signing_key

pytest.importorskip("model_signing")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        done = CliRunner().invoke(app, ["bundle", *map(str, arguments), "--json"], env={"COLUMNS": "200"})
        return done.exit_code, json.loads(done.stdout) if done.stdout else {}

    return invoke


@pytest.fixture
def signed(run, tmp_path, monkeypatch):
    """A circuit and its signature, made by the command."""
    factories.without_children(monkeypatch)
    factories.compile_tiny(tmp_path, tmp_path / "tiny.circuit")
    for name, key in (("a", P256), ("b", SigningKey.generate("ecdsa-p256"))):
        save_signing_key(key, tmp_path / f"{name}.key", unsafe_unencrypted=True)
        save_public_key(key.public, tmp_path / f"{name}.pub")
    assert run("sign", "tiny.circuit", "--key", "a.key", "--out", "sig.json")[0] == 0
    return tmp_path


def test_signed_folder_is_verified_and_another_key_refused(run, signed):
    code, report = run("verify", "tiny.circuit", "sig.json", "--signer", "a.pub")
    assert (code, report) == (0, {"ok": True, "circuit": str(Circuit.open(signed / "tiny.circuit").digest)})
    code, report = run("verify", "tiny.circuit", "sig.json", "--signer", "b.pub")
    assert (code, report["error"]["type"]) == (1, "CircuitError")


def test_existing_signature_is_not_overwritten(run, signed):
    before = (signed / "sig.json").read_bytes()
    assert run("sign", "tiny.circuit", "--key", "b.key", "--out", "sig.json")[0] == 1
    assert (signed / "sig.json").read_bytes() == before


def test_keyless_signature_is_verified(run, signed):
    payload = base64.b64decode(json.loads((signed / "sig.json").read_text())["dsseEnvelope"]["payload"])
    bundle = sigstore_instance.bundle(payload, "a@example.org", "https://issuer.example")
    (signed / "keyless.json").write_text(json.dumps(bundle))
    (signed / "config.json").write_text(json.dumps(sigstore_instance.trust_config()))
    who = ["--identity", "a@example.org", "--issuer", "https://issuer.example", "--sigstore-config", "config.json"]
    assert run("verify", "tiny.circuit", "keyless.json", *who)[0] == 0
    who[1] = "b@example.org"
    assert run("verify", "tiny.circuit", "keyless.json", *who)[0] == 1


@pytest.mark.parametrize(
    "who",
    [
        [],
        ["--identity", "a@example.org"],
        ["--identity", "a@example.org", "--issuer", "https://issuer.example"],
        ["--signer", "a.pub", "--identity", "a@example.org"],
        ["--signer", "a.pub", "--identity", "a", "--issuer", "b", "--sigstore-config", "c"],
    ],
)
def test_unclear_signer_is_refused(run, who):
    assert run("verify", "tiny.circuit", "sig.json", *who)[0] == 2


def test_missing_library_is_refused_with_its_extra(run, signed, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "model_signing"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    code, report = run("verify", "tiny.circuit", "sig.json", "--signer", "a.pub")
    assert (code, report["error"]["cure"]) == (1, "pip install 'zkinfer[bundles]'")


def test_attestation_is_exported_and_imported_unchanged(run, tmp_path):
    original = (ROOT / "tests/assets/refusals/accepted.json").read_bytes()
    (tmp_path / "a.json").write_bytes(original)
    assert run("export", "a.json", "--out", "bundle.json")[0] == 0
    assert run("import", "bundle.json", "--out", "b.json")[0] == 0
    assert (tmp_path / "b.json").read_bytes() == original
    for arguments in (["export", "a.json", "--out", "bundle.json"], ["import", "bundle.json", "--out", "b.json"]):
        assert run(*arguments)[1]["error"]["type"] == "InputError"


@pytest.mark.parametrize("command", ["export", "import"])
def test_file_of_another_kind_is_refused_and_nothing_written(run, tmp_path, command):
    (tmp_path / "a.json").write_text("{}")
    code, report = run(command, "a.json", "--out", "b.json")
    assert (code, report["error"]["type"]) == (1, "MalformedAttestationError")
    assert not (tmp_path / "b.json").exists()
