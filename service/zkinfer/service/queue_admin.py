"""The queue of a server, for its operator on the same machine; the server may run meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobState, JobStore
from zkinfer.service.settings import embedded_store, store_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.prover.jobs import Job

_PAGE = 500


@contextmanager
def opened_queue(state: Path, url: str | None) -> Iterator[JobStore]:
    """The jobs of a state folder, everybody's.

    Args:
        state: of the server.
        url: of the database; None for SQLite in the folder.

    Raises:
        InputError: there is none; none is made.
        StoreError: it cannot be opened.
    """
    if not (state / "artifacts").is_dir():
        raise InputError(f"{state} is no state folder of a server.", "Give the one of `zkinfer serve` with --state.")
    if url is None and not embedded_store(state).exists():
        raise InputError(
            f"{state} holds no jobs: its server keeps them in another database.",
            "Give the settings of the server with --config, or name the database with --store.",
        )
    store = JobStore.open(store_url(state, url), ArtifactStore(state / "artifacts"))
    try:
        yield store
    finally:
        store.close()


def newest_jobs(store: JobStore, status: str | None, model: str | None, most: int) -> list[Job]:
    """Up to `most` jobs, newest first; raises InputError for a state that does not exist."""
    if status is not None and status not in set(JobState):
        raise InputError(f"{status!r:.40} is no state.", f"Known are {', '.join(JobState)}.")
    states = () if status is None else (JobState(status),)
    found: list[Job] = []
    token: str | None = ""
    while token is not None and len(found) < most:
        page = store.page(states=states, model=model, size=min(_PAGE, most - len(found)), token=token)
        found += page.jobs
        token = page.next_token
    return found
