"""What both sides of a child process share: environment, limits, priority, answers and the meaning of its exit.

The answer of a child is data from a process that may have read hostile input. It is never unpickled, and an error in
it becomes an error class of zkinfer by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
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
MAX_ANSWER_DEPTH = 64
SHARE_NICENESS = 10  # a tenth of what others get
_NICEST = 19
_OUT_OF_MEMORY = (
    "MemoryError",
    "memory allocation of",
    "bad_alloc",
    "Cannot allocate memory",
    "failed to map",
    "ThreadPoolBuildError",
)
# A string, closed or not (possessive, so that no input makes it scan twice), or a bracket.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_STEP = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_YIELDING: ContextVar[bool] = ContextVar("zkinfer_yielding", default=False)
_KEPT_ENVIRONMENT = ("LANG", "LC_ALL", "PATH", "RAYON_NUM_THREADS", "TMPDIR")


@contextlib.contextmanager
def yielding() -> Iterator[None]:
    """Let children that are started in this block and thread leave the processors to others, until `lift`.

    The calling process does not yield, because it may hold a lock that others wait for.
    """
    token = _YIELDING.set(True)
    try:
        yield
    finally:
        _YIELDING.reset(token)


def yields() -> bool:
    """Whether a child started now yields."""
    return _YIELDING.get()


def yield_processors(pid: int) -> None:
    """Leave the processors to others in a process that was just started, until `lift`."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, SHARE_NICENESS)
        if can_lift():
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    _yield_to_sessions(pid, _NICEST if can_lift() else SHARE_NICENESS)


def lift(pid: int) -> None:
    """Give a process that has yielded for long a small share of the processors, however busy they are."""
    if can_lift():
        with contextlib.suppress(OSError):  # it or one of its threads is just ending
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
    _yield_to_sessions(pid, SHARE_NICENESS)


@cache
def can_lift() -> bool:
    """Whether a process that runs on idle time only may get a share of the processors later.

    Capabilities, RLIMIT_NICE and container settings decide, so a short-lived thread tries it. Where it is forbidden,
    a yielding child starts with a small share: a process that can never be lifted could starve.
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
    """Set the priority of the session: with autogroups (sched(7)), niceness counts only within one session."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def environment() -> dict[str, str]:
    """The variables of a child: a few of this process's, and what bounds the threads and caches of libraries."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    # A home that does not exist: engines must not read or fill caches of their own.
    return kept | {
        "HOME": "/nonexistent",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "OPENBLAS_NUM_THREADS": "1",  # each of them takes 40 MB of address space, which is bounded
        "ORT_DISABLE_TELEMETRY": "1",  # else onnxruntime starts a thread that reports its use to its vendor
    }


def timed_out() -> EngineTimeoutError:
    """The error of a child that exceeded its time."""
    return EngineTimeoutError(
        "The engine exceeded its time limit and was stopped.", "Try a smaller model, or allow more time."
    )


def value_in(answer: bytes | bytearray, no_answer: Callable[[Exception], EngineError]) -> Any:  # noqa: ANN401 - JSON
    """The value in an answer.

    Raises:
        ZkinferError: the error in the answer, by name.
        EngineError: what `no_answer` makes of an answer that is not JSON.
        EngineCrashedError: the answer is JSON of another form.
    """
    try:
        _require_depth(answer)
        document = json.loads(answer)
    except ValueError as err:
        raise no_answer(err) from err
    if isinstance(document, dict) and "value" in document:
        return document["value"]
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        raise _revive(document["error"])
    raise malformed_answer()


def _require_depth(answer: bytes | bytearray) -> None:
    """Limit the depth whatever the interpreter's recursion limit is: libraries raise it beyond the end of the stack."""
    depth = 0
    for token in _TOKEN.finditer(answer) if answer.count(b"[") + answer.count(b"{") > MAX_ANSWER_DEPTH else ():
        depth += _STEP.get(token[0], 0)
        if depth > MAX_ANSWER_DEPTH:
            raise ValueError("nested too deeply")


def malformed_answer() -> EngineCrashedError:
    """The error of a child whose answer has another form."""
    return EngineCrashedError("The engine's process sent a malformed answer.")


def exit_error(status: int, noise: str, oom_kills: int | None) -> EngineError:
    """The error of a child that ended without an answer.

    Args:
        status: its exit status, negative for a signal.
        noise: the end of its stderr.
        oom_kills: `resources.oom_kills()` at the time of its start.
    """
    last = noise.strip().splitlines()[-1:] or [""]
    killed = status == -signal.SIGKILL
    if (killed and _kernel_killed_since(oom_kills)) or any(sign in noise for sign in _OUT_OF_MEMORY):
        return EngineMemoryError(
            "The engine ran out of memory or was killed by the system.",
            "Use a machine with more memory or a smaller model.",
        )
    if killed:
        return EngineCrashedError("The engine was killed by another process, not for lack of memory.", "Try again.")
    if status == -signal.SIGXCPU:
        return EngineTimeoutError("The engine used up its processor time.", "Try a smaller model.")
    return EngineCrashedError(f"The engine stopped unexpectedly (status {status}): {last[0][:300]}".strip())


def _kernel_killed_since(oom_kills: int | None) -> bool:
    """Whether the kernel killed a process for lack of memory since, or does not count such kills."""
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
