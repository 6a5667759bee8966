"""The command `zkinfer verify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.record import (
    ChainOptions,
    Confirmations,
    DeploymentFile,
    LedgerAddress,
    RequestFile,
    RpcFiles,
    Rpcs,
    chain_record,
)
from zkinfer.cli.compile import show_labels
from zkinfer.cli.console import (
    exit_on_error,
    plain,
    print_detailed,
    print_json,
    print_result,
    progress_display,
    say,
)
from zkinfer.cli.options import AcceptEngine, AsJson, AttestationFile
from zkinfer.cli.pictures import attestation_in, inputs_of
from zkinfer.cli.trust.audit import RootFingerprint
from zkinfer.cli.trust.basis import At, Basis, LogCheckpointFile, LogConsistencyFile, LogProofFile, TrustRootFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.manifest import Manifest
    from zkinfer.verifier import Attestation, Policy, Trusted
    from zkinfer.verifier.opinions import IndependentVerifier
    from zkinfer.verifier.summary import Question
    from zkinfer.verifier.verdict import Verdict

_MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[dim]–[/]", "not_reached": "[dim]·[/]"}
_FORGEABLE = _MARKS | {"passed": "[yellow]~[/]"}
SecondOpinion = Annotated[
    bool,
    typer.Option(
        "--second-opinion", help="Verify the proof with two independent implementations; refuse it if they differ."
    ),
]
UnsafeDevSetup = Annotated[
    bool, typer.Option("--unsafe-accept-dev-setup", help="Accept insecure-dev proofs, which anyone can forge.")
]
ReportLanguage = Annotated[str, typer.Option(metavar="CODE", help="Language of the reports: en or fr.")]
PolicyFile = Annotated[Path | None, typer.Option(help="Further requirements, as JSON or TOML; see `zkinfer policy`.")]
ReportFiles = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Write a report, also of a refusal, as .html, .pdf, .md or .json; repeatable.",
        show_default=False,
    ),
]


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
    second_opinion: bool = False
    reports: list[Path] = field(default_factory=list)
    language: str = "en"
    accept_engine: list[str] = field(default_factory=list)
    chain: ChainOptions = field(default_factory=ChainOptions)
    basis: Basis = field(default_factory=Basis)


def verify_command(
    attestation: AttestationFile,
    model: Annotated[Path, typer.Option(help="Your own copy of the ONNX file.", show_default=False)],
    circuit: Annotated[
        Path | None,
        typer.Option(help="Require exactly this circuit, with its quantisation; a folder or its manifest.json."),
    ] = None,
    policy: PolicyFile = None,
    input_: Annotated[Path | None, typer.Option("--input", help="Require that the answer is for this input.")] = None,
    signer: Annotated[
        list[Path] | None, typer.Option(metavar="KEY.pub", help="Require a signature by one of these keys; repeatable.")
    ] = None,
    request_id: Annotated[str | None, typer.Option(help="Require that the proof is for this request (0x...).")] = None,
    unsafe_accept_dev_setup: UnsafeDevSetup = False,
    accept_engine: AcceptEngine = None,
    second_opinion: SecondOpinion = False,
    report: ReportFiles = None,
    language: ReportLanguage = "en",
    trust_root: TrustRootFile = None,
    root_fingerprint: RootFingerprint = None,
    at: At = None,
    log_proof: LogProofFile = None,
    log_checkpoint: LogCheckpointFile = None,
    log_consistency: LogConsistencyFile = None,
    rpc: Rpcs = None,
    rpc_file: RpcFiles = None,
    ledger: LedgerAddress = None,
    deployment: DeploymentFile = None,
    request: RequestFile = None,
    confirmations: Confirmations = None,
    as_json: AsJson = False,
) -> None:
    """Verify an attestation: accepted, or refused with the reason. Offline, unless --rpc requires a chain's record.

    Rebuilds the verifying key from your ONNX file and the published recipe, so no statement of the prover is trusted.
    The first verification of a model takes as long as generating its keys; later ones take less than a second.

    Example: zkinfer verify answer-1.json --model digits.onnx --input image-1.json
    """
    required = Requirements(
        model=model,
        circuit=circuit,
        policy=policy,
        input_=input_,
        signer=signer or [],
        request_id=request_id,
        unsafe_accept_dev_setup=unsafe_accept_dev_setup,
        accept_engine=accept_engine or [],
        second_opinion=second_opinion,
        reports=report or [],
        language=language,
        chain=ChainOptions(rpc or [], rpc_file or [], ledger, deployment, request, confirmations),
        basis=Basis(trust_root, at, log_proof, root_fingerprint, log_checkpoint, log_consistency),
    )
    with exit_on_error(as_json=as_json):
        refuse_unwritable_reports(required.reports, required.language)
        with progress_display(quiet=as_json) as display:
            display.progress("verify", 0.0)
            verdict = _verify(attestation, required, display.note)
        write_reports(verdict, required, attestation)
        show(verdict, question_of(required, attestation))
        if as_json:
            print_json(_document(verdict, required, display.notes))
    if verdict.refusal is not None:
        raise typer.Exit(1)


def _verify(path: Path, required: Requirements, note: Callable[[str], None]) -> Verdict:
    from zkinfer.circuits.home import Home
    from zkinfer.verifier import Trusted, Verifier
    from zkinfer.verifier.verdict import verdict_on

    home = Home.from_environment()
    basis = required.basis
    basis.open(note)
    trusted = Trusted.of([required.model], home.setups, home.rebuilt, ceremonies=basis.ceremonies)
    policy, record = make_policy(trusted, required), basis.listed(chain_record(required.chain))
    input_ = required.input_

    def expected_inputs(claim: Attestation) -> dict[str, NDArray[np.generic]]:
        return {} if input_ is None else dict(inputs_of(input_, claim.predicate.inputs, note))

    twice, independent = required.second_opinion, _independent(required)
    with attestation_in(path) as attestation:
        return verdict_on(
            Verifier(trusted=trusted, clock=basis.now, second_opinion=twice, independent=independent),
            attestation,
            policy,
            expected_inputs=None if input_ is None else expected_inputs,
            record=record,
        )


def _document(verdict: Verdict, required: Requirements, notes: list[str]) -> dict[str, Any]:
    """The JSON form of the verdict, and of what it rests on."""
    from zkinfer.verifier.verdict import verdict_document

    reports = {"reports": [str(path) for path in required.reports]} if required.reports else {}
    return verdict_document(verdict) | required.basis.report() | {"notes": notes} | reports


def _independent(required: Requirements) -> dict[str, IndependentVerifier]:
    """Second implementations that the verifier does not contain; nothing is loaded unless they are asked."""
    if not required.second_opinion:
        return {}
    from zkinfer.cli.evm_opinion import EvmVerifier

    return {"ezkl": EvmVerifier()}


def question_of(required: Requirements, attestation: Path) -> Question:
    """What the options ask of the attestation."""
    from zkinfer.verifier.summary import Question

    basis = required.basis
    circuit = basis.circuits if required.circuit is None else required.circuit.name
    return Question(
        attestation=attestation.name,
        model=required.model.name,
        model_digest=_report_digest(required, required.model),
        circuit=circuit,
        policy="" if required.policy is None else required.policy.name,
        input_="" if required.input_ is None else required.input_.name,
        input_digest=_report_digest(required, required.input_),
        signers=tuple(path.name for path in required.signer) or basis.signers,
        request_id=(required.request_id or "").lower(),
        chain=required.chain.is_required,
        second_opinion=required.second_opinion,
    )


def _report_digest(required: Requirements, path: Path | None) -> str:
    """The digest of a file, which reports alone show."""
    from zkinfer.circuits.digest import sha256_file

    return str(sha256_file(path)) if required.reports and path is not None else ""


def refuse_unwritable_reports(paths: list[Path], language: str) -> None:
    """Raise InputError before the verification if a report could not be written after it."""
    if paths:
        from zkinfer.verifier.report import refuse_unwritable
        from zkinfer.verifier.report.language import words_of

        words_of(language)
        for path in paths:
            refuse_unwritable(path)


def write_reports(verdict: Verdict, required: Requirements, attestation: Path) -> None:
    """Write the reports that the options name, and name each on stderr."""
    if not required.reports:
        return
    from zkinfer.verifier.report import make_report, write_report

    manifest = None if required.circuit is None else _manifest(required.circuit)
    question, command = question_of(required, attestation), command_of(required, attestation)
    report = make_report(verdict, question, command=command, manifest=manifest)
    for path in required.reports:
        write_report(report, path, required.language)
        say(f"[dim]report: {plain(path)}[/]")


def command_of(required: Requirements, attestation: Path) -> list[str]:
    """The words of the command with these options, without the reports; the URL of a node may hold a secret."""
    chain = required.chain
    options: dict[str, object] = {
        "--model": required.model,
        "--circuit": required.circuit,
        "--policy": required.policy,
        "--input": required.input_,
        "--request-id": required.request_id,
        **required.basis.options(),
        "--ledger": chain.ledger,
        "--deployment": chain.deployment,
        "--request": chain.request,
        "--confirmations": chain.confirmations,
    }
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    words += ["--rpc", "URL"] * len(chain.rpc)
    words += [word for file in chain.rpc_file for word in ("--rpc-file", str(file))]
    words += [word for key in required.signer for word in ("--signer", str(key))]
    words += [word for engine in required.accept_engine for word in ("--accept-engine", engine)]
    words += ["--unsafe-accept-dev-setup"] * required.unsafe_accept_dev_setup
    words += ["--second-opinion"] * required.second_opinion
    path = str(attestation) if not str(attestation).startswith("-") else f"./{attestation}"
    return ["zkinfer", "verify", path, *words]


def _manifest(path: Path) -> Manifest:
    """The manifest of a circuit folder, or a manifest alone; raises CircuitError."""
    from zkinfer.circuits.manifest import Circuit, parse_manifest

    return parse_manifest(path.read_bytes()) if path.is_file() else Circuit.open(path).manifest


def make_policy(trusted: Trusted, required: Requirements) -> Policy:
    """The policy that the options require; see `audit_policy`."""
    from zkinfer.verifier import audit_policy, load_policy_file, load_public_key

    further = [] if required.policy is None else [load_policy_file(required.policy)]
    return audit_policy(
        trusted.models,
        circuit=None if required.circuit is None else _manifest(required.circuit).identity.model_id,
        signers=[load_public_key(path).fingerprint for path in required.signer],
        request_id=None if required.request_id is None else required.request_id.lower(),
        accept_engines=required.accept_engine,
        unsafe_accept_dev_setup=required.unsafe_accept_dev_setup,
        further=[*further, *required.basis.policies()],
    )


def show(verdict: Verdict, question: Question) -> None:
    """Show the numbered steps, the answer, a summary, hints on stderr, and in the last line the verdict."""
    from zkinfer.verifier.summary import hints, properties

    marks = _FORGEABLE if verdict.forgeable else _MARKS  # no green ticks under the development setup
    for step in verdict.steps:
        detail = step.detail if step.status != "failed" else ""
        print_detailed(f"{marks[step.status]} {step.number:2}. {step.title}", detail)
    _show_answer(verdict)
    for one in properties(verdict, question):
        print_result(f"{marks[one.status]} {plain(one)}")
    show_labels(verdict.inference.labels if verdict.inference else ())
    for hint in hints(verdict, question):
        say(f"[dim]hint: {plain(hint)}[/]")
    print_result(verdict_line(verdict, question))


def verdict_line(verdict: Verdict, question: Question) -> str:
    """The verdict in one sentence, with what was not checked; rich markup."""
    from zkinfer.verifier.summary import headline, sentence

    colour = "bold red" if verdict.refusal is not None or verdict.forgeable else "bold green"
    return f"[{colour}]Verdict: {headline(verdict)}[/]{plain(sentence(verdict, question))}"


def _show_answer(verdict: Verdict) -> None:
    inference = verdict.inference
    if inference is None:
        return
    for name, values in inference.outputs.items():
        print_result(f"  {plain(name)} = {plain(values.tolist())}")
    signer = "an ephemeral key, which identifies no one" if inference.ephemeral else inference.signer
    print_result(f"  [dim]signed by {plain(signer)}, {inference.created_at:%Y-%m-%d %H:%M:%S} UTC[/]")
    print_result(f"  [dim]request {plain(inference.context.request_id)}[/]")
