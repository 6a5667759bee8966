"""The page about three operators, as written: only the ports are others, since those may be taken."""

import re
import shutil
import signal

import pytest
from tests.e2e.pages import DEFAULT_NODE, follow, lines_of
from tests.e2e.shell import Shell
from tests.e2e.test_chain import EMBEDDED, Chain
from tests.paths import ROOT
from tests.unit.oracle import volatility

from zkinfer.contracts.devchain import free_port

pytestmark = [pytest.mark.slow, pytest.mark.nightly]  # the page waits for rounds: minutes, in which nothing is done
PAGE = (ROOT / "docs/guides/three-operators.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples/three-operators"
PORTS = ("8091", "8092", "8093", "8100")


def moved(text, places):
    for old, new in places.items():
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def done(run_folder, tmp_path_factory):
    """The page's lines after they were executed."""
    volatility.circuit_in(run_folder)  # skips without the engine's core
    folder, base = tmp_path_factory.mktemp("three") / "three", tmp_path_factory.mktemp("home")
    for example in (volatility.EXAMPLE, EXAMPLE):
        shutil.copytree(example, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shell = Shell(volatility.home_in(base).root, folder)
    chain = Chain(shell, *EMBEDDED)
    places = {f":{port}": f":{free_port()}" for port in PORTS} | {DEFAULT_NODE: chain.start["rpc"]}
    for path in [folder / "source.toml", *folder.glob("op?/feeds.toml")]:
        path.write_text(moved(path.read_text(), places))
    script = moved(lines_of(PAGE), places).replace("http.server 8100", f"http.server {places[':8100'][1:]}")
    try:
        yield follow(shell, script, chain.start["rpc"], timeout=500)
    finally:
        chain.end(signal.SIGTERM)


def test_every_line_of_the_page_succeeds(done):
    assert done.returncode == 0, done.stderr


def test_feed_is_fresh_before_and_after_one_source_lies(done):
    assert len(re.findall(r"^wti-vol +dev +fresh ", done.stdout, re.MULTILINE)) == 2


def test_operator_whose_source_lies_reads_why_nobody_signs(done):
    assert "Number 0 of the other observation is 151.46; here it is 51.46" in done.stdout
    assert "151.46" in PAGE


def test_audit_finds_every_round_in_the_servers_of_the_three(done):
    held, made = map(int, re.search(r"^(\d+) of (\d+) reports hold$", done.stdout, re.MULTILINE).groups())
    assert held == made >= 4
