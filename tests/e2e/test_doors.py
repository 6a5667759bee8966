"""Mutual TLS of a real `zkinfer serve`, tested with unmodified clients."""

import json

import pytest
import tritonclient.grpc as triton
from tests.e2e.server_process import MODEL, Server, given
from tests.e2e.shell import Shell
from tests.e2e.test_third_party import refused
from tests.unit.service.certificates import Authority

INPUT = (0.25, -0.5, 0.75, 0.125)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def guarded(models, home, authority, tmp_path_factory):
    """A server that identifies callers by certificate, and accepts only `alice`."""
    folder = tmp_path_factory.mktemp("guarded")
    files = authority.write(folder)
    options = [f"--tls-{name.replace('_', '-')}={path}" for name, path in files.items()]
    (folder / "config.toml").write_text('[tls.subjects.alice]\nmodels = ["small"]\n')
    server = Server(folder, models, home.root, ("--workers", "1", "--config", "config.toml", *options))
    with server:
        yield server


def client_with(server, folder, authority, name, issuer=None):
    """An unmodified client that trusts `authority`; given a name, it has a certificate from `issuer`."""
    trusted = folder / "trusted.pem"
    trusted.write_bytes(authority.certificate)
    files = {"root_certificates": str(trusted)}
    if name is not None:
        own = folder / "own"
        own.mkdir()
        paths = (issuer or authority).write(own, name)
        files |= {"private_key": str(paths["key"]), "certificate_chain": str(paths["certificate"])}
    return triton.InferenceServerClient(server.address, ssl=True, **files)


def assert_refused(client, status):
    with client:
        refused(lambda: client.infer(MODEL, given(INPUT), client_timeout=10), status, ".")


def test_caller_with_a_certificate_gets_a_proof_that_an_auditor_accepts(guarded, authority, models, home, tmp_path):
    with client_with(guarded, tmp_path, authority, "alice") as client:
        result = client.infer(MODEL, given(INPUT), parameters={"zkinfer_proof_mode": "sync"}, client_timeout=90)
    (tmp_path / "answer.json").write_bytes(result.as_numpy("zkinfer_attestation")[0])
    (tmp_path / "input.json").write_text(json.dumps({"x": [list(INPUT)]}))
    shell = Shell(home.root, tmp_path)
    question = ("verify", "answer.json", "--model", models.parent / "model.onnx", "--input", "input.json")
    assert shell(*question, "--unsafe-accept-dev-setup").status == 0
    listed = shell("jobs", "list", "--state", guarded.state, "--json").document["jobs"]
    assert [(job["owner"], job["state"]) for job in listed] == [("alice", "SUCCEEDED")]


def test_unlisted_caller_is_refused(guarded, authority, tmp_path):
    assert_refused(client_with(guarded, tmp_path, authority, "mallory"), "UNAUTHENTICATED")


def test_caller_with_an_untrusted_certificate_gets_no_connection(guarded, authority, tmp_path):
    assert_refused(client_with(guarded, tmp_path, authority, "alice", issuer=Authority()), "UNAVAILABLE")


def test_caller_without_a_certificate_gets_no_connection(guarded, authority, tmp_path):
    assert_refused(client_with(guarded, tmp_path, authority, None), "UNAVAILABLE")


def test_caller_that_does_not_trust_the_server_sends_nothing(guarded, tmp_path):
    assert_refused(client_with(guarded, tmp_path, Authority(), None), "UNAVAILABLE")


def test_unencrypted_caller_gets_no_answer(guarded):
    assert_refused(triton.InferenceServerClient(guarded.address), "UNAVAILABLE")


def test_jobs_command_requires_tls(guarded, home, tmp_path):
    asked = Shell(home.root, tmp_path)("jobs", "list", "--server", guarded.address)
    assert asked.status == 1
    assert "Traceback" not in asked.stderr
