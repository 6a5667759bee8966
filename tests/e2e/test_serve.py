"""`zkinfer serve` as a process with the real engine, from the token to the attestation."""

import json
import re
import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.integration import bench
from tests.unit.service.certificates import Authority

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.manifest import Circuit
from zkinfer.client import AsyncClient, CallError, Client
from zkinfer.verifier import (
    AllOf,
    EngineIs,
    ModelIs,
    SignedBy,
    Trusted,
    UnsafeAcceptDevSetup,
    Verifier,
    load_public_key,
)

PAGE = (bench.REPOSITORY / "docs/guides/serving.md").read_text(encoding="utf-8")
ACCEPTED = AllOf(UnsafeAcceptDevSetup(), EngineIs("ashlar"))
MARKER = 0.7178539  # no other pixel of the tests has this value


@pytest.fixture
def models(shell, digits):
    shutil.copytree(digits, shell.folder / "models" / "digits" / "1")
    return shell.folder / "models"


def serving(shell, models, *options):
    return shell.start(
        "serve",
        "--repository",
        models,
        "--listen",
        "127.0.0.1:0",
        "--state",
        shell.folder / "state",
        "--json",
        *options,
    )


def report_of(process):
    """The JSON object that the server prints once it is ready."""
    lines = []
    while not lines or lines[-1] != "}\n":
        line = process.stdout.readline()
        assert line, process.stderr.read()
        lines.append(line)
    return json.loads("".join(lines))


@contextmanager
def running(process):
    """The report of a started server, which is drained at the end."""
    with process:
        try:
            yield report_of(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def served(shell, models, *options):
    return running(serving(shell, models, *options))


@pytest.fixture
def auditor(home, digits, shell):
    circuit = Circuit.open(digits)
    trusted = Trusted.of([bench.MODEL], home.setups, home.rebuilt)
    return Verifier(trusted=trusted), AllOf(ModelIs(circuit.model_id), UnsafeAcceptDevSetup())


@pytest.mark.slow
def test_backend_gets_immediate_answers_and_an_attestation_that_an_auditor_accepts(shell, models, auditor):
    assert shell("keys", "new", "--out", "prover.key", "--unsafe-unencrypted").status == 0
    token = shell("tokens", "new", "backend", "--model", "digits", "--state", "state", "--json").document["token"]
    image = bench.image(0)["image"]
    verifier, policy = auditor
    signed = AllOf(policy, SignedBy(load_public_key(shell.folder / "prover.key.pub").fingerprint))
    with served(shell, models, "--key", "prover.key") as report:
        with Client(report["address"], token=token) as client:
            inference = client.infer("digits", {"image": image})
            found = inference.handle.attestation(verifier, signed, timeout=120)
            found.save(shell.folder / "answer.json")
        with Client(report["address"]) as stranger, pytest.raises(CallError, match="no token"):
            stranger.infer("digits", {"image": image})
        listed = shell("jobs", "list", "--state", "state", "--json").document["jobs"]
    (shell.folder / "image.json").write_text(json.dumps({"image": image.tolist()}))
    accepted = shell(
        "verify", "answer.json", "--model", bench.MODEL, "--input", "image.json", "--unsafe-accept-dev-setup", "--json"
    )
    assert report["models"] == [{"name": "digits", "version": "1", "state": "READY", "reason": ""}]
    assert found.inference.outputs["logits"].argmax() == inference.outputs["logits"].argmax()
    assert [(job["owner"], job["state"]) for job in listed] == [("backend", "SUCCEEDED")]
    assert accepted.document["ok"]


@pytest.mark.slow
async def test_waiting_jobs_are_proven_after_a_restart_and_the_marker_is_only_in_attestations(shell, models, auditor):
    image = bench.image(0)["image"].copy()
    image.ravel()[0] = np.float32(MARKER)
    with served(shell, models, "--workers", "0") as report:
        async with AsyncClient(report["address"]) as client:
            asked = await client.infer("digits", {"image": image}, request_id="0x" + "77" * 32)
    with serving(shell, models, "--metrics", "127.0.0.1:0") as process:
        async with AsyncClient(report_of(process)["address"]) as client:
            again = await client.infer("digits", {"image": image}, request_id="0x" + "77" * 32)
            found = await again.handle.attestation(*auditor, timeout=120)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[1]
    assert again.handle.operation == asked.handle.operation
    assert found.inference.on_expected_input
    assert str(MARKER)[:7] not in output
    assert process.returncode == 0


@pytest.fixture
def models_of_both_engines(models, shell, home):
    """The digits under ezkl, and as `short` under Ashlar."""
    engine = engine_named("ashlar")
    if engine.unavailable:
        pytest.skip(engine.unavailable)
    (models / "short").mkdir()
    options = CompileOptions(setup="insecure-dev")
    compile_model(
        bench.MODEL, models / "short/1", engine=engine, home=home, calibration=bench.CALIBRATION, options=options
    )
    return models


@pytest.mark.slow
def test_model_with_short_proofs_answers_with_its_proof_within_the_call(shell, models_of_both_engines, home):
    image = bench.image(0)["image"]
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image.astype(np.float32))
    with served(shell, models_of_both_engines) as report, triton.InferenceServerClient(report["address"]) as client:
        configs = {name: client.get_model_config(name, as_json=True)["config"] for name in ("digits", "short")}
        result = client.infer("short", [tensor], client_timeout=60)
        modes = {name: config["parameters"]["zkinfer_proof_mode"] for name, config in configs.items()}
        with Client(report["address"]) as own:
            handle = own.infer("short", {"image": image}).handle
            later = handle.attestation(bench.verifier_of(home, bench.MODEL), ACCEPTED, timeout=60)
    (attestation,) = result.as_numpy("zkinfer_attestation")
    inference = bench.verifier_of(home, bench.MODEL).verify(attestation, ACCEPTED, expected_inputs={"image": image})
    assert {name: mode["string_value"] for name, mode in modes.items()} == {"digits": "async", "short": "sync"}
    assert "not been audited" in configs["short"]["parameters"]["zkinfer_labels"]["string_value"]
    assert "zkinfer_labels" not in configs["digits"]["parameters"]
    np.testing.assert_array_equal(inference.outputs["logits"].ravel(), result.as_numpy("logits").ravel())
    np.testing.assert_array_equal(later.inference.outputs["logits"], inference.outputs["logits"])


@pytest.mark.slow
def test_server_without_workers_queues_short_proofs_and_logs_the_labels(shell, models_of_both_engines):
    process = serving(shell, models_of_both_engines, "--workers", "0", "--log-format", "json")
    with process:
        with triton.InferenceServerClient(report_of(process)["address"]) as client:
            parameters = client.get_model_config("short", as_json=True)["config"]["parameters"]
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[1]
    assert parameters["zkinfer_proof_mode"]["string_value"] == "async"
    logged = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert {line["model"] for line in logged if "label" in line} == {"short"}


def test_second_server_on_the_same_state_is_refused(shell, models):
    with served(shell, models, "--workers", "0"):
        refused = shell("serve", "--repository", models, "--listen", "127.0.0.1:0", "--state", "state")
    assert refused.status == 1
    assert "uses" in refused.sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--listen", "0.0.0.0:0"), "connections would not be encrypted"),
        (("--listen", "0.0.0.0:0", "--insecure-no-tls"), "anyone could call"),
        (("--repository", "none"), "cannot be read"),
        (("--tokens", "none.json"), "does not exist"),
        (("--key", "none.key"), "none.key cannot be read"),
        (("--tls-certificate", "none.pem"), "belong together"),
        (("--metrics", "0.0.0.0:9"), "other machines could read the metrics"),
        (("--config", "none.toml"), "none.toml cannot be read"),
        (("--log-format", "loud"), "log.format is invalid"),
    ],
    ids=range(9),
)
def test_server_that_refuses_to_start_reports_why(shell, models, options, message):
    refused = shell("serve", "--repository", models, "--state", shell.folder / "state", *options)
    assert refused.status == 1
    assert message in refused.sentence
    assert "Traceback" not in refused.stderr


# --- the page


class Reader:
    """Runs the page's lines in order: servers without workers, so that jobs stay queued, and on free ports."""

    def __init__(self, shell):
        self.shell, self.authority, self.token, self.states = shell, Authority(), None, {}

    def follow(self, line):
        words = shlex.split(line, comments=True)
        if words[0] != "zkinfer":
            subprocess.run(words, cwd=self.shell.folder, check=True)
        elif words[1] == "serve":
            self.serve(words[1:])
        else:
            self.run(words[1:])

    def serve(self, words):
        address = "0.0.0.0:0" if "--listen" in words else "127.0.0.1:0"
        process = self.shell.start(*words, "--listen", address, "--json", ZKINFER_PROVING__WORKERS="0")
        with running(process) as report:
            secured = {"token": self.token, "root_certificates": self.authority.certificate} if self.token else {}
            address = report["address"].replace("0.0.0.0", "127.0.0.1")
            with Client(address, **secured) as client:
                client.infer("digits", {"image": bench.image(0)["image"]})

    def run(self, words):
        if "ID" in words:
            newest = self.shell("jobs", "list", "--json").document["jobs"][0]
            words = [newest["id"] if word == "ID" else word for word in words]
        outcome = self.shell(*words, "--json")
        self.states[" ".join(words[:2])] = outcome.document.get("state", outcome.status)
        self.token = outcome.document.get("token", self.token)


@pytest.fixture
def reader(shell, digits):
    shutil.copytree(digits, shell.folder / "digits.circuit")
    one = Reader(shell)
    key, certificate = one.authority.issue("server")
    (shell.folder / "server.key").touch(mode=0o600)
    (shell.folder / "server.key").write_bytes(key)
    (shell.folder / "server.pem").write_bytes(certificate)
    return one


@pytest.mark.slow
def test_page_can_be_followed_from_a_circuit_to_a_deleted_job(reader):
    for block in re.findall(r"^```(?:console|sh)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            reader.follow(line)
    refused = 1  # only a failed job can be retried
    assert reader.states == {
        "keys make": 0,
        "tokens new": 0,
        "jobs list": 0,
        "jobs show": "QUEUED",
        "jobs cancel": "CANCELLED",
        "jobs retry": refused,
        "jobs delete": 0,
    }
