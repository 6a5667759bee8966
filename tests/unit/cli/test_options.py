"""Command-line values, parsed into domain types."""

import inspect
import time
from dataclasses import fields

import pytest
import typer
from typer.testing import CliRunner

from zkinfer.circuits import Budget
from zkinfer.circuits.errors import InputError
from zkinfer.cli.compile import compile_command, parse_dimensions
from zkinfer.cli.main import app
from zkinfer.cli.options import parse_amount, parse_share, parse_size, read_passphrase
from zkinfer.cli.prove import make_context

ZERO_ADDRESS = "0x" + "0" * 40
WORD = "0x" + "ab" * 32


def test_dimensions_are_parsed_as_names_with_sizes():
    assert parse_dimensions(["batch=1", "time=16"]) == {"batch": 1, "time": 16}
    assert parse_dimensions([]) == {}


@pytest.mark.parametrize(
    "pair", ["", "batch", "batch=", "=1", "batch=0", "batch=-1", "batch=1.5", "batch=x", "batch= 1", "a=1=2"]
)
def test_malformed_dimension_is_a_usage_error(pair):
    with pytest.raises(typer.BadParameter, match="is not NAME=SIZE"):
        parse_dimensions([pair])


def test_dimension_in_other_unicode_digits_is_a_number_or_a_usage_error():
    assert parse_dimensions(["batch=٣"]) == {"batch": 3}


def test_dimension_with_superscript_is_a_usage_error():
    with pytest.raises(typer.BadParameter, match="is not NAME=SIZE"):
        parse_dimensions(["batch=²"])


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0.5%", 0.005),
        ("0.005", 0.005),
        ("99.9%", 0.999),
        ("100%", 1),
        ("1", 1),
        ("0", 0),
        (" 5 % ", 0.05),
        (0.99, 0.99),
    ],
)
def test_share_is_a_percentage_or_a_fraction(text, share):
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "text", ["50", "1.5", "101%", "-1%", "-0.1", "nan", "inf", "nan%", "", "%", "x", "5%%", "1e9999999", "9e9999999%"]
)
def test_share_outside_0_to_1_is_a_usage_error(text):
    with pytest.raises(typer.BadParameter, match=r"is not a share: write it as 0\.5% or 0\.005"):
        parse_share(text)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e999", "5%", "", "x"])
def test_malformed_amount_is_a_usage_error(text):
    with pytest.raises(typer.BadParameter, match="is not an amount"):
        parse_amount(text)


def test_amount_is_a_non_negative_number():
    assert (parse_amount("0.25"), parse_amount("0"), parse_amount("1e3")) == (0.25, 0.0, 1000.0)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1),
        ("4GB", 4 * 10**9),
        ("500 MB", 500 * 10**6),
        ("2GiB", 2 << 30),
        ("1.5kb", 1500),
        ("0.5KiB", 512),
        (" 1 tb ", 10**12),
        (1024, 1024),
    ],
)
def test_size_is_a_number_with_or_without_a_unit(text, count):
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["", "0", "0.4", "-1GB", "GB", "4XB", "4G", "nanGB", "inf", "1e3GBGB", "4GB4", "4,5GB", "0x10", "½GB"]
)
def test_malformed_size_is_a_usage_error(text):
    with pytest.raises(typer.BadParameter, match="is not a size: write it as 500MB or 4GB"):
        parse_size(text)


def test_default_budget_is_that_of_the_package():
    defaults = {name: one.default for name, one in inspect.signature(compile_command).parameters.items()}
    assert Budget(*(defaults[one.name] for one in fields(Budget))) == Budget()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels", "y"], "labels need samples: give --calibration too"),
        (["--max-accuracy-drop", "1%", "--calibration", "a.npz"], "give --labels too"),
        (["--max-error", "50"], "'50' is not a share"),
        (["--min-agreement", "-1%"], "'-1%' is not a share"),
        (["--max-absolute-error", "-1"], "'-1' is not an amount"),
        (["--max-memory", "much"], "'much' is not a size"),
        (["--dim", "N"], "'N' is not NAME=SIZE"),
        (["--inputs", "secret"], "is not one of"),
        (["--objective", "beauty"], "is not one of"),
        (["--effort", "heroic"], "is not one of"),
        (["--engine", "snark"], "'snark' is not one of: ezkl, ashlar, auto"),
    ],
)
def test_contradictory_budget_is_a_usage_error(arguments, message):
    outcome = CliRunner().invoke(app, ["compile", "m.onnx", "--out", "c", *arguments], env={"COLUMNS": "200"})
    assert outcome.exit_code == 2
    assert message in outcome.output


@pytest.mark.parametrize(
    ("picture", "message"), [("a.jpg", "ends neither in"), ("none/a.png", "its folder does not exist")]
)
def test_undrawable_trade_off_is_refused_before_the_model_is_read(picture, message):
    arguments = ["compile", "missing.onnx", "--out", "c", "--trade-off", picture]
    outcome = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert outcome.exit_code == 1
    assert message in outcome.output


def test_picture_of_anything_but_a_circuit_is_a_usage_error():
    outcome = CliRunner().invoke(app, ["inspect", "m.onnx", "--picture", "a.png"], env={"COLUMNS": "200"})
    assert outcome.exit_code == 2
    assert "only a circuit's errors can be plotted" in outcome.output


def test_context_without_a_request_id_gets_a_fresh_one():
    first, second = (make_context(0, ZERO_ADDRESS, None, ZERO_ADDRESS, 0) for _ in range(2))
    assert first.request_id != second.request_id


def test_context_is_case_insensitive_and_keeps_every_field():
    expiry = int(time.time()) + 100
    context = make_context(5, "0x" + "AB" * 20, WORD.upper().replace("0X", "0x"), "0x" + "cD" * 20, expiry)
    assert (context.chain_id, context.consumer, context.request_id) == (5, "0x" + "ab" * 20, WORD)
    assert (context.requester, context.expiry) == ("0x" + "cd" * 20, expiry)


@pytest.mark.parametrize(
    "fields",
    [
        (-1, ZERO_ADDRESS, WORD, ZERO_ADDRESS, 0),
        (1 << 256, ZERO_ADDRESS, WORD, ZERO_ADDRESS, 0),
        (0, "0x12", WORD, ZERO_ADDRESS, 0),
        (0, ZERO_ADDRESS[2:], WORD, ZERO_ADDRESS, 0),
        (0, ZERO_ADDRESS + "\n", WORD, ZERO_ADDRESS, 0),
        (0, ZERO_ADDRESS, WORD[:-1], ZERO_ADDRESS, 0),
        (0, ZERO_ADDRESS, WORD + "0", ZERO_ADDRESS, 0),
        (0, ZERO_ADDRESS, "0x" + "zz" * 32, ZERO_ADDRESS, 0),
        (0, ZERO_ADDRESS, WORD, "nobody", 0),
        (0, ZERO_ADDRESS, WORD, ZERO_ADDRESS, 1 << 64),
    ],
)
def test_malformed_context_is_a_usage_error(fields):
    with pytest.raises(typer.BadParameter):
        make_context(*fields)


@pytest.mark.parametrize("expiry", [1, 1_600_000_000])
def test_expired_context_is_a_usage_error(expiry):
    with pytest.raises(typer.BadParameter, match="has already passed"):
        make_context(0, ZERO_ADDRESS, WORD, ZERO_ADDRESS, expiry)


def written(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("content", "wanted"), [(b"secret\n", b"secret"), (b"a b \r\nx", b"a b "), (b"\xc3\xa4", b"\xc3\xa4")]
)
def test_passphrase_is_the_unmodified_first_line(tmp_path, content, wanted):
    written(tmp_path / "p", content)
    assert read_passphrase(tmp_path / "p", confirm=False) == wanted


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nsecret"])
def test_empty_passphrase_file_is_refused(tmp_path, content):
    written(tmp_path / "p", content)
    with pytest.raises(InputError, match="holds no passphrase"):
        read_passphrase(tmp_path / "p", confirm=False)


def test_missing_passphrase_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: no such file"):
        read_passphrase(tmp_path / "p", confirm=False)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_passphrase_file_that_others_can_read_is_refused(tmp_path, mode):
    written(tmp_path / "p", b"secret\n", mode)
    with pytest.raises(InputError, match=r"can be read by other users.*chmod 600"):
        read_passphrase(tmp_path / "p", confirm=False)
