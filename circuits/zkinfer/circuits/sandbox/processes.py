"""Both sides of a child process: environment, limits, priority, encoding of answers, and errors for exit statuses.

An answer comes from a process that may have read hostile input. It is never unpickled; an error in it is mapped by
name to an error class of zkinfer.
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
SHARE_NICENESS = 10  # a tenth of the share of other processes
_MAX_NICENESS = 19
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
    """In this block and thread, start children that yield the processors to other processes, until `raise_priority`.

    The calling process itself does not yield, because it may hold a lock that other processes wait for.
    """
    token = _YIELDING.set(True)
    try:
        yield
    finally:
        _YIELDING.reset(token)


def is_yielding() -> bool:
    """Whether a child started now yields the processors."""
    return _YIELDING.get()


def yield_processors(pid: int) -> None:
    """Let a process that was just started yield the processors to other processes, until `raise_priority`."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, SHARE_NICENESS)
        if can_raise_priority():
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    _set_session_niceness(pid, _MAX_NICENESS if can_raise_priority() else SHARE_NICENESS)


def raise_priority(pid: int) -> None:
    """Give a process that has yielded for long a small share of the processors, however busy they are."""
    if can_raise_priority():
        with contextlib.suppress(OSError):  # it or one of its threads is just ending
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
    _set_session_niceness(pid, SHARE_NICENESS)


@cache
def can_raise_priority() -> bool:
    """Whether a process that runs on idle time only may get a share of the processors later.

    Capabilities, RLIMIT_NICE and container settings decide, so a short-lived thread tries it. Where it is forbidden,
    a yielding child starts with a small share, because it could starve otherwise.
    """
    succeeded = []

    def trial() -> None:
        with contextlib.suppress(OSError, AttributeError):  # not Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SHARE_NICENESS)
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            succeeded.append(True)

    thread = threading.Thread(target=trial)
    thread.start()
    thread.join()
    return bool(succeeded)


def _set_session_niceness(pid: int, niceness: int) -> None:
    """Set the niceness of the session: with autogroups (sched(7)), that of a process counts within its session only."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def environment() -> dict[str, str]:
    """The variables of a child: a few of this process's, and settings that limit threads and caches of libraries."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    # The home does not exist, so that engines cannot read or fill caches of their own.
    return kept | {
        "HOME": "/nonexistent",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "OPENBLAS_NUM_THREADS": "1",  # each thread takes 40 MB of the limited address space
        "ORT_DISABLE_TELEMETRY": "1",  # otherwise onnxruntime starts a thread that reports its use to its vendor
    }


def timed_out() -> EngineTimeoutError:
    """The error for a child that exceeded its time limit."""
    return EngineTimeoutError(
        "The engine exceeded its time limit and was stopped.", "Try a smaller model, or allow more time."
    )


def value_in(answer: bytes | bytearray, not_json: Callable[[Exception], EngineError]) -> Any:  # noqa: ANN401 - JSON
    """The value in an answer.

    Raises:
        ZkinferError: the answer holds this error.
        EngineError: the answer is not JSON; the error comes from `not_json`.
        EngineCrashedError: the answer is JSON of a different form.
    """
    try:
        _require_depth(answer)
        document = json.loads(answer)
    except ValueError as err:
        raise not_json(err) from err
    if isinstance(document, dict) and "value" in document:
        return document["value"]
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        raise _revive(document["error"])
    raise malformed_answer()


def _require_depth(answer: bytes | bytearray) -> None:
    """Limit the depth; the interpreter's recursion limit is no protection: libraries raise it beyond the stack."""
    depth = 0
    for token in _TOKEN.finditer(answer) if answer.count(b"[") + answer.count(b"{") > MAX_ANSWER_DEPTH else ():
        depth += _STEP.get(token[0], 0)
        if depth > MAX_ANSWER_DEPTH:
            raise ValueError("nested too deeply")


def malformed_answer() -> EngineCrashedError:
    """The error for a child whose answer does not have the form of an answer."""
    return EngineCrashedError("The engine's process sent a malformed answer.")


def exit_error(status: int, stderr: str, oom_kills: int | None) -> EngineError:
    """The error for a child that ended without an answer.

    Args:
        status: its exit status, negative for a signal.
        stderr: the end of its stderr.
        oom_kills: `resources.oom_kills()` at the time of its start.
    """
    last = stderr.strip().splitlines()[-1:] or [""]
    killed = status == -signal.SIGKILL
    if (killed and _kernel_killed_since(oom_kills)) or any(sign in stderr for sign in _OUT_OF_MEMORY):
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
    """Whether the kernel has killed a process for lack of memory since this count, or does not count such kills."""
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
    """The descriptor that this child writes its answers to."""
    return int(sys.argv[1])


def die_with_parent() -> None:
    """Let the kernel kill this process, which `spawn.start` started, when the thread that started it ends."""
    die_with(int(sys.argv[2]))


def die_with(parent: int) -> None:
    """As `die_with_parent`, for a parent with this process id."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only this side needs it

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def disable_core_dumps() -> None:
    """Disable core dumps of this process and its children: they would contain inputs and the witness."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit(processor_seconds: int | None, memory: int | None) -> None:
    """Limit this process permanently: its resources, core dumps, and the permissions of its files for other users."""
    if processor_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds + 1))
    disable_core_dumps()
    os.umask(0o077)
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
