import os
import subprocess
import sys

import pytest

from zkinfer.service.memory import memory_by_role

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
    process(tmp_path, 12, 11, 7, "python", "-I", "-m", "zkinfer.circuits.child", "5", "11")
    process(tmp_path, 13, 11, 7, "python", "-I", "-m", "zkinfer.circuits.child", "5", "11")
    process(tmp_path, 14, 10, 2, "python", "-I", "-m", "zkinfer.circuits.sessions", "5", "10")
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
