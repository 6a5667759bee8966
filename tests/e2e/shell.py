"""Running the command as a user does, and looking for what it may have left behind."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import eventually

PROGRAM = Path(sys.executable).with_name("zkinfer")
SHM = Path("/dev/shm")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self):
        """The one object on stdout; fails if there is anything else."""
        return json.loads(self.stdout)

    @property
    def sentence(self):
        """The text for people, as one line."""
        return " ".join(self.stderr.split())


@dataclass(frozen=True)
class Shell:
    """One user: a home, a folder to work in, nothing else in the environment."""

    home: Path
    folder: Path
    setup_path: str = ""

    @property
    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return kept | {
            "HOME": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ZKINFER_HOME": str(self.home),
            "ZKINFER_SETUP_PATH": self.setup_path,
        }

    def start(self, *arguments, **variables):
        return subprocess.Popen(
            [PROGRAM, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments, timeout=120, **variables):
        with self.start(*arguments, **variables) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Outcome(process.returncode, stdout, stderr)

    def leftovers(self):
        """Private folders in any place of this user's where the command makes some."""
        places = (self.folder, self.home, self.home / "keys", self.home / "rebuilt", self.home / "setups")
        hidden = (path for place in places if place.is_dir() for path in place.iterdir())
        return {path for path in hidden if path.name.startswith((".zkinfer-", ".writing-"))}


def running(parent):
    """Processes of zkinfer that the process `parent` started: children name it in their last argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            arguments = _arguments(entry)
            if b"zkinfer.circuits.sandbox.child" in arguments and arguments[-1] == str(parent).encode():
                found.append(int(entry.name))
    return found


def _arguments(process):
    try:
        return (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def nothing_left(shell, process, before):
    """Whether all private folders and children of a process are gone, soon after its end."""
    mine = shell.leftovers() - before
    shared = f".zkinfer-{process.pid}-*"
    return (
        eventually(lambda: not mine & shell.leftovers(), 6.0)
        and eventually(lambda: not list(SHM.glob(shared)), 6.0)
        and eventually(lambda: not running(process.pid), 6.0)
    )
