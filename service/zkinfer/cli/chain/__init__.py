"""The group `zkinfer chain`: contracts that rely on proven answers."""

from __future__ import annotations

import typer

from zkinfer.cli.chain import deploy, dev, models, post, request, routes

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Contracts that rely on proven answers: deploy them, register models, request and post answers. Keys come from "
        "an encrypted keystore or a remote signer; every command that sends transactions has --dry-run."
    ),
)
app.command("dev")(dev.dev_command)
app.command("deploy")(deploy.deploy_command)
app.command("verify-deployment")(deploy.verify_command)
app.command("register")(models.register_command)
app.command("verify-listing")(models.verify_listing_command)
app.command("request")(request.request_command)
app.command("open")(request.open_command)
app.command("post")(post.post_command)
app.command("status")(post.status_command)
app.command("refund")(request.refund_command)
app.command("withdraw")(request.withdraw_command)
app.command("fee")(models.fee_command)
app.command("deprecate")(models.deprecate_command)
app.command("revoke")(models.revoke_command)
app.add_typer(routes.app, name="route")
app.command("stop")(deploy.stop_command)
