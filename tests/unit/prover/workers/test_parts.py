"""The small parts of workers: names, settings, reasons, log lines."""

import json
import logging
import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from zkinfer.circuits import errors
from zkinfer.prover import errors as prover_errors
from zkinfer.prover.jobs import RetryPolicy
from zkinfer.prover.workers import WorkerSettings, this_host
from zkinfer.prover.workers.config import is_dead, worker_name
from zkinfer.prover.workers.job_loop import _FAILURES, classify
from zkinfer.prover.workers.worker import FIELDS, JsonLines, TextLines
from zkinfer.verifier import SignatureError, SigningKey

PLACES = {"artifacts": "/a", "repository": "/r", "home": "/h", "host": "host"}


def settings(**values):
    return WorkerSettings(**{"database": "sqlite:////q/jobs.db", **PLACES, **values})


# --- names


def test_name_of_a_living_process_is_not_dead():
    assert not is_dead(worker_name("host", os.getpid()), "host")


def test_name_of_an_ended_process_is_dead_reaped_or_not():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = worker_name("host", process.pid)
    assert not is_dead(name, "host")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(name, "host")
    process.communicate()
    assert is_dead(name, "host")


def test_process_id_that_was_given_out_again_is_another_process():
    boot, namespace, pid, started = worker_name("host", os.getpid()).split("/")[1].split(".")
    assert is_dead(f"host/{boot}.{namespace}.{pid}.{int(started) - 1}", "host")


def test_process_before_the_last_boot_is_dead():
    assert is_dead(f"host/00000000.{worker_name('host', os.getpid()).split('.', 1)[1]}", "host")


@pytest.mark.parametrize("name", ["other/0.0.1.1", "host/1", "host/", "host", "", "host/1.2.3"])
def test_process_that_cannot_be_known_is_not_called_dead(name):
    assert not is_dead(name, "host")


def test_process_of_another_container_is_not_called_dead():
    boot, _, pid, _ = worker_name("host", os.getpid()).split("/")[1].split(".")
    assert not is_dead(f"host/{boot}.1.{pid}.1", "host")


def test_name_of_the_host_has_no_slash():
    assert this_host()
    assert "/" not in this_host()


# --- settings


def test_settings_cross_the_pipe_with_their_secrets():
    key = SigningKey.generate().to_pem(serialization.NoEncryption()).decode()
    given = settings(signing_key=key, memory_bytes=5, retry_policy=RetryPolicy(failures=2), setup_search=("/s",))
    assert WorkerSettings.from_bytes(given.to_bytes()) == given
    assert WorkerSettings.from_bytes(settings().to_bytes()) == settings()


def test_settings_do_not_show_their_secrets():
    shown = repr(settings(database="postgresql+psycopg://ann:geheim@h/x", signing_key="geheim"))
    assert "geheim" not in shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "a/b"},
        {"host": ""},
        {"lease_seconds": 0},
        {"memory_bytes": 0},
        {"engine": "fake/1"},
        {"home": None},
        {"log_level": "loud"},
    ],
    ids=str,
)
def test_malformed_settings_are_refused(wrong):
    with pytest.raises(ValidationError, match="1 validation error"):
        settings(**wrong)


def test_signing_key_crosses_the_pipe():
    for algorithm in ("ed25519", "ecdsa-p256"):
        key = SigningKey.generate(algorithm)
        read = SigningKey.from_pem(key.to_pem(serialization.NoEncryption()))
        assert read.public == key.public
        read.public.verify(b"data", read.sign(b"data"))
        with pytest.raises(SignatureError, match="does not match"):
            read.public.verify(b"other", read.sign(b"data"))


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff"])
def test_text_that_is_no_signing_key_is_refused(pem):
    with pytest.raises(errors.InputError, match="not an unencrypted signing key"):
        SigningKey.from_pem(pem)


def test_signing_key_that_is_encrypted_is_refused():
    pem = SigningKey.generate().to_pem(serialization.BestAvailableEncryption(b"word"))
    with pytest.raises(errors.InputError, match="not an unencrypted signing key"):
        SigningKey.from_pem(pem)


# --- reasons


@pytest.mark.parametrize(
    ("kind", "reason", "again"),
    [
        (errors.RangeError, "RANGE", False),
        (errors.EngineMemoryError, "OUT_OF_MEMORY", False),
        (errors.EngineTimeoutError, "TIMEOUT", False),
        (errors.EngineCrashedError, "ENGINE_CRASHED", True),
        (errors.AnswerMismatchError, "OUTPUTS_DIFFER", False),
        (errors.ProofRejectedError, "ENGINE", False),
        (errors.SetupError, "SETUP", False),
        (errors.CircuitError, "CIRCUIT_GONE", False),
        (prover_errors.ArtifactMissingError, "INPUTS_GONE", False),
        (prover_errors.StoreError, "STORE", True),
        (SignatureError, "NOT_VERIFIED", False),
        (errors.InputError, "OTHER", False),
    ],
)
def test_error_has_its_reason(kind, reason, again):
    failure, retry = classify(kind("Because.", "Do this."))
    assert (failure.reason, failure.cause, failure.cure, retry) == (reason, "Because.", "Do this.", again)


def test_reasons_are_words_that_machines_read():
    assert all(reason.replace("_", "").isupper() for _, reason, _ in _FAILURES)


# --- the log


def test_log_line_holds_the_known_fields_and_no_others():
    record = logging.makeLogRecord({"msg": "job processed", "levelname": "INFO", "job": "7", "inputs": [1, 2, 3]})
    line = json.loads(JsonLines().format(record))
    assert set(line) == {"timestamp", "level", "event", "job"}
    assert (line["event"], line["job"]) == ("job processed", "7")
    assert "inputs" not in FIELDS


def test_log_line_for_people_says_the_same_on_one_line():
    values = {"msg": "job \x1b[2Jleft\nsecret", "levelname": "INFO", "job": "7", "created": 0.5, "inputs": [31337]}
    line = TextLines().format(logging.makeLogRecord(values))
    assert line.startswith("1970-01-01T00:00:00.500000Z [info     ] job ?[2Jleft?secret")
    assert line.endswith(" job=7")
    assert "31337" not in line


@pytest.mark.parametrize(("level", "form", "said"), [("info", "text", "[info     ] told"), ("warning", "json", "")])
def test_log_is_as_the_settings_say(level, form, said):
    code = (
        "import logging, zkinfer.prover.workers.worker as logs\n"
        f"logs.log_to_stderr({level!r}, {form!r}); logging.getLogger('x').info('told')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said in ended.stderr
    assert bool(ended.stderr) == bool(said)


def test_log_line_of_a_bug_has_its_place_and_not_its_text():
    error = ValueError("no such luck")
    record = logging.makeLogRecord({"msg": "oops", "exc_info": (ValueError, error, None)})
    line = json.loads(JsonLines().format(record))
    assert "no such luck" not in json.dumps(line)
    assert line["error"]


def test_worker_that_breaks_says_where_and_not_over_what():
    code = "import zkinfer.prover.workers.worker as logs; logs.log_to_stderr(); int('31337 secret')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = json.loads(ended.stderr)
    assert (ended.returncode, line["event"], line["error"]) == (1, "the worker failed", "ValueError")
    assert "31337" not in ended.stderr
