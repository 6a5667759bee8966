"""The group `zkinfer keys`: signing keys of attestations, and proving keys of circuits."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, progress_display
from zkinfer.cli.options import AsJson, CircuitFolder, PassphraseFile, read_passphrase

app = typer.Typer(no_args_is_help=True, help="Signing keys of attestations, and proving keys of circuits.")


class Algorithm(StrEnum):
    """Kinds of signing key."""

    ED25519 = "ed25519"
    P256 = "ecdsa-p256"


@app.command("new")
def new(
    out: Annotated[Path, typer.Option(help="The private key file to write; the public key goes to OUT.pub.")],
    algorithm: Annotated[Algorithm, typer.Option(help="The signature algorithm.")] = Algorithm.ED25519,
    passphrase_file: PassphraseFile = None,
    unsafe_unencrypted: Annotated[
        bool, typer.Option("--unsafe-unencrypted", help="Write the private key without a passphrase.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Generate a signing key: an encrypted private key file, and a public key for auditors.

    Example: zkinfer keys new --out prover.key
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.verifier import SigningKey, save_public_key, save_signing_key

        public = out.with_name(out.name + ".pub")
        refuse_existing(out)
        refuse_existing(public)
        passphrase = None if unsafe_unencrypted else read_passphrase(passphrase_file, confirm=True)
        key = SigningKey.generate(algorithm.value)
        save_signing_key(key, out, passphrase=passphrase, unsafe_unencrypted=unsafe_unencrypted)
        save_public_key(key.public, public)
        print_result(f"[green]✓[/] {plain(out)} (keep it private) and {plain(public)} (publish it)")
        print_result(f"  fingerprint {key.public.fingerprint}")
        if as_json:
            print_json(
                {"ok": True, "privateKey": str(out), "publicKey": str(public), "fingerprint": key.public.fingerprint}
            )


@app.command("show")
def show(
    path: Annotated[Path, typer.Argument(metavar="KEY.pub", help="A public key file.")], as_json: AsJson = False
) -> None:
    """Show the algorithm of a public key, and its fingerprint for policies."""
    with exit_on_error(as_json=as_json):
        from zkinfer.verifier import load_public_key

        key = load_public_key(path)
        print_result(f"{key.algorithm}  {key.fingerprint}")
        if as_json:
            print_json({"ok": True, "algorithm": key.algorithm, "fingerprint": key.fingerprint})


@app.command("make")
def make(circuit: CircuitFolder, as_json: AsJson = False) -> None:
    """Generate the proving key of a circuit that was compiled elsewhere, so that `zkinfer serve` can serve it.

    The key is stored in the current user's ZKINFER_HOME, so run this as the user that runs the server. The circuit is
    rebuilt from its ONNX file and recipe; the result must be identical. Circuits of Ashlar have no proving key, but
    need the rebuild, which is recorded in its place.

    Example: zkinfer keys make models/digits/1
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.cost import size
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.prover import Prover

        with progress_display(quiet=as_json) as display:
            opened = Circuit.open(circuit)
            path = Prover(home=Home.from_environment()).make_key(opened, observer=display)
        length, none = path.stat().st_size, opened.manifest.keys.proving_key is None
        made = "rebuilt; it needs no proving key" if none else f"{plain(path)}, {size(length)}"
        print_result(f"[green]✓[/] {made}")
        if as_json:
            key = None if none else str(path)
            print_json({"ok": True, "circuit": str(opened.digest), "provingKey": key, "bytes": length})
