"""Limited processes of our own: how they are started, bound to their caller, killed, and what their end means.

What a child answers is data from a process that may have read hostile input: it is never unpickled, and an error in
it becomes one of ours by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import errors
from zkinfer.circuits.errors import (
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    ZkinferError,
)
from zkinfer.circuits.sandbox import resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STDERR_TAIL = 4096
SHARE_NICENESS = 10  # a tenth of what others get
_NICEST = 19
_OUT_OF_MEMORY = ("MemoryError", "memory allocation of", "bad_alloc", "Cannot allocate memory", "failed to map")
_YIELDING: ContextVar[bool] = ContextVar("zkinfer_yielding", default=False)
_KEPT_ENVIRONMENT = ("LANG", "LC_ALL", "PATH", "RAYON_NUM_THREADS", "TMPDIR")


def start(module: str) -> tuple[subprocess.Popen[bytes], int]:
    """Run a module in a fresh interpreter and session; returns it and the descriptor that its answers come from.

    The module finds the descriptor to answer to, and the process to die with, in `sys.argv[1:3]`.

    Raises:
        EngineCrashedError: no process could be started.
    """
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", module, str(write_end), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(write_end,),
            start_new_session=True,
            env=_environment(),
        )
    except OSError as err:
        os.close(read_end)
        raise EngineCrashedError(f"No process could be started: {err.strerror}.") from err
    finally:
        os.close(write_end)
    if _YIELDING.get():
        _yield_processors(process.pid)
    return process, read_end


@contextlib.contextmanager
def yielding() -> Iterator[None]:
    """In this block and thread, what `start` starts leaves the processors to others, until `lift`.

    This process itself does not yield: it may hold a lock that others wait for.
    """
    token = _YIELDING.set(True)
    try:
        yield
    finally:
        _YIELDING.reset(token)


def yields() -> bool:
    """Whether what `start` starts now yields."""
    return _YIELDING.get()


def _yield_processors(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, SHARE_NICENESS)
        if can_lift():
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    _yield_to_sessions(pid, _NICEST if can_lift() else SHARE_NICENESS)


def lift(pid: int) -> None:
    """Give a process that yielded for long a share of the processors, the smaller one, whoever else wants them."""
    if can_lift():
        with contextlib.suppress(OSError):  # it or one of its threads is just ending
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
    _yield_to_sessions(pid, SHARE_NICENESS)


@cache
def can_lift() -> bool:
    """Whether what was begun with nothing but what others leave may have more later.

    Rights, limits (RLIMIT_NICE) and containers have a say in it, so it is tried, in a thread that ends with the trial.
    Where it may not, it is begun with its share: what can never be lifted could starve.
    """
    came_back = []

    def trial() -> None:
        with contextlib.suppress(OSError, AttributeError):  # not Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SHARE_NICENESS)
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            came_back.append(True)

    thread = threading.Thread(target=trial)
    thread.start()
    thread.join()
    return bool(came_back)


def _yield_to_sessions(pid: int, niceness: int) -> None:
    """A kernel that shares the processors out by sessions (sched(7), autogroup) compares priorities only within one."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    # A home that does not exist: engines must not read or fill caches of their own.
    return kept | {
        "HOME": "/nonexistent",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "OPENBLAS_NUM_THREADS": "1",  # each of them takes 40 MB of address space, which is bounded
    }


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that `start` started, with its descendants, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def late() -> EngineTimeoutError:
    """The error of a child that exceeded its time."""
    return EngineTimeoutError(
        "The engine exceeded its time limit and was stopped.", "Try a smaller model, or allow more time."
    )


def value_in(answer: bytes | bytearray, no_answer: Callable[[Exception], EngineError]) -> Any:  # noqa: ANN401 - JSON
    """The value in an answer; raises the error in it, `no_answer` if it is no JSON, EngineCrashedError if no answer."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as err:
        raise no_answer(err) from err
    if isinstance(document, dict) and "value" in document:
        return document["value"]
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        raise _revive(document["error"])
    raise nonsense()


def nonsense() -> EngineCrashedError:
    """The error of a child whose answer is none."""
    return EngineCrashedError("The engine's process gave something that is no answer.")


def death(status: int, noise: str, oom_kills: int | None) -> EngineError:
    """What the end of a child means.

    Args:
        status: its exit status.
        noise: the end of what it wrote to stderr.
        oom_kills: what `machine.oom_kills` said when it was started.
    """
    last = noise.strip().splitlines()[-1:] or [""]
    killed = status == -signal.SIGKILL
    if (killed and _kernel_killed_since(oom_kills)) or any(sign in noise for sign in _OUT_OF_MEMORY):
        return EngineMemoryError(
            "The engine ran out of memory or was killed by the system.",
            "Use a machine with more memory or a smaller model.",
        )
    if killed:
        return EngineCrashedError("The engine was killed by another process, not for want of memory.", "Try again.")
    if status == -signal.SIGXCPU:
        return EngineTimeoutError("The engine used up its processor time.", "Try a smaller model.")
    return EngineCrashedError(f"The engine stopped unexpectedly (status {status}): {last[0][:300]}".strip())


def _kernel_killed_since(oom_kills: int | None) -> bool:
    """Whether the kernel killed something for want of memory meanwhile, or does not count such kills."""
    now = resources.oom_kills()
    return oom_kills is None or now is None or now > oom_kills


def _revive(error: dict[str, str]) -> ZkinferError:
    kind = getattr(errors, str(error.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, ZkinferError)):
        kind = EngineCrashedError
    return kind(str(error.get("cause")), str(error.get("cure")))


# --- the child's side -------------------------------------------------------------------------------------------


def answer_of(call: Callable[[], Any]) -> bytes:
    """The value of a call, or the error that it raises, as a JSON document for `value_in`."""
    try:
        answer: dict[str, Any] = {"value": call()}
    except ZkinferError as err:
        answer = {"error": {"type": type(err).__name__, "cause": err.cause, "cure": err.cure}}
    return json.dumps(answer).encode()


def answer_fd() -> int:
    """Where this child answers to."""
    return int(sys.argv[1])


def die_with_parent() -> None:
    """Let the kernel kill this process, which `start` started, when the thread that did ends."""
    die_with(int(sys.argv[2]))


def die_with(parent: int) -> None:
    """The same for a process that was told its parent's id in another way."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only this side needs it

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def leave_no_core() -> None:
    """Bind this process and its children to leave no core file: it would hold inputs and the witness."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit(processor_seconds: int | None, memory: int | None) -> None:
    """Bound this process for good; its files are its user's alone, and it leaves no core file."""
    if processor_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds + 1))
    leave_no_core()
    os.umask(0o077)
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
