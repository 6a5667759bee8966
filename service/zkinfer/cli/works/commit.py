"""The command `zkinfer works commit`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import Connection, Payment, expand_options, open_chain
from zkinfer.cli.console import exit_on_error, plain, print_result
from zkinfer.cli.options import AsJson
from zkinfer.cli.works.options import CertificateFile, WorksAddress, clients, finish, read_registration

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.works import Registration
    from zkinfer.works.commitment import Commitment


@expand_options
def commit_command(
    certificate: CertificateFile,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    out: Annotated[
        Path, typer.Option(help="The secret file to write. If it exists, that commitment is sent again.")
    ] = Path("commitment.json"),
    as_json: AsJson = False,
) -> None:
    """Prove when you had a work, without showing it: its registration later counts from now.

    Sends a hash that nobody can read. Keep the file: without its secret salt the time is lost. Re-running is
    idempotent.

    Example: zkinfer works commit work.json --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract, _ = clients(chain, works)
        what = read_registration(certificate)
        made = _commitment(out, what, chain, works)
        contract.commit(made.digest)
        facts = {"commitment": made.digest, "file": str(out), "since": contract.committed_at(made.digest)}
        if chain.sends:
            print_result(
                f"[green]✓[/] committed; keep {plain(out)} secret, and register with --commitment {plain(out)}"
            )
        finish(chain, facts, as_json=as_json)


def _commitment(path: Path, what: Registration, chain: Chain, works: str) -> Commitment:
    """The commitment in the file, or a new one; it is written before it is sent, so that its salt cannot be lost."""
    from zkinfer.works.commitment import Commitment

    if path.exists():
        found = Commitment.read(path)
        found.require_for(what, chain.id, works, chain.address)
        return found
    made = Commitment.to(what, chain.id, works, chain.address)
    if chain.sends:
        made.write(path)
    return made


def committed(what: Registration, path: Path | None, chain_id: int, works: str, creator: str) -> Registration:
    """A registration with the salt of the creator's commitment, if there is one; raises as `Commitment.read`."""
    if path is None:
        return what
    from zkinfer.works.commitment import Commitment

    found = Commitment.read(path)
    found.require_for(what, chain_id, works, creator)
    return replace(what, salt=found.salt)
