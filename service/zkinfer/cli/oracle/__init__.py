"""The group `zkinfer oracle`: answers of models as data feeds of contracts."""

from __future__ import annotations

import typer

from zkinfer.cli.oracle import audit, create, init, report, run, status

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Answers of a model as a data feed: made round by round from observed numbers, signed, proven, and the same on "
        "every chain. Needs the extra `oracle`."
    ),
)
app.command("init")(init.init_command)
app.command("create")(create.create_command)
app.command("run")(run.run_command)
app.command("status")(status.status_command)
app.command("report")(report.report_command)
app.command("post")(report.post_command)
app.command("audit")(audit.audit_command)
