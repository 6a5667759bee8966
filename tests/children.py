"""Find the child processes in which engines run."""

from pathlib import Path


def children_of(caller):
    """Process ids of the children that work for the process `caller`, which is their last argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            arguments = _arguments(entry)
            if b"zkinfer.circuits.sandbox.child" in arguments and arguments[-1] == str(caller).encode():
                found.append(int(entry.name))
    return found


def _arguments(process):
    try:
        return (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []
