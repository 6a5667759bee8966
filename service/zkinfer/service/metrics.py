"""Prometheus metrics of calls, inferences, the queue, proofs and processes; never labelled by caller or request."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

import psutil
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
    "zkinfer.circuits.sandbox.fork_server": "fork-server",
}


def memory_by_role(root: int) -> dict[str, int]:
    """Resident bytes of a process, as `server`, and of its descendants; shared pages count for each process.

    Sessions infer, engines prove and verify, fork servers start both. Empty if the process does not exist.
    """
    try:
        server = psutil.Process(root)
        processes = [server, *server.children(recursive=True)]
    except psutil.Error:
        return {}
    sums: dict[str, int] = {}
    for process in processes:
        role = "server" if process is server else _role(process)
        try:
            sums[role] = sums.get(role, 0) + process.memory_info().rss
        except psutil.Error:  # it has ended in the meantime
            continue
    return sums


def _role(process: psutil.Process) -> str:
    try:
        arguments = process.cmdline()
    except psutil.Error:
        return "other"
    return next((role for module, role in _ROLES.items() if module in arguments), "other")


_MODEL = ("model", "version")
_CALLS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PROOFS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


class Metrics:
    """The metrics of one server, in their own registry.

    Args:
        counts: reads the queue's counts at every scrape; None without a queue.
        workers: the pool, read at every scrape.
    """

    def __init__(self, counts: Callable[[], Counts] | None = None, workers: WorkerPool | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("zkinfer_build", "Version of zkinfer.", registry=self.registry).info({"version": version("zkinfer")})
        self._calls = self._counter("requests", "Calls by outcome.", "method", "code")
        self._seconds = self._histogram("request", "Duration of a call.", _CALLS, "method")
        self._in_flight = Gauge("zkinfer_requests_in_flight", "Calls being served.", registry=self.registry)
        about = "The circuit's forward pass, including the wait for a session."
        self._answers = self._histogram("inference", about, _CALLS, *_MODEL)
        about = "From the start of the last attempt to the verified attestation."
        self._proofs = self._histogram("proof", about, _PROOFS, *_MODEL)
        about = "From the submission of a job to the start of its last attempt."
        self._waits = self._histogram("proof_wait", about, _PROOFS, *_MODEL)
        about = "Finished proof jobs by outcome; failed ones by reason."
        self._ends = self._counter("proofs_ended", about, *_MODEL, "outcome")
        about = "Whether a model version is ready."
        self._ready = Gauge("zkinfer_model_ready", about, _MODEL, registry=self.registry)
        if counts is not None:
            self.registry.register(_Queue(counts))
        if workers is not None:
            self.registry.register(_Processes(workers))

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"zkinfer_{name}_total", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"zkinfer_{name}_duration_seconds", about, labels, buckets=buckets, registry=self.registry)

    def call_started(self) -> None:
        """Count a call that has started."""
        self._in_flight.inc()

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Count a call that has ended. The method must exist, which bounds the labels."""
        self._in_flight.dec()
        self._calls.labels(method, code).inc()
        self._seconds.labels(method).observe(seconds)

    def answered(self, model: str, model_version: str, seconds: float) -> None:
        """Count an inference. The model must be in the repository, which bounds the labels."""
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
        """Replace the readiness of all models, by name and version."""
        self._ready.clear()
        for (model, model_version), is_ready in ready.items():
            self._ready.labels(model, model_version).set(is_ready)

    def serve(self, address: Address) -> Callable[[], None]:
        """Serve over HTTP; returns the function that stops it. Raises SettingsError if the port is in use."""
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
    """Collects the state of the queue at each scrape."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts

    def describe(self) -> list[Metric]:
        """Empty, so that registration does not query the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges; none while the store cannot be read."""
        try:
            counts = self._counts()
        except StoreError:
            return
        jobs = GaugeMetricFamily("zkinfer_jobs", "Proof jobs by model and state.", labels=["model", "state"])
        for (model, state), count in counts.by_model.items():
            jobs.add_metric([model, str(state)], count)
        yield jobs
        yield GaugeMetricFamily(
            "zkinfer_queue_oldest_seconds", "Age of the oldest queued job.", counts.oldest_queued_seconds
        )
        yield GaugeMetricFamily(
            "zkinfer_running_memory_bytes", "Predicted memory of the running proofs.", counts.running_memory_bytes
        )


class _Processes:
    """Collects the server's processes at each scrape."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers

    def describe(self) -> list[Metric]:
        """Empty, so that registration reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        about = "Worker processes: working, and missing."
        workers = GaugeMetricFamily("zkinfer_workers", about, labels=["state"])
        working = self._workers.working
        workers.add_metric(["working"], working)
        workers.add_metric(["missing"], max(0, self._workers.size - working))
        yield workers
        about = "Resident memory of the server's processes by role: sessions infer, engines prove and verify."
        memory = GaugeMetricFamily("zkinfer_process_memory_bytes", about, labels=["role"])
        for role, size in memory_by_role(os.getpid()).items():
            memory.add_metric([role], size)
        yield memory
