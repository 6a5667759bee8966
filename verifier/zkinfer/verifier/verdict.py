"""The verdict on an attestation, with the result of each step, and its JSON form."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import describe
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.verifier.attestation import Attestation, read_attestation
from zkinfer.verifier.errors import RecordUnavailableError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.verifier.errors import Status, Step
    from zkinfer.verifier.inference import ChainRecord, RecordedAnswer, VerifiedInference
    from zkinfer.verifier.policy import Policy
    from zkinfer.verifier.verifier import Verifier

    ExpectedInputs = Callable[[Attestation], Mapping[str, NDArray[np.generic]]]

_SETUP = 2  # the step that accepts the trusted setup
_WORST_FIRST: tuple[Status, ...] = ("failed", "not_reached", "skipped")


@dataclass(slots=True)
class Verdict:
    """The outcome of a verification. The attestation is accepted only if `inference` is set.

    Args:
        steps: in the order in which they were reported.
        inference: the verified inference; None if the attestation was rejected.
        refusal: why the attestation was rejected, or why the chain's record, which was required, cannot be read.
        claimed_request: the request id that the file names, unverified; empty if it names none.
        digest: of the bytes of the file.
        claimed_setup: the ceremony that the file names, unverified; empty if it names none.
        seconds: the duration of the verification.
    """

    steps: list[Step] = field(default_factory=list)
    inference: VerifiedInference | None = None
    refusal: RefusedError | RecordUnavailableError | None = None
    claimed_request: str = ""
    claimed_setup: str = ""
    digest: str = ""
    seconds: float = 0.0

    def status(self, *numbers: int) -> Status:
        """The worst status among these steps; a step that was not reported counts as not reached."""
        reported: dict[int, Status] = {step.number: step.status for step in self.steps}
        found = {reported.get(number, "not_reached") for number in numbers} or {"not_reached"}
        return next((status for status in _WORST_FIRST if status in found), "passed")

    @property
    def forgeable(self) -> bool:
        """Whether the proof is, or claims to be, under the development setup, where anyone can forge proofs."""
        named = any(step.number == _SETUP and INSECURE_DEV in step.detail for step in self.steps)
        return named or self.claimed_setup == INSECURE_DEV


def verdict_on(
    verifier: Verifier,
    attestation: Path | bytes,
    policy: Policy,
    *,
    expected_inputs: ExpectedInputs | None = None,
    record: ChainRecord | None = None,
    observer: Callable[[Step], None] | None = None,
) -> Verdict:
    """Verify an attestation and return the verdict; a rejection is returned, not raised.

    So is a record that cannot be read: the other steps have their results, and nothing is accepted.

    Args:
        verifier: with the trusted models, setups and engines.
        attestation: a file or its bytes.
        policy: what the caller requires.
        expected_inputs: returns the inputs to compare with, in the shapes that the attestation claims.
        record: if given, must confirm that a chain has recorded this answer.
        observer: called with each step as it ends.

    Raises:
        ZkinferError: no verdict, as in `Verifier.verify`, or the file cannot be read.
    """
    verdict = Verdict()

    def reported(step: Step) -> None:
        verdict.steps.append(step)
        if observer is not None:
            observer(step)

    start = time.perf_counter()
    try:
        data = read_attestation(attestation) if isinstance(attestation, Path) else attestation
        verdict.digest = str(sha256(data))
        claim = _parsed(data)
        if claim is not None:
            verdict.claimed_request = claim.predicate.context.request_id
            verdict.claimed_setup = claim.predicate.recipe.setup.ceremony
        expected = None if claim is None or expected_inputs is None else expected_inputs(claim)
        verdict.inference = verifier.verify(data, policy, expected_inputs=expected, record=record, observer=reported)
    except (RefusedError, RecordUnavailableError) as err:
        verdict.refusal = err
    verdict.seconds = round(time.perf_counter() - start, 4)
    return verdict


def _parsed(data: bytes) -> Attestation | None:
    """The unverified attestation; None if it is malformed, so that the first step will reject it."""
    try:
        return Attestation.from_bytes(data)
    except RefusedError:
        return None


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """The JSON form of a verdict; `ok` is true only for an accepted attestation."""
    document: dict[str, Any] = {
        "ok": verdict.inference is not None,
        "steps": [
            {"number": step.number, "title": step.title, "status": step.status, "detail": step.detail}
            for step in verdict.steps
        ],
        "timings": {"verify": verdict.seconds},
    }
    if verdict.refusal is not None:
        document["error"] = describe(verdict.refusal)
    if verdict.inference is not None:
        document |= _inference_document(verdict.inference)
    return document


def _inference_document(inference: VerifiedInference) -> dict[str, Any]:
    return {
        "modelId": inference.model_id,
        "identity": inference.identity.model_dump(mode="json", by_alias=True),
        "attestationDigest": str(inference.attestation_digest),
        "inputs": {name: values.tolist() for name, values in inference.inputs.items()},
        "outputs": {name: values.tolist() for name, values in inference.outputs.items()},
        "context": inference.context.model_dump(mode="json", by_alias=True),
        "signer": inference.signer,
        "ephemeral": inference.ephemeral,
        "onExpectedInput": inference.on_expected_input,
        "setup": inference.recipe.setup.ceremony,
        "engine": inference.recipe.engine,
        "labels": list(inference.labels),
        "experimental": inference.experimental,
        "record": None if inference.recorded is None else record_document(inference.recorded),
    }


def record_document(recorded: RecordedAnswer) -> dict[str, Any]:
    """The JSON form of a record on a chain."""
    return {
        "chainId": recorded.chain_id,
        "ledger": recorded.ledger,
        "listing": recorded.listing,
        "recordedAt": recorded.recorded_at.isoformat().replace("+00:00", "Z"),
        "block": recorded.block,
        "blockHash": recorded.block_hash,
        "confirmations": recorded.confirmations,
        "finalised": recorded.confirmations is None,
        "nodes": recorded.nodes,
        "code": [{"name": one.name, "address": one.address, "keccak256": one.code_hash} for one in recorded.code],
    }
