"""The group `zkinfer trust`: signed files that say which models, signers, setups, engines, chains and logs to trust."""

from __future__ import annotations

import typer

from zkinfer.cli.trust import audit, publish

app = typer.Typer(
    no_args_is_help=True,
    help="Trust roots: signed files that list the models, signers, setups, engines, chains and logs to trust. "
    "`zkinfer verify --trust-root` uses them.",
)
app.command("init")(publish.init_command)
app.command("add")(publish.add_command)
app.command("remove")(publish.remove_command)
app.command("revoke")(publish.revoke_command)
app.command("sign")(publish.sign_command)
app.command("show")(audit.show_command)
app.command("verify")(audit.verify_command)
app.command("update")(audit.update_command)
app.command("list")(audit.list_command)
app.command("forget")(audit.forget_command)
