"""The command `zkinfer verify`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.connect import rpc_url
from zkinfer.cli.chain.options import Connection
from zkinfer.cli.console import exit_on_error, plain, print_json, progress_display, require_extra, say
from zkinfer.cli.options import AsJson, AttestationFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.verifier import Attestation, ChainRecord, Policy, Trusted
    from zkinfer.verifier.report import Verdict

Rpc = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Require that the answer is recorded on a chain; URL of a node.",
    ),
]
RpcFile = Annotated[
    Path | None, typer.Option(help="Read the node's URL from a file, since it may contain a key.", show_default=False)
]
LedgerAddress = Annotated[
    str | None,
    typer.Option(
        "--ledger", metavar="0x...", help="Address of the ledger with the record, with --rpc.", show_default=False
    ),
]
DeploymentFile = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        help="The address book written by `zkinfer chain deploy`, instead of --ledger.",
        show_default=False,
    ),
]
RequestFile = Annotated[
    Path | None,
    typer.Option("--request", help="The request file, for nodes without old logs, with --rpc."),
]
Confirmations = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Minimum confirmations of the record, with --rpc. Default: its block must be final.",
    ),
]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(slots=True)
class ChainOptions:
    """Options about the record on a chain."""

    rpc: str | None = None
    rpc_file: Path | None = None
    ledger: str | None = None
    deployment: Path | None = None
    request: Path | None = None
    confirmations: int | None = None

    def __post_init__(self) -> None:
        """Reject options that would have no effect, and a node without a ledger."""
        if self.rpc is not None and self.rpc_file is not None:
            raise typer.BadParameter("--rpc and --rpc-file exclude each other")
        if not self.is_required:
            self._reject_unused()
        elif (self.ledger is None) == (self.deployment is None):
            raise typer.BadParameter("--rpc needs a ledger: name it with --ledger, or with --deployment")
        if self.ledger is not None and _ADDRESS.fullmatch(self.ledger) is None:
            raise typer.BadParameter(f"{self.ledger!r} is not an address: write it as 0x and 40 hex digits")

    @property
    def is_required(self) -> bool:
        """Whether a record on a chain is required."""
        return self.rpc is not None or self.rpc_file is not None

    @property
    def url(self) -> str | None:
        """The node's URL, which may contain a secret; raises InputError if its file cannot be read."""
        return rpc_url(Connection(self.rpc, self.rpc_file)) if self.is_required else None

    def _reject_unused(self) -> None:
        for name in ("ledger", "deployment", "request", "confirmations"):
            if getattr(self, name) is not None:
                raise typer.BadParameter(f"--{name} has no effect without --rpc, the URL of a node")


def chain_record(options: ChainOptions) -> ChainRecord | None:
    """The record to check; None without --rpc. Nothing else in this command loads chain libraries.

    Raises:
        NodeError: the URL is not acceptable.
        LedgerError: the address book is invalid.
        InputError: the file of the URL or of the request is invalid, or a library is missing.
    """
    url = options.url
    if url is None:
        return None
    with require_extra("chain"):
        from zkinfer.chain import read_request
        from zkinfer.chain.records import LedgerRecord

    ledger = options.deployment or str(options.ledger).lower()
    request = None if options.request is None else read_request(options.request).request
    return LedgerRecord.connect(url, ledger, confirmations=options.confirmations, request=request)


_MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[dim]–[/]", "not_reached": "[dim]·[/]"}


@dataclass(slots=True)
class Requirements:
    """Options that the attestation must satisfy."""

    model: Path
    circuit: Path | None
    policy: Path | None
    input_: Path | None
    signer: list[Path]
    request_id: str | None
    unsafe_accept_dev_setup: bool
    chain: ChainOptions = field(default_factory=ChainOptions)


def verify_command(
    attestation: AttestationFile,
    model: Annotated[Path, typer.Option(help="Your own copy of the ONNX file.", show_default=False)],
    circuit: Annotated[
        Path | None, typer.Option(help="Require exactly this circuit, with its quantisation; a circuit folder.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Further requirements, as JSON; see docs/guides/policies.md.")
    ] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="Require that the answer is for this input.")] = None,
    signer: Annotated[
        list[Path] | None, typer.Option(metavar="KEY.pub", help="Require a signature by one of these keys; repeatable.")
    ] = None,
    request_id: Annotated[str | None, typer.Option(help="Require that the proof is for this request (0x...).")] = None,
    unsafe_accept_dev_setup: Annotated[
        bool,
        typer.Option("--unsafe-accept-dev-setup", help="Accept insecure-dev proofs, which anyone can forge."),
    ] = False,
    rpc: Rpc = None,
    rpc_file: RpcFile = None,
    ledger: LedgerAddress = None,
    deployment: DeploymentFile = None,
    request: RequestFile = None,
    confirmations: Confirmations = None,
    as_json: AsJson = False,
) -> None:
    """Verify an attestation: accepted, or refused with the reason. Offline, unless --rpc requires a chain's record.

    Rebuilds the verifying key from your ONNX file and the published recipe, so no statement of the prover is trusted.
    The first verification of a model takes as long as generating its keys; later ones take less than a second.

    Example: zkinfer verify answer.json --model digits.onnx --input image.json
    """
    chain = ChainOptions(rpc, rpc_file, ledger, deployment, request, confirmations)
    required = Requirements(model, circuit, policy, input_, signer or [], request_id, unsafe_accept_dev_setup, chain)
    with exit_on_error(as_json=as_json):
        with progress_display(quiet=as_json) as display:
            display.progress("verify", 0.0)
            verdict = _verify(attestation, required, display.note)
        show(verdict, required)
        if as_json:
            from zkinfer.verifier.report import report

            print_json(report(verdict) | {"notes": display.notes})
    if verdict.refusal is not None:
        raise typer.Exit(1)


def _verify(path: Path, required: Requirements, note: Callable[[str], None]) -> Verdict:
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.tensor_files import read_inputs
    from zkinfer.verifier import Trusted, Verifier
    from zkinfer.verifier.report import verdict_on

    home = Home.from_environment()
    trusted = Trusted.of([required.model], home.setups, home.rebuilt)
    policy, record = make_policy(trusted, required), chain_record(required.chain)
    input_ = required.input_

    def expected_inputs(claim: Attestation) -> dict[str, NDArray[np.generic]]:
        return {} if input_ is None else dict(read_inputs(input_, claim.predicate.inputs, note))

    return verdict_on(
        Verifier(trusted=trusted),
        path,
        policy,
        expected_inputs=None if input_ is None else expected_inputs,
        record=record,
    )


def make_policy(trusted: Trusted, required: Requirements) -> Policy:
    """The policy that the options require; it always pins the model's file and rejects expired requests."""
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.manifest import Circuit
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
    if required.circuit is not None:
        rules.append(ModelIs(Circuit.open(required.circuit).model_id))
    if required.signer:
        rules.append(SignedBy(*(load_public_key(path).fingerprint for path in required.signer)))
    if required.request_id is not None:
        rules.append(ContextIs(request_id=required.request_id.lower()))
    if required.unsafe_accept_dev_setup:
        rules.append(UnsafeAcceptDevSetup())
    if required.policy is not None:
        if not required.policy.is_file():
            raise InputError(f"The policy {required.policy} is not a file.", "Check its path.")
        rules.append(load_policy(required.policy.read_bytes()))
    return AllOf(*rules)


def show(verdict: Verdict, required: Requirements) -> None:
    """Show the numbered steps, then a summary."""
    for step in verdict.steps:
        detail = f"  [dim]{plain(step.detail)}[/]" if step.detail and step.status != "failed" else ""
        say(f"{_MARKS[step.status]} {step.number:2}. {step.title}{detail}")
    for line in summary(verdict, required):
        say(line)
    if verdict.refusal is None:
        say(f"[bold green]accepted[/] in {verdict.seconds:.2f} s")
        _show_answer(verdict)
        return
    say(f"[bold red]refused:[/] {plain(verdict.refusal.cause)}")
    if verdict.refusal.cure:
        say(f"         {plain(verdict.refusal.cure)}")


def summary(verdict: Verdict, required: Requirements) -> list[str]:
    """One line per property that an auditor asks about; the record only if it was required."""
    circuit = "" if required.circuit else "with settings chosen by the prover; see --circuit"
    inputs = "" if required.input_ else "not compared; give --input"
    request = "" if required.request_id else "not compared; give --request-id"
    return [
        _line(verdict.status(5, 6, 7), "proof valid"),
        _line(verdict.status(3, 4), "of this model", circuit),
        _line(_downgraded(verdict.status(8), inputs), "on this input", inputs),
        _line(_downgraded(_context_status(verdict, required), request), "in this context", request),
        *([_line(verdict.status(12), "recorded on the chain")] if required.chain.is_required else []),
    ]


def _context_status(verdict: Verdict, required: Requirements) -> str:
    if required.request_id is not None and verdict.claimed_request not in ("", required.request_id.lower()):
        return "failed"
    return verdict.status(9)


def _downgraded(status: str, remark: str) -> str:
    """The status to show: a passed check counts as skipped if the user gave nothing to compare with."""
    return "skipped" if status == "passed" and remark else status


def _line(status: str, claim: str, remark: str = "") -> str:
    return f"{_MARKS[status]} {claim}" + (f"  [dim]{remark}[/]" if remark else "")


def _show_answer(verdict: Verdict) -> None:
    inference = verdict.inference
    if inference is None:
        return
    for name, values in inference.outputs.items():
        say(f"  {plain(name)} = {plain(values.tolist())}")
    signer = "an ephemeral key, which identifies no one" if inference.ephemeral else inference.signer
    say(f"  [dim]signed by {plain(signer)}, {inference.created_at:%Y-%m-%d %H:%M:%S} UTC[/]")
    if inference.recipe.setup.is_insecure_dev:
        say("[bold red]insecure-dev:[/] anyone can forge such proofs; you chose to accept them.")
