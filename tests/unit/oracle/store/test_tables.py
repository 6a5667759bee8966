import pytest
from sqlalchemy import update

from zkinfer.oracle.store import Store
from zkinfer.oracle.store.tables import SCHEMA_VERSION, state
from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs.database import open_database


def test_database_of_a_newer_version_is_refused(url, store):
    newer = update(state).values(schema_version=SCHEMA_VERSION + 1)
    store._database.write(lambda connection: connection.execute(newer))
    with pytest.raises(StoreError, match="has schema 2; this version of zkinfer supports 1"):
        Store.open(url)


def test_database_can_hold_jobs_too(url, store):
    open_database(url).close()
    assert store.rounds.counts() == {}
