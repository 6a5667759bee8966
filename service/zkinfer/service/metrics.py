"""What Prometheus may ask: calls, answers, the queue, proofs and how they ended; never by caller or request."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily

from zkinfer.prover.errors import StoreError
from zkinfer.service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.core import Metric

    from zkinfer.prover.jobs import Counts, Job
    from zkinfer.prover.workers import WorkerPool
    from zkinfer.service.addresses import Address


_ROLES = {
    "zkinfer.prover.workers.worker": "worker",
    "zkinfer.circuits.sandbox.session": "session",
    "zkinfer.circuits.sandbox.child": "engine",
}


def memory_by_role(root: int, proc: Path = Path("/proc")) -> dict[str, int]:
    """Resident bytes of a process, `server`, and of those below it; what they share counts for each.

    Sessions answer, engines prove and verify. Empty where the kernel does not tell.
    """
    seen = {pid: (parent, resident) for pid, parent, resident in _processes(proc)}
    if root not in seen:
        return {}
    sums: dict[str, int] = {}
    for pid in _below(root, {pid: parent for pid, (parent, _) in seen.items()}):
        role = "server" if pid == root else _role(proc / str(pid))
        sums[role] = sums.get(role, 0) + seen[pid][1]
    return sums


def _below(root: int, parents: dict[int, int]) -> set[int]:
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def _processes(proc: Path) -> Iterator[tuple[int, int, int]]:
    """All that run: id, parent, resident bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in proc.glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended since
            continue
        yield int(entry.name), int(fields[1]), int(fields[21]) * page


def _role(process: Path) -> str:
    try:
        arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        arguments = []
    return next((role for module, role in _ROLES.items() if module in arguments), "other")


_MODEL = ("model", "version")
_CALLS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PROOFS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


class Metrics:
    """The numbers of one server, in a registry of their own.

    Args:
        counts: of the queue, asked at every scrape; None where this server has none.
        workers: the pool, asked likewise.
    """

    def __init__(self, counts: Callable[[], Counts] | None = None, workers: WorkerPool | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("zkinfer_build", "Version of zkinfer.", registry=self.registry).info({"version": version("zkinfer")})
        self._calls = self._counter("requests", "Calls by outcome.", "method", "code")
        self._seconds = self._histogram("request", "From the first byte of a call to its last.", _CALLS, "method")
        self._in_flight = Gauge("zkinfer_requests_in_flight", "Calls being served.", registry=self.registry)
        about = "The circuit's own forward pass, waiting included."
        self._answers = self._histogram("inference", about, _CALLS, *_MODEL)
        about = "From the start of the last attempt to the checked attestation."
        self._proofs = self._histogram("proof", about, _PROOFS, *_MODEL)
        about = "From the acknowledgement of a proof to the start of its last attempt."
        self._waits = self._histogram("proof_wait", about, _PROOFS, *_MODEL)
        about = "Proof jobs that ended, by outcome; a failed one by its reason."
        self._ends = self._counter("proofs_ended", about, *_MODEL, "outcome")
        about = "Whether a version answers and proves."
        self._ready = Gauge("zkinfer_model_ready", about, _MODEL, registry=self.registry)
        if counts is not None:
            self.registry.register(_Queue(counts))
        if workers is not None:
            self.registry.register(_Processes(workers))

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"zkinfer_{name}_total", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"zkinfer_{name}_duration_seconds", about, labels, buckets=buckets, registry=self.registry)

    def call_began(self) -> None:
        """Count a call that is being served."""
        self._in_flight.inc()

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Count a call that was served. The method must be one that exists."""
        self._in_flight.dec()
        self._calls.labels(method, code).inc()
        self._seconds.labels(method).observe(seconds)

    def answered(self, model: str, model_version: str, seconds: float) -> None:
        """Count an answer. The model must be one of the repository's."""
        self._answers.labels(model, model_version).observe(seconds)

    def job_ended(self, job: Job) -> None:
        """Count a job that became final."""
        labels = (job.request.model, job.request.version)
        self._ends.labels(*labels, job.failure.reason if job.failure else str(job.state)).inc()
        if job.started_at is None or job.finished_at is None:
            return
        self._waits.labels(*labels).observe(max(0.0, (job.started_at - job.created_at).total_seconds()))
        if job.attestation is not None:
            self._proofs.labels(*labels).observe(max(0.0, (job.finished_at - job.started_at).total_seconds()))

    def models(self, ready: dict[tuple[str, str], bool]) -> None:
        """Replace what is known of the repository, by name and version."""
        self._ready.clear()
        for (model, model_version), is_ready in ready.items():
            self._ready.labels(model, model_version).set(is_ready)

    def serve(self, address: Address) -> Callable[[], None]:
        """Answer over HTTP; the function that is returned ends it. Raises SettingsError where that port is taken."""
        try:
            server, thread = start_http_server(address.port, address.host, self.registry)
        except OSError as err:
            raise SettingsError(f"Metrics cannot be served at {address.text}: {err.strerror}.") from err

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop


class _Queue:
    """The queue as it is at the moment of a scrape."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not ask the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges; none while the store cannot be asked."""
        try:
            counts = self._counts()
        except StoreError:
            return
        jobs = GaugeMetricFamily("zkinfer_jobs", "Proof jobs by model and state.", labels=["model", "state"])
        for (model, state), count in counts.by_model.items():
            jobs.add_metric([model, str(state)], count)
        yield jobs
        yield GaugeMetricFamily(
            "zkinfer_queue_oldest_seconds", "Age of the oldest job that waits.", counts.oldest_queued_seconds
        )
        yield GaugeMetricFamily(
            "zkinfer_running_memory_bytes", "Memory predicted for the proofs being made.", counts.running_memory_bytes
        )


class _Processes:
    """The server's processes at the moment of a scrape."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers

    def describe(self) -> list[Metric]:
        """Nothing, so that registering asks nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        about = "Worker processes: those that work, and those that should and do not."
        workers = GaugeMetricFamily("zkinfer_workers", about, labels=["state"])
        working = self._workers.working
        workers.add_metric(["working"], working)
        workers.add_metric(["missing"], max(0, self._workers.size - working))
        yield workers
        about = "Resident memory of the server's processes by role: sessions answer, engines prove and verify."
        memory = GaugeMetricFamily("zkinfer_process_memory_bytes", about, labels=["role"])
        for role, size in memory_by_role(os.getpid()).items():
            memory.add_metric([role], size)
        yield memory
