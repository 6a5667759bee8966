"""A third-party client on another machine: tritonclient against `zkinfer serve`, then `zkinfer verify`."""

import base64
import contextlib
import json
import os
import queue
import re
import shutil
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.e2e.server_process import MODEL, Server, alive, client_of, compile_small_model, given, parameters_of, until
from tests.e2e.shell import SHM, Shell
from tritonclient.utils import InferenceServerException

from zkinfer.circuits import Circuit
from zkinfer.circuits.engines.ezkl.instances import MODULUS

INPUT = (0.25, -0.5, 0.75, 0.125)
NO_PROOF = {"zkinfer_proof_mode": "none"}


@pytest.fixture(scope="module")
def running(models, home, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), models, home.root, ("--workers", "1")) as server:
        yield server


@pytest.fixture
def client(running):
    with client_of(running) as client:
        yield client


def numbers_of(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics") as answer:
        return answer.read().decode()


def refused(call, code, message):
    with pytest.raises(InferenceServerException, match=message) as caught:
        call()
    assert str(caught.value.status()) == f"StatusCode.{code}"


def finished(shell, server, job):
    """The final output of `zkinfer jobs show` for a job."""
    shown = []

    def done():
        shown.append(shell("jobs", "show", job, "--state", server.state, "--json").document)
        return shown[-1]["state"] not in ("QUEUED", "PROVING", "VERIFYING")

    until(done, 90, pause=0.2)
    return shown[-1]


# --- a script


def test_third_party_script_ends_with_an_attestation_that_an_auditor_accepts(running, home, models, tmp_path):
    """A script that needs only tritonclient and the ONNX file, from the first call to the audit."""
    with triton.InferenceServerClient(running.address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL, "1")
        assert client.get_server_metadata(as_json=True)["name"] == "zkinfer"
        described = client.get_model_metadata(MODEL, as_json=True)
        assert (described["inputs"][0]["name"], described["inputs"][0]["shape"]) == ("x", ["1", "4"])
        assert client.get_model_config(MODEL, as_json=True)["config"]["name"] == MODEL
        listed = client.get_model_repository_index(as_json=True)["models"]
        assert [(one["name"], one["version"], one["state"]) for one in listed] == [(MODEL, "1", "READY")]
        answers = queue.Queue()
        client.async_infer(
            MODEL, given(INPUT), callback=lambda result, error: answers.put((result, error)), parameters=NO_PROOF
        )
        first, error = answers.get(timeout=30)
        assert error is None
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer(MODEL, given(INPUT), request_id="mine")
        (tensors, _), (proof, failure) = answers.get(timeout=30), answers.get(timeout=90)
        client.stop_stream()
        assert failure is None
        np.testing.assert_array_equal(tensors.as_numpy("y"), first.as_numpy("y"))
        (attestation,) = proof.as_numpy("zkinfer_attestation")
        counted = client.get_inference_statistics(MODEL, as_json=True)["model_stats"][0]
        assert int(counted["inference_stats"]["success"]["count"]) >= 2
    auditor = Shell(tmp_path / "auditor", tmp_path)
    (tmp_path / "auditor").mkdir()
    shutil.copytree(home.root / "setups", tmp_path / "auditor" / "setups")
    (tmp_path / "answer.json").write_bytes(attestation)
    (tmp_path / "input.json").write_text(json.dumps({"x": [list(INPUT)]}))
    (tmp_path / "other.json").write_text(json.dumps({"x": [[0.0, 0.0, 0.0, 0.0]]}))
    verify = ("verify", "answer.json", "--model", models.parent / "model.onnx", "--unsafe-accept-dev-setup", "--input")
    assert auditor(*verify, "input.json").status == 0
    refusal = auditor(*verify, "other.json")
    assert refusal.status == 1
    assert "input" in refusal.text


@pytest.mark.slow
def test_sync_request_returns_the_attestation_with_the_answer(client):
    result = client.infer(MODEL, given(INPUT), parameters={"zkinfer_proof_mode": "sync"}, client_timeout=90)
    (attestation,) = result.as_numpy("zkinfer_attestation")
    assert json.loads(attestation)["payload"]
    assert parameters_of(result)["zkinfer_state"] == "SUCCEEDED"


# --- refusals


def test_unknown_model_is_refused(client):
    refused(lambda: client.infer("other", given(INPUT)), "NOT_FOUND", "There is no model 'other'")


def test_wrong_shape_is_refused(client):
    tensor = triton.InferInput("x", [1, 5], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 5), np.float32))
    refused(lambda: client.infer(MODEL, [tensor]), "INVALID_ARGUMENT", r"has shape \[1, 5\]. The model takes x")


def test_oversized_message_is_refused_and_the_next_one_served(client):
    tensor = triton.InferInput("x", [1, 20_000_000], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 20_000_000), np.float32))
    refused(lambda: client.infer(MODEL, [tensor]), "RESOURCE_EXHAUSTED", "larger than max")
    assert client.infer(MODEL, given(INPUT), parameters=NO_PROOF)


def test_wrong_token_is_refused_and_the_right_one_accepted(models, home, tmp_path):
    shell = Shell(home.root, tmp_path)
    made = shell("tokens", "new", "alice", "--model", MODEL, "--state", "state", "--json").document
    right, wrong = ({"authorization": f"Bearer {token}"} for token in (made["token"], made["token"][:-1] + "x"))
    with Server(tmp_path, models, home.root, ("--workers", "0")) as server, client_of(server) as client:
        refused(lambda: client.infer(MODEL, given(INPUT)), "UNAUTHENTICATED", "token")
        refused(lambda: client.infer(MODEL, given(INPUT), headers=wrong), "UNAUTHENTICATED", "token")
        refused(lambda: client.infer("other", given(INPUT), headers=right), "PERMISSION_DENIED", "may not use")
        assert client.infer(MODEL, given(INPUT), headers=right)
        listed = shell("jobs", "list", "--state", "state", "--json").document["jobs"]
        assert [job["owner"] for job in listed] == ["alice"]
        assert made["token"] not in server.log.read_text()


def test_second_server_on_the_same_state_is_refused_and_the_first_continues(running, client, home, models):
    shell = Shell(home.root, running.folder)
    second = shell("serve", "--repository", models, "--listen", "127.0.0.1:0", "--state", running.state)
    assert second.status == 1
    assert f"process id {running.pid} uses" in second.sentence
    assert client.infer(MODEL, given(INPUT), parameters=NO_PROOF)


# --- the jobs command


def test_jobs_are_listed_shown_cancelled_and_deleted(models, home, tmp_path):
    shell = Shell(home.root, tmp_path)
    with Server(tmp_path, models, home.root, ("--workers", "0")) as server, client_of(server) as client:
        replies = [parameters_of(client.infer(MODEL, given((number, 0, 0, 0)))) for number in (0.5, 0.25)]
        names = [one["zkinfer_operation"] for one in replies]
        listed = shell("jobs", "list", "--state", "state", "--json").document["jobs"]
        assert [job["state"] for job in listed] == ["QUEUED", "QUEUED"]
        assert shell("jobs", "show", names[0], "--server", server.address).status == 0
        assert shell("jobs", "cancel", names[0], "--state", "state").status == 0
        shown = shell("jobs", "show", names[0], "--state", "state", "--json").document
        assert shown["state"] == "CANCELLED"
        assert shell("jobs", "delete", names[1], "--state", "state").status == 1
        assert shell("jobs", "delete", names[0], "--state", "state").status == 0
        missing = shell("jobs", "show", names[0], "--state", "state")
        assert missing.status == 1
        assert re.search("no (such )?job|not a job|unknown", missing.sentence, re.IGNORECASE)


# --- shutdown


@pytest.mark.slow
def test_sigterm_lets_running_calls_finish_and_releases_waiting_ones(models, home, tmp_path):
    with Server(tmp_path, models, home.root, ("--workers", "1")) as server, client_of(server) as client:
        answers = queue.Queue()
        for number in range(6):  # so that a job runs while the others wait
            client.infer(MODEL, given((number / 8, 0.5, 0.5, 0.5)))
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer(MODEL, given((0.5, 0.5, 0.5, 0.5)))
        taken, error = answers.get(timeout=30)
        until(lambda: server.relatives("engine") != [], 60)
        assert server.stop(20) == 0  # less than the grace period, as open streams are not awaited
        with contextlib.suppress(InferenceServerException):
            client.stop_stream(cancel_requests=True)
    assert error is None
    assert "Traceback" not in server.log.read_text()
    shell = Shell(home.root, tmp_path)
    shown = shell("jobs", "show", parameters_of(taken)["zkinfer_operation"], "--state", "state", "--json").document
    assert shown["state"] in ("QUEUED", "SUCCEEDED")


# --- a scan for a marker of four unique numbers


MARKER = np.array([0.71875, -0.28125, 0.53125, -0.90625], np.float32)
PAYLOAD, PROOF, INPUTS = (
    re.compile(rb'"%s":"([A-Za-z0-9+/]+=*)"' % name) for name in (b"payload", b"proof", b"publicInputs")
)
WRITTEN = [(between, prefix) for between in (",", ", ") for prefix in ("", "0x")]


@pytest.fixture(scope="module")
def spelt(models):
    return spellings(models)


def spellings(models):
    """The marker in every encoding of an input, a witness or a proof."""
    [spec] = Circuit.open(models / MODEL / "1").manifest.program.inputs
    integers = [round(float(value) * 2**spec.scale) for value in MARKER]
    patterns = [MARKER.tobytes(), MARKER.astype(np.float64).tobytes(), np.array(integers, np.int64).tobytes()]
    patterns += [between.join(map(str, integers)).encode() for between in (",", ", ")]
    patterns += [between.join(str(float(value)) for value in MARKER).encode() for between in (",", ", ")]
    patterns += [np.array(integers, f"{order}i{width}").tobytes() for order in "<>" for width in (2, 4, 8)]
    for order in ("big", "little"):
        words = [(integer % MODULUS).to_bytes(32, order) for integer in integers]
        patterns.append(b"".join(words))
        patterns += [f'"{between}"{prefix}'.join(word.hex() for word in words).encode() for between, prefix in WRITTEN]
    return patterns


def unpacked(data):
    """The bytes of a file, and those base64-encoded in an attestation."""
    payloads = [base64.b64decode(payload) for payload in PAYLOAD.findall(data)]
    fields = [text for payload in payloads for field in (PROOF, INPUTS) for text in field.findall(payload)]
    return b"\0".join([data, *payloads, *map(base64.b64decode, fields)])


def places_of(patterns, *folders, read=None):
    """The files that contain the marker. `read` caches results, so that only changed files are read again."""
    found = set()
    for folder in folders:
        for path in files_below(folder):
            with contextlib.suppress(OSError):
                if has_changed(path, {} if read is None else read):
                    data = unpacked(path.read_bytes())
                    found |= {path for pattern in patterns if pattern in data}
    return found


def files_below(folder):
    """The files in a folder, tolerating concurrent removal."""
    return (Path(root, name) for root, _, names in os.walk(folder) for name in names if Path(root, name).is_file())


def has_changed(path, read):
    """Whether a file may have changed since it was read. Times are coarse, so recently changed files are read again."""
    status = path.stat()
    state = (status.st_ino, status.st_size, status.st_mtime_ns)
    before, read[path] = read.get(path), (state, time.time())
    return before is None or before[0] != state or before[1] < status.st_mtime + 1


def test_marker_is_on_disk_during_its_job_and_then_only_in_its_attestation(models, home, tmp_path, spelt):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = Server(tmp_path, models, home.root, ("--workers", "0"), {"TMPDIR": str(temporary)})
    watched = (server.folder, home.root)
    seen, read, over = set(), {}, threading.Event()

    def look():
        while not over.wait(0.02):
            seen.update(places_of(spelt, *watched, *SHM.glob(".zkinfer-*"), read=read))

    with server, client_of(server) as client:
        client.infer(MODEL, given(MARKER), parameters=NO_PROOF | {"zkinfer_float": True})
        assert places_of(spelt, *watched) == set()
        parameters = parameters_of(client.infer(MODEL, given(MARKER)))
        spooled = places_of(spelt, *watched)
        assert {path.parent.name for path in spooled} == {"artifacts"}
        assert server.stop() == 0
        server.options = ("--workers", "1")
        server.start()
        watching = threading.Thread(target=look)
        watching.start()
        shown = finished(Shell(home.root, tmp_path), server, parameters["zkinfer_operation"])
        over.set()
        watching.join()
        numbers = numbers_of(server).encode()
        assert shown["state"] == "SUCCEEDED"
        assert server.stop() == 0
    left = places_of(spelt, *watched) | {one for one in server.state.rglob("*") if one in spooled and one.exists()}
    assert left == {server.state / "artifacts" / shown["attestation"].removeprefix("sha256:")}
    assert not any(pattern in numbers + server.log.read_bytes() for pattern in spelt)
    private = {path for path in seen if path.is_relative_to(SHM)}
    unnamed = {path for path in seen if path.match("state/artifacts/.part-*")}  # before the rename
    assert not any(path.exists() for path in unnamed)
    assert seen - private - unnamed <= spooled | left


def test_marker_survives_kills_with_its_job_and_is_removed_by_cancellation(models, home, tmp_path, spelt):
    server = Server(tmp_path, models, home.root, ("--workers", "1"))
    shell, watched = Shell(home.root, tmp_path), (tmp_path, home.root)
    with server, client_of(server) as client:
        name = parameters_of(client.infer(MODEL, given(MARKER)))["zkinfer_operation"]
        until(lambda: server.relatives("engine") != [], 60)
        mine = [one.pid for one in server.relatives()]
        server.kill()
        until(lambda: not any(alive(pid) for pid in mine), 20)
        until(lambda: places_of(spelt, *SHM.glob(f".zkinfer-{server.pid}-*")) == set(), 20)
        assert {path.parent.name for path in places_of(spelt, *watched)} == {"artifacts"}
        server.options = ("--workers", "0")
        server.start()
        assert shell("jobs", "cancel", name, "--state", server.state).status == 0
        until(lambda: places_of(spelt, *watched) == set(), 60)  # the lease of the dead worker may have to expire first
        numbers = numbers_of(server).encode()
    assert not any(pattern in numbers + server.log.read_bytes() for pattern in spelt)


@pytest.mark.parametrize("visibility", ["hashed", "private"])
@pytest.mark.slow
def test_hidden_marker_is_in_no_attestation(home, tmp_path, visibility):
    models = compile_small_model(tmp_path / "made", home.root, visibility)
    patterns = spellings(models)
    with Server(tmp_path, models, home.root, ("--workers", "1")) as server, client_of(server) as client:
        result = client.infer(MODEL, given(MARKER), parameters={"zkinfer_proof_mode": "sync"}, client_timeout=90)
        (attestation,) = result.as_numpy("zkinfer_attestation")
        until(lambda: places_of(patterns, tmp_path, home.root) == set(), 20)  # the input is removed when the job ends
        assert server.stop() == 0
    assert b'"visibility":"%s"' % visibility.encode() in unpacked(attestation)
    assert not any(pattern in unpacked(attestation) for pattern in patterns)


def test_scan_finds_the_marker_where_it_is_written(tmp_path, spelt):
    (tmp_path / "leak").write_text(json.dumps({"x": [MARKER.tolist()]}))
    assert places_of(spelt, tmp_path) == {tmp_path / "leak"}


def test_incremental_scan_finds_a_replacement_of_equal_size(tmp_path, spelt):
    read, marker = {}, json.dumps(MARKER.tolist())
    for text in (" " * len(marker), marker):
        (tmp_path / "leak").write_text(text)
        found = places_of(spelt, tmp_path, read=read)
    assert found == {tmp_path / "leak"}


def test_incremental_scan_does_not_reread_unchanged_files(tmp_path):
    (tmp_path / "old").touch()
    os.utime(tmp_path / "old", (1, 1))
    read = {}
    assert [has_changed(tmp_path / "old", read) for _ in range(3)] == [True, False, False]


def test_scan_decodes_attestations(tmp_path, spelt):
    proof = base64.b64encode(MARKER.tobytes()).decode()
    payload = base64.b64encode(json.dumps({"proof": proof}, separators=(",", ":")).encode()).decode()
    (tmp_path / "leak").write_text(json.dumps({"payload": payload}, separators=(",", ":")))
    assert places_of(spelt, tmp_path) == {tmp_path / "leak"}
