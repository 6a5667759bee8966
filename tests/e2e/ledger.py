"""A record, kept by callers, of acknowledged jobs: how each ended, and whether that ever changed."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import numpy as np
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.longrunning.operations_proto_pb2 import GetOperationRequest, ListOperationsRequest, Operation

from zkinfer.circuits.home import Home
from zkinfer.circuits.manifest import MODEL, Circuit
from zkinfer.v1.proofs_pb2 import GetAttestationRequest
from zkinfer.v1.proofs_pb2_grpc import ProofsStub
from zkinfer.v1.values_pb2 import Proof, ProofMetadata
from zkinfer.verifier import AllOf, ModelIs, Trusted, UnsafeAcceptDevSetup, Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_SECONDS = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Acknowledged:
    """One inference as seen by its caller when the server accepted the job."""

    operation: str
    request_id: str | None
    inputs: Array
    outputs: Array
    parameters: dict[str, str]


@dataclass(slots=True)
class Ledger:
    """A thread-safe record; `contradictions` lists violated guarantees of the server."""

    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    finished: dict[str, str] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    contradictions: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, one: Acknowledged) -> None:
        """Record an acknowledgement; the same request must always have the same operation."""
        with self.lock:
            before = self.acknowledged.setdefault(one.operation, one)
            if before.request_id != one.request_id:
                self.contradictions.append(f"{one.operation} is for {before.request_id} and for {one.request_id}")

    def repeated(self, first: str, second: str) -> None:
        """Record the result of a repeated request."""
        if first != second:
            with self.lock:
                self.contradictions.append(f"one request, two operations: {first}, {second}")

    def saw(self, operation: Operation) -> None:
        """Record a finished operation; its outcome must never change."""
        ending = ending_of(operation)
        with self.lock:
            before = self.finished.setdefault(operation.name, ending)
            if before != ending:
                self.contradictions.append(f"{operation.name} ended as {before}, then as {ending}")

    def unfinished(self) -> int:
        """Acknowledged jobs whose end was not yet seen."""
        with self.lock:
            return len(self.acknowledged.keys() - self.finished.keys())


def ending_of(operation: Operation) -> str:
    """The outcome of an operation: the digest of its attestation, or the reason of its failure."""
    if operation.HasField("error"):
        return f"error {operation.error.code}: {operation.error.message}"
    proof = Proof()
    operation.response.Unpack(proof)
    return proof.attestation_digest


def look(channel: grpc.Channel, ledger: Ledger) -> None:
    """Record all finished operations."""
    for operation in operations(channel, "done = true"):
        ledger.saw(operation)


def operations(channel: grpc.Channel, filter_: str = "") -> Iterator[Operation]:
    """All operations of the caller, newest first."""
    stub, token = OperationsStub(channel), ""
    while True:
        asked = ListOperationsRequest(name="operations", filter=filter_, page_size=100, page_token=token)
        page = stub.ListOperations(asked, timeout=_SECONDS)
        yield from page.operations
        token = page.next_page_token
        if not token:
            return


def metadata_of(operation: Operation) -> ProofMetadata:
    """The metadata of an operation."""
    found = ProofMetadata()
    operation.metadata.Unpack(found)
    return found


def attestation_of(channel: grpc.Channel, operation: str) -> bytes:
    """Download an attestation."""
    pieces = ProofsStub(channel).GetAttestation(GetAttestationRequest(operation=operation), timeout=_SECONDS)
    return b"".join(piece.data for piece in pieces)


@dataclass(slots=True)
class Verdict:
    """The result of an audit in numbers; `faults` describes every violation."""

    acknowledged: int = 0
    attested: int = 0
    failed: int = 0
    lost: int = 0
    duplicates: int = 0
    faults: list[str] = field(default_factory=list)


def audit(channel: grpc.Channel, ledger: Ledger, circuit: Path, home: Path) -> Verdict:
    """Query every acknowledged job again, and verify its attestation like an auditor.

    A job is lost if it is unknown or not done. A duplicate is a job whose end changed, or a request with two jobs.
    """
    verdict = Verdict(acknowledged=len(ledger.acknowledged), faults=list(ledger.contradictions))
    verifier, policy = _verifier(circuit, home)
    for one in ledger.acknowledged.values():
        _audit_one(channel, one, ledger, verdict, verifier, policy)
    keys = Counter(metadata_of(one).request_id for one in operations(channel))
    twice = [key for key, count in keys.items() if key and count > 1]
    verdict.faults += [f"the request {key} has several jobs" for key in twice]
    verdict.duplicates = len(twice) + len(ledger.contradictions)
    return verdict


def _audit_one(
    channel: grpc.Channel, one: Acknowledged, ledger: Ledger, verdict: Verdict, verifier: Verifier, policy: AllOf
) -> None:
    try:
        operation = OperationsStub(channel).GetOperation(GetOperationRequest(name=one.operation), timeout=_SECONDS)
    except grpc.RpcError as err:
        verdict.lost += 1
        verdict.faults.append(f"{one.operation} is gone: {err.code()}")
        return
    if not operation.done:
        verdict.lost += 1
        verdict.faults.append(f"{one.operation} never ended")
        return
    if ledger.finished.get(one.operation, ending_of(operation)) != ending_of(operation):
        verdict.faults.append(f"{one.operation} ended otherwise than was seen before")
    if operation.HasField("error"):
        verdict.failed += 1
        verdict.faults.append(f"{one.operation} failed: {operation.error.message}")
        return
    proven = verifier.verify(attestation_of(channel, one.operation), policy, expected_inputs={"x": one.inputs})
    verdict.attested += 1
    if str(proven.attestation_digest) != ending_of(operation):
        verdict.faults.append(f"{one.operation} has another attestation than it says")
    if not np.array_equal(proven.outputs["y"].astype(np.float32), one.outputs):
        verdict.faults.append(f"{one.operation} proves another answer than was given")
    if proven.context.request_id != one.parameters["zkinfer_context_request_id"]:
        verdict.faults.append(f"{one.operation} is proven for another request")


def _verifier(circuit: Path, home: Path) -> tuple[Verifier, AllOf]:
    own, opened = Home(home), Circuit.open(circuit)
    verifier = Verifier(trusted=Trusted.of([circuit / MODEL], own.setups, own.rebuilt))
    return verifier, AllOf(ModelIs(opened.model_id), UnsafeAcceptDevSetup())
