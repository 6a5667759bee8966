import json
import logging
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from zkinfer.circuits.errors import DataError, EngineError
from zkinfer.service.logs import configure, error_fields, log, sanitised
from zkinfer.service.settings import Log


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_line_is_one_json_object(capsys):
    configure(Log())
    log.info("call", method="/a/B", seconds=0.5)
    [line] = lines(capsys)
    assert (line["event"], line["level"], line["method"], line["seconds"]) == ("call", "info", "/a/B", 0.5)
    assert line["timestamp"].endswith("Z")


def test_level_is_kept(capsys):
    configure(Log(level="warning"))
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_client_that_would_log_urls_is_silent(capsys):
    configure(Log(level="debug"))
    logging.getLogger("httpx2").info("HTTP Request: POST https://hooks.example/secret")
    assert "secret" not in capsys.readouterr().err


def test_text_format_is_human_readable(capsys):
    configure(Log(format="text"))
    log.info("call", method="/a/B")
    assert "call" in capsys.readouterr().err


@pytest.mark.parametrize(
    "value", [np.arange(3), [1.5, 2.5], {"x": 31337}, b"31337", (1,)], ids=lambda v: type(v).__name__
)
def test_other_values_are_replaced_by_their_type(value):
    assert sanitised(None, "", {"event": "e", "inputs": value})["inputs"] == f"<{type(value).__name__}>"


@pytest.mark.parametrize("text", ["zki_0123456789ab_" + "a1" * 32, "Bearer abc.def", "authorization: bearer secret"])
def test_token_is_redacted(text):
    found = sanitised(None, "", {"event": f"before {text} after"})["event"]
    assert found.startswith("before")
    assert "<token>" in found
    assert not any(secret in found for secret in ("a1a1", "abc.def", "secret"))


def test_long_text_is_truncated():
    assert len(sanitised(None, "", {"event": "x" * 10_000})["event"]) == 600


def test_control_characters_in_a_line_are_replaced(capsys):
    configure(Log(format="text"))
    log.info("call", caller="a\nfatal: all is lost\x1b[2J\u202e")
    [line] = capsys.readouterr().err.splitlines()
    assert "a?fatal: all is lost?[2J?" in line


def test_numbers_in_engine_messages_are_redacted():
    assert error_fields(EngineError("ezkl: value -0.7178 at row 12."))["cause"] == "ezkl: value -#.# at row #."


def test_exception_in_standard_logging_is_described_and_not_quoted(capsys):
    configure(Log())
    try:
        int("31337 secret")
    except ValueError as err:
        message = f"Task exception was never retrieved\nfuture: {err!r}"
        logging.getLogger("asyncio").exception(message)
    [line] = lines(capsys)
    assert (line["event"], line["error"]) == ("Task exception was never retrieved", "ValueError")
    assert "31337" not in json.dumps(line)


def test_known_error_is_logged_with_its_message():
    assert error_fields(DataError("It is wrong.", "Fix it.")) == {
        "error": "DataError",
        "cause": "It is wrong.",
        "cure": "Fix it.",
    }


def test_foreign_error_is_logged_with_type_and_location():
    try:
        int("31337 secret")
    except ValueError as err:
        found = error_fields(err)
    assert found["error"] == "ValueError"
    assert "test_logs.py" in found["place"]
    assert "31337" not in json.dumps(found)


def test_standard_logging_lines_keep_only_known_fields(capsys):
    configure(Log())
    logging.getLogger("zkinfer.prover").warning("worker died", extra={"worker": "h/1", "inputs": [31337]})
    [line] = lines(capsys)
    assert (line["event"], line["level"], line["worker"]) == ("worker died", "warning", "h/1")
    assert "inputs" not in line


def test_unwritable_log_line_raises_nothing(monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        configure(Log())
        log.info("lost")
        with suppress(OSError):
            full.close()
