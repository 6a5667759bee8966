"""Names and settings of workers."""

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from zkinfer.circuits import errors
from zkinfer.prover.jobs import RetryPolicy
from zkinfer.prover.workers import WorkerSettings, this_host
from zkinfer.prover.workers.config import is_dead, worker_name
from zkinfer.verifier import SignatureError, SigningKey

PLACES = {"artifacts": "/a", "repository": "/r", "home": "/h", "host": "host"}


def settings(**values):
    return WorkerSettings(**{"database": "sqlite:////q/jobs.db", **PLACES, **values})


# --- names


def test_name_of_a_running_process_is_alive():
    assert not is_dead(worker_name("host", os.getpid()), "host")


def test_name_of_an_ended_process_is_dead_whether_reaped_or_not():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = worker_name("host", process.pid)
    assert not is_dead(name, "host")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(name, "host")
    process.communicate()
    assert is_dead(name, "host")


def test_reused_process_id_is_another_process():
    boot, namespace, pid, started = worker_name("host", os.getpid()).split("/")[1].split(".")
    assert is_dead(f"host/{boot}.{namespace}.{pid}.{int(started) - 1}", "host")


def test_process_from_before_the_last_boot_is_dead():
    assert is_dead(f"host/00000000.{worker_name('host', os.getpid()).split('.', 1)[1]}", "host")


@pytest.mark.parametrize("name", ["other/0.0.1.1", "host/1", "host/", "host", "", "host/1.2.3"])
def test_unidentifiable_process_is_not_considered_dead(name):
    assert not is_dead(name, "host")


def test_process_of_another_container_is_not_considered_dead():
    boot, _, pid, _ = worker_name("host", os.getpid()).split("/")[1].split(".")
    assert not is_dead(f"host/{boot}.1.{pid}.1", "host")


def test_name_of_the_host_has_no_slash():
    assert this_host()
    assert "/" not in this_host()


# --- settings


def test_settings_round_trip_with_their_secrets():
    key = SigningKey.generate().to_pem(serialization.NoEncryption()).decode()
    given = settings(signing_key=key, memory_bytes=5, retry_policy=RetryPolicy(failures=2), setup_search=("/s",))
    assert WorkerSettings.from_bytes(given.to_bytes()) == given
    assert WorkerSettings.from_bytes(settings().to_bytes()) == settings()


def test_settings_hide_secrets_in_their_repr():
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


def test_signing_key_round_trips():
    for algorithm in ("ed25519", "ecdsa-p256"):
        key = SigningKey.generate(algorithm)
        read = SigningKey.from_pem(key.to_pem(serialization.NoEncryption()))
        assert read.public == key.public
        read.public.verify(b"data", read.sign(b"data"))
        with pytest.raises(SignatureError, match="does not match"):
            read.public.verify(b"other", read.sign(b"data"))


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff"])
def test_malformed_signing_key_is_refused(pem):
    with pytest.raises(errors.InputError, match="not an unencrypted signing key"):
        SigningKey.from_pem(pem)


def test_encrypted_signing_key_is_refused():
    pem = SigningKey.generate().to_pem(serialization.BestAvailableEncryption(b"word"))
    with pytest.raises(errors.InputError, match="not an unencrypted signing key"):
        SigningKey.from_pem(pem)
