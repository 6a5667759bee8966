"""Write the pages that are generated from the code, and the table of the engine seam in docs/architecture.md.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 if one of them is out of date

Generated pages: docs/reference/cli.md, feeds-toml.md, grpc-status.md, operators.md, policy.md and settings.md.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import BaseModel

from zkinfer.circuits.engines.ezkl.lowering import operators
from zkinfer.circuits.frontend import operators as frontend
from zkinfer.oracle.configuration import FeedsFile
from zkinfer.service.settings import Settings
from zkinfer.verifier.policy_rules import RULES

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n"

INTRODUCTION = """\
zkinfer reads opset 7 and later, and converts older opsets where needed. `zkinfer inspect MODEL.onnx` lists the
operators of a model that are not supported. Some operators are supported in certain forms only (dilated convolutions
are not, for example); `zkinfer compile` names the form and the cure. This page is about the default engine, ezkl; see
[operators of Ashlar](../guides/engines.md#operators-of-ashlar) for the other one.
"""

ELEMENT_TYPES = """\
## Element types

Inputs and outputs are float32, float16, float64, bool, or integers except uint64. Inside a model:

- float16, bfloat16 and float64 are converted to float32, which has more digits than a circuit. A constant beyond
  float32's range becomes its largest number, and one below its smallest number becomes that. A float64 model whose
  outputs change in float32 is rejected. Fidelity is measured against the original model; if onnxruntime cannot run its
  types (bfloat16, or a convolution in float64), against the converted model, and `zkinfer compile` says so.
- Weights may be quantised. `DequantizeLinear` and `QuantizeLinear` on constants are computed before compilation: per
  tensor, axis or block, on integers of 2 to 32 bits; 8-bit and 4-bit floats can be dequantised. On values that depend
  on an input they are rejected, because zkinfer quantises those itself.
- An operand of a type that its operator does not accept is rejected by name, type and opset.
"""


SETTINGS_INTRODUCTION = """\
Precedence, highest first: options of `zkinfer serve`, environment variables, the TOML file given by `--config`,
defaults. The variable of a setting is its name in capitals, prefixed with `ZKINFER_`, with two underscores in place of
the dot: `ZKINFER_LISTEN`, `ZKINFER_TLS__KEY`. Unknown settings are rejected. Sizes may be written as `"2GB"` or
`"512MiB"`; times are in seconds. See [serving](../guides/serving.md) for how the settings are used.
"""

FEEDS_INTRODUCTION = """\
The file of `zkinfer oracle run` and `zkinfer oracle status`. Paths are relative to its folder. Secrets are never in it:
settings ending in `-file`, and keystores, name files that nobody else may read. Unknown settings are rejected. Amounts
are text with a unit (`"2gwei"`), shares are text with a percent sign (`"0.5%"`).
"""

POLICY_INTRODUCTION = """\
A policy document is an object with `version` 1 and `allOf`, a list of rules, all of which must hold. A rule is an
object with one key. It is written in JSON, or in TOML if the file's name ends in `.toml`: the same document, with
`version = 1` and a table `[[allOf]]` for each rule. See [policies](../guides/policies.md) for complete ones.

Hex is written in lower case and in full. A rule without an argument takes `true`; `false` is rejected as ambiguous.
Duplicate keys, unknown rules and malformed values are rejected when the document is read, and the error suggests the
closest name. A policy that requires nothing is rejected, even if it permits something. `zkinfer policy show FILE` puts
a policy in words, and `zkinfer policy check FILE --circuit FOLDER` tells whether it can accept proofs of a circuit.
"""

STATUS_INTRODUCTION = """\
The status code of a gRPC error follows from the class of the error, or else from the nearest class above it in the
[tree of errors](errors.md#the-tree). "Retry" is the delay in `RetryInfo`, in seconds, unless the error states its own.
The table is in `service/zkinfer/service/error_status.py`. See [gRPC interface](grpc.md#errors) for the details that
accompany a status.
"""

STATUSES = DOCS.parent / "service/zkinfer/service/error_status.py"
SEAM = DOCS.parent / "circuits/zkinfer/circuits/engines/base.py"
BEGIN, END = "<!-- engine seam: written by docs/generate.py -->\n", "<!-- end of the engine seam -->\n"


def main() -> None:
    documents = {
        "reference/operators.md": operators_page(),
        "reference/settings.md": settings_page(),
        "reference/feeds-toml.md": feeds_page(),
        "reference/cli.md": cli_page(),
        "reference/policy.md": policy_page(),
        "reference/grpc-status.md": status_page(STATUSES.read_text()),
        "architecture.md": with_seam_table((DOCS / "architecture.md").read_text(), seam_table(SEAM.read_text())),
    }
    stale = [name for name, text in documents.items() if not _is(DOCS / name, text)]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(stale)}; run python docs/generate.py")
        return
    for name in stale:
        (DOCS / name).write_text(documents[name])
        print(f"wrote docs/{name}")


def seam_table(source: str, protocol: str = "Engine") -> str:
    """One row for each member of a protocol, in the order of the source.

    Args:
        source: a Python module.
        protocol: the name of the class in it.

    Raises:
        ValueError: the module defines no such class.
    """
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == protocol]
    if not classes:
        raise ValueError(f"no class {protocol}")
    rows = [_member_row(node) for node in classes[0].body if isinstance(node, ast.FunctionDef | ast.AnnAssign)]
    return "\n".join(["| member | arguments | returns | purpose |", "| --- | --- | --- | --- |", *rows]) + "\n"


def with_seam_table(page: str, table: str) -> str:
    """The page with `table` between its markers.

    Raises:
        ValueError: the page lacks a marker, or has it twice.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError("docs/architecture.md needs each marker of the engine seam exactly once")
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + table + "\n" + END + rest.partition(END)[2]


def _member_row(node: ast.FunctionDef | ast.AnnAssign) -> str:
    if isinstance(node, ast.AnnAssign):
        return f"| {_code(node.target)} | | {_code(node.annotation)} | |"
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    named = ", ".join(f"`{one.arg}`" for one in arguments if one.arg != "self")
    returned = "" if node.returns is None or ast.unparse(node.returns) == "None" else _code(node.returns)
    return f"| `{node.name}` | {named} | {returned} | {_first_sentence(ast.get_docstring(node) or '')} |"


def _code(node: ast.expr) -> str:
    return f"`{ast.unparse(node)}`".replace("|", "\\|")


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0].replace("|", "\\|")


def operators_page() -> str:
    """The supported ONNX operators, and a reason and a cure for each of the others."""
    parts = [
        "# Operators\n",
        NOTE,
        INTRODUCTION,
        "[Coverage](coverage.md) lists what each operator costs.\n",
        ELEMENT_TYPES,
        "## Supported\n\nEach was run through the engine and compared with the float result.\n",
        _list(operators.SUPPORTED),
        "## Rewritten before compilation\n",
        _list(frontend.COMPOSITE | operators.REWRITTEN),
        "## Classical models\n\nOperators of the domain `ai.onnx.ml`, lowered to tensor arithmetic first.\n",
        _list(frontend.CLASSICAL),
        "## On constants only\n\nSupported in the shape arithmetic that exporters emit, but not on a model's inputs.\n",
        _list(operators.CONSTANT_ONLY),
        "## Not supported\n\n| operator | reason | cure |\n| --- | --- | --- |",
    ]
    rows = [
        f"| {name} | It {why}. | {cure} |"
        for name, (why, cure) in sorted((frontend.REFUSED | operators.REFUSED).items())
    ]
    return "\n".join([*parts, *rows]) + "\n"


def status_page(source: str) -> str:
    """The gRPC status of each class of errors.

    Args:
        source: the module that maps classes to statuses, each as `Class: Rule(code_pb2.CODE, ...)`.

    Raises:
        ValueError: the module maps no class.
    """
    rows = []
    for node in ast.walk(ast.parse(source)):
        pairs = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
        rows += [row for key, value in pairs if key is not None and (row := _status_row(key, value))]
    if not rows:
        raise ValueError("no class of errors has a status")
    table = "\n".join(["| error | status | retry |", "| --- | --- | --- |", *sorted(rows)])
    return f"# gRPC statuses\n\n{NOTE}\n{STATUS_INTRODUCTION}\n{table}\n"


def _status_row(key: ast.expr, value: ast.expr) -> str | None:
    found = re.search(r"\bcode_pb2\.(\w+)", ast.unparse(value))
    name = ast.unparse(key).rpartition(".")[2]
    if found is None or not name.endswith("Error"):
        return None
    retry = re.search(r"\bretry_after=([\d.]+)", ast.unparse(value))
    return f"| `{name}` | `{found[1]}` | {f'{float(retry[1]):g}' if retry else ''} |"


def settings_page() -> str:
    """The settings of `zkinfer serve`, by group."""
    groups = {name: group for name, field in Settings.model_fields.items() if (group := _group(field.annotation))}
    alone = {name: field for name, field in Settings.model_fields.items() if name not in groups}
    parts = ["# Server settings\n", NOTE, SETTINGS_INTRODUCTION, _settings_table(alone, "")]
    for name, group in groups.items():
        about = " ".join(inspect.cleandoc(group.__doc__ or "").split())
        prefix = f"{name}." if group is Settings.model_fields[name].annotation else f"{name}.NAME."
        parts += [f"## {name}\n\n{about}\n", _settings_table(group.model_fields, prefix)]
    return "\n".join(parts)


def feeds_page() -> str:
    """The settings of `feeds.toml`, by table."""
    parts = ["# Settings of feeds\n", NOTE, FEEDS_INTRODUCTION]
    for name, field in FeedsFile.model_fields.items():
        if (group := _group(_without_none(field.annotation))) is None:
            continue
        table = f"[{name}.NAME]" if get_origin(field.annotation) is dict else f"[{name}]"
        about = " ".join(inspect.cleandoc(group.__doc__ or "").split()).partition(": ")[2]
        named = {one.alias or key: one for key, one in group.model_fields.items()}
        parts += [f"## {table}\n\n{about[:1].upper()}{about[1:]}\n", _settings_table(named, "")]
    return "\n".join(parts)


def _without_none(annotation: object) -> object:
    """The other member of a union with None."""
    members = [one for one in get_args(annotation) if one is not type(None)]
    return members[0] if type(None) in get_args(annotation) and len(members) == 1 else annotation


def policy_page() -> str:
    """The rules of policy documents, with an example of each in JSON and in TOML."""
    rows = [f"| `{name}` | {rule.argument} | {rule.meaning} | `{rule.kind.__name__}` |" for name, rule in RULES.items()]
    table = "\n".join(["| rule | argument | holds if | class |", "| --- | --- | --- | --- |", *rows])
    document = {"version": 1, "allOf": [{name: rule.example} for name, rule in RULES.items()]}
    tables = (f"[[allOf]]\n{name} = {_toml(rule.example)}" for name, rule in RULES.items())
    return "\n".join(
        [
            "# Policy documents\n",
            NOTE,
            POLICY_INTRODUCTION,
            f"## Rules\n\n{table}\n",
            "## Every rule in JSON\n\nThis is for the syntax only: nothing meets all of it.\n",
            f"```json\n{json.dumps(document, indent=2)}\n```\n",
            "## Every rule in TOML\n",
            "```toml\nversion = 1\n\n" + "\n\n".join(tables) + "\n```\n",
        ]
    )


def _toml(value: object) -> str:
    """A value of a policy as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _group(annotation: object) -> type[BaseModel] | None:
    """The class of a group of settings, or of one group for each name."""
    found = get_args(annotation)[-1] if get_origin(annotation) is dict else annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _settings_table(fields: dict[str, FieldInfo], prefix: str) -> str:
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in fields.items():
        about = " ".join((field.description or "").split())
        rows.append(f"| `{prefix}{name}` | {_default(field)} | {about} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None or field.default_factory is not None:
        return ""
    if isinstance(field.default, BaseModel):
        return ""
    return f"`{json.dumps(field.default, default=str)}`"


def cli_page() -> str:
    """The help of every command, as written by typer's documentation tool."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "zkinfer.cli.main", "utils", "docs", "--name", "zkinfer"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
    )
    title, _, rest = done.stdout.strip().partition("\n")
    return f"# Command line\n\n{NOTE}\n#{title}\n{rest}\n"


def _list(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) + "\n"


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
