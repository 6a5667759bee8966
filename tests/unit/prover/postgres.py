"""A PostgreSQL server for tests, started here where its programs exist."""

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def programs():
    """The folder of initdb and postgres, or None."""
    found = shutil.which("initdb")
    return Path(found).parent if found else next((path for path in INSTALLED if (path / "initdb").exists()), None)


def as_user():
    """PostgreSQL refuses to run as root: there, the words before a command that make it another user's."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def start():
    """Start a server; returns how to reach it, and how to stop it."""
    # Not below pytest's own folder, which other users must not enter.
    home, user = Path(tempfile.mkdtemp(prefix="zkinfer-postgres-")), getpass.getuser()
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(home, user)
    tools, data = programs(), home / "data"
    run([tools / "initdb", "-D", data, "-A", "trust", "-U", user, "-N"])
    options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
    run([tools / "pg_ctl", "-D", data, "-o", options, "-l", home / "log", "-w", "start"])

    def stop():
        run([tools / "pg_ctl", "-D", data, "-m", "immediate", "stop"])
        shutil.rmtree(home)

    return f"postgresql+psycopg://{user}@/postgres?host={home}", stop


def run(command):
    subprocess.run([*as_user(), *map(str, command)], check=True, capture_output=True, cwd="/")


def emptied(url):
    """The same server without our tables."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP TABLE IF EXISTS zkinfer_jobs, zkinfer_owners, zkinfer_state")
    return url
