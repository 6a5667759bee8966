"""The command `zkinfer works keys`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, say
from zkinfer.cli.options import AsJson, PassphraseFile, read_passphrase
from zkinfer.cli.works.options import require_works


def keys_command(
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    name: Annotated[str, typer.Option(help="The signer's name, as C2PA's tools show it.", show_default=False)],
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days for which the certificates are valid.")] = 365,
    passphrase_file: PassphraseFile = None,
    unsafe_unencrypted: Annotated[
        bool, typer.Option("--unsafe-unencrypted", help="Write the key without a passphrase.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a root of your own, and a certificate under it that C2PA's tools accept for signing.

    Readers who are given root.pem see your files as Trusted; all others as Valid, by an unknown signer. To be trusted
    without that, buy a certificate from an authority on C2PA's list, and use it in place of chain.pem. Trusted says who
    signed, never that the content is true.

    Example: zkinfer works keys --name "Ann Artist" --out ann-keys
    """
    with exit_on_error(as_json=as_json):
        require_works()
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.works.keys import issue, write_keys

        refuse_existing(out)
        passphrase = None if unsafe_unencrypted else read_passphrase(passphrase_file, confirm=True)
        issued = issue(name, days=days)
        write_keys(out, issued, passphrase=passphrase, unsafe_unencrypted=unsafe_unencrypted)
        print_result(f"[green]✓[/] {plain(out)}: signer.key (keep it private), chain.pem, root.pem (publish it)")
        print_result(f"  fingerprint {issued.key.public.fingerprint}")
        say(f"  [dim]valid for {days} days; the root's key is forgotten, so nobody can issue others under it[/]")
        if as_json:
            print_json({"ok": True, "folder": str(out), "fingerprint": issued.key.public.fingerprint})
