"""Sessions open any function by name here: `timeit:timeit` runs statements, `ast:literal_eval` echoes."""

import os
import threading
import time

import pytest
from tests.eventually import eventually
from tests.unit.circuits.factories import is_alive
from tests.unit.circuits.sandbox.test_child import open_descriptors

from zkinfer.circuits.errors import EngineCrashedError, EngineMemoryError, EngineTimeoutError, ModelTooLargeError
from zkinfer.circuits.sandbox import session as session_module
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.session import Session

SHORT = Limits(seconds=20.0)
LATE = "exceeded its time limit"


def opened(name="timeit:timeit", limits=SHORT):
    return Session("pkgutil:resolve_name", {"name": name}, limits=limits)


def execute(session, statement):
    return session.ask(stmt=statement, number=1)


def raw(data):
    return f"import os, sys; os.write(int(sys.argv[1]), {data!r})"


@pytest.fixture
def session():
    with opened() as session:
        yield session


@pytest.fixture
def impatient_session():
    """A session with ample time to open and little per request."""
    with opened() as session:
        session._seconds = 0.3
        yield session


# --- answers


def test_many_requests_are_answered_in_order():
    with opened("ast:literal_eval") as session:
        assert [session.ask(node_or_string=str(number)) for number in range(50)] == list(range(50))


@pytest.mark.parametrize("value", [None, True, 2**70, -0.5, "é\n", [], {"a": [1, {"b": None}]}])
def test_answer_comes_back_as_json(value):
    with opened("ast:literal_eval") as session:
        assert session.ask(node_or_string=repr(value)) == value


def test_large_request_and_answer_are_transferred_completely():
    text = "é" * 2_000_000
    with opened("textwrap:dedent") as session:
        assert session.ask(text=text) == text
        assert session.ask(text="x") == "x"


def test_child_keeps_its_state_between_requests(session):
    execute(session, "import builtins; builtins.kept = 5")
    assert execute(session, "assert kept == 5") >= 0


def test_large_stderr_does_not_block_the_child(session):
    assert execute(session, "import sys; sys.stderr.write('x' * 3_000_000)") >= 0
    assert execute(session, "print('{}')") >= 0


# --- errors


def test_session_continues_after_an_error_of_the_handler(session):
    with pytest.raises(ModelTooLargeError) as caught:
        execute(session, "from zkinfer.circuits import errors; raise errors.ModelTooLargeError('Large.', 'Shrink it.')")
    assert (caught.value.cause, caught.value.cure) == ("Large.", "Shrink it.")
    assert session.usable
    assert execute(session, "pass") >= 0


def test_error_of_another_package_ends_the_session(session):
    with pytest.raises(EngineCrashedError, match=r"status 1\): ValueError: no such luck"):
        execute(session, "raise ValueError('no such luck')")
    assert not session.usable
    with pytest.raises(EngineCrashedError, match=r"session with the engine is over\. Open another"):
        execute(session, "pass")


@pytest.mark.parametrize("function", ["no_such_module:f", "os:no_such_function", "os", "time:sleep"])
def test_session_that_cannot_be_opened_is_a_crash(function):
    with pytest.raises(EngineCrashedError, match=r"stopped unexpectedly \(status 1\)"):
        Session(function, {}, limits=SHORT)


def test_error_while_opening_is_raised_in_the_caller():
    with pytest.raises(ModelTooLargeError, match="Too large"):
        Session(
            "timeit:timeit",
            {"stmt": "from zkinfer.circuits import errors; raise errors.ModelTooLargeError('Too large.')", "number": 1},
            limits=SHORT,
        )


@pytest.mark.parametrize(
    "data",
    [b"\x02\0\0\0[]", b"\x02\0\0\0{}", b"\1\0\0\0\xff", b"\xff\xff\xff\xff", b"\2\0\0\0[]more", b"\0\0\0\0"],
    ids=["list", "empty", "no-json", "huge", "two", "nothing"],
)
def test_malformed_answer_ends_the_session(session, data):
    with pytest.raises(EngineCrashedError, match="sent a malformed answer"):
        execute(session, raw(data) + "; import time; time.sleep(9)")
    assert not session.usable


@pytest.mark.parametrize(
    ("statement", "status"),
    [("os.abort()", "-6"), ("os._exit(3)", "3"), ("os._exit(0)", "0"), ("os.kill(os.getpid(), 11)", "-11")],
)
def test_child_that_dies_is_a_crash(session, statement, status):
    with pytest.raises(EngineCrashedError, match=rf"stopped unexpectedly \(status {status}\)"):
        execute(session, f"import os; {statement}")


def test_child_killed_by_a_signal_is_a_crash(session):
    with pytest.raises(EngineCrashedError, match="killed by another process"):
        execute(session, "import os; os.kill(os.getpid(), 9)")


def test_child_killed_by_the_kernel_ran_out_of_memory(monkeypatch):
    with opened() as session:
        monkeypatch.setattr(session, "_oom_kills", -1)
        with pytest.raises(EngineMemoryError, match="ran out of memory"):
            execute(session, "import os; os.kill(os.getpid(), 9)")


def test_child_killed_between_requests_is_detected_at_the_next(session):
    session.kill()
    with pytest.raises(EngineCrashedError, match="killed by another process"):
        execute(session, "pass")
    assert not session.usable


# --- limits


def test_child_that_exceeds_its_memory_limit_is_stopped():
    with (
        opened(limits=Limits(seconds=20, memory=1 << 30)) as session,
        pytest.raises(EngineMemoryError, match="ran out of memory"),
    ):
        execute(session, "bytearray(1 << 33)")


@pytest.mark.parametrize(
    "statement",
    [
        "import time; time.sleep(60)",
        "import os, time; os.closerange(1, 2); time.sleep(60)",
        "import os\nwhile True: os.write(2, b'x' * 1000)",
        raw(b"\x05\0\0\0[") + "; import time; time.sleep(60)",
    ],
    ids=["sleeps", "closes", "chatters", "half-answers"],
)
def test_child_past_its_deadline_is_killed(impatient_session, statement):
    pid = impatient_session._process.pid
    with pytest.raises(EngineTimeoutError, match=LATE):
        execute(impatient_session, statement)
    assert not is_alive(pid)


def test_child_that_does_not_read_does_not_block_its_caller(impatient_session):
    os.kill(impatient_session._process.pid, 19)  # stopped
    with pytest.raises(EngineTimeoutError, match=LATE):
        execute(impatient_session, "x" * 5_000_000)


def test_child_that_closes_its_answers_is_reported_as_malformed(session, monkeypatch):
    monkeypatch.setattr(session_module, "_EXIT_SECONDS", 0.1)
    with pytest.raises(EngineCrashedError, match="malformed answer"):
        execute(session, "import os, sys, time; os.close(int(sys.argv[1])); time.sleep(60)")


def test_too_large_message_is_refused(session, monkeypatch):
    monkeypatch.setattr(session_module, "MAX_MESSAGE_BYTES", 10)
    with pytest.raises(EngineCrashedError, match="malformed answer"):
        execute(session, "pass")


# --- the end


def test_kill_from_another_thread_ends_the_wait(session):
    threading.Timer(0.2, session.kill).start()
    start = time.monotonic()
    with pytest.raises(EngineCrashedError, match="killed by another process"):
        execute(session, "import time; time.sleep(60)")
    assert time.monotonic() - start < 50


def test_child_and_grandchild_end_when_the_session_is_closed(tmp_path):
    pids = tmp_path / "pids"
    session = opened()
    execute(
        session, f"import os, time\nif os.fork() == 0: open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    assert eventually(lambda: pids.exists() and pids.read_text())
    session.close()
    session.close()
    assert eventually(lambda: not is_alive(session._process.pid) and not is_alive(int(pids.read_text())))


def opened_in_a_thread_that_ends():
    sessions_opened = []
    thread = threading.Thread(target=lambda: sessions_opened.append(opened()))
    thread.start()
    thread.join()
    return sessions_opened[0]


def test_child_of_the_fork_server_outlives_the_thread_that_opened_it():
    with opened_in_a_thread_that_ends() as session:
        assert execute(session, "pass") >= 0


def test_child_without_a_fork_server_ends_with_the_thread_that_opened_it(without_fork_server):
    session = opened_in_a_thread_that_ends()
    assert eventually(lambda: not is_alive(session._process.pid))
    session.close()


def test_no_process_or_descriptor_leaks():
    with opened():  # start the fork server, which stays
        pass
    before = open_descriptors()
    with opened() as session:
        execute(session, "pass")
    with opened() as session, pytest.raises(EngineCrashedError, match="boom"):
        execute(session, "raise ValueError('boom')")
    with pytest.raises(EngineCrashedError, match="stopped"):
        Session("no_such_module:f", {}, limits=SHORT)
    assert open_descriptors() == before
