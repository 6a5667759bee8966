"""The figures that child processes report on themselves."""

import pytest

from zkinfer.circuits.errors import EngineCrashedError, InputError
from zkinfer.circuits.sandbox import child, usage
from zkinfer.circuits.sandbox.child import Limits

SHORT = Limits(seconds=20.0)
MEGABYTE = 1_000_000


def execute(statement):
    return child.run("timeit:timeit", {"stmt": statement, "number": 1}, limits=SHORT)


def test_memory_of_a_child_is_its_own_peak(start_method):
    with usage.metered() as little:
        execute("pass")
    with usage.metered() as much:
        execute("bytearray(b'x') * 200_000_000")
    assert 150 * MEGABYTE < much.memory - little.memory < 300 * MEGABYTE


def test_memory_of_children_is_that_of_the_largest_and_processor_time_the_sum():
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    with usage.metered() as used:
        execute(busy)
        alone = used.memory
        execute(busy)
    assert 0.4 <= used.seconds < 5
    assert alone <= used.memory < 1.5 * alone


def test_child_that_raises_reports_its_usage():
    with usage.metered() as used, pytest.raises(InputError):
        child.run("zkinfer.circuits.engines.ezkl.instances:encode", {"value": 1 << 127}, limits=SHORT)
    assert used.memory > MEGABYTE


def test_killed_child_reports_nothing():
    with usage.metered() as used, pytest.raises(EngineCrashedError):
        execute("import os; os._exit(3)")
    assert used == usage.Usage()


def test_children_outside_of_the_block_are_not_counted():
    with usage.metered() as used:
        pass
    execute("pass")
    assert used == usage.Usage()


@pytest.mark.parametrize(
    "line", [b"usage", b"usage 1", b"usage -1 0.000", b"usage 1 nan", b"usage 1 0.0001", b"0.5000"]
)
def test_line_of_another_form_is_no_report(line):
    with usage.metered() as used:
        assert not usage.collect(line)
    assert used == usage.Usage()


def test_report_of_this_process_is_collected():
    with usage.metered() as used:
        assert usage.collect(usage.report().removesuffix(b"\n"))
    assert used.memory > MEGABYTE
    assert used.seconds > 0
