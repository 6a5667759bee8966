"""The group `zkinfer chain`."""

from __future__ import annotations

import typer

from zkinfer.cli.chain import asking, dev, governing, listings, models, posting, routes, verifiers

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Contracts that rely on proven answers: deploy them, register models, ask, post answers. Keys come from an "
        "encrypted keystore or a remote signer; everything that sends can be tried with --dry-run."
    ),
)
app.command("dev")(dev.dev_command)
app.command("deploy")(governing.deploy_command)
app.command("verify-deployment")(governing.verify_command)
app.command("deploy-verifier")(verifiers.deploy_verifier_command)
app.command("register")(models.register_command)
app.command("verify-listing")(listings.verify_listing_command)
app.command("request")(asking.request_command)
app.command("open")(asking.open_command)
app.command("post")(posting.post_command)
app.command("status")(models.status_command)
app.command("refund")(asking.refund_command)
app.command("withdraw")(asking.withdraw_command)
app.command("fee")(listings.fee_command)
app.command("deprecate")(listings.deprecate_command)
app.command("revoke")(listings.revoke_command)
app.add_typer(routes.app, name="route")
app.command("stop")(governing.stop_command)
