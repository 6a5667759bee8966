"""Signatures of circuit folders, with the libraries of the extra `bundles` and without a network."""

import base64
import json
import socket

import pytest
from tests.unit.circuits import factories
from tests.unit.verifier import sigstore_instance
from tests.unit.verifier.forge import OWNER, P256

from zkinfer.circuits import Circuit
from zkinfer.circuits.errors import CircuitError, InputError, JsonError
from zkinfer.verifier import KeyFileError, SigningKey, save_public_key, save_signing_key
from zkinfer.verifier.circuit_signature import require_keyless_signature, require_signature_by_key, sign_circuit

pytest.importorskip("model_signing")
WHO = {"identity": "a@example.org", "issuer": "https://issuer.example"}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No name is resolved and no connection opened."""

    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A circuit, its publisher's keys, and a signature."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        factories.compile_tiny(folder, folder / "tiny.circuit")
    for name, key in (("publisher", P256), ("other", SigningKey.generate("ecdsa-p256")), ("edwards", OWNER)):
        save_signing_key(key, folder / f"{name}.key", unsafe_unencrypted=True)
        save_public_key(key.public, folder / f"{name}.pub")
    sign_circuit(Circuit.open(folder / "tiny.circuit"), folder / "publisher.key", folder / "good.json")
    return folder


@pytest.fixture
def circuit(folder):
    return Circuit.open(folder / "tiny.circuit")


def altered(folder, tmp_path, change):
    """A bundle whose signed statement was changed, signed again by the same key."""
    bundle = json.loads((folder / "good.json").read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    (tmp_path / "altered.json").write_text(json.dumps(bundle))
    return tmp_path / "altered.json"


def test_folder_signed_by_the_key_is_accepted(folder, circuit):
    require_signature_by_key(circuit, folder / "good.json", folder / "publisher.pub")


def test_signature_covers_every_file(folder, circuit):
    payload = base64.b64decode(json.loads((folder / "good.json").read_text())["dsseEnvelope"]["payload"])
    listed = {one["name"] for one in json.loads(payload)["predicate"]["resources"]}
    assert listed == {path.name for path in circuit.folder.iterdir()}


def test_other_key_is_refused(folder, circuit):
    with pytest.raises(CircuitError, match="not a valid signature of this circuit by that signer"):
        require_signature_by_key(circuit, folder / "good.json", folder / "other.pub")


def test_altered_statement_is_refused(folder, circuit, tmp_path):
    path = altered(folder, tmp_path, lambda statement: statement["subject"][0].update(name="other"))
    with pytest.raises(CircuitError, match="not a valid signature"):
        require_signature_by_key(circuit, path, folder / "publisher.pub")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda statement: statement["predicate"]["resources"].pop(), "of other files than"),
        (lambda statement: statement["predicate"]["resources"][0].update(digest="0" * 64), "of other files than"),
        (lambda statement: statement["predicate"]["resources"][0].update(algorithm="blake3"), "not the signature of"),
        (
            lambda statement: statement.update(predicateType="https://model_signing/Digests/v0.1"),
            "not the signature of",
        ),
        (lambda statement: statement.pop("predicate"), "not the signature of"),
    ],
)
def test_signature_of_other_files_is_refused_before_the_library_is_asked(folder, circuit, tmp_path, change, message):
    with pytest.raises(CircuitError, match=message):
        require_signature_by_key(circuit, altered(folder, tmp_path, change), folder / "publisher.pub")


def test_changed_file_is_refused(folder, tmp_path):
    copy = tmp_path / "copy.circuit"
    copy.mkdir()
    for path in (folder / "tiny.circuit").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    opened = Circuit.open(copy)
    (copy / "network.onnx").write_bytes(b"other")
    with pytest.raises(CircuitError, match=r"they differ in network\.onnx"):
        require_signature_by_key(opened, folder / "good.json", folder / "publisher.pub")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"dsseEnvelope":{"payload":"e30="}}', '{"dsseEnvelope":1}'])
def test_file_that_is_no_signature_is_refused(folder, circuit, tmp_path, content):
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises((CircuitError, JsonError), match=r"not the signature of a folder|not JSON"):
        require_signature_by_key(circuit, tmp_path / "odd.json", folder / "publisher.pub")


def test_key_on_another_curve_is_refused_with_the_cure(folder, circuit, tmp_path):
    with pytest.raises(KeyFileError, match="keys new --algorithm ecdsa-p256"):
        sign_circuit(circuit, folder / "edwards.key", tmp_path / "a.json")
    with pytest.raises(KeyFileError, match="keys new --algorithm ecdsa-p256"):
        require_signature_by_key(circuit, folder / "good.json", folder / "edwards.pub")


def test_encrypted_key_signs_with_its_passphrase(folder, circuit, tmp_path):
    save_signing_key(P256, tmp_path / "locked.key", passphrase=b"long")
    sign_circuit(circuit, tmp_path / "locked.key", tmp_path / "a.json", passphrase=b"long")
    require_signature_by_key(circuit, tmp_path / "a.json", folder / "publisher.pub")
    with pytest.raises(KeyFileError):
        sign_circuit(circuit, tmp_path / "locked.key", tmp_path / "b.json", passphrase=b"wrong")


def test_signature_in_the_folder_or_over_a_file_is_refused(folder, circuit):
    before = (folder / "good.json").read_bytes()
    for path in (folder / "good.json", circuit.folder / "new.json"):
        with pytest.raises(InputError, match="exists, or is in the circuit folder"):
            sign_circuit(circuit, folder / "publisher.key", path)
    assert (folder / "good.json").read_bytes() == before


def test_unwritable_signature_is_refused(folder, circuit, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        sign_circuit(circuit, folder / "publisher.key", tmp_path / "nowhere" / "a.json")


@pytest.mark.parametrize("content", ["{}", "no", '{"mediaType":"x"}'])
def test_file_that_is_no_sigstore_configuration_is_refused(folder, circuit, tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match="not a Sigstore trust configuration"):
        require_keyless_signature(circuit, folder / "good.json", config=tmp_path / "config.json", **WHO)


# --- keyless signatures, of a Sigstore instance in memory


@pytest.fixture
def keyless(folder, tmp_path):
    """Verify a keyless signature of the folder after a change; the options are those of the verification."""
    good = json.loads((folder / "good.json").read_text())
    payload = base64.b64decode(good["dsseEnvelope"]["payload"])

    def verify(change=lambda _: None, change_config=lambda _: None, **options):
        bundle = sigstore_instance.bundle(payload, **WHO)
        config = sigstore_instance.trust_config()
        change(bundle)
        change_config(config)
        for name, document in (("keyless.json", bundle), ("config.json", config)):
            (tmp_path / name).write_text(json.dumps(document))
        opened = Circuit.open(folder / "tiny.circuit")
        options = {"config": tmp_path / "config.json"} | WHO | options
        require_keyless_signature(opened, tmp_path / "keyless.json", **options)

    return verify


def test_keyless_signature_is_verified_without_a_network(keyless):
    keyless()


@pytest.mark.parametrize("options", [{"identity": "b@example.org"}, {"issuer": "https://other.example"}])
def test_keyless_signature_by_another_identity_is_refused(keyless, options):
    with pytest.raises(CircuitError, match="not a valid signature of this circuit by that signer"):
        keyless(**options)


def entry(bundle):
    return bundle["verificationMaterial"]["tlogEntries"][0]


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(
            sig=bundle["dsseEnvelope"]["signatures"][0]["sig"][4:]
        ),
        lambda bundle: bundle["verificationMaterial"].update(tlogEntries=[]),
        lambda bundle: bundle["verificationMaterial"].pop("certificate"),
        lambda bundle: entry(bundle).pop("inclusionPromise"),
        lambda bundle: entry(bundle).update(integratedTime="1800000000"),
        lambda bundle: entry(bundle)["inclusionProof"].update(rootHash=base64.b64encode(bytes(32)).decode()),
        lambda bundle: entry(bundle)["inclusionProof"].update(hashes=[base64.b64encode(bytes(32)).decode()]),
        lambda bundle: entry(bundle)["inclusionProof"]["checkpoint"].update(envelope="log.example\n1\nAAAA\n"),
        lambda bundle: bundle.update(mediaType="application/json"),
    ],
)
def test_altered_keyless_signature_is_refused(keyless, change):
    with pytest.raises(CircuitError, match="not a valid signature"):
        keyless(change)


@pytest.mark.parametrize("kind", ["tlogs", "ctlogs"])
def test_keyless_signature_by_a_log_that_is_not_trusted_is_refused(keyless, kind):
    def change(config):
        logs = config["trustedRoot"]["tlogs"], config["trustedRoot"]["ctlogs"]
        config["trustedRoot"][kind] = logs[kind == "tlogs"]

    with pytest.raises(CircuitError, match="not a valid signature"):
        keyless(change_config=change)
