"""Measure the throughput of the job queue, and the recovery time after a worker is killed.

    python benchmarks/jobs.py [postgresql+psycopg://...]      prints a table

Rates are those of one process on SQLite, with a flush to disk at each commit; the rate of bare commits of one row shows
the disk's share. Delays are medians of real workers with the demo's circuit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits import Context, Home, compile_model
from zkinfer.circuits.compile import CompileOptions
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.tensors import quantise
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobRequest, JobState, JobStore, QueueLimits
from zkinfer.prover.quantised_inputs import integers_digest, integers_to_bytes
from zkinfer.prover.workers import WorkerPool, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits import Circuit
    from zkinfer.prover.jobs import Job

DIGITS = Path(__file__).parents[1] / "service/zkinfer/cli/demo/digits"
COUNT, THREADS, KILLS = 400, 8, 5
NO_LIMITS = QueueLimits(queued=10**9, per_owner=10**9)


@dataclass(frozen=True)
class DemoRepository:
    """A repository with version 1 of `digits`, and the integers of one image and its answer."""

    folder: Path
    circuit: Circuit
    image: list[int]
    answer: list[list[int]]

    @classmethod
    def compiled(cls, folder: Path) -> DemoRepository:
        """Compile the demo's model."""
        target = folder / "repository" / "digits" / "1"
        target.parent.mkdir(parents=True)
        engine = EzklEngine()
        options = CompileOptions(setup="insecure-dev")
        made = compile_model(
            DIGITS / "digits.onnx",
            target,
            engine=engine,
            home=Home(folder / "home"),
            calibration=DIGITS / "calibration.npz",
            options=options,
        ).circuit
        with np.load(DIGITS / "held-out.npz", allow_pickle=False) as data:
            image = quantise(data["image"][0], made.manifest.program.inputs[0])
        return cls(folder, made, image, engine.forward(made.folder, made.manifest.program, [[image]])[0])

    def request(self, artifacts: ArtifactStore, owner: str = "ann") -> JobRequest:
        """A new request to prove this image."""
        return JobRequest(
            owner=owner,
            model="digits",
            version="1",
            circuit=self.circuit.digest,
            model_id=self.circuit.model_id,
            inputs=artifacts.put(integers_to_bytes([self.image])),
            outputs=integers_digest(self.answer),
            context=Context.offline(),
        )


def rate(count: int, call: Callable[[], object]) -> float:
    """Calls per second."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return count / (time.perf_counter() - start)


def bare_commits(folder: Path) -> float:
    """Commits per second of one row of 1,000 bytes."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE bare (content)")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bare VALUES (?)", ("x" * 1000,))
        connection.execute("COMMIT")

    return rate(COUNT, commit)


def rates(url: str, folder: Path) -> dict[str, float]:
    """Operations per second of one queue."""
    artifacts = ArtifactStore(folder / "artifacts")
    store = JobStore(url, artifacts)
    inputs, answer = artifacts.put(b"inputs"), sha256(b"answer")

    def request(owner: str) -> JobRequest:
        return JobRequest(
            owner=owner,
            model="m",
            version="1",
            circuit=answer,
            model_id="0x",
            inputs=inputs,
            outputs=answer,
            context=Context.offline(),
        )

    def submit(number: int) -> object:
        return store.submit(request(f"owner {number % THREADS}"), NO_LIMITS)

    def claim() -> object:
        return store.claim("host/1", lease_seconds=60)

    found = {"submits, one at a time": rate(COUNT, lambda: submit(0))}
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(submit, range(COUNT)))
    found[f"submits, {THREADS} at a time"] = COUNT / (time.perf_counter() - start)
    found["claims"] = rate(COUNT, claim)
    while claim() is not None:
        pass
    found["claims from an empty queue"] = rate(COUNT, claim)
    store.close()
    return found


def delays(demo: DemoRepository) -> dict[str, float]:
    """Seconds from one event to the next, with two real workers."""
    url, artifacts = f"sqlite:///{demo.folder}/queue/jobs.db", ArtifactStore(demo.folder / "artifacts")
    settings = WorkerSettings(
        database=url,  # type: ignore[arg-type] # pydantic converts it to a secret
        artifacts=str(artifacts.root),
        repository=str(demo.folder / "repository"),
        home=str(demo.folder / "home"),
        host="bench",
    )
    store = JobStore(url, artifacts)
    pool = WorkerPool(store, settings, size=2)
    pool.start()

    def submit() -> Job:
        return store.submit(demo.request(artifacts), NO_LIMITS, inputs=integers_to_bytes([demo.image])).job

    def until(job: Job, happened: Callable[[Job], bool]) -> float:
        start = time.perf_counter()
        while not happened(store.get(job.id)):
            time.sleep(0.002)
        return time.perf_counter() - start

    def from_submit() -> tuple[float, float]:
        job = submit()
        begun = until(job, lambda now: now.state != JobState.QUEUED)
        return begun, begun + until(job, lambda now: now.state.final)

    def after_kill() -> tuple[float, float]:
        job = submit()
        until(job, lambda now: now.state == JobState.PROVING)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(str(store.get(job.id).worker).split(".")[-2]), signal.SIGKILL)
        again = until(job, lambda now: now.attempt == 2 or now.state.final)
        return again, again + until(job, lambda now: now.state.final)

    until(submit(), lambda now: now.state.final)
    begun, done = zip(*(from_submit() for _ in range(KILLS)), strict=True)
    kills = [after_kill() for _ in range(KILLS)]
    pool.drain()
    store.close()
    return {
        "submitted to begun, workers idle": median(begun),
        "submitted to attestation": median(done),
        "worker killed to begun again": median(again for again, _ in kills),
        "worker killed to attestation": median(end for _, end in kills),
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{bare_commits(folder):8.0f} /s  bare commits of one row")
        for title, figure in rates(f"sqlite:///{folder}/rates/jobs.db", folder).items():
            print(f"{figure:8.0f} /s  {title} (SQLite)")
        for url in sys.argv[1:]:
            for title, figure in rates(url, folder).items():
                print(f"{figure:8.0f} /s  {title} (PostgreSQL)")
        for title, figure in delays(DemoRepository.compiled(folder)).items():
            print(f"{figure:8.2f} s   {title}")


if __name__ == "__main__":
    main()
