"""The services' implementations, which every door of the server shares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.manifest import MODEL
from zkinfer.service.dependencies import limits_for
from zkinfer.service.limits import ConcurrencyLimiter, MemoryBudget
from zkinfer.service.oip import AttestationWaiter, InferenceServicer
from zkinfer.service.submission import Submitter
from zkinfer.service.v1 import EndTimeEstimator, OperationsServicer
from zkinfer.service.v1.models import ModelsServicer
from zkinfer.service.v1.proofs import ProofsServicer
from zkinfer.service.v1.works import WorksServicer, too_many_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zkinfer.service.background import JobWatcher
    from zkinfer.service.dependencies import Dependencies
    from zkinfer.service.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicers:
    """One of each service. They hold the sessions, jobs, limits and statistics, and know nothing of transports."""

    inference: InferenceServicer
    operations: OperationsServicer
    proofs: ProofsServicer
    models: ModelsServicer
    works: WorksServicer


def make_servicers(
    dependencies: Dependencies,
    *,
    watcher: JobWatcher,
    submitter: Submitter,
    waiting: ConcurrencyLimiter,
    memory: MemoryBudget,
) -> Servicers:
    """Make the services of a server.

    Args:
        dependencies: of the server.
        watcher: of its jobs.
        submitter: of its requests.
        waiting: limits the calls that wait.
        memory: for the attestations that are sent.
    """
    operations = OperationsServicer(
        store=dependencies.store,
        watcher=watcher,
        estimates=EndTimeEstimator(dependencies.capacity.workers),
        longest_wait=dependencies.settings.limits.wait_seconds,
        waiting=waiting,
        page_size=dependencies.settings.limits.page_size,
    )
    proofs = ProofsServicer(
        operations=operations,
        artifacts=dependencies.artifacts,
        verifications=dependencies.verifications,
        models=lambda identity: _model_files(dependencies, identity),
        repository=dependencies.repository,
        submitter=submitter,
        metrics=dependencies.metrics,
        memory=memory,
    )
    models = ModelsServicer(
        repository=dependencies.repository,
        estimator=dependencies.estimator,
        page_size=dependencies.settings.limits.page_size,
    )
    inference = _inference(dependencies, watcher, submitter, waiting, memory)
    most = dependencies.settings.limits.concurrent_files
    works = WorksServicer(
        directory=dependencies.works,
        files=ConcurrencyLimiter(most, too_many_files),
        threads=ThreadPoolExecutor(most, thread_name_prefix="files"),
    )
    return Servicers(inference=inference, operations=operations, proofs=proofs, models=models, works=works)


def _inference(
    dependencies: Dependencies,
    watcher: JobWatcher,
    submitter: Submitter,
    waiting: ConcurrencyLimiter,
    memory: MemoryBudget,
) -> InferenceServicer:
    return InferenceServicer(
        repository=dependencies.repository,
        submitter=submitter,
        attestations=AttestationWaiter(watcher, dependencies.artifacts, memory),
        metrics=dependencies.metrics,
        draining=watcher.closed,
        waiting=waiting,
        streamed=MemoryBudget(dependencies.settings.limits.concurrent_calls // 2),
        default_mode=dependencies.proof_mode,
    )


def make_submitter(dependencies: Dependencies, memory: MemoryBudget) -> Submitter:
    """Make what answers requests and submits jobs; `memory` is for the requests that are being answered."""
    return Submitter(
        answers=dependencies.answers,
        store=dependencies.store,
        estimator=dependencies.estimator,
        limits=lambda identity: limits_for(identity, dependencies.settings, dependencies.capacity),
        memory=memory,
    )


def _model_files(dependencies: Dependencies, identity: Identity) -> Mapping[Digest, Path]:
    """The ONNX files against which an identity may verify attestations."""
    names = {entry.name for entry in dependencies.repository.index() if identity.rights.may_use(entry.name)}
    circuits = [model.circuit for name in names for model in dependencies.repository.versions(name)]
    return {Digest.parse(circuit.manifest.identity.model): circuit.folder / MODEL for circuit in circuits}
