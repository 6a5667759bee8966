import os
import socket
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs import Failure
from zkinfer.service.addresses import Address
from zkinfer.service.errors import SettingsError
from zkinfer.service.metrics import Metrics, memory_by_role

TINY = {"model": "tiny", "version": "1"}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_queue_metrics_match_the_queue(backend):
    backend.submit()
    backend.submit()
    backend.prove()
    assert value(backend.metrics, "zkinfer_jobs", model="tiny", state="QUEUED") == 1
    assert value(backend.metrics, "zkinfer_jobs", model="tiny", state="SUCCEEDED") == 1
    assert value(backend.metrics, "zkinfer_queue_oldest_seconds") >= 0


def test_finished_proof_is_timed(backend):
    backend.submit()
    backend.metrics.job_ended(backend.prove())
    assert value(backend.metrics, "zkinfer_proofs_ended_total", **TINY, outcome="SUCCEEDED") == 1
    assert value(backend.metrics, "zkinfer_proof_duration_seconds_count", **TINY) == 1
    assert value(backend.metrics, "zkinfer_proof_wait_duration_seconds_count", **TINY) == 1


def test_failure_is_counted_by_reason(backend):
    job = backend.submit()
    backend.store.fail(backend.claim(), Failure(reason="RANGE", cause="c"), retry=False)
    backend.metrics.job_ended(backend.store.get(job.id))
    assert value(backend.metrics, "zkinfer_proofs_ended_total", **TINY, outcome="RANGE") == 1
    assert value(backend.metrics, "zkinfer_proof_duration_seconds_count", **TINY) is None


def test_metrics_of_a_removed_model_disappear():
    metrics = Metrics()
    metrics.models({("a", "1"): True, ("b", "1"): False})
    metrics.models({("b", "1"): True})
    assert value(metrics, "zkinfer_model_ready", model="a", version="1") is None
    assert value(metrics, "zkinfer_model_ready", model="b", version="1") == 1


def test_scrape_survives_a_store_error():
    def fail():
        raise StoreError("It is locked.")

    metrics = Metrics(fail)
    metrics.answered("tiny", "1", 0.01)
    assert value(metrics, "zkinfer_inference_duration_seconds_count", **TINY) == 1
    assert value(metrics, "zkinfer_queue_oldest_seconds") is None


def test_metrics_are_served_over_http():
    metrics, port = Metrics(), free_port()
    stop = metrics.serve(Address.parse(f"127.0.0.1:{port}"))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            names = {family.name for family in text_string_to_metric_families(answer.read().decode())}
        with pytest.raises(SettingsError, match="cannot be served"):
            metrics.serve(Address.parse(f"127.0.0.1:{port}"))
    finally:
        stop()
    assert {"zkinfer_build_info", "zkinfer_requests", "process_resident_memory_bytes"} <= names


def test_names_are_in_base_units():
    names = [family.name for family in Metrics().registry.collect() if family.name.startswith("zkinfer_")]
    assert all(not name.endswith(("_ms", "_us", "_mb")) for name in names)


class FakeProcess:
    """A process with memory and a command line; a memory of None means it has ended."""

    def __init__(self, rss, *arguments, children=()):
        self._rss, self._arguments, self._children = rss, arguments, children

    def children(self, *, recursive):
        assert recursive
        return list(self._children)

    def memory_info(self):
        if self._rss is None:
            raise psutil.NoSuchProcess(1)
        return SimpleNamespace(rss=self._rss)

    def cmdline(self):
        if not self._arguments:
            raise psutil.AccessDenied(1)
        return list(self._arguments)


WORKER, CHILD, SESSION, SERVER = (
    "zkinfer.prover.workers.worker",
    "zkinfer.circuits.sandbox.child",
    "zkinfer.circuits.sandbox.session",
    "zkinfer.circuits.sandbox.fork_server",
)


def sums_of(monkeypatch, *children):
    server = FakeProcess(3, "zkinfer", "serve", children=children)
    monkeypatch.setattr(psutil, "Process", lambda _: server)
    return memory_by_role(10)


def test_memory_is_summed_by_role(monkeypatch):
    children = [FakeProcess(size, "python", "-m", module) for size, module in [(5, WORKER), (7, CHILD), (7, CHILD)]]
    others = [FakeProcess(2, "python", "-m", SESSION), FakeProcess(4, "python", "-m", SERVER), FakeProcess(1, "sh")]
    expected = {"server": 3, "worker": 5, "engine": 14, "session": 2, "fork-server": 4, "other": 1}
    assert sums_of(monkeypatch, *children, *others) == expected


def test_ended_process_is_skipped(monkeypatch):
    sums = sums_of(monkeypatch, FakeProcess(None, "python", "-m", CHILD), FakeProcess(2))
    assert sums == {"server": 3, "other": 2}


def test_missing_process_has_no_memory():
    assert memory_by_role(2**22 + 1) == {}


def test_memory_of_a_child_is_counted():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        sums = memory_by_role(os.getpid())
        child.communicate()
    assert sums["server"] > 1 << 20
    assert sums["other"] > 0
