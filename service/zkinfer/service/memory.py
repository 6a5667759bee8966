"""How much memory this server takes, with all processes that it started, as the kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLES = {
    "zkinfer.prover.workers.worker": "worker",
    "zkinfer.circuits.sessions": "session",
    "zkinfer.circuits.child": "engine",
}


def memory_by_role(root: int, proc: Path = Path("/proc")) -> dict[str, int]:
    """Resident bytes of a process, `server`, and of those below it; what they share counts for each.

    Sessions answer, engines prove and verify. Empty where the kernel does not tell.
    """
    seen = {pid: (parent, resident) for pid, parent, resident in _processes(proc)}
    if root not in seen:
        return {}
    sums: dict[str, int] = {}
    for pid in _below(root, {pid: parent for pid, (parent, _) in seen.items()}):
        role = "server" if pid == root else _role(proc / str(pid))
        sums[role] = sums.get(role, 0) + seen[pid][1]
    return sums


def _below(root: int, parents: dict[int, int]) -> set[int]:
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def _processes(proc: Path) -> Iterator[tuple[int, int, int]]:
    """All that run: id, parent, resident bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in proc.glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended since
            continue
        yield int(entry.name), int(fields[1]), int(fields[21]) * page


def _role(process: Path) -> str:
    try:
        arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        arguments = []
    return next((role for module, role in _ROLES.items() if module in arguments), "other")
