"""The command `zkinfer prove`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.compile import warn_about_setup
from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, progress_display, say
from zkinfer.cli.options import AsJson, CircuitFolder, PassphraseFile, read_passphrase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.manifest import Circuit
    from zkinfer.circuits.statement import Context
    from zkinfer.verifier import Attestation, SigningKey


def prove_command(
    circuit: CircuitFolder,
    input_: Annotated[
        Path, typer.Option("--input", help="The input: .npz, .json or .csv, by input name.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The attestation to write; must not exist.", show_default=False)],
    key: Annotated[
        Path | None, typer.Option(help="Sign with this key (`zkinfer keys new`). Default: an ephemeral key.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    chain_id: Annotated[int, typer.Option(min=0, help="Chain id of the context; 0 for none.")] = 0,
    consumer: Annotated[str, typer.Option(help="Address of the consuming contract.")] = "0x" + "0" * 40,
    request_id: Annotated[str | None, typer.Option(help="Request id, 32 bytes as 0x... Default: random.")] = None,
    requester: Annotated[str, typer.Option(help="Address of the requester.")] = "0x" + "0" * 40,
    expiry: Annotated[int, typer.Option(min=0, help="Unix time when the request expires; 0 for never.")] = 0,
    request: Annotated[
        Path | None,
        typer.Option(
            help="Prove for this request on a chain (`zkinfer chain request`) instead of the five options above."
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="Refuse before proving if this policy of the recipient (JSON or TOML) can accept no such proof."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a circuit on one input and prove its answer for one request.

    Writes an attestation: a JSON file that anyone can verify with `zkinfer verify` and the ONNX file.

    Example: zkinfer prove digits.circuit --input image-1.json --out answer.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.circuits.sandbox.usage import metered
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.circuits.tensor_files import read_inputs
        from zkinfer.prover import Prover

        refuse_existing(out)
        fields = (chain_id, consumer, request_id, requester, expiry)
        context = make_context(*fields) if request is None else _context_from(request, fields)
        signing_key = None if key is None else _load_key(key, passphrase_file)
        timings: dict[str, float] = {}
        with progress_display(quiet=as_json) as display:
            opened = Circuit.open(circuit)
            if policy is not None:
                refuse_unacceptable(opened, policy)
            manifest = opened.manifest
            inputs = read_inputs(input_, manifest.program.inputs, display.note, manifest.features)
            warnings = manifest.unmeasured(inputs)
            for text in warnings:
                say(f"[yellow]warning:[/] {plain(text)}")
            prover = Prover(home=Home.from_environment(), key=signing_key)
            with metered() as used:
                attestation = prover.prove(opened, inputs, context, observer=display, timings=timings)
        write_atomically(out, attestation.to_bytes())
        show(attestation, out, timings, used.memory)
        if as_json:
            document = report(attestation, out, timings, warnings)
            print_json(document | {"peakMemoryBytes": used.memory, "notes": display.notes})


def refuse_unacceptable(circuit: Circuit, policy_file: Path) -> None:
    """Raise RefusedError if the policy in this file can accept no proof of the circuit; InputError if it is no file."""
    from zkinfer.circuits.home import Home
    from zkinfer.verifier import Offer, Trusted, Verifier, load_policy_file

    manifest, home = circuit.manifest, Home.from_environment()
    offer = Offer(
        model_id=circuit.model_id,
        model=manifest.identity.model,
        engine=manifest.recipe.engine,
        ceremony=manifest.recipe.setup.ceremony,
    )
    trusted = Trusted.of([circuit.folder / "model.onnx"], home.setups, home.rebuilt)
    Verifier(trusted=trusted).refuse_offer(offer, load_policy_file(policy_file))


def make_context(chain_id: int, consumer: str, request_id: str | None, requester: str, expiry: int) -> Context:
    """The context from its five fields; raises typer.BadParameter if one is malformed or the expiry has passed."""
    from pydantic import ValidationError

    from zkinfer.circuits.statement import Context

    if expiry and expiry <= time.time():
        raise typer.BadParameter(f"{expiry} has already passed", param_hint="--expiry")
    fields = {
        "chainId": chain_id,
        "consumer": consumer.lower(),
        "requestId": Context.offline().request_id if request_id is None else request_id.lower(),
        "requester": requester.lower(),
        "expiry": expiry,
    }
    try:
        return Context.model_validate(fields)
    except ValidationError as err:
        name = str(err.errors()[0]["loc"][0])
        form = {"requestId": "0x and 64 hex digits", "chainId": "a number below 2^256"}.get(
            name, "0x and 40 hex digits"
        )
        raise typer.BadParameter(f"{name} must be {form}") from err


def _context_from(request: Path, given: tuple[int, str, str | None, str, int]) -> Context:
    """The context of a request file; raises typer.BadParameter if fields are given as well."""
    from zkinfer.chain import read_request

    if given != (0, "0x" + "0" * 40, None, "0x" + "0" * 40, 0):
        raise typer.BadParameter("--request determines the context; omit the other context options")
    return read_request(request).context


def _load_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    from zkinfer.verifier import is_encrypted, load_signing_key

    encrypted = passphrase_file is not None or is_encrypted(path)
    return load_signing_key(path, passphrase=read_passphrase(passphrase_file, confirm=False) if encrypted else None)


def show(attestation: Attestation, out: Path, timings: dict[str, float], memory: int) -> None:
    """Show the proven answer, and what it took: the seconds of each stage, and bytes of memory."""
    from zkinfer.circuits.cost import size
    from zkinfer.verifier import claimed_tensors

    predicate = attestation.predicate
    print_result(
        f"[green]✓[/] {plain(out)} in {sum(timings.values()):.1f} s, with {size(memory)} of memory: "
        f"{len(attestation.proof):,} bytes of proof"
    )
    for name, values in claimed_tensors(attestation.predicate, "output").items():
        print_result(f"  {plain(name)} = {plain(values.tolist())}")
    print_result(f"  [dim]request {plain(predicate.context.request_id)}[/]")
    if predicate.signer.ephemeral:
        say("  [dim]signed with an ephemeral key, which identifies no one; see --key[/]")
    warn_about_setup(predicate.recipe.setup.is_insecure_dev)


def report(
    attestation: Attestation, out: Path, timings: dict[str, float], warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The JSON form; the warnings say which inputs the circuit's fidelity was not measured for."""
    from zkinfer.verifier import claimed_tensors

    predicate = attestation.predicate
    return {
        "ok": True,
        "attestation": str(out),
        "attestationDigest": str(attestation.digest),
        "modelId": predicate.circuit.claimed_model_id,
        "outputs": {name: values.tolist() for name, values in claimed_tensors(attestation.predicate, "output").items()},
        "context": predicate.context.model_dump(mode="json", by_alias=True),
        "signer": attestation.envelope.keyid,
        "timings": timings,
        "warnings": list(warnings),
    }
