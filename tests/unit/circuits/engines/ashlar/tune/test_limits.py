"""The limits of a search in time and memory."""

import time
from types import SimpleNamespace

import pytest

from zkinfer.circuits.cost import REFERENCE_SPEED, Work
from zkinfer.circuits.engines.ashlar.tune.limits import SearchLimits
from zkinfer.circuits.errors import TooCostlyError
from zkinfer.circuits.frontend import Workload

WORKLOAD = Workload(multiplications=10, elements=10, heaviest=())
WORK = Work(keys=1, prove=1, memory_bytes=1000, proving_key_bytes=0, proof_bytes=0, gas=0)


def limits(**given):
    request = {"search_seconds": None, "max_memory": None, "speed": REFERENCE_SPEED, "workload": WORKLOAD} | given
    return SearchLimits.of(SimpleNamespace(**request), lambda fraction: None)


def test_search_without_limits_is_never_refused():
    limits().refuse_late(1000)
    limits().refuse_costly(WORK)


def test_search_is_refused_once_its_seconds_have_passed():
    short = limits(search_seconds=0.05)
    short.refuse_late(3)
    time.sleep(0.06)
    with pytest.raises(TooCostlyError, match=r"--search-seconds.*tried: 3"):
        short.refuse_late(3)


@pytest.mark.parametrize(("allowed", "refused"), [(1000, False), (999, True)])
def test_proof_is_refused_beyond_the_memory_that_is_allowed(allowed, refused):
    if not refused:
        limits(max_memory=allowed).refuse_costly(WORK)
        return
    with pytest.raises(TooCostlyError, match="999 bytes may be used"):
        limits(max_memory=allowed).refuse_costly(WORK)
