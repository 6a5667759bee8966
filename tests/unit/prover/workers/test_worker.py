"""The log of worker processes."""

import json
import logging
import subprocess
import sys

import pytest

from zkinfer.prover.workers.worker import FIELDS, JsonLines, TextLines


def test_json_log_line_has_only_the_known_fields():
    record = logging.makeLogRecord({"msg": "job processed", "levelname": "INFO", "job": "7", "inputs": [1, 2, 3]})
    line = json.loads(JsonLines().format(record))
    assert set(line) == {"timestamp", "level", "event", "job"}
    assert (line["event"], line["job"]) == ("job processed", "7")
    assert "inputs" not in FIELDS


def test_text_log_line_has_the_same_content_on_one_line():
    values = {"msg": "job \x1b[2Jleft\nsecret", "levelname": "INFO", "job": "7", "created": 0.5, "inputs": [31337]}
    line = TextLines().format(logging.makeLogRecord(values))
    assert line.startswith("1970-01-01T00:00:00.500000Z [info     ] job ?[2Jleft?secret")
    assert line.endswith(" job=7")
    assert "31337" not in line


@pytest.mark.parametrize(("level", "form", "expected"), [("info", "text", "[info     ] told"), ("warning", "json", "")])
def test_log_follows_level_and_format_of_the_settings(level, form, expected):
    code = (
        "import logging, zkinfer.prover.workers.worker as logs\n"
        f"logs.log_to_stderr({level!r}, {form!r}); logging.getLogger('x').info('told')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert expected in ended.stderr
    assert bool(ended.stderr) == bool(expected)


def test_log_line_of_an_unexpected_error_has_its_location_and_not_its_text():
    error = ValueError("no such luck")
    record = logging.makeLogRecord({"msg": "oops", "exc_info": (ValueError, error, None)})
    line = json.loads(JsonLines().format(record))
    assert "no such luck" not in json.dumps(line)
    assert line["error"]


def test_crashing_worker_logs_the_location_and_no_values():
    code = "import zkinfer.prover.workers.worker as logs; logs.log_to_stderr(); int('31337 secret')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = json.loads(ended.stderr)
    assert (ended.returncode, line["event"], line["error"]) == (1, "the worker failed", "ValueError")
    assert "31337" not in ended.stderr
