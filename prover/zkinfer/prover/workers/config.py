"""Settings of a worker process. Some are secret, so they are passed through a pipe and never on a command line."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from zkinfer.prover.jobs.job import RetryPolicy

_PROC = Path("/proc")


def this_host() -> str:
    """The name of this machine, the host part of worker names."""
    return socket.gethostname().replace("/", "-") or "localhost"


def worker_name(host: str, pid: int) -> str:
    """The name of a running process on this host."""
    return f"{host}/{_boot()}.{_namespace()}.{pid}.{_started(pid) or 0}"


def is_dead(name: str, host: str) -> bool:
    """Whether the process is certainly dead; False if this host cannot tell."""
    name_host, _, process = name.partition("/")
    parts = process.split(".")
    if name_host != host or len(parts) != 4:
        return False
    boot, namespace, pid, started = parts
    if boot != _boot():
        return True
    return namespace == _namespace() and not _runs(int(pid), started)


def _runs(pid: int, started: str) -> bool:
    if (_PROC / "self").exists():
        return _started(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text()[:8]
    except OSError:  # not Linux
        return "0"


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").stat().st_ino)
    except OSError:  # not Linux
        return "0"


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it has ended, reaped or not."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


Seconds = Annotated[float, Field(gt=0)]


class WorkerSettings(BaseModel):
    """Paths, limits and credentials of a worker.

    Args:
        database: see `JobStore`; may hold a password.
        artifacts: folder of the artifact store.
        repository: folder of circuits, `NAME/VERSION/`.
        home: folder of trusted setups and proving keys.
        setup_search: additional folders of trusted setups.
        host: the host part of the worker's name.
        signing_key: unencrypted PKCS#8 PEM; None signs each attestation with an ephemeral key.
        memory_bytes: maximum predicted memory of all jobs running on this host.
        job_seconds: time limit of one call of the engine; see `Limits`.
        lease_seconds: see `JobStore.claim`.
        heartbeat_seconds: interval of heartbeats, which bounds the delay of a cancellation.
        poll_seconds: interval of polling an empty queue.
        grace_seconds: how long a job may continue after SIGTERM before it is returned to the queue.
        yielding: run the engine at low priority, so that answers take precedence over proofs.
        retry_policy: see `JobStore`.
        log_level: the minimum level that is logged.
        log_format: `json` for one object per line, `text` for readable lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: SecretStr
    artifacts: str
    repository: str
    home: str
    setup_search: tuple[str, ...] = ()
    host: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^/]+$")]
    signing_key: SecretStr | None = None
    memory_bytes: Annotated[int, Field(gt=0)] | None = None
    job_seconds: Seconds = 3600.0
    lease_seconds: Seconds = 30.0
    heartbeat_seconds: Seconds = 1.0
    poll_seconds: Seconds = 0.05
    grace_seconds: Annotated[float, Field(ge=0)] = 30.0
    yielding: bool = True
    retry_policy: RetryPolicy = RetryPolicy()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    def to_bytes(self) -> bytes:
        """Encode the settings, including the secrets, for the pipe."""
        plain = self.model_dump(mode="json")
        plain["database"] = self.database.get_secret_value()
        plain["signing_key"] = None if self.signing_key is None else self.signing_key.get_secret_value()
        return json.dumps(plain).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> WorkerSettings:
        """Decode the result of `to_bytes`; raises ValidationError for anything else, which would be a bug."""
        return cls.model_validate_json(data)
