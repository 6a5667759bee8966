"""The content of --help, and that it loads no heavy package."""

import subprocess
import sys

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.service.settings_loader import load_settings

HEAVY = (
    "sqlalchemy",
    "structlog",
    "numpy",
    "onnx",
    "onnxruntime",
    "ezkl",
    "torch",
    "grpc",
    "web3",
    "pydantic",
    "cryptography",
    "py_ecc",
)


def leaves(command, path=()):
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(leaves(get_command(app)))


def test_top_level_commands_are_pinned():
    assert {"export", "compile", "prove", "verify", "inspect", "demo", "keys new", "keys show"} <= set(COMMANDS)
    assert {"setup list", "setup import", "setup fetch", "setup check"} <= set(COMMANDS)


def test_server_commands_are_pinned():
    assert {"serve", "tokens new", "tokens list", "tokens revoke"} <= set(COMMANDS)
    assert {"jobs list", "jobs show", "jobs cancel", "jobs retry", "jobs delete"} <= set(COMMANDS)


def test_chain_commands_are_pinned():
    first = {"chain dev", "chain deploy", "chain verify-deployment", "chain register", "chain status", "chain stop"}
    assert first | {"chain request", "chain open", "chain post", "chain refund", "chain withdraw"} <= set(COMMANDS)


VARIABLES = {parameter.envvar for command in COMMANDS.values() for parameter in command.params} - {None}


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_environment_variable_of_another_command_is_accepted_by_the_server(variable, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, "/somewhere")
    assert load_settings({"repository": tmp_path}).repository == tmp_path


@pytest.mark.parametrize("name", sorted(name for name in COMMANDS if name.startswith("chain ")))
def test_paying_chain_command_has_a_dry_run(name):
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert ("--keystore" in options) == ("--dry-run" in options) == ("--max-cost" in options)
    assert not options & {"--key", "--private-key", "--mnemonic"}


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name.partition(" ")[0] in ("serve", "tokens", "jobs", "chain")]
)
def test_server_and_chain_commands_can_print_json(name):
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_with_its_arguments(name):
    outcome = CliRunner().invoke(app, [*name.split(), "--help"])
    assert outcome.exit_code == 0
    assert "Usage:" in outcome.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_at_80_columns_has_every_option_name_whole(name):
    text = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).output
    names = [option for parameter in COMMANDS[name].params for option in parameter.opts]
    assert {option for option in names if option.startswith("--")} <= set(text.replace(",", " ").split())
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_has_help(name):
    silent = [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", None)]
    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_text_begins_with_a_sentence(name):
    first = COMMANDS[name].help.strip().partition("\n\n")[0]
    assert first[0].isupper()
    assert first.rstrip().endswith((".", "`."))


@pytest.mark.parametrize(
    "name",
    [
        *["export", "compile", "prove", "verify", "demo", "inspect", "serve"],
        *["keys new", "tokens new", "jobs list"],
        *sorted(name for name in COMMANDS if name.startswith("chain ")),
    ],
)
def test_example_in_the_help_names_real_options(name):
    example = COMMANDS[name].help.partition("Example: ")[2].split()
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert example[: 1 + len(name.split())] == ["zkinfer", *name.split()]
    assert {word for word in example if word.startswith("--")} <= options


def test_dangerous_options_are_named_unsafe_without_a_short_form():
    flags = [option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts]
    assert {flag for flag in flags if "unsafe" in flag} == {
        "--unsafe-accept-dev-setup",
        "--unsafe-dev-account",
        "--unsafe-governance",
        "--unsafe-unencrypted",
    }
    assert all(flag.startswith("--unsafe-") for flag in flags if "unsafe" in flag)
    assert {flag for flag in flags if "insecure" in flag} == {"--insecure-no-tls", "--insecure-anonymous"}


def test_no_option_takes_a_secret():
    names = {parameter.name for command in COMMANDS.values() for parameter in command.params}
    assert not names & {"passphrase", "password", "private_key", "secret"}


def test_import_of_the_command_loads_no_heavy_package():
    code = "import sys, zkinfer.cli.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not set(done.stdout.split()) & set(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["compile"],
        ["compile", "m.onnx"],
        ["compile", "m.onnx", "--out", "c", "--min-agreement", "2"],
        ["compile", "m.onnx", "--out", "c", "--max-error", "-1"],
        ["compile", "m.onnx", "--out", "c", "--unknown"],
        ["prove", "c"],
        ["prove", "c", "--input", "i", "--out", "o", "--chain-id", "x"],
        ["prove", "c", "--input", "i", "--out", "o", "--expiry", "-5"],
        ["verify", "a"],
        ["verify", "a", "--model"],
        ["keys", "new"],
        ["keys", "new", "--out", "k", "--algorithm", "rsa"],
        ["setup", "fetch", "0"],
        ["setup", "fetch", "many"],
        ["serve", "--workers", "-1"],
        ["tokens", "new"],
        ["tokens", "new", "alice", "--expires-in", "3 years"],
        ["tokens", "new", "alice", "--unfinished-jobs", "-1"],
        ["jobs", "show"],
        ["jobs", "list", "--most", "0"],
        ["prove", "c", "--input", "i", "--out", "o", "--request", "r", "--chain-id", "1"],
        ["chain", "deploy", "--guardian", "0x12"],
        ["chain", "deploy", "--max-fee", "20"],
        ["chain", "deploy", "--salt", "0x" + "0g" * 32],
        ["chain", "deploy", "--unsafe-dev-account", "10"],
        ["chain", "request", "c", "--out", "r"],
        ["chain", "request", "c", "--out", "r", "--input", "i", "--any-input"],
        ["chain", "request", "c", "--out", "r", "--any-input", "--prover-fee", "1gwei"],
        ["chain", "post", "a"],
        ["chain", "dev", "--port", "65536"],
    ],
)
def test_usage_error_exits_with_2(arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_no_arguments_show_the_help():
    outcome = CliRunner().invoke(app, [])
    assert "Usage:" in outcome.output
    assert isinstance(app, typer.Typer)
