"""What a worker process is told when it is started.

Some of it is secret, so it goes through a pipe and never into a command line.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from zkinfer.prover.jobs.job import Patience

Seconds = Annotated[float, Field(gt=0)]


class WorkerSettings(BaseModel):
    """Where things are and how long they may take.

    Args:
        database: see `JobStore.open`; may hold a password.
        artifacts: folder of the artifact store.
        repository: folder of circuits, `NAME/VERSION/`.
        home: the user's home of setups and keys.
        setup_search: further folders of trusted setups.
        host: the first half of the worker's name.
        signing_key: PKCS#8 PEM in the clear; None signs each attestation with a key of its own.
        memory_bytes: what the predictions for all jobs that run on this host may add up to.
        job_seconds: how long one call of the engine may take; see `Limits`.
        lease_seconds: see `JobStore.claim`.
        beat_seconds: time between heartbeats, and so until a cancelled proof is stopped.
        poll_seconds: time between two looks into an empty queue.
        grace_seconds: how long a job may go on after SIGTERM; then it is given back.
        yielding: the engine leaves the processors to whoever else wants them, so that answers come before proofs.
        patience: see `JobStore.open`.
        log_level: the least that is logged.
        log_format: `json` is one object per line, `text` is for people.
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
    beat_seconds: Seconds = 1.0
    poll_seconds: Seconds = 0.05
    grace_seconds: Annotated[float, Field(ge=0)] = 30.0
    yielding: bool = True
    patience: Patience = Patience()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    def to_bytes(self) -> bytes:
        """For the pipe: with the secrets."""
        plain = self.model_dump(mode="json")
        plain["database"] = self.database.get_secret_value()
        plain["signing_key"] = None if self.signing_key is None else self.signing_key.get_secret_value()
        return json.dumps(plain).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> WorkerSettings:
        """What `to_bytes` wrote; raises ValidationError for anything else, which is a mistake of ours."""
        return cls.model_validate_json(data)
