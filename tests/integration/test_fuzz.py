"""Every parser of bytes from outside under a fuzzer: seconds in each run, an hour nightly."""

import subprocess
import sys

import pytest
from tests.fuzz.targets import TARGETS
from tests.paths import ROOT

pytest.importorskip("zkinfer_ashlar", reason="the core of Ashlar is not installed")
pytestmark = pytest.mark.slow
NIGHTLY_SECONDS = 3600 // len(TARGETS)


def fuzz(target, seconds, corpus):
    command = (sys.executable, "-m", "tests.fuzz.run", target, "--seconds", str(seconds), "--corpus", str(corpus))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds + 300)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_good_inputs_are_accepted(target):
    seeds = TARGETS[target].seeds()
    assert seeds
    assert all(TARGETS[target].try_on(seed) for seed in seeds)


@pytest.mark.parametrize("target", TARGETS)
def test_bytes_that_are_nothing_are_refused(target):
    if target not in ("compiled", "consent"):  # the engine itself reads what is not understood; silence is no error
        assert not TARGETS[target].try_on(b"\0\1 nothing")


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzer_finds_no_fault_in_seconds(target, tmp_path):
    pytest.importorskip("atheris", reason="atheris is not installed; it exists for Linux")
    status, output = fuzz(target, 3, tmp_path)
    assert status == 0, output[-3000:]
    assert "stat::number_of_executed_units" in output


def test_fuzzer_finds_a_fault(tmp_path):
    """With a target that raises what is no error of zkinfer."""
    pytest.importorskip("atheris", reason="atheris is not installed; it exists for Linux")
    status, output = fuzz("faulty", 60, tmp_path)
    assert status != 0
    assert "ZeroDivisionError" in output
    assert list(tmp_path.glob("crash-*"))


@pytest.mark.nightly
@pytest.mark.timeout(NIGHTLY_SECONDS + 600)
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzer_finds_no_fault_in_minutes(target, tmp_path):
    pytest.importorskip("atheris", reason="atheris is not installed; it exists for Linux")
    status, output = fuzz(target, NIGHTLY_SECONDS, tmp_path)
    assert status == 0, output[-3000:]
