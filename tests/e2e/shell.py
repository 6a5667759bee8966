"""Running the command as a user does, and looking for what it may have left behind."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tests.children import children_of
from tests.eventually import eventually
from typer.testing import CliRunner

from zkinfer.cli.main import app

PROGRAM = Path(sys.executable).with_name("zkinfer")
SHM = Path("/dev/shm")
# A server takes over signals and logs of its process; an export runs its user's modules in it.
_PROCESSES_OF_THEIR_OWN = ("serve", "export")


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
        """Run the command in this process, which spares it the start of an interpreter and all imports.

        What a process does as a whole is for `process` to show: signals, pipes, colours, its exit status.
        """
        if arguments[0] in _PROCESSES_OF_THEIR_OWN:
            return self.process(*arguments, timeout=timeout, **variables)
        environment = mock.patch.dict(os.environ, self.environment | variables, clear=True)
        with environment, contextlib.chdir(self.folder):
            result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def process(self, *arguments, timeout=120, **variables):
        """Run the command as a process."""
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


def nothing_left(shell, pid, before):
    """Whether all private folders and children of a process are gone, soon after its command has ended."""
    mine = shell.leftovers() - before
    shared = f".zkinfer-{pid}-*"
    return (
        eventually(lambda: not mine & shell.leftovers(), 6.0)
        and eventually(lambda: not list(SHM.glob(shared)), 6.0)
        and eventually(lambda: not children_of(pid), 6.0)
    )
