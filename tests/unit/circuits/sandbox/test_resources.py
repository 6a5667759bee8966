import os
from pathlib import Path

import pytest

from zkinfer.circuits.sandbox import resources

GB = 1 << 30


@pytest.fixture
def available_memory(tmp_path):
    """A machine with scripted /proc and cgroup files."""

    def write(meminfo=None, group=None, **files):
        contents = {"proc/meminfo": meminfo, "proc/self/cgroup": group}
        contents |= {f"groups/{name.replace('__', '/').replace('_DOT_', '.')}": text for name, text in files.items()}
        for name, text in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text)
        return resources.available_memory(tmp_path / "proc", tmp_path / "groups")

    return write


@pytest.fixture(autouse=True)
def eight_gigabytes(monkeypatch):
    monkeypatch.setattr(resources, "physical_memory", lambda: 8 * GB)


def meminfo(kibibytes):
    return f"MemTotal:       8388608 kB\nMemFree:          1024 kB\nMemAvailable:   {kibibytes} kB\n"


def test_free_memory_is_available(available_memory):
    assert available_memory(meminfo=meminfo(4 << 20)) == 4 * GB


def test_container_limit_below_the_machine_applies(available_memory):
    limits = {"memory_DOT_max": f"{3 * GB}\n", "memory_DOT_current": f"{GB}\n"}
    assert available_memory(meminfo=meminfo(4 << 20), **limits) == 2 * GB


def test_container_limit_above_the_machine_is_ignored(available_memory):
    limits = {"memory_DOT_max": str(100 * GB), "memory_DOT_current": "0"}
    assert available_memory(meminfo=meminfo(4 << 20), **limits) == 4 * GB


def test_cgroup_v1_limit_applies(available_memory):
    limits = {"memory__memory_DOT_limit_in_bytes": str(3 * GB), "memory__memory_DOT_usage_in_bytes": str(2 * GB)}
    assert available_memory(meminfo=meminfo(4 << 20), **limits) == GB


def test_container_over_its_limit_has_no_memory_available(available_memory):
    assert available_memory(meminfo=meminfo(1 << 20), memory_DOT_max="100", memory_DOT_current="200") == 0


@pytest.mark.parametrize("limit", ["max", "", "-1", "about 3 GB", "0x10"])
def test_non_numeric_container_limit_is_no_limit(available_memory, limit):
    assert available_memory(meminfo=meminfo(4 << 20), memory_DOT_max=limit, memory_DOT_current="0") == 4 * GB


def test_limit_without_usage_is_ignored(available_memory):
    assert available_memory(meminfo=meminfo(4 << 20), memory_DOT_max="100") == 4 * GB


@pytest.mark.parametrize("text", ["", "MemAvailable:\n", "MemAvailable: many kB\n", "MemFree: 5 kB\n"])
def test_total_memory_is_available_if_free_memory_is_unknown(available_memory, text):
    assert available_memory(meminfo=text) == 8 * GB


def test_missing_files_are_ignored(available_memory):
    assert available_memory() == 8 * GB


@pytest.mark.parametrize("name", ["meminfo", "self/cgroup"])
def test_binary_file_is_ignored(available_memory, tmp_path, name):
    path = tmp_path / "proc" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00")
    assert available_memory() == 8 * GB


# --- control groups within others


def limits(folder, limit, usage, stat=None, *, older=False):
    """Files of one control group."""
    names = ("limit_in_bytes", "usage_in_bytes") if older else ("max", "current")
    contents = zip((*names, "stat"), (limit, usage, stat), strict=True)
    return {f"{folder}__memory_DOT_{name}": str(text) for name, text in contents if text is not None}


@pytest.mark.parametrize("narrow", ["a", "a__b", "a__b__c"])
def test_limits_of_the_process_group_and_all_its_ancestors_apply(available_memory, narrow):
    wide = {name: text for folder in ("a", "a__b", "a__b__c") for name, text in limits(folder, 7 * GB, GB).items()}
    assert available_memory(meminfo(8 << 20), "0::/a/b/c\n", **(wide | limits(narrow, 3 * GB, GB))) == 2 * GB


def test_limits_of_another_group_do_not_apply(available_memory):
    assert available_memory(meminfo(8 << 20), "0::/a/b\n", **limits("a__c", GB, 0), **limits("ab", GB, 0)) == 8 * GB


def test_cgroup_v1_group_of_the_process_applies(available_memory):
    group = "9:cpu,cpuacct:/x\n4:hugetlb,memory:/a:b\n0::/\n"
    assert available_memory(meminfo(8 << 20), group, **limits("memory__a:b", 3 * GB, GB, older=True)) == 2 * GB


def test_cgroup_v1_group_of_another_controller_does_not_apply(available_memory):
    assert available_memory(meminfo(8 << 20), "4:cpu:/a\n", **limits("memory__a", GB, 0, older=True)) == 8 * GB


@pytest.mark.parametrize("older", [False, True])
def test_invisible_group_falls_back_to_the_root_group(available_memory, older):
    """As in a container that sees the path of the host."""
    folder, group = ("memory__", "4:memory:/docker/1f\n") if older else ("", "0::/docker/1f\n")
    contents = {name.replace("x__", folder): text for name, text in limits("x", 3 * GB, GB, older=older).items()}
    assert available_memory(meminfo(8 << 20), group, **contents) == 2 * GB


@pytest.mark.parametrize("path", ["/../a", "/a/../../b", ".."])
def test_path_outside_the_hierarchy_is_not_followed(available_memory, tmp_path, path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.max").write_text("1")
        (tmp_path / name / "memory.current").write_text("0")
    assert available_memory(meminfo(8 << 20), f"0::{path}\n") == 8 * GB


@pytest.mark.parametrize("group", ["", "\n", "0", "0:", ":::", "memory", "no colons at all"])
def test_malformed_membership_falls_back_to_the_root_group(available_memory, group):
    contents = {"memory_DOT_max": str(3 * GB), "memory_DOT_current": str(GB)}
    assert available_memory(meminfo(8 << 20), group, **contents) == 2 * GB


def test_reclaimable_cache_is_free(available_memory):
    stat = f"anon {GB}\nfile {GB}\ninactive_file {GB // 2}\nactive_file {GB // 2}\n"
    assert available_memory(meminfo(8 << 20), "0::/a\n", **limits("a", 3 * GB, 2 * GB, stat)) == 3 * GB // 2


def test_cgroup_v1_cache_includes_nested_groups(available_memory):
    stat = f"inactive_file 7\ntotal_inactive_file {GB}\n"
    assert (
        available_memory(meminfo(8 << 20), "4:memory:/a\n", **limits("memory__a", 3 * GB, 2 * GB, stat, older=True))
        == 2 * GB
    )


@pytest.mark.parametrize("stat", ["", "inactive_file\n", "inactive_file -1\n", "inactive_file many\n", "file 5\n"])
def test_non_numeric_cache_is_in_use(available_memory, stat):
    assert available_memory(meminfo(8 << 20), "0::/a\n", **limits("a", 3 * GB, 2 * GB, stat)) == GB


def test_cache_larger_than_the_usage_frees_at_most_the_limit(available_memory):
    assert (
        available_memory(meminfo(8 << 20), "0::/a\n", **limits("a", 3 * GB, GB, f"inactive_file {5 * GB}\n")) == 3 * GB
    )


def test_available_memory_of_this_machine_is_positive_and_at_most_its_total(monkeypatch):
    monkeypatch.undo()
    assert 0 < resources.available_memory() <= resources.physical_memory()


# --- the fingerprint of a machine


def test_fingerprint_names_processor_and_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "cores", lambda: 3)
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus 9000 @ 2.50GHz\nmodel name\t: Another\n")
    assert resources.fingerprint(tmp_path / "cpuinfo") == "Abacus 9000 @ 2.50GHz, 3 cores"


def test_fingerprint_without_a_model_names_the_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "cores", lambda: 1)
    monkeypatch.setattr("platform.machine", lambda: "abacus64")
    assert resources.fingerprint(tmp_path / "nothing") == "abacus64, 1 cores"


def test_fingerprint_is_deterministic():
    assert resources.fingerprint() == resources.fingerprint()


def test_fingerprint_changes_with_the_cores(monkeypatch):
    before = resources.fingerprint()
    monkeypatch.setattr(resources, "cores", lambda: 1_000_000)
    assert resources.fingerprint() != before


def test_cores_are_those_of_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7})
    assert resources.cores() == 3


@pytest.mark.parametrize(("count", "cores"), [(4, 4), (None, 1)])
def test_cores_without_an_affinity_mask_are_those_of_the_machine(monkeypatch, count, cores):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert resources.cores() == cores


# --- kills by the kernel


@pytest.fixture
def counters(tmp_path):
    """A machine with out-of-memory kill counters, as files by name."""

    def read(group, **files):
        contents = {"proc/self/cgroup": group, "proc/vmstat": "nr_free_pages 12\noom_kill 7\n"}
        contents |= {f"groups/{name.replace('__', '/').replace('_DOT_', '.')}": text for name, text in files.items()}
        for name, text in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return resources.oom_kills(tmp_path / "proc", tmp_path / "groups")

    return read


def test_out_of_memory_kills_of_this_container_are_counted(counters):
    assert counters("0::/a/b\n", a__b__memory_DOT_events="low 0\noom 5\noom_kill 3\n") == 3


def test_out_of_memory_kills_under_cgroup_v1_are_counted(counters):
    text = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"
    assert counters("9:cpu:/x\n4:memory:/a\n0::/\n", memory__a__memory_DOT_oom_control=text) == 4


@pytest.mark.parametrize("group", ["0::/\n", "", "garbage\n", "4:memory:/gone\n"])
def test_out_of_memory_kills_of_the_machine_are_the_fallback(counters, group):
    assert counters(group) == 7


def test_machine_without_kill_counters_reports_none(tmp_path):
    assert resources.oom_kills(tmp_path / "proc", tmp_path / "groups") is None


@pytest.mark.skipif(not Path("/proc/vmstat").exists(), reason="not Linux")
def test_this_machine_counts_out_of_memory_kills():
    assert resources.oom_kills() >= 0
