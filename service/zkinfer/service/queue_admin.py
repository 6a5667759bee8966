"""Access to a server's queue by its operator on the same machine, even while the server runs."""

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
    """Open the jobs of all identities in a state folder.

    Args:
        state: the server's state folder.
        url: of the database; None for SQLite in the folder.

    Raises:
        InputError: the folder or its database does not exist; neither is created.
        StoreError: the database cannot be opened.
    """
    if not (state / "artifacts").is_dir():
        raise InputError(
            f"{state} is not the state folder of a server.", "Give the folder of `zkinfer serve` with --state."
        )
    if url is None and not embedded_store(state).exists():
        raise InputError(
            f"{state} holds no jobs; the server stores them in another database.",
            "Give the server's settings with --config, or the database with --store.",
        )
    store = JobStore(store_url(state, url), ArtifactStore(state / "artifacts"))
    try:
        yield store
    finally:
        store.close()


def newest_jobs(store: JobStore, status: str | None, model: str | None, most: int) -> list[Job]:
    """Up to `most` jobs, newest first; raises InputError for an unknown state."""
    if status is not None and status not in set(JobState):
        raise InputError(f"{status!r:.40} is not a state.", f"The states are {', '.join(JobState)}.")
    states = () if status is None else (JobState(status),)
    found: list[Job] = []
    token: str | None = ""
    while token is not None and len(found) < most:
        page = store.page(states=states, model=model, size=min(_PAGE, most - len(found)), token=token)
        found += page.jobs
        token = page.next_token
    return found
