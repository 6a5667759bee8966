import os
import socket
import subprocess
import sys
import urllib.request

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


def test_queue_is_shown_as_it_is(desk):
    desk.submit()
    desk.submit()
    desk.prove()
    assert value(desk.metrics, "zkinfer_jobs", model="tiny", state="QUEUED") == 1
    assert value(desk.metrics, "zkinfer_jobs", model="tiny", state="SUCCEEDED") == 1
    assert value(desk.metrics, "zkinfer_queue_oldest_seconds") >= 0


def test_finished_proof_is_timed(desk):
    desk.submit()
    desk.metrics.job_ended(desk.prove())
    assert value(desk.metrics, "zkinfer_proofs_ended_total", **TINY, outcome="SUCCEEDED") == 1
    assert value(desk.metrics, "zkinfer_proof_duration_seconds_count", **TINY) == 1
    assert value(desk.metrics, "zkinfer_proof_wait_duration_seconds_count", **TINY) == 1


def test_failure_is_counted_by_reason(desk):
    job = desk.submit()
    desk.store.fail(desk.claim(), Failure(reason="RANGE", cause="c"), retry=False)
    desk.metrics.job_ended(desk.store.get(job.id))
    assert value(desk.metrics, "zkinfer_proofs_ended_total", **TINY, outcome="RANGE") == 1
    assert value(desk.metrics, "zkinfer_proof_duration_seconds_count", **TINY) is None


def test_model_that_is_gone_is_forgotten():
    metrics = Metrics()
    metrics.models({("a", "1"): True, ("b", "1"): False})
    metrics.models({("b", "1"): True})
    assert value(metrics, "zkinfer_model_ready", model="a", version="1") is None
    assert value(metrics, "zkinfer_model_ready", model="b", version="1") == 1


def test_scrape_survives_a_store_that_cannot_be_asked():
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


PAGE = os.sysconf("SC_PAGE_SIZE")


def process(proc, pid, parent, pages, *arguments):
    """What the kernel would say of a process, whose name may hold anything."""
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", str(parent), *["0"] * 19, str(pages)]
    (folder / "stat").write_text(f"{pid} (odd) name)) {' '.join(fields)} 0 0")
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in arguments))


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "meminfo").write_text("")
    process(tmp_path, 1, 0, 500, "init")
    process(tmp_path, 10, 1, 3, "zkinfer", "serve")
    process(tmp_path, 11, 10, 5, "python", "-I", "-m", "zkinfer.prover.workers.worker", "10")
    process(tmp_path, 12, 11, 7, "python", "-I", "-m", "zkinfer.circuits.sandbox.child", "5", "11")
    process(tmp_path, 13, 11, 7, "python", "-I", "-m", "zkinfer.circuits.sandbox.child", "5", "11")
    process(tmp_path, 14, 10, 2, "python", "-I", "-m", "zkinfer.circuits.sandbox.session", "5", "10")
    process(tmp_path, 15, 10, 1, "sh")
    process(tmp_path, 16, 1, 900, "python", "-I", "-m", "zkinfer.prover.workers.worker", "1")
    return tmp_path


def test_memory_is_summed_by_what_the_processes_of_the_server_do(proc):
    pages = {"server": 3, "worker": 5, "engine": 14, "session": 2, "other": 1}
    assert memory_by_role(10, proc) == {role: count * PAGE for role, count in pages.items()}


def test_process_that_just_ends_is_left_out(proc):
    (proc / "13" / "stat").unlink()
    (proc / "14" / "cmdline").unlink()
    assert memory_by_role(10, proc) == {"server": 3 * PAGE, "worker": 5 * PAGE, "engine": 7 * PAGE, "other": 3 * PAGE}


@pytest.mark.parametrize("root", [10, 99])
def test_nothing_is_said_where_the_kernel_does_not_tell(tmp_path, root):
    assert memory_by_role(root, tmp_path / "none") == {}


def test_memory_of_a_child_counts():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        sums = memory_by_role(os.getpid())
        child.communicate()
    assert sums["server"] > 1 << 20
    assert sums["other"] > 0
