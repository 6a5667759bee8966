import os

import pytest

from zkinfer.circuits import machine

GB = 1 << 30


@pytest.fixture
def here(tmp_path):
    """A machine whose files say what they are told to say."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return machine.available_memory(tmp_path / "meminfo", tmp_path)

    return write


@pytest.fixture(autouse=True)
def eight_gigabytes(monkeypatch):
    monkeypatch.setattr(machine, "physical_memory", lambda: 8 * GB)


def meminfo(kibibytes):
    return f"MemTotal:       8388608 kB\nMemFree:          1024 kB\nMemAvailable:   {kibibytes} kB\n"


def test_memory_that_is_free_is_available(here):
    assert here(meminfo=meminfo(4 << 20)) == 4 * GB


def test_container_with_less_has_less(here):
    limits = {"memory_DOT_max": f"{3 * GB}\n", "memory_DOT_current": f"{GB}\n"}
    assert here(meminfo=meminfo(4 << 20), **limits) == 2 * GB


def test_container_with_more_than_the_machine_changes_nothing(here):
    limits = {"memory_DOT_max": str(100 * GB), "memory_DOT_current": "0"}
    assert here(meminfo=meminfo(4 << 20), **limits) == 4 * GB


def test_container_of_the_older_kind_is_seen(here):
    limits = {"memory__memory_DOT_limit_in_bytes": str(3 * GB), "memory__memory_DOT_usage_in_bytes": str(2 * GB)}
    assert here(meminfo=meminfo(4 << 20), **limits) == GB


def test_container_over_its_limit_has_nothing(here):
    assert here(meminfo=meminfo(1 << 20), memory_DOT_max="100", memory_DOT_current="200") == 0


@pytest.mark.parametrize("limit", ["max", "", "-1", "about 3 GB", "0x10"])
def test_container_without_a_number_has_no_limit(here, limit):
    assert here(meminfo=meminfo(4 << 20), memory_DOT_max=limit, memory_DOT_current="0") == 4 * GB


def test_limit_without_usage_is_ignored(here):
    assert here(meminfo=meminfo(4 << 20), memory_DOT_max="100") == 4 * GB


@pytest.mark.parametrize("text", ["", "MemAvailable:\n", "MemAvailable: many kB\n", "MemFree: 5 kB\n"])
def test_without_a_word_about_free_memory_the_whole_machine_is_available(here, text):
    assert here(meminfo=text) == 8 * GB


def test_missing_files_are_ignored(here):
    assert here() == 8 * GB


def test_file_that_is_no_text_is_ignored(here, tmp_path):
    (tmp_path / "meminfo").write_bytes(b"\xff\xfe\x00")
    assert here() == 8 * GB


def test_this_machine_has_some_memory_and_no_more_than_all(monkeypatch):
    monkeypatch.undo()
    assert 0 < machine.available_memory() <= machine.physical_memory()


# --- which machine


def test_fingerprint_names_processor_and_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 3)
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus 9000 @ 2.50GHz\nmodel name\t: Another\n")
    assert machine.fingerprint(tmp_path / "cpuinfo") == "Abacus 9000 @ 2.50GHz, 3 cores"


def test_fingerprint_without_a_model_names_the_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.setattr("platform.machine", lambda: "abacus64")
    assert machine.fingerprint(tmp_path / "nothing") == "abacus64, 1 cores"


def test_fingerprint_is_stable():
    assert machine.fingerprint() == machine.fingerprint()


def test_fingerprint_changes_with_the_cores(monkeypatch):
    before = machine.fingerprint()
    monkeypatch.setattr(machine, "cores", lambda: 1_000_000)
    assert machine.fingerprint() != before


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7})
    assert machine.cores() == 3


@pytest.mark.parametrize(("count", "cores"), [(4, 4), (None, 1)])
def test_cores_where_nothing_is_bound_are_those_of_the_machine(monkeypatch, count, cores):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert machine.cores() == cores
