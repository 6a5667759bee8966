import pytest
from tests import postgres

from zkinfer.oracle.store import Store


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/oracle/oracle.db"
    return postgres.emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url):
    """A store in an empty database."""
    with Store.open(url) as opened:
        yield opened
