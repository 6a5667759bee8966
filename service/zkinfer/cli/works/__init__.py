"""The group `zkinfer works`: fingerprints of pictures, labels, and what follows from them."""

from __future__ import annotations

import typer

from zkinfer.cli.works import labels, prints, similar

app = typer.Typer(
    no_args_is_help=True,
    help="Works: proven fingerprints of pictures, labels by detectors, painted pictures. Needs the extra `works`.",
)
app.command("print-circuit")(prints.circuit_command)
app.command("pixels")(prints.pixels_command)
app.command("print")(prints.print_command)
app.command("label")(labels.label_command)
app.command("render")(labels.render_command)
app.command("record-print")(similar.record_command)
app.command("flag")(similar.flag_command)
app.command("answer")(similar.answer_command)
