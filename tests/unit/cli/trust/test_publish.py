"""`zkinfer trust init`, `add`, `remove`, `revoke` and `sign` in this process."""

import json
from dataclasses import replace

import pytest
from tests.unit.circuits import factories
from tests.unit.verifier.forge import write_model
from tests.unit.verifier.test_transparency import KEY as LOG_KEY

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.verifier import REAL_CEREMONIES, load_public_key
from zkinfer.verifier.trustroot.signed import RootFile

BACKWARDS = ["--valid-from", "2027-01-01", "--valid-until", "2026-01-01"]
CIRCUIT, DIGEST = "0x" + "c1" * 32, "sha256:" + "d1" * 32


def content(path):
    return RootFile.read(path).current.root


def test_begun_root_accepts_all_real_ceremonies_and_the_default_engine(trust, tmp_path):
    made = trust("init", "r.json", "--name", "acme.example", "--root-key", "a.key.pub", "--root-key", "b.key.pub")
    root = content(tmp_path / "r.json")
    assert (made.code, made.document["complete"], root.roots.threshold) == (0, False, 2)
    assert (set(root.setups), root.engines) == (REAL_CEREMONIES, ("ezkl",))
    assert "lacks signatures by its own root keys: it has 0 of 2" in made.said
    assert "lists no signers yet, so it accepts nothing" in made.said


def test_existing_file_is_not_overwritten(trust, acme):
    before = acme.read_bytes()
    again = trust("init", acme, "--name", "acme.example", "--root-key", "b.key.pub")
    assert (again.code, again.document["error"]["type"]) == (1, "InputError")
    assert acme.read_bytes() == before


@pytest.mark.parametrize(
    "options", [["--name", "Acme Inc."], ["--name", "a", "--threshold", "2"], ["--name", "a", "--setup", "A b"]]
)
def test_root_with_a_bad_value_is_refused_and_not_written(trust, tmp_path, options):
    made = trust("init", "r.json", "--root-key", "a.key.pub", *options)
    assert (made.code, made.document["error"]["type"]) == (1, "TrustRootError")
    assert not (tmp_path / "r.json").exists()


def test_signer_is_added_with_its_label_and_period(trust, acme, tmp_path):
    added = trust(
        "add", acme, "--signer", "b.key.pub", "--label", "prover 1", "--valid-from", "2026-01-01", "--valid-until",
        "2027-01-01T12:00:00Z",
    )  # fmt: skip
    (signer,) = content(acme).signers
    assert (added.code, added.document["version"], added.document["complete"]) == (0, 2, False)
    assert signer.key == load_public_key(tmp_path / "b.key.pub")
    assert (signer.label, signer.valid_from, signer.valid_until) == (
        "prover 1",
        "2026-01-01T00:00:00Z",
        "2027-01-01T12:00:00Z",
    )


def test_everything_else_is_added(trust, acme):
    ledger = "0x" + "1E" * 20
    assert trust(
        "add", acme, "--setup", "insecure-dev", "--engine", "ashlar", "--chain", f"1={ledger}", "--log", LOG_KEY,
        "--log", "log.example=c.key.pub", "--require-log", "--root-key", "b.key.pub", "--threshold", "2",
    ).code == 0  # fmt: skip
    root = content(acme)
    assert (root.setups[-1], root.engines, root.log_required) == ("insecure-dev", ("ezkl", "ashlar"), True)
    assert (root.chains[0].chain_id, root.chains[0].ledger) == (1, ledger.lower())
    assert [log.origin for log in root.logs] == ["example.com/foo", "log.example"]
    assert (root.roots.threshold, len(root.roots.keys)) == (2, 2)


def test_insecure_setup_is_named_as_such(trust, acme):
    assert "under which anyone can forge proofs" in trust("add", acme, "--setup", "insecure-dev").said


@pytest.fixture
def circuits(tmp_path, monkeypatch):
    """Circuits of the fake engine, and a model of which each is made."""
    factories.without_children(monkeypatch)
    model, home = factories.write_model(tmp_path / "tiny.onnx"), Home(tmp_path / "home")

    def compiled(name, **options):
        options = factories.DEV if not options else replace(factories.DEV, **options)
        return compile_model(model, tmp_path / name, engine=FakeEngine(), home=home, options=options).circuit

    return compiled


def test_circuit_is_added_with_its_model_and_removed(trust, acme, circuits):
    circuit = circuits("tiny.circuit")
    assert trust("add", acme, "--circuit", "tiny.circuit", "--label", "tiny").code == 0
    (model,) = content(acme).models
    assert (model.sha256, model.circuits, model.label) == (
        circuit.manifest.identity.model,
        (circuit.model_id,),
        "tiny",
    )
    again = trust("add", acme, "--circuit", "tiny.circuit")
    assert (again.code, "lists the circuit" in again.document["error"]["cause"]) == (1, True)
    assert trust("remove", acme, "--circuit", "tiny.circuit").code == 0
    assert content(acme).models == ()


def test_circuit_of_a_model_that_accepts_any_is_refused(trust, acme, circuits):
    circuits("tiny.circuit")
    trust("add", acme, "--any-circuit-of", "tiny.onnx")
    again = trust("add", acme, "--circuit", "tiny.circuit")
    assert (again.code, again.document["error"]["cure"]) == (1, "Remove the model first.")


def test_any_circuit_of_a_file_is_accepted_only_by_its_own_option(trust, acme, tmp_path):
    write_model(tmp_path / "tiny.onnx", 0.5)
    assert trust("add", acme, "--any-circuit-of", "tiny.onnx").code == 0
    assert content(acme).models[0].circuits == "any"
    assert trust("remove", acme, "--model", "tiny.onnx").code == 0
    assert content(acme).models == ()


@pytest.mark.parametrize(
    "arguments",
    [
        ["add"],
        ["remove"],
        ["revoke", "--reason", "x"],
        ["add", "--chain", "1"],
        ["add", "--chain", "x=0x" + "1e" * 20],
        ["add", "--valid-from", "tomorrow", "--signer", "b.key.pub"],
        ["add", "--expires-in", "soon", "--signer", "b.key.pub"],
        ["revoke", "--signer", "b.key.pub"],
    ],
)
def test_wrong_usage_is_refused_and_changes_nothing(run, acme, arguments):
    before = acme.read_bytes()
    assert run("trust", arguments[0], acme, *arguments[1:]).exit_code == 2
    assert acme.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["add", "--signer", "nothing.pub"], "KeyFileError"),
        (["add", "--signer", "b.key"], "KeyFileError"),
        (["add", "--signer", "b.key.pub", "--signer", "b.key.pub"], "TrustRootError"),
        (["add", "--engine", "ezkl"], "TrustRootError"),
        (["add", "--log", "log.example"], "KeyFileError"),
        (["add", "--require-log"], "TrustRootError"),
        (["add", "--circuit", "nothing"], "CircuitError"),
        (
            ["add", "--signer", "b.key.pub", "--valid-from", "2027-01-01", "--valid-until", "2026-01-01"],
            "TrustRootError",
        ),
        (["remove", "--signer", "b.key.pub"], "TrustRootError"),
        (["remove", "--setup", "none-such"], "TrustRootError"),
        (["remove", "--circuit", CIRCUIT], "TrustRootError"),
        (["remove", "--root-key", "b.key.pub"], "TrustRootError"),
        (["remove", "--root-key", "a.key.pub"], "TrustRootError"),
        (["sign", "--key", "a.key"], "RootSignatureError"),
        (["sign", "--key", "b.key"], "RootSignatureError"),
        (["sign", "--key", "b.key.pub"], "KeyFileError"),
    ],
)
def test_impossible_change_is_refused_and_changes_nothing(trust, acme, arguments, error):
    before = acme.read_bytes()
    done = trust(arguments[0], acme, *arguments[1:])
    assert (done.code, done.document["error"]["type"]) == (1, error)
    assert acme.read_bytes() == before


def test_revocation_is_from_the_beginning_by_default(trust, acme):
    assert trust("revoke", acme, "--attestation", DIGEST, "--reason", "wrong input").code == 0
    revoked = content(acme).revocations[0]
    assert (revoked.kind, revoked.id, revoked.since, revoked.reason) == ("attestation", DIGEST, None, "wrong input")


def test_revocation_since_a_date_is_kept_when_others_follow(trust, acme):
    trust("revoke", acme, "--circuit", CIRCUIT, "--since", "2026-11-01", "--reason", "retired")
    trust("revoke", acme, "--signer", "b.key.pub", "--reason", "leaked")
    assert [(one.kind, one.since) for one in content(acme).revocations] == [
        ("circuit", "2026-11-01T00:00:00Z"),
        ("signer", None),
    ]


def test_revoking_twice_is_refused(trust, acme):
    trust("revoke", acme, "--circuit", CIRCUIT, "--reason", "retired")
    again = trust("revoke", acme, "--circuit", CIRCUIT, "--reason", "again")
    assert (again.code, again.document["error"]["type"]) == (1, "TrustRootError")


def test_changed_draft_loses_its_signatures_and_says_so(trust, tmp_path):
    path = tmp_path / "r.json"
    trust("init", path, "--name", "a", "--root-key", "a.key.pub", "--root-key", "b.key.pub")
    trust("sign", path, "--key", "a.key")
    changed = trust("add", path, "--signer", "c.key.pub")
    assert "signatures of the unfinished version were dropped" in changed.said
    assert (content(path).version, RootFile.read(path).current.signatures) == (1, ())


def test_encrypted_root_key_signs_with_its_passphrase(run, trust, tmp_path):
    (tmp_path / "passphrase").touch(mode=0o600)
    (tmp_path / "passphrase").write_text("a long one\n")
    run("keys", "new", "--out", "root.key", "--passphrase-file", "passphrase", "--algorithm", "ecdsa-p256")
    trust("init", "r.json", "--name", "a", "--root-key", "root.key.pub")
    assert trust("sign", "r.json", "--key", "root.key", "--passphrase-file", "passphrase").document["complete"]


def test_file_that_is_no_trust_root_is_refused(trust, tmp_path):
    (tmp_path / "r.json").write_text("{}")
    done = trust("add", "r.json", "--setup", "hermez")
    assert (done.code, done.document["error"]["type"]) == (1, "MalformedRootError")
    assert json.loads((tmp_path / "r.json").read_text()) == {}
