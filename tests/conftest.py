import os
import sys

import pytest
from tests import postgres

_RECURSION_LIMIT = sys.getrecursionlimit()


def pytest_runtest_setup():
    """Undo what a test that imports web3 itself does: deep JSON would end the process at 100,000 levels."""
    sys.setrecursionlimit(_RECURSION_LIMIT)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The folder of this run, shared by all tests of the real engine."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def postgres_url():
    """A PostgreSQL server, or the reason why there is none."""
    if named := os.environ.get("ZKINFER_TEST_POSTGRES"):
        yield named
        return
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL: ZKINFER_TEST_POSTGRES names none, and neither initdb nor its package is installed")
    url, stop = postgres.start()
    yield url
    stop()
