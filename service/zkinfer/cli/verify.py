"""zkinfer verify."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.connect import rpc_url
from zkinfer.cli.chain.options import Connection
from zkinfer.cli.console import answer, describe, failing_politely, needing, plain, progress_display, say
from zkinfer.cli.options import AsJson, AttestationFile

if TYPE_CHECKING:
    from zkinfer.verifier import Attestation, ChainRecord, Policy, RefusedError, Step, Trusted, VerifiedInference


Rpc = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Require that a chain has the answer on record; the address of a node to ask.",
    ),
]
RpcFile = Annotated[
    Path | None, typer.Option(help="Read the node's URL, which may hold a key, from a file.", show_default=False)
]
LedgerAddress = Annotated[
    str | None,
    typer.Option("--ledger", metavar="0x...", help="The ledger that must have it, with --rpc.", show_default=False),
]
DeploymentFile = Annotated[
    Path | None,
    typer.Option(
        "--deployment", help="Or the file that `zkinfer chain deploy` wrote, which names it.", show_default=False
    ),
]
RequestFile = Annotated[
    Path | None,
    typer.Option("--request", help="The file of the request, for a node that keeps no old logs, with --rpc."),
]
Confirmations = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many blocks the record must have, its own included, with --rpc. Default: the chain must call it "
        "final.",
    ),
]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(slots=True)
class ChainWanted:
    """The record that the caller asks for, as given on the command line."""

    rpc: str | None = None
    rpc_file: Path | None = None
    ledger: str | None = None
    deployment: Path | None = None
    request: Path | None = None
    confirmations: int | None = None

    def __post_init__(self) -> None:
        """Refuse options that would go unused, and a chain without a ledger."""
        if self.rpc is not None and self.rpc_file is not None:
            raise typer.BadParameter("--rpc and --rpc-file both name a node: give one of them")
        if not self.asked:
            self._refuse_idle()
        elif (self.ledger is None) == (self.deployment is None):
            raise typer.BadParameter("--rpc needs a ledger to ask for: name it with --ledger, or with --deployment")
        if self.ledger is not None and _ADDRESS.fullmatch(self.ledger) is None:
            raise typer.BadParameter(f"{self.ledger!r} is no address: write it as 0x and 40 hex digits")

    @property
    def asked(self) -> bool:
        """Whether a chain is to be asked at all."""
        return self.rpc is not None or self.rpc_file is not None

    @property
    def url(self) -> str | None:
        """The node's URL, which may hold a secret; raises InputError for a file that cannot be read."""
        return rpc_url(Connection(self.rpc, self.rpc_file)) if self.asked else None

    def _refuse_idle(self) -> None:
        for name in ("ledger", "deployment", "request", "confirmations"):
            if getattr(self, name) is not None:
                raise typer.BadParameter(f"--{name} says something about a chain: name its node with --rpc")


def record_of(wanted: ChainWanted) -> ChainRecord | None:
    """What the verifier is to ask; None without --rpc. Only this loads what talks to chains.

    Raises:
        NodeError: the URL is not one of a node.
        LedgerError: the file of the deployment is not one.
        InputError: the file of the URL or of the request is not one, or a library is missing.
    """
    url = wanted.url
    if url is None:
        return None
    with needing("chain"):
        from zkinfer.chain import read_request
        from zkinfer.chain.records import LedgerRecord

    ledger = wanted.deployment or str(wanted.ledger).lower()
    request = None if wanted.request is None else read_request(wanted.request).request
    return LedgerRecord.over(url, ledger, confirmations=wanted.confirmations, request=request)


_MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[dim]–[/]", "not_reached": "[dim]·[/]"}


@dataclass(slots=True)
class Requirements:
    """What the caller asks of the attestation, as given on the command line."""

    model: Path
    circuit: Path | None
    policy: Path | None
    input_: Path | None
    signer: list[Path]
    request_id: str | None
    unsafe_accept_dev_setup: bool
    chain: ChainWanted = field(default_factory=ChainWanted)


@dataclass(slots=True)
class Verdict:
    """The steps as they are reported, and what came of them."""

    steps: list[Step] = field(default_factory=list)
    inference: VerifiedInference | None = None
    refusal: RefusedError | None = None
    claimed_request: str = ""
    seconds: float = 0.0

    def status(self, *numbers: int) -> str:
        """The worst status among these steps; a step that nobody reported was not reached."""
        reported: dict[int, str] = {step.number: step.status for step in self.steps}
        found = {reported.get(number, "not_reached") for number in numbers} or {"not_reached"}
        return next((status for status in ("failed", "not_reached", "skipped") if status in found), "passed")


def verify_command(
    attestation: AttestationFile,
    model: Annotated[Path, typer.Option(help="Your own copy of the ONNX file.", show_default=False)],
    circuit: Annotated[
        Path | None, typer.Option(help="Require this very circuit, and so its quantisation; a circuit folder.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Further requirements, as JSON; see docs/policies.md.")] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="Require that the answer is for this input.")] = None,
    signer: Annotated[
        list[Path] | None, typer.Option(metavar="KEY.pub", help="Require a signature by one of these keys; repeatable.")
    ] = None,
    request_id: Annotated[str | None, typer.Option(help="Require that the proof is for this request (0x...).")] = None,
    unsafe_accept_dev_setup: Annotated[
        bool,
        typer.Option("--unsafe-accept-dev-setup", help="Accept insecure-dev proofs, which anybody can forge."),
    ] = False,
    rpc: Rpc = None,
    rpc_file: RpcFile = None,
    ledger: LedgerAddress = None,
    deployment: DeploymentFile = None,
    request: RequestFile = None,
    confirmations: Confirmations = None,
    as_json: AsJson = False,
) -> None:
    """Check an attestation: accepted, or refused with the reason. Offline, unless you ask for a chain's record.

    Rebuilds the verifying key from your ONNX file and the settings that the attestation publishes, so nothing
    that the prover says is taken on trust. The first check of a model takes as long as making its keys; later ones
    take less than a second.

    Example: zkinfer verify answer.json --model digits.onnx --input image.json
    """
    chain = ChainWanted(rpc, rpc_file, ledger, deployment, request, confirmations)
    wanted = Requirements(model, circuit, policy, input_, signer or [], request_id, unsafe_accept_dev_setup, chain)
    with failing_politely(as_json=as_json):
        with progress_display(quiet=as_json) as display:
            display.progress("verify", 0.0)
            verdict = _judge(attestation, wanted)
        show(verdict, wanted)
        if as_json:
            answer(report(verdict))
    if verdict.refusal is not None:
        raise typer.Exit(1)


def _judge(path: Path, wanted: Requirements) -> Verdict:
    from zkinfer.circuits.home import Home
    from zkinfer.verifier import RefusedError, Trusted, Verifier, read_attestation

    home, verdict = Home.from_environment(), Verdict()
    trusted = Trusted.of([wanted.model], home.setups, home.rebuilt)
    policy, record = make_policy(trusted, wanted), record_of(wanted.chain)
    start = time.perf_counter()
    try:
        data = read_attestation(path)
        claim = _well_formed(data)
        if claim is not None:
            verdict.claimed_request = claim.predicate.context.request_id
        expected = None if claim is None or wanted.input_ is None else _expected_inputs(wanted.input_, claim)
        verdict.inference = Verifier(trusted=trusted).verify(
            data, policy, expected_inputs=expected, record=record, observer=verdict.steps.append
        )
    except RefusedError as err:
        verdict.refusal = err
    verdict.seconds = round(time.perf_counter() - start, 4)
    return verdict


def make_policy(trusted: Trusted, wanted: Requirements) -> Policy:
    """All that the command line asks for; the model's file always, and that the request has not expired."""
    from zkinfer.circuits.circuit import Circuit
    from zkinfer.circuits.errors import InputError
    from zkinfer.verifier import (
        AllOf,
        ContextIs,
        ModelFileIs,
        ModelIs,
        NotExpired,
        SignedBy,
        UnsafeAcceptDevSetup,
        load_policy,
        load_public_key,
    )

    rules: list[Policy] = [ModelFileIs(str(digest)) for digest in trusted.models]
    rules.append(NotExpired())
    if wanted.circuit is not None:
        rules.append(ModelIs(Circuit.open(wanted.circuit).model_id))
    if wanted.signer:
        rules.append(SignedBy(*(load_public_key(path).fingerprint for path in wanted.signer)))
    if wanted.request_id is not None:
        rules.append(ContextIs(request_id=wanted.request_id.lower()))
    if wanted.unsafe_accept_dev_setup:
        rules.append(UnsafeAcceptDevSetup())
    if wanted.policy is not None:
        if not wanted.policy.is_file():
            raise InputError(f"The policy {wanted.policy} is not a file.", "Check its path.")
        rules.append(load_policy(wanted.policy.read_bytes()))
    return AllOf(*rules)


def _well_formed(data: bytes) -> Attestation | None:
    """What the file claims; None where the verifier will refuse it at its first step."""
    from zkinfer.verifier import Attestation, RefusedError

    try:
        return Attestation.from_bytes(data)
    except RefusedError:
        return None


def _expected_inputs(path: Path, claim: Attestation) -> dict[str, Any]:
    """The input file in the shapes that the attestation claims, which the verifier checks later on."""
    from zkinfer.circuits.tensor_files import read_inputs

    return dict(read_inputs(path, claim.predicate.inputs))


def show(verdict: Verdict, wanted: Requirements) -> None:
    """The numbered checklist, then what it means."""
    for step in verdict.steps:
        detail = f"  [dim]{plain(step.detail)}[/]" if step.detail and step.status != "failed" else ""
        say(f"{_MARKS[step.status]} {step.number:2}. {step.title}{detail}")
    for line in meaning(verdict, wanted):
        say(line)
    if verdict.refusal is None:
        say(f"[bold green]accepted[/] in {verdict.seconds:.2f} s")
        _show_answer(verdict)
        return
    say(f"[bold red]refused:[/] {plain(verdict.refusal.cause)}")
    if verdict.refusal.cure:
        say(f"         {plain(verdict.refusal.cure)}")


def meaning(verdict: Verdict, wanted: Requirements) -> list[str]:
    """The questions an auditor has, answered separately; the last one where it was asked."""
    circuit = "" if wanted.circuit else "in the prover's settings; see --circuit"
    inputs = "" if wanted.input_ else "not compared; give --input"
    request = "" if wanted.request_id else "as the file says; give --request-id"
    return [
        _line(verdict.status(5, 6, 7), "proof valid"),
        _line(verdict.status(3, 4), "of this model", circuit),
        _line(_unless_passed(verdict.status(8), inputs), "on this input", inputs),
        _line(_unless_passed(_context_status(verdict, wanted), request), "in this context", request),
        *([_line(verdict.status(12), "on record on the chain")] if wanted.chain.asked else []),
    ]


def _context_status(verdict: Verdict, wanted: Requirements) -> str:
    if wanted.request_id is not None and verdict.claimed_request not in ("", wanted.request_id.lower()):
        return "failed"
    return verdict.status(9)


def _unless_passed(status: str, remark: str) -> str:
    """A check that passed says little where the caller gave nothing to compare with."""
    return "skipped" if status == "passed" and remark else status


def _line(status: str, claim: str, remark: str = "") -> str:
    return f"{_MARKS[status]} {claim}" + (f"  [dim]{remark}[/]" if remark else "")


def _show_answer(verdict: Verdict) -> None:
    inference = verdict.inference
    if inference is None:
        return
    for name, values in inference.outputs.items():
        say(f"  {plain(name)} = {plain(values.tolist())}")
    signer = "nobody in particular (a key made for this once)" if inference.ephemeral else inference.signer
    say(f"  [dim]signed by {plain(signer)}, {inference.created_at:%Y-%m-%d %H:%M:%S} UTC[/]")
    if inference.recipe.setup.is_insecure_dev:
        say("[bold red]insecure-dev:[/] anybody can forge such proofs; accepted because you asked for it.")


def report(verdict: Verdict) -> dict[str, Any]:
    """The JSON form."""
    steps = [
        {"number": step.number, "title": step.title, "status": step.status, "detail": step.detail}
        for step in verdict.steps
    ]
    document: dict[str, Any] = {
        "ok": verdict.inference is not None,
        "steps": steps,
        "timings": {"verify": verdict.seconds},
    }
    if verdict.refusal is not None:
        document["error"] = describe(verdict.refusal)
    if verdict.inference is not None:
        inference = verdict.inference
        document |= {
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
        }
    return document
