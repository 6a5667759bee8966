"""The page for creators, as written, on a chain of its own."""

import os
import re
import shutil
import signal
import subprocess

import pytest
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.e2e.test_three_operators import lines_of
from tests.paths import PROGRAM, ROOT

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/start/creator.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def done(home, tmp_path_factory):
    """The page's lines after they were executed."""
    folder = tmp_path_factory.mktemp("works")
    shutil.copy(ROOT / "examples/studio/painted.png", folder)
    shell = Shell(folder / "home", folder)
    chain = Chain(shell, *EMBEDDED)
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**shell.environment, "PATH": path, "ZKINFER_RPC_URL": chain.start["rpc"]}
    command = ["bash", "-c", f"set -e -o pipefail\n{lines_of(PAGE)}"]
    try:
        yield subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        chain.end(signal.SIGTERM)


def test_every_line_of_the_page_succeeds(done):
    assert done.returncode == 0, done.stderr


def test_picture_is_trusted_and_its_origin_claimed(done):
    assert "a given root vouches for the signer" in done.stdout
    assert "claimed  A person made it, without a model." in done.stdout


def test_licence_covers_its_own_subject_and_use_alone(done):
    lines = re.findall(r"^licence 1 .*$", done.stdout, re.MULTILINE)
    assert lines == [
        "licence 1 ✓ covers acme.example (the buyer's claim)",
        "licence 1 ✗ does not cover other.example (the buyer's claim)",
        "licence 1 ✗ does not cover acme.example (the buyer's claim)",
    ]


def test_remix_shares_with_its_original_to_the_wei(done):
    assert re.search(r"^parent +0x[0-9a-f]+ gets 10 % of its income$", done.stdout, re.MULTILINE)
    assert re.search(r"^withdrawn +0\.025 ether$", done.stdout, re.MULTILINE)
