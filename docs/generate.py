"""Write the documents that follow from the code: docs/operators.md, docs/settings.md and docs/cli.md.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 where one is out of date
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from zkinfer.circuits.engines.ezkl.lowering import operators
from zkinfer.service.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n"

INTRODUCTION = """\
Opsets 7 and later are read; what needs it is converted. `zkinfer inspect MODEL.onnx` tells which operators of a model
are in the way. Some are taken in certain forms only (dilated convolutions are not); then `zkinfer compile` says so.
"""


SETTINGS_INTRODUCTION = """\
An option of `zkinfer serve` counts before an environment variable, a variable before the TOML file that `--config`
names, the file before the default. The variable of a setting is its name in capitals behind `ZKINFER_`, with two
underscores for a dot: `ZKINFER_LISTEN`, `ZKINFER_TLS__KEY`. What is not known is refused. Sizes may be written as
`"2GB"` or `"512MiB"`; times are in seconds.
"""


def main() -> None:
    documents = {"operators.md": operators_page(), "settings.md": settings_page(), "cli.md": cli_page()}
    stale = [name for name, text in documents.items() if not _is(DOCS / name, text)]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(stale)}; run python docs/generate.py")
        return
    for name in stale:
        (DOCS / name).write_text(documents[name])
        print(f"wrote docs/{name}")


def operators_page() -> str:
    """Which ONNX operators can be compiled, and what to do about the others."""
    parts = [
        "# Operators\n",
        NOTE,
        INTRODUCTION,
        "## Compiled\n\nEach was run through the engine and compared with the float answer.\n",
        _list(operators.SUPPORTED),
        "## Rewritten first\n",
        _list(operators.COMPOSITE | operators.REWRITTEN),
        "## Classical models\n\nOf the domain `ai.onnx.ml`, turned into tensor arithmetic first.\n",
        _list(operators.CLASSICAL),
        "## On constants only\n\nFine in the shape arithmetic that exporters write; not on the model's input.\n",
        _list(operators.CONSTANT_ONLY),
        "## Refused\n\n| operator | why: it | cure |\n| --- | --- | --- |",
    ]
    rows = [f"| {name} | {why} | {cure} |" for name, (why, cure) in sorted(operators.REFUSED.items())]
    return "\n".join([*parts, *rows]) + "\n"


def settings_page() -> str:
    """What `zkinfer serve` can be told, by group."""
    groups = {name: field for name, field in Settings.model_fields.items() if _is_group(field.annotation)}
    alone = {name: field for name, field in Settings.model_fields.items() if name not in groups}
    parts = ["# Settings of the server\n", NOTE, SETTINGS_INTRODUCTION, _settings_table(alone, "")]
    for name, field in groups.items():
        about = " ".join(inspect.cleandoc(field.annotation.__doc__).split())
        parts += [f"## {name}\n\n{about}\n", _settings_table(field.annotation.model_fields, f"{name}.")]
    return "\n".join(parts)


def _is_group(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _settings_table(fields: dict[str, FieldInfo], prefix: str) -> str:
    rows = ["| setting | default | what |", "| --- | --- | --- |"]
    for name, field in fields.items():
        about = " ".join((field.description or "").split())
        rows.append(f"| `{prefix}{name}` | {_default(field)} | {about} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default is None or field.default_factory is not None:
        return ""
    return f"`{json.dumps(field.default)}`"


def cli_page() -> str:
    """The help of every command, as typer's own documentation tool writes it."""
    made = subprocess.run(
        [sys.executable, "-m", "typer", "zkinfer.cli.main", "utils", "docs", "--name", "zkinfer"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
    )
    title, _, rest = made.stdout.strip().partition("\n")
    return f"# The command line\n\n{NOTE}\n#{title}\n{rest}\n"


def _list(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) + "\n"


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
