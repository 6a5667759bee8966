"""Follow a page of the documentation as a reader does: its console lines in one shell, beside a chain."""

import os
import re
import subprocess

from tests.paths import PROGRAM

DEFAULT_NODE = "http://127.0.0.1:8545"


def lines_of(page):
    """The lines of all console blocks of a page, or of a part of one."""
    return "".join(re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


def follow(shell, lines, node, *, timeout):
    """Run lines in bash until one fails, with the command and the chain at `node`; ends what they left running."""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    begin = "trap 'kill $(jobs -p) 2>&- || true' EXIT\nset -e -o pipefail\n"
    return subprocess.run(
        ["bash", "-c", begin + lines.replace(DEFAULT_NODE, node)],
        cwd=shell.folder,
        env={**shell.environment, "PATH": path, "ZKINFER_RPC_URL": node},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
