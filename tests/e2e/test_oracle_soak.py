"""A short soak: daemons, chains and sources fail, signers lie, and the record obeys every rule."""

import os
import re
import subprocess
import sys

import pytest
from tests.integration import bench
from tests.paths import ROOT

from zkinfer.circuits.engines import engine_named

pytestmark = [pytest.mark.slow, pytest.mark.alone]
ROUNDS, SEED = 12, 1


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the command says of a record that obeys every rule."""
    bench.skip_without_anvil()
    if reason := engine_named("ashlar").unavailable:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("soak")
    command = [sys.executable, "-m", "benchmarks.oracle_soak", "--rounds", str(ROUNDS), "--seed", str(SEED)]
    done = subprocess.run(
        [*command, "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "ZKINFER_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def figure(page, name):
    return int(re.search(rf"^\| {name} \| ([\d,]+) \|$", page, re.MULTILINE)[1].replace(",", ""))


def test_faults_break_no_rule(page):
    assert figure(page, "broken rules") == 0
    assert figure(page, "rounds on chains, counted on each") >= ROUNDS


def test_faults_happened(page):
    assert re.search(r"^\| (daemon|node|source): .* \| [1-9]\d* \|$", page, re.MULTILINE)


def test_consumers_read_answers_and_are_refused_the_betrayed_feed(page):
    assert figure(page, "readings of faces") > 0
    assert figure(page, "readings that a face refused") > 0


def test_audits_find_every_report_as_it_should_be(page):
    assert figure(page, "reports that were audited from chain data and published files") > ROUNDS
    assert figure(page, "of them lies of the signers, which do not hold") > 0
