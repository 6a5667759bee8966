"""Fixtures that run the same tests on every available database."""

import pytest
from tests import postgres
from tests.unit.prover.queue import RETRY_POLICY, Queue


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue/jobs.db"
    return postgres.emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture
def queue(url, tmp_path, request):
    """A queue, whose retry policy can be set by indirect parametrisation."""
    opened = Queue(url, tmp_path, getattr(request, "param", RETRY_POLICY))
    yield opened
    opened.close()


@pytest.fixture
def embedded(tmp_path):
    """A queue in SQLite, for tests that are independent of the database."""
    opened = Queue(f"sqlite:///{tmp_path}/queue/jobs.db", tmp_path)
    yield opened
    opened.close()
