"""The group `zkinfer bundle`: Sigstore bundles of circuit folders and attestations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, require_extra
from zkinfer.cli.options import AsJson, AttestationFile, CircuitFolder, PassphraseFile, key_passphrase

app = typer.Typer(
    no_args_is_help=True, help="Sigstore bundles: signatures of circuit folders, and attestations for other tools."
)
BundleFile = Annotated[Path, typer.Argument(metavar="BUNDLE.json", help="A Sigstore bundle.", show_default=False)]
Out = Annotated[Path, typer.Option(help="The file to write; must not exist.", show_default=False)]


@app.command("sign")
def sign(
    circuit: CircuitFolder,
    key: Annotated[Path, typer.Option(help="A private key of `keys new --algorithm ecdsa-p256`.", show_default=False)],
    out: Out,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Sign a circuit folder with a local key, in the format of OpenSSF model signing. Offline.

    Example: zkinfer bundle sign digits.circuit --key publisher.key --out digits.sigstore.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.verifier.circuit_signature import sign_circuit

        opened = Circuit.open(circuit)
        passphrase = key_passphrase(key, passphrase_file)
        with require_extra("bundles"):
            sign_circuit(opened, key, out, passphrase=passphrase)
        print_result(f"[green]✓[/] {plain(out)} signs {plain(circuit)}")
        if as_json:
            print_json({"ok": True, "circuit": str(opened.digest), "bundle": str(out)})


@app.command("verify")
def verify(
    circuit: CircuitFolder,
    bundle: BundleFile,
    signer: Annotated[
        Path | None, typer.Option(metavar="KEY.pub", help="The publisher's public key.", show_default=False)
    ] = None,
    identity: Annotated[
        str | None, typer.Option(help="Instead of a key: who signed with Sigstore, such as an e-mail address.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="Who vouched for the identity.")] = None,
    sigstore_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sigstore's ClientTrustConfig, with the trusted root.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify who signed a circuit folder. Offline, also with an identity.

    Example: zkinfer bundle verify digits.circuit digits.sigstore.json --signer publisher.key.pub
    """
    keyless = (identity, issuer, sigstore_config)
    if (signer is None) is (None in keyless) or (signer is not None and any(keyless)):
        raise typer.BadParameter("give --signer, or --identity with --issuer and --sigstore-config")
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.verifier.circuit_signature import require_keyless_signature, require_signature_by_key

        opened = Circuit.open(circuit)
        with require_extra("bundles"):
            if signer is not None:
                require_signature_by_key(opened, bundle, signer)
            elif identity is not None and issuer is not None and sigstore_config is not None:
                require_keyless_signature(opened, bundle, identity=identity, issuer=issuer, config=sigstore_config)
        who = identity if signer is None else signer.name
        print_result(f"[green]✓[/] {plain(circuit)} is signed by {plain(who)}")
        if as_json:
            print_json({"ok": True, "circuit": str(opened.digest)})


@app.command("export")
def export(attestation: AttestationFile, out: Out, as_json: AsJson = False) -> None:
    """Write an attestation as a Sigstore bundle, for tools that store or verify those. Verifies nothing."""
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.verifier import Attestation
        from zkinfer.verifier.sigstore_bundle import to_bundle

        refuse_existing(out)
        write_atomically(out, to_bundle(Attestation.read(attestation)))
        print_result(f"[green]✓[/] {plain(out)}")
        if as_json:
            print_json({"ok": True, "bundle": str(out)})


@app.command("import")
def import_(bundle: BundleFile, out: Out, as_json: AsJson = False) -> None:
    """Write the attestation that a Sigstore bundle holds. Verifies nothing: that is for `zkinfer verify`."""
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.verifier import read_attestation
        from zkinfer.verifier.sigstore_bundle import from_bundle

        refuse_existing(out)
        attestation = from_bundle(read_attestation(bundle))
        write_atomically(out, attestation.to_bytes())
        print_result(f"[green]✓[/] {plain(out)}")
        if as_json:
            print_json({"ok": True, "attestation": str(attestation.digest)})
