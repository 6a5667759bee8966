"""The same tests on every database that is there."""

import pytest
from tests import postgres
from tests.unit.prover.queue import RETRY_POLICY, Queue


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue/jobs.db"
    return postgres.emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture
def queue(url, tmp_path, request):
    """A queue; its retry_policy may be given by `indirect` parametrisation."""
    opened = Queue(url, tmp_path, getattr(request, "param", RETRY_POLICY))
    yield opened
    opened.close()


@pytest.fixture
def embedded(tmp_path):
    """A queue in a file, for what does not differ between databases."""
    opened = Queue(f"sqlite:///{tmp_path}/queue/jobs.db", tmp_path)
    yield opened
    opened.close()
