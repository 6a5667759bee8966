"""Run the command as a user does, and look for leftovers."""

import contextlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tests.children import children_of
from tests.eventually import eventually
from tests.paths import PROGRAM
from typer.testing import CliRunner

from zkinfer.cli.main import app

SHM = Path("/dev/shm")
# A server takes over signals and logging of its process; an export imports user modules into it.
_PROCESSES_OF_THEIR_OWN = ("serve", "export")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self):
        """The JSON object on stdout, which must be the only output there."""
        return json.loads(self.stdout)

    @property
    def sentence(self):
        """The text on stderr as one line."""
        return " ".join(self.stderr.split())

    @property
    def text(self):
        """The text on both streams as one line: the result, then progress, hints and errors."""
        return " ".join(f"{self.stdout} {self.stderr}".split())


@dataclass(frozen=True)
class Shell:
    """One user with a home and a working folder, and an otherwise empty environment."""

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
        """Run the command in this process, which saves the start of an interpreter and all imports.

        Use `process` for behaviour of a whole process: signals, pipes, colours, exit status.
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
        """Private folders in any place where the command creates them."""
        places = (self.folder, self.home, self.home / "keys", self.home / "rebuilt", self.home / "setups")
        hidden = (path for place in places if place.is_dir() for path in place.iterdir())
        return {path for path in hidden if path.name.startswith((".zkinfer-", ".writing-"))}


def nothing_left(shell, pid, before):
    """Whether all private folders and children of a process disappear soon after its command ended."""
    mine = shell.leftovers() - before
    shared = f".zkinfer-{pid}-*"
    return (
        eventually(lambda: not mine & shell.leftovers(), 6.0)
        and eventually(lambda: not list(SHM.glob(shared)), 6.0)
        and eventually(lambda: not children_of(pid), 6.0)
    )
