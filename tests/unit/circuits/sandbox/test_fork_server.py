"""Isolation of a forked child from the server, other children and its caller."""

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

from zkinfer.circuits.errors import EngineCrashedError, EngineTimeoutError
from zkinfer.circuits.sandbox import child, fork_server, spawn
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.session import Session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork server is for Linux only")
SHORT = Limits(seconds=20.0)


def execute(statement, *, limits=SHORT):
    return child.run("timeit:timeit", {"stmt": statement, "number": 1}, limits=limits)


def evaluated_in_child(expression):
    """The value of an expression in a child, as text."""
    with pytest.raises(EngineCrashedError) as caught:
        execute(f"import os, sys; from pathlib import Path; raise ValueError({expression})")
    return str(caught.value).rpartition("ValueError: ")[2]


@pytest.fixture
def server():
    """The id of the fork server of this process."""
    return int(evaluated_in_child("os.getppid()"))


# --- the state that a child starts with


def test_child_is_forked_from_one_server_and_not_from_its_caller(server):
    assert server != os.getpid()
    assert evaluated_in_child("os.getppid()") == str(server)


def test_server_and_child_have_one_thread_each(server):
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1
    assert evaluated_in_child("len(os.listdir('/proc/self/task'))") == "1"


# All functions called in children; importing their modules must not start threads.
CALLED = (
    "zkinfer.circuits.frontend.worker",
    "zkinfer.circuits.engines.ezkl.worker",
    "zkinfer.circuits.engines.ezkl.forward",
)


@pytest.mark.parametrize("module", CALLED)
def test_module_of_a_call_is_loaded_in_the_server_without_starting_threads(server, module):
    with pytest.raises(EngineCrashedError, match="no attribute 'nothing'"):
        child.run(f"{module}:nothing", {}, limits=SHORT)
    assert evaluated_in_child(f"{module!r} in sys.modules") == "True"
    assert evaluated_in_child("os.getppid()") == str(server)


def test_module_of_another_package_is_loaded_only_in_the_child():
    child.run("mailcap:lookup", {"caps": {}, "MIMEtype": "a/b"}, limits=SHORT)
    assert evaluated_in_child("'mailcap' in sys.modules") == "False"


def test_state_of_one_child_does_not_reach_the_next():
    execute("import builtins, os; builtins.left = 1; os.environ['LEFT'] = '1'; os.chdir('/tmp')")
    assert evaluated_in_child("('left' in dir(__builtins__), os.getenv('LEFT'), os.getcwd())") == str(
        (False, None, os.getcwd())  # noqa: PTH109 - the call as made in the child
    )


def test_child_has_its_pipes_and_no_other_descriptor():
    with Session("pkgutil:resolve_name", {"name": "timeit:timeit"}, limits=SHORT):
        own = (
            "([os.readlink(f'/proc/self/fd/{fd}').split(':')[0] for fd in range(4)], os.path.exists('/proc/self/fd/4'))"
        )
        assert evaluated_in_child(own) == "(['pipe', '/dev/null', 'pipe', 'pipe'], False)"


def test_child_leads_its_own_session():
    assert evaluated_in_child("os.getsid(0) == os.getpid() == os.getpgid(0)") == "True"


def test_child_has_the_command_line_of_a_fresh_interpreter():
    command = f"{sys.executable} -I -m zkinfer.circuits.sandbox.child 3 {os.getpid()}"
    assert evaluated_in_child("Path('/proc/self/cmdline').read_text().rstrip(chr(0)).replace(chr(0), ' ')") == command


def test_environment_and_folder_are_those_of_the_call(server, monkeypatch, tmp_path):
    monkeypatch.setenv("LANG", "xx")
    monkeypatch.chdir(tmp_path)
    assert evaluated_in_child("(os.getenv('LANG'), os.getcwd())") == str(("xx", str(tmp_path)))
    assert os.readlink(f"/proc/{server}/cwd") == "/"  # noqa: PTH115 - a string is compared


def test_limits_of_one_child_do_not_apply_to_the_next():
    execute("pass", limits=Limits(seconds=5, memory=1 << 30))
    own = "__import__('resource').getrlimit(__import__('resource').RLIMIT_AS)"
    assert evaluated_in_child(own) == str((-1, -1))


# --- ends


def test_children_run_concurrently():
    began = time.monotonic()
    threads = [threading.Thread(target=execute, args=("import time; time.sleep(2)",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 7


def test_timeout_of_a_call_does_not_affect_the_server_or_other_children(server):
    with Session("pkgutil:resolve_name", {"name": "timeit:timeit"}, limits=SHORT) as session:
        with pytest.raises(EngineTimeoutError):
            execute("import time; time.sleep(60)", limits=Limits(seconds=0.2))
        assert session.ask(stmt="pass", number=1) >= 0
    assert is_alive(server)


def test_killed_server_is_replaced(server):
    os.kill(server, signal.SIGKILL)
    assert eventually(lambda: not is_alive(server))
    assert int(evaluated_in_child("os.getppid()")) not in {server, os.getpid()}


def test_children_die_with_the_server(server):
    with Session("pkgutil:resolve_name", {"name": "timeit:timeit"}, limits=SHORT) as session:
        os.kill(server, signal.SIGKILL)
        with pytest.raises(EngineCrashedError, match="killed by another process"):
            session.ask(stmt="import time; time.sleep(60)", number=1)


def test_ended_child_is_reaped_after_the_call(server):
    execute("pass")
    children = Path(f"/proc/{server}/task/{server}/children")
    assert eventually(lambda: children.read_text() == "")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_server_dies_with_its_caller(how):
    program = (
        "from zkinfer.circuits.sandbox import child\n"
        "print(child.run('os:getppid', {}, limits=child.Limits()), flush=True)\n"
        "import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        server = int(process.stdout.readline())
        assert is_alive(server)
        process.send_signal(how)
    assert eventually(lambda: not is_alive(server))


def test_caller_ends_without_warnings():
    program = "from zkinfer.circuits.sandbox import child; child.run('os:getppid', {}, limits=child.Limits())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_forked_caller_gets_its_own_server():
    program = (
        "import os\n"
        "from zkinfer.circuits.sandbox import child\n"
        "first = child.run('os:getppid', {}, limits=child.Limits())\n"
        "pid = os.fork()\n"
        "assert (child.run('os:getppid', {}, limits=child.Limits()) == first) == bool(pid)\n"
        "if pid: raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


# --- refusals


def test_server_with_a_second_thread_forks_no_child():
    program = (
        "import socket, threading, os, json\n"
        "from zkinfer.circuits.sandbox import fork_server\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "control, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "request = {'entry': 'this', 'preload': '', 'environment': {}, 'caller': 1}\n"
        "nulls = [os.open(os.devnull, os.O_RDWR) for _ in range(4)]\n"
        "socket.send_fds(ours, [json.dumps(request).encode()], [*nulls, theirs.fileno()])\n"
        "ours.close()\n"
        "assert fork_server._Server(control).run() is None\n"
        "print(status.recv(1000).decode())"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == '{"refused": "the server has more than one thread"}'


def test_call_refused_by_the_server_runs_in_a_fresh_interpreter(monkeypatch):
    monkeypatch.setattr(spawn._ForkServer, "fork", lambda *_: None)
    assert child.run("os:getppid", {}, limits=SHORT) == os.getpid()


def test_call_without_a_fork_server_runs_in_a_fresh_interpreter(without_fork_server):
    assert child.run("os:getppid", {}, limits=SHORT) == os.getpid()


def test_call_without_process_descriptors_runs_in_a_fresh_interpreter(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    spawn._has_pidfd.cache_clear()
    assert child.run("os:getppid", {}, limits=SHORT) == os.getpid()
    spawn._has_pidfd.cache_clear()


def test_call_whose_server_cannot_start_runs_in_a_fresh_interpreter(monkeypatch):
    def refuse(self):
        raise OSError("no more processes")

    monkeypatch.setattr(spawn._ForkServer, "__init__", refuse)
    monkeypatch.setattr(spawn, "_SERVERS", spawn._Servers())
    assert child.run("os:getppid", {}, limits=SHORT) == os.getpid()


def test_threads_of_native_libraries_are_counted(monkeypatch):
    before = fork_server.thread_count()
    done = threading.Event()
    threading.Thread(target=done.wait).start()
    assert fork_server.thread_count() == before + 1
    done.set()
