from dataclasses import replace

import pytest
from tests.integration import bench

from zkinfer.prover import Prover


@pytest.fixture(scope="session")
def home(base):
    return bench.home_in(base)


@pytest.fixture(scope="session")
def digits(base):
    return bench.digits_circuit(base)


@pytest.fixture(scope="session")
def honest(home, digits):
    """A good attestation of the first held-out image."""
    return Prover(home=home).prove(digits, bench.image(0), bench.CONTEXT)


@pytest.fixture(scope="session")
def other(home, digits):
    """Honest too, about another image."""
    return Prover(home=home).prove(digits, bench.image(1), bench.CONTEXT)


@pytest.fixture(scope="session")
def real_home(base):
    """A home that finds the files of real ceremonies; tests that need them are skipped where there are none."""
    home = replace(bench.home_in(base / "ceremonies"), setup_search=bench.SETUP_FOLDERS)
    if not any(setup.ceremony == "hermez" and setup.k >= 11 for setup in home.setups.list()):
        pytest.skip("no file of the hermez ceremony: put one into ../shared/srs or a folder in ZKINFER_SETUP_PATH")
    return home
