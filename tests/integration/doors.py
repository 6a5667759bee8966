"""The paths by which an auditor can have an attestation verified; each says what it found about many files."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import grpc
import numpy as np
from grpc import aio
from tests.unit.service import queue_server
from typer.testing import CliRunner

from zkinfer.cli.evm_opinion import EvmVerifier
from zkinfer.cli.main import app
from zkinfer.client.values import messages_of
from zkinfer.service.request_reader import RequestMemory
from zkinfer.service.verification import VerificationService
from zkinfer.ui.forms import File
from zkinfer.ui.verification import Auditor, Requirements
from zkinfer.v1.proofs_pb2 import VerifyAttestationRequest
from zkinfer.verifier import RefusedError, Trusted, Verifier, errors, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.assets.make_refusals import Case

    from zkinfer.circuits import Home

ACCEPTED: Final = "accepted"
Verdicts = dict[str, str]
"""For every case `accepted`, or the name of the error that refused it."""
# The command and the page require the ONNX file by themselves.
PIN_THE_MODEL: Final = frozenset({"empty-policy"})


def by_verifier(cases: list[Case], model: Path, home: Home, _: Path) -> Verdicts:
    """`Verifier.verify`, with a second opinion."""
    trusted = Trusted.of([model], home.setups, home.rebuilt)
    verifier = Verifier(trusted=trusted, second_opinion=True, independent={"ezkl": EvmVerifier()})

    def verdict(case: Case) -> str:
        try:
            verifier.verify(case.data, load_policy(_policy(case)), expected_inputs=_expected(case))
        except RefusedError as err:
            return type(err).__name__
        return ACCEPTED

    return {case.name: verdict(case) for case in cases}


def by_command(cases: list[Case], model: Path, home: Home, folder: Path) -> Verdicts:
    """`zkinfer verify --second-opinion`; its exit status must fit its report."""
    policy, data, expected = (folder / name for name in ("policy.json", "attestation.json", "input.json"))

    def verdict(case: Case) -> str:
        data.write_bytes(case.data)
        policy.write_bytes(_policy(case))
        words = ["verify", str(data), "--model", str(model), "--policy", str(policy), "--second-opinion", "--json"]
        if case.expected_inputs:
            expected.write_text(json.dumps(case.expected_inputs))
            words += ["--input", str(expected)]
        done = CliRunner(env={"ZKINFER_HOME": str(home.root)}).invoke(app, words)
        report = json.loads(done.stdout)
        found: str = ACCEPTED if report["ok"] else report["error"]["type"]
        return found if done.exit_code == (0 if report["ok"] else 1) else f"{found}, exit {done.exit_code}"

    return {case.name: verdict(case) for case in cases if case.name not in PIN_THE_MODEL}


def by_page(cases: list[Case], model: Path, home: Home, _: Path) -> Verdicts:
    """What the page does with uploaded files."""
    auditor = Auditor(home=home, independent={"ezkl": EvmVerifier()})

    def verdict(case: Case) -> str:
        expected = json.dumps(case.expected_inputs).encode()
        required = Requirements(
            attestation=File("attestation.json", case.data),
            model=File("model.onnx", model.read_bytes()),
            policy=File("policy.json", _policy(case)),
            expected_input=File("input.json", expected) if case.expected_inputs else None,
            second_opinion=True,
        )
        checked = auditor.check(required, lambda _: None)
        refusal = checked.verdict.refusal
        found = ACCEPTED if refusal is None else type(refusal).__name__
        told = checked.report.outcome == "refused"
        return found if told == (refusal is not None) else f"{found}, but the report says {checked.report.outcome}"

    return {case.name: verdict(case) for case in cases if case.name not in PIN_THE_MODEL}


def by_server(cases: list[Case], model: Path, home: Home, folder: Path) -> Verdicts:
    """`VerifyAttestation` over gRPC, with a real server; it gives no second opinions."""
    with queue_server.own_logging():
        return asyncio.run(_served(cases, model, home, folder))


async def _served(cases: list[Case], model: Path, home: Home, folder: Path) -> Verdicts:
    with queue_server.backend(SimpleNamespace(home=home, model=model), folder) as backend:
        backend.verifications.close()
        backend.verifications = VerificationService(home)
        backend.memory = RequestMemory(32 << 20, 256 << 20)
        async with queue_server.served(backend) as served:
            return {case.name: await _asked(served, case) for case in cases}


async def _asked(served: queue_server.Served, case: Case) -> str:
    request = VerifyAttestationRequest(
        attestation=case.data, policy=_policy(case).decode(), expected_inputs=messages_of(_expected(case) or {})
    )
    try:
        await served.proofs.VerifyAttestation(request)
    except aio.AioRpcError as err:
        reason = queue_server.details(err)["ErrorInfo"].reason
        expected = {grpc.StatusCode.INVALID_ARGUMENT}
        return _REASONS.get(reason, reason) if err.code() in expected else f"{err.code()}, {reason}"
    return ACCEPTED


_REASONS: Final = {
    "".join(f"_{letter}" if letter.isupper() else letter for letter in name.removesuffix("Error"))[1:].upper(): name
    for name in vars(errors)
    if name.endswith("Error")
}
"""The class of each reason that a server gives."""

DOORS: Final[dict[str, Callable[[list[Case], Path, Home, Path], Verdicts]]] = {
    "verifier": by_verifier,
    "command": by_command,
    "page": by_page,
    "server": by_server,
}


def _policy(case: Case) -> bytes:
    return json.dumps({"version": 1, "allOf": case.rules}).encode()


def _expected(case: Case) -> dict[str, np.ndarray] | None:
    expected = case.expected_inputs
    return expected and {name: np.array(value, np.float32) for name, value in expected.items()}
