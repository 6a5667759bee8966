"""Install each extra as a user does, without the constraints file, and run a server beside a Triton client.

`python tests/install/extras.py` needs a Python with venv and pip, and a package index. `serve` is installed for real,
then tritonclient after it, which is the order in which pip changes what it installed before; pip resolves all extras
together with tritonclient, and what satisfies all of them satisfies each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRITON = "tritonclient[grpc]"
# `torch` and `train` are large and pinned; `dev` is installed by every other target.
SKIPPED = {"torch", "train", "dev"}
CLIENT = """
import sys
import tritonclient.grpc as triton
with triton.InferenceServerClient(sys.argv[1]) as client:
    assert client.is_server_ready()
    print(client.get_server_metadata().name)
"""


def main() -> int:
    """Install and run; returns the exit status."""
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]) - SKIPPED
    with tempfile.TemporaryDirectory() as scratch:
        python = installed(Path(scratch) / "venv", f"{ROOT}[serve]", TRITON)
        serve_and_ask(python, Path(scratch))
        print("serve, then tritonclient: the server answers", flush=True)
        named = ",".join(sorted(extras))
        pip(python, "--dry-run", "--ignore-installed", f"{ROOT}[{named}]", TRITON)
        print(f"{named}: install beside tritonclient", flush=True)
    return 0


def installed(folder: Path, *requirements: str) -> Path:
    """The Python of a new environment in which the requirements were installed one after the other."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for requirement in requirements:
        pip(python, requirement)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    return python


def pip(python: Path, *arguments: str) -> None:
    """Run `pip install`; raises CalledProcessError."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def serve_and_ask(python: Path, scratch: Path) -> None:
    """Start `zkinfer serve` on an empty repository and ask it with tritonclient; raises CalledProcessError."""
    (scratch / "models").mkdir()
    options = ["--repository", scratch / "models", "--state", scratch / "state", "--workers", "0", "--json"]
    options += ["--listen", "127.0.0.1:0", "--insecure-no-tls", "--insecure-anonymous"]
    command = [python.with_name("zkinfer"), "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            lines = takewhile(lambda line: line != "}\n", server.stdout)  # it ends early if the server does not start
            address = json.loads("".join(lines) + "}")["address"]
            subprocess.run([python, "-c", CLIENT, address], check=True, timeout=60)
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
