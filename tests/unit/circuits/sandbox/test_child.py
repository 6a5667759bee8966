"""`timeit:timeit` runs any statement in the child, the worst case of a hostile file."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.unit.circuits.factories import is_alive

from zkinfer.circuits.errors import (
    EngineCrashedError,
    EngineMemoryError,
    EngineTimeoutError,
    InputError,
    ModelTooLargeError,
    StoppedError,
)
from zkinfer.circuits.sandbox import child, processes, spawn
from zkinfer.circuits.sandbox.child import Limits, StopSignal, stoppable

SHORT = Limits(seconds=20.0)


def execute(statement, *, limits=SHORT, progress=None):
    return child.run("timeit:timeit", {"stmt": statement, "number": 1}, limits=limits, progress=progress)


def answer_with(data, status=0):
    """Let a compromised child write these bytes and exit."""
    return execute(f"import os, sys; os.write(int(sys.argv[1]), {data!r}); os._exit({status})")


# --- answers


@pytest.mark.parametrize("value", [None, True, 2**70, -0.5, "é\n", [], {"a": [1, {"b": None}]}])
def test_answer_comes_back_as_json(value):
    assert child.run("ast:literal_eval", {"node_or_string": repr(value)}, limits=SHORT) == value


def test_large_answer_is_transferred_completely():
    text = "é" * 2_000_000
    assert child.run("textwrap:dedent", {"text": text}, limits=SHORT) == text


def test_large_request_that_the_child_does_not_read_causes_no_deadlock():
    with pytest.raises(EngineCrashedError, match="No module named 'no_such_module'"):
        child.run("no_such_module:f", {"bulk": "x" * 5_000_000}, limits=SHORT)


def test_progress_is_reported_in_order():
    seen = []
    execute("from zkinfer.circuits.sandbox.child import report; report(0.25); report(1)", progress=seen.append)
    assert seen == [0.25, 1.0]


def test_progress_without_a_listener_is_dropped():
    assert execute("from zkinfer.circuits.sandbox.child import report; report(0.5)") >= 0


def test_print_of_the_function_does_not_disturb_the_answer(capfd):
    assert execute("print('{}'); import sys; print('noise', file=sys.stderr)") >= 0
    assert capfd.readouterr() == ("", "")


# --- errors


def test_error_of_the_function_is_raised_in_the_caller():
    with pytest.raises(ModelTooLargeError) as caught:
        execute("from zkinfer.circuits import errors; raise errors.ModelTooLargeError('Too large.', 'Shrink it.')")
    assert (caught.value.cause, caught.value.cure) == ("Too large.", "Shrink it.")


def test_refusal_of_our_own_function_is_raised_in_the_caller():
    with pytest.raises(InputError, match="does not fit the 127 bits"):
        child.run("zkinfer.circuits.engines.ezkl.instances:encode", {"value": 1 << 127}, limits=SHORT)


def test_error_of_another_package_is_reported_as_a_crash():
    with pytest.raises(EngineCrashedError, match=r"status 1\): ValueError: no such luck"):
        execute("raise ValueError('no such luck')")


@pytest.mark.parametrize("name", ["ZkinferErrors", "Exception", "annotations", "__name__", "", None, 3])
def test_error_of_an_unknown_class_is_reported_as_a_crash(name):
    error = {"error": {"type": name, "cause": "Because.", "cure": ""}}
    with pytest.raises(EngineCrashedError, match="Because"):
        answer_with(json.dumps(error).encode())


@pytest.mark.parametrize("function", ["no_such_module:f", "os:no_such_function", "os", ":", "time:sleep"])
def test_uncallable_function_is_a_crash(function):
    with pytest.raises(EngineCrashedError, match=r"stopped unexpectedly \(status 1\)"):
        child.run(function, {}, limits=SHORT)


@pytest.mark.parametrize(
    "data",
    [
        b'{"value": [1, 2',
        b"[]",
        b"5",
        b"{}",
        b"\xff",
        b"x\n",
        b"nan\n",
        b"[]\n{}",
        b'{"error": 3}',
        b'["error"]',
        b"[" * 200_000,
    ],
    ids=lambda data: data[:12].decode(errors="replace"),
)
def test_malformed_answer_is_a_crash(data):
    with pytest.raises(EngineCrashedError, match=r"sent a malformed answer|stopped unexpectedly"):
        answer_with(data)


def test_deeply_nested_answer_is_a_crash_at_any_recursion_limit():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(EngineCrashedError, match="malformed answer"):
            answer_with(b'{"value": ' + b"[" * 90_000 + b"]" * 90_000 + b"}")
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("depth", [62, 63])
def test_answer_is_limited_in_depth(depth):
    answer = '{"value": [' + "[" * depth + '"[]{}\\"[["' + "]" * depth + "]}"
    if depth < 63:
        assert answer_with(answer.encode()) is not None
    else:
        with pytest.raises(EngineCrashedError, match="malformed answer"):
            answer_with(answer.encode())


def test_result_that_is_not_json_is_a_crash():
    with pytest.raises(EngineCrashedError, match=r"malformed answer|not JSON serializable"):
        child.run("builtins:set", {}, limits=SHORT)


def test_child_killed_while_it_answers_is_a_crash():
    with pytest.raises(EngineCrashedError, match="killed by another process, not for lack of memory"):
        execute("import os, sys; os.write(int(sys.argv[1]), b'{\"value\": [1, 2'); os.kill(os.getpid(), 9)")


def test_too_large_answer_is_refused(monkeypatch):
    monkeypatch.setattr(child, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(EngineCrashedError, match="answer exceeds"):
        child.run("textwrap:dedent", {"text": "x" * 100_000}, limits=SHORT)


# --- limits


def test_child_past_its_deadline_is_killed_soon():
    start = time.monotonic()
    with pytest.raises(EngineTimeoutError, match=r"exceeded its time limit and was stopped\. Try a smaller model"):
        execute("import time; time.sleep(60)", limits=Limits(seconds=0.3))
    assert time.monotonic() - start < 50


@pytest.mark.parametrize("what", ["report(0.5)", "os.write(2, b'x' * 1000)"])
def test_child_that_keeps_writing_past_its_deadline_is_killed_soon(what):
    talk = f"end = time.monotonic() + 60\nwhile time.monotonic() < end: {what}"
    start = time.monotonic()
    with pytest.raises(EngineTimeoutError, match="exceeded its time limit"):
        execute(
            f"import os, time; from zkinfer.circuits.sandbox.child import report\n{talk}\ntime.sleep(9)",
            limits=Limits(0.3),
        )
    assert time.monotonic() - start < 50


def test_child_that_closes_its_pipes_and_keeps_running_is_killed():
    start = time.monotonic()
    with pytest.raises(EngineTimeoutError, match="time limit"):
        execute("import os, time; os.closerange(1, 64); time.sleep(60)", limits=Limits(seconds=0.3))
    assert time.monotonic() - start < 50


def test_grandchildren_of_a_child_past_its_deadline_are_killed(start_method, tmp_path):
    pid = tmp_path / "pid"
    statement = f"import os; os.fork(); open({str(pid)!r}, 'a').write(f'{{os.getpid()}} '); import time; time.sleep(60)"
    with pytest.raises(EngineTimeoutError, match="time limit"):
        execute(statement, limits=Limits(seconds=0.5))
    pids = [int(number) for number in pid.read_text().split()]
    assert len(pids) == 2
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_child_that_exceeds_its_memory_limit_is_stopped():
    with pytest.raises(EngineMemoryError, match=r"ran out of memory.*a machine with more memory"):
        execute("bytearray(1 << 33)", limits=Limits(seconds=20, memory=1 << 30))


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_child_killed_by_a_signal_is_a_crash(start_method):
    with pytest.raises(EngineCrashedError, match=r"killed by another process, not for lack of memory\. Try again"):
        execute(KILLED)


@pytest.mark.parametrize("kills", [(0, 1), (7, 9), (None, None)])
def test_child_killed_by_the_out_of_memory_killer_ran_out_of_memory(monkeypatch, kills):
    counts = iter(kills)
    monkeypatch.setattr(child.resources, "oom_kills", lambda: next(counts))
    with pytest.raises(EngineMemoryError, match="ran out of memory or was killed by the system"):
        execute(KILLED)


@pytest.mark.parametrize(
    ("statement", "status"),
    [("os.abort()", "-6"), ("os._exit(3)", "3"), ("os._exit(0)", "0"), ("os.kill(os.getpid(), 11)", "-11")],
)
def test_child_that_dies_is_a_crash(start_method, statement, status):
    with pytest.raises(EngineCrashedError, match=rf"stopped unexpectedly \(status {status}\)"):
        execute(f"import os; {statement}")


def test_message_of_a_crash_is_truncated():
    with pytest.raises(EngineCrashedError) as caught:
        execute("raise ValueError('x' * 100_000)")
    assert len(str(caught.value)) < 500


def test_limits_of_parsing_and_of_the_engine_are_bounded():
    for limits in (Limits.for_parsing(), Limits.for_engine()):
        assert 0 < limits.seconds <= 3600
        assert 1 << 30 < limits.memory < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_child_has_a_limit_on_processor_time():
    assert limit_in_child("RLIMIT_CPU")[0] > 0


def limit_in_child(name):
    statement = f"import resource; raise ValueError(resource.getrlimit(resource.{name}))"
    with pytest.raises(EngineCrashedError) as caught:
        execute(statement, limits=Limits(seconds=20, memory=2 << 30))
    return tuple(int(part) for part in str(caught.value).rpartition("(")[2].rstrip(").").split(","))


@pytest.mark.parametrize(("name", "limit"), [("RLIMIT_CORE", 0), ("RLIMIT_AS", 2 << 30)])
def test_child_cannot_raise_its_limits(start_method, name, limit):
    assert limit_in_child(name) == (limit, limit)


# --- stop signals


@pytest.fixture
def stop():
    signal = StopSignal()
    yield signal
    signal.close()


def test_child_is_killed_on_a_stop_signal(stop, tmp_path):
    threading.Timer(0.5, stop.set).start()
    pid = tmp_path / "pid"
    sleep = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with stoppable(stop), pytest.raises(StoppedError, match="stopped before it was done"):
        execute(sleep, limits=Limits(seconds=60))
    assert not pid.exists() or not is_alive(int(pid.read_text()))


def test_child_is_not_started_after_a_stop_signal(stop):
    stop.set()
    stop.set()
    with stoppable(stop), pytest.raises(StoppedError, match="stopped before"):
        execute("import time; time.sleep(60)")


def test_child_without_a_stop_signal_answers_normally(stop):
    with stoppable(stop):
        assert child.run("ast:literal_eval", {"node_or_string": "7"}, limits=SHORT) == 7
    stop.set()
    assert child.run("ast:literal_eval", {"node_or_string": "8"}, limits=SHORT) == 8


# --- yielding


def evaluated_in_child(expression):
    with pytest.raises(EngineCrashedError) as caught:
        execute(f"import os; from pathlib import Path; raise ValueError({expression})")
    return str(caught.value).rpartition("ValueError: ")[2]


@pytest.fixture(params=[True, False], ids=["priority can be raised", "priority cannot be raised"])
def raisable(request, monkeypatch):
    """With and without the right to raise the priority of the priority again."""
    if request.param and not processes.can_raise_priority():
        pytest.skip("needs the right to leave SCHED_IDLE")
    monkeypatch.setattr(processes, "can_raise_priority", lambda: request.param)
    return request.param


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="not Linux")
def test_child_yields_the_processors_only_if_asked_to(raisable):
    with processes.yielding():
        scheduler = os.SCHED_IDLE if raisable else os.sched_getscheduler(0)
        assert evaluated_in_child("os.sched_getscheduler(0), os.nice(0)") == f"({scheduler}, 10)"
    assert evaluated_in_child("os.sched_getscheduler(0)") == str(os.sched_getscheduler(0))


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="not Linux")
def test_child_whose_priority_is_raised_gets_its_share_in_all_its_threads(raisable):
    with processes.yielding():
        process = spawn.start("zkinfer.circuits.sandbox.child")
    try:
        processes.raise_priority(process.pid)
        threads = [int(thread.name) for thread in Path(f"/proc/{process.pid}/task").iterdir()]
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10
    finally:
        process.kill()
    processes.raise_priority(process.pid)  # which has ended


def test_yielding_child_that_hangs_is_killed():
    with processes.yielding(), pytest.raises(EngineCrashedError, match="did nothing for too long"):
        execute("import time; time.sleep(60)", limits=Limits(seconds=1.5))


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no autogroup scheduling")
def test_session_of_a_yielding_child_yields_to_other_sessions(raisable):
    own = "Path('/proc/self/autogroup').read_text().split()[2]"
    with processes.yielding():
        assert evaluated_in_child(own) == ("19" if raisable else "10")
    assert evaluated_in_child(own) == "0"


# --- environment


@pytest.mark.parametrize("name", ["EZKL_REPO_PATH", "RUST_LOG", "RUST_BACKTRACE", "PYTHONPATH", "LD_PRELOAD", "TOKEN"])
def test_environment_of_the_caller_is_not_inherited(start_method, monkeypatch, name):
    monkeypatch.setenv(name, "")
    assert child.run("os:getenv", {"key": name}, limits=SHORT) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("HOME", "/nonexistent"), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp"), ("OPENBLAS_NUM_THREADS", "1")],
)
def test_environment_has_the_variables_that_the_engine_needs(monkeypatch, name, value):
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert child.run("os:getenv", {"key": name}, limits=SHORT) == value


def test_modules_next_to_the_caller_are_not_imported(start_method, tmp_path, monkeypatch):
    (tmp_path / "textwrap.py").write_text("raise RuntimeError('hijacked')")
    monkeypatch.chdir(tmp_path)
    assert child.run("textwrap:dedent", {"text": "x"}, limits=SHORT) == "x"


def test_files_of_the_child_are_private(tmp_path):
    execute(f"open({str(tmp_path / 'file')!r}, 'w').close()")
    assert (tmp_path / "file").stat().st_mode & 0o077 == 0


def test_descriptors_of_the_caller_are_not_inherited(start_method, tmp_path):
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        with pytest.raises(EngineCrashedError, match="Bad file descriptor"):
            execute(f"import os; os.fstat({secret.fileno()})")


# --- the caller ends


@pytest.fixture
def caller(tmp_path):
    """A program that runs a child, and the process id of that child."""
    pid = tmp_path / "pid"
    statement = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where pytest runs with &
        "from zkinfer.circuits.sandbox import child\n"
        f"child.run('timeit:timeit', {{'stmt': {statement!r}, 'number': 1}}, limits=child.Limits())"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        assert eventually(lambda: pid.exists() and pid.read_text() != "", 30)
        yield process, int(pid.read_text())
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_child_dies_with_its_caller(caller, how):
    process, pid = caller
    assert is_alive(pid)
    process.send_signal(how)
    assert process.wait(10) == -how
    assert eventually(lambda: not is_alive(pid))


def test_keyboard_interrupt_reaches_the_caller(caller):
    process, _ = caller
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=10)[1]


def open_descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_no_process_or_descriptor_leaks(tmp_path):
    execute("pass")  # start the fork server, which stays
    before = open_descriptors()
    execute("pass")
    with pytest.raises(EngineCrashedError, match="boom"):
        execute("raise ValueError('boom')")
    assert open_descriptors() == before
