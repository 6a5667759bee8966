from dataclasses import replace

import pytest
from tests.integration import bench

from zkinfer.prover import Prover


@pytest.fixture(scope="session")
def home(run_folder):
    return bench.home_in(run_folder)


@pytest.fixture(scope="session")
def digits(run_folder):
    return bench.digits_circuit(run_folder)


@pytest.fixture(scope="session")
def honest(home, digits):
    """A good attestation of the first held-out image."""
    return Prover(home=home).prove(digits, bench.image(0), bench.CONTEXT)


@pytest.fixture(scope="session")
def other(home, digits):
    """A good attestation of another image."""
    return Prover(home=home).prove(digits, bench.image(1), bench.CONTEXT)


@pytest.fixture(scope="session")
def real_home(run_folder):
    """A home that finds files of real ceremonies; skips tests if there are none."""
    home = replace(bench.home_in(run_folder / "ceremonies"), setup_search=bench.SETUP_FOLDERS)
    if not any(setup.ceremony == "hermez" and setup.k >= 11 for setup in home.setups.list()):
        pytest.skip("no file of the hermez ceremony: put one into ../shared/srs or a folder in ZKINFER_SETUP_PATH")
    return home
