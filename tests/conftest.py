import os
import sys

import pytest
from tests import postgres

_RECURSION_LIMIT = sys.getrecursionlimit()


def pytest_runtest_setup():
    """Undo the effect of importing web3: with 100,000 levels allowed, deep JSON would crash the process."""
    sys.setrecursionlimit(_RECURSION_LIMIT)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """The base folder of this test run, shared by all tests of the real engine."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def postgres_url():
    """The URL of a PostgreSQL server; skips if there is none."""
    if named := os.environ.get("ZKINFER_TEST_POSTGRES"):
        yield named
        return
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL: ZKINFER_TEST_POSTGRES names none, and neither initdb nor its package is installed")
    url, stop = postgres.start()
    yield url
    stop()
