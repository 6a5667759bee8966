"""The group `zkinfer works`: certificates, licences and revenue of what models make and what they were made from."""

from __future__ import annotations

import typer

from zkinfer.cli.works import (
    certify,
    commit,
    dataset,
    index,
    keys,
    labels,
    lookup,
    market,
    prints,
    register,
    show,
    similar,
    status,
    studio,
    till,
)

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Certificates of works: what made a file, what may be done with it, how it is found again. Says of everything "
        "whether it is proven, attested or claimed. Needs the extra `works`."
    ),
)
app.command("keys")(keys.keys_command)
app.command("certify")(certify.certify_command)
app.command("show")(show.show_command)
app.command("lookup")(lookup.lookup_command)
app.command("index")(index.index_command)
app.command("deploy")(register.deploy_command)
app.command("commit")(commit.commit_command)
app.command("agree")(register.agree_command)
app.command("register")(register.register_command)
app.command("offer")(market.offer_command)
app.command("buy")(market.buy_command)
app.command("pay")(market.pay_command)
app.command("settle")(market.settle_command)
app.command("withdraw")(market.withdraw_command)
app.command("status")(status.status_command)
app.add_typer(till.app, name="till")
app.add_typer(studio.app, name="studio")
app.add_typer(dataset.app, name="dataset")
app.command("print-circuit")(prints.circuit_command)
app.command("pixels")(prints.pixels_command)
app.command("print")(prints.print_command)
app.command("label")(labels.label_command)
app.command("render")(labels.render_command)
app.command("record-print")(similar.record_command)
app.command("flag")(similar.flag_command)
app.command("answer")(similar.answer_command)
app.command("uphold")(similar.uphold_command)
app.command("release")(similar.release_command)
