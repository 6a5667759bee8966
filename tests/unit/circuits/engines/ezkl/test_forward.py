import os
import threading
from pathlib import Path

import pytest

from zkinfer.circuits.engines.ezkl.forward import on_one_core


def cores_of_all_threads():
    return [os.sched_getaffinity(int(thread.name)) for thread in Path("/proc/self/task").iterdir()]


@pytest.fixture
def another_thread():
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    yield
    leave.set()
    thread.join()


def test_all_threads_share_one_core_inside_and_are_released_afterwards(another_thread):
    before = os.sched_getaffinity(0)
    with on_one_core():
        inside = cores_of_all_threads()
    assert len(inside) >= 2
    assert all(cores == inside[0] and len(cores) == 1 for cores in inside)
    assert inside[0] <= before
    assert all(cores == before for cores in cores_of_all_threads())


def test_threads_are_released_after_an_error():
    before = os.sched_getaffinity(0)
    with pytest.raises(ValueError, match="broke"), on_one_core():
        raise ValueError("broke")
    assert os.sched_getaffinity(0) == before
