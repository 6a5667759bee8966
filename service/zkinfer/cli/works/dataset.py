"""The group `zkinfer works dataset`: data sets whose contributors are paid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zkinfer.cli.chain.options import Connection, Payment, expand_options, open_chain, parse_address
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result
from zkinfer.cli.options import AsJson
from zkinfer.cli.works.options import WorksAddress, clients, finish, parse_work, require_works, work_id

app = typer.Typer(
    no_args_is_help=True, help="Data sets: which files, under which consent, and how contributors are paid."
)
Manifest = Annotated[Path, typer.Option(help="The data set, as of `dataset build`.", show_default=False)]


@app.command("build")
def build_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the files.", show_default=False)],
    contributors: Annotated[
        Path, typer.Option(help="CSV with file and account; and if you like weight and licence.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The data set to write.")] = Path("dataset.json"),
    as_json: AsJson = False,
) -> None:
    """Make a data set, unless a file says that models may not be trained on it: such files are named.

    Asked are C2PA credentials, XMP, and NAME.c2pa, NAME.xmp and NAME.terms.toml beside a file. The strictest answer
    holds, and what cannot be read is a no.

    Example: zkinfer works dataset build photos --contributors photos.csv
    """
    with exit_on_error(as_json=as_json):
        require_works()
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.works.dataset import build

        refuse_existing(out)
        found = build(folder, contributors)
        write_atomically(out, found.to_bytes())
        unstated = sum(one.consent == "unstated" for one in found.assets)
        facts = {
            "assets": len(found.assets),
            "contributors": len(found.contributors),
            "consent unstated": unstated,
            "sha256": found.digest,
            "root": found.contributors_root,
        }
        print_result(f"[green]✓[/] {plain(out)}: publish it, since contributors claim from it")
        print_facts(facts)
        if as_json:
            print_json({"ok": True, "dataset": str(out), **facts})


@app.command("fund")
@expand_options
def fund_command(
    manifest: Manifest,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    uri: Annotated[str, typer.Option(help="Where the data set's file is published.", show_default=False)],
    work: Annotated[
        int | None,
        typer.Option(
            parser=parse_work, metavar="WORK", help="Give the fund your data set's token, for ever: it earns then."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Deploy the fund that shares a data set's income for ever, and give it the data set's token. Idempotent.

    Nobody can take the token out of the fund again. What the work earned before stays the owner's.

    Example: zkinfer works dataset fund --manifest dataset.json --work 0x12... --uri https://HOST/dataset.json
    --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.contracts.deploy import create
        from zkinfer.contracts.work_parts import fund_of
        from zkinfer.works.dataset import Dataset

        found = Dataset.read(manifest)
        chain = open_chain(connection, payment)
        contract, market = clients(chain, works)
        part = fund_of(found.contributors_root, found.total_weight, found.digest, uri, market.address)
        create(chain, part)
        facts = {"fund": part.address, "root": found.contributors_root}
        if work is not None:
            contract.transfer(chain.address, part.address, work)
            facts["work"] = work_id(work)
        finish(chain, facts, as_json=as_json)


@app.command("claim")
@expand_options
def claim_command(
    manifest: Manifest,
    fund: Annotated[str, typer.Option(parser=parse_address, metavar="ADDRESS", help="The fund.", show_default=False)],
    contributor: Annotated[
        list[str],
        typer.Option(
            parser=parse_address, metavar="ADDRESS", help="An account to pay. Repeatable.", show_default=False
        ),
    ],
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Pay contributors what is due to them, by proofs from the data set's file alone. Anybody may.

    Example: zkinfer works dataset claim --manifest dataset.json --fund 0x... --contributor 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.contracts.tills import ContributorFund
        from zkinfer.works.dataset import Dataset, Proofs, require_fund

        proofs = Proofs(Dataset.read(manifest))
        chain = open_chain(connection, payment)
        contract = ContributorFund(chain, fund)
        require_fund(proofs.dataset, contract)
        amounts = {}
        for one in contributor:
            weight, proof = proofs.of_contributor(one)
            amounts[one] = contract.due(one, weight)
            contract.claim(one, weight, proof)
        finish(chain, {"fund": fund}, as_json=as_json, amounts=amounts)
