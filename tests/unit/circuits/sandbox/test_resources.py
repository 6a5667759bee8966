import os
from pathlib import Path

import pytest

from zkinfer.circuits.sandbox import resources

GB = 1 << 30


@pytest.fixture
def here(tmp_path):
    """A machine whose files say what they are told to say."""

    def write(meminfo=None, group=None, **files):
        told = {"proc/meminfo": meminfo, "proc/self/cgroup": group}
        told |= {f"groups/{name.replace('__', '/').replace('_DOT_', '.')}": text for name, text in files.items()}
        for name, text in told.items():
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


@pytest.mark.parametrize("name", ["meminfo", "self/cgroup"])
def test_file_that_is_no_text_is_ignored(here, tmp_path, name):
    path = tmp_path / "proc" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00")
    assert here() == 8 * GB


# --- control groups within others


def limits(folder, limit, usage, stat=None, *, older=False):
    """Files of one group."""
    names = ("limit_in_bytes", "usage_in_bytes") if older else ("max", "current")
    told = zip((*names, "stat"), (limit, usage, stat), strict=True)
    return {f"{folder}__memory_DOT_{name}": str(text) for name, text in told if text is not None}


@pytest.mark.parametrize("narrow", ["a", "a__b", "a__b__c"])
def test_group_of_the_process_and_those_around_it_all_count(here, narrow):
    wide = {name: text for folder in ("a", "a__b", "a__b__c") for name, text in limits(folder, 7 * GB, GB).items()}
    assert here(meminfo(8 << 20), "0::/a/b/c\n", **(wide | limits(narrow, 3 * GB, GB))) == 2 * GB


def test_group_of_another_process_does_not_count(here):
    assert here(meminfo(8 << 20), "0::/a/b\n", **limits("a__c", GB, 0), **limits("ab", GB, 0)) == 8 * GB


def test_older_group_of_the_process_counts(here):
    group = "9:cpu,cpuacct:/x\n4:hugetlb,memory:/a:b\n0::/\n"
    assert here(meminfo(8 << 20), group, **limits("memory__a:b", 3 * GB, GB, older=True)) == 2 * GB


def test_older_group_of_another_controller_does_not_count(here):
    assert here(meminfo(8 << 20), "4:cpu:/a\n", **limits("memory__a", GB, 0, older=True)) == 8 * GB


@pytest.mark.parametrize("older", [False, True])
def test_group_that_is_not_to_be_seen_leaves_the_outermost(here, older):
    """So it is in a container that is told the host's path."""
    folder, group = ("memory__", "4:memory:/docker/1f\n") if older else ("", "0::/docker/1f\n")
    told = {name.replace("x__", folder): text for name, text in limits("x", 3 * GB, GB, older=older).items()}
    assert here(meminfo(8 << 20), group, **told) == 2 * GB


@pytest.mark.parametrize("path", ["/../a", "/a/../../b", ".."])
def test_path_that_leads_out_is_not_followed(here, tmp_path, path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.max").write_text("1")
        (tmp_path / name / "memory.current").write_text("0")
    assert here(meminfo(8 << 20), f"0::{path}\n") == 8 * GB


@pytest.mark.parametrize("group", ["", "\n", "0", "0:", ":::", "memory", "no colons at all"])
def test_membership_that_says_nothing_leaves_the_outermost(here, group):
    told = {"memory_DOT_max": str(3 * GB), "memory_DOT_current": str(GB)}
    assert here(meminfo(8 << 20), group, **told) == 2 * GB


def test_cache_that_the_kernel_gives_back_is_free(here):
    stat = f"anon {GB}\nfile {GB}\ninactive_file {GB // 2}\nactive_file {GB // 2}\n"
    assert here(meminfo(8 << 20), "0::/a\n", **limits("a", 3 * GB, 2 * GB, stat)) == 3 * GB // 2


def test_cache_of_the_older_kind_counts_that_of_the_groups_within(here):
    stat = f"inactive_file 7\ntotal_inactive_file {GB}\n"
    assert here(meminfo(8 << 20), "4:memory:/a\n", **limits("memory__a", 3 * GB, 2 * GB, stat, older=True)) == 2 * GB


@pytest.mark.parametrize("stat", ["", "inactive_file\n", "inactive_file -1\n", "inactive_file many\n", "file 5\n"])
def test_cache_without_a_number_is_in_use(here, stat):
    assert here(meminfo(8 << 20), "0::/a\n", **limits("a", 3 * GB, 2 * GB, stat)) == GB


def test_cache_larger_than_the_use_frees_no_more_than_the_limit(here):
    assert here(meminfo(8 << 20), "0::/a\n", **limits("a", 3 * GB, GB, f"inactive_file {5 * GB}\n")) == 3 * GB


def test_this_machine_has_some_memory_and_no_more_than_all(monkeypatch):
    monkeypatch.undo()
    assert 0 < resources.available_memory() <= resources.physical_memory()


# --- which machine


def test_fingerprint_names_processor_and_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "cores", lambda: 3)
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus 9000 @ 2.50GHz\nmodel name\t: Another\n")
    assert resources.fingerprint(tmp_path / "cpuinfo") == "Abacus 9000 @ 2.50GHz, 3 cores"


def test_fingerprint_without_a_model_names_the_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "cores", lambda: 1)
    monkeypatch.setattr("platform.machine", lambda: "abacus64")
    assert resources.fingerprint(tmp_path / "nothing") == "abacus64, 1 cores"


def test_fingerprint_is_stable():
    assert resources.fingerprint() == resources.fingerprint()


def test_fingerprint_changes_with_the_cores(monkeypatch):
    before = resources.fingerprint()
    monkeypatch.setattr(resources, "cores", lambda: 1_000_000)
    assert resources.fingerprint() != before


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7})
    assert resources.cores() == 3


@pytest.mark.parametrize(("count", "cores"), [(4, 4), (None, 1)])
def test_cores_where_nothing_is_bound_are_those_of_the_machine(monkeypatch, count, cores):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert resources.cores() == cores


# --- kills by the kernel


@pytest.fixture
def counters(tmp_path):
    """A machine that has killed for want of memory: what it counts, in files by name."""

    def read(group, **files):
        told = {"proc/self/cgroup": group, "proc/vmstat": "nr_free_pages 12\noom_kill 7\n"}
        told |= {f"groups/{name.replace('__', '/').replace('_DOT_', '.')}": text for name, text in files.items()}
        for name, text in told.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return resources.oom_kills(tmp_path / "proc", tmp_path / "groups")

    return read


def test_kills_of_the_own_container_are_counted(counters):
    assert counters("0::/a/b\n", a__b__memory_DOT_events="low 0\noom 5\noom_kill 3\n") == 3


def test_kills_of_a_container_of_the_older_kind_are_counted(counters):
    text = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"
    assert counters("9:cpu:/x\n4:memory:/a\n0::/\n", memory__a__memory_DOT_oom_control=text) == 4


@pytest.mark.parametrize("group", ["0::/\n", "", "garbage\n", "4:memory:/gone\n"])
def test_kills_of_the_machine_count_where_the_container_counts_none(counters, group):
    assert counters(group) == 7


def test_machine_that_does_not_count_kills_says_so(tmp_path):
    assert resources.oom_kills(tmp_path / "proc", tmp_path / "groups") is None


@pytest.mark.skipif(not Path("/proc/vmstat").exists(), reason="not Linux")
def test_this_machine_counts_kills():
    assert resources.oom_kills() >= 0
