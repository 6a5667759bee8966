import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import onnxruntime
import pytest
from tests.paths import PROGRAM
from typer.testing import CliRunner

from zkinfer.cli.demo.cases import DIGITS
from zkinfer.cli.main import app
from zkinfer.cli.ui import demo_model


def ui(*arguments):
    return CliRunner().invoke(app, ["ui", *map(str, arguments)])


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A page as a process, and the link that it has printed."""
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path / "home"))
    command = [PROGRAM, "ui", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process, re.search(r"http://\S+", process.stdout.readline())[0]
        process.kill()


def status_of(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as err:
        with err:
            return err.code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_page_answers_until_a_signal_ends_it(running, number):
    process, link = running
    base = link.partition("/open/")[0]
    assert status_of(f"{base}/static/page.css") == 200
    assert status_of(f"{base}/") == 403
    assert status_of(f"{base}/static/page.css", Host="evil.example") == 421
    process.send_signal(number)
    assert process.wait(20) == 0
    errors = process.stderr.read()
    assert "stopped" in errors
    assert "Traceback" not in errors


def test_key_is_in_the_link_and_in_no_log(running):
    process, link = running
    assert status_of(link) in (200, 403)  # without cookies, the page that follows is refused
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert link.rpartition("/")[2] not in process.stdout.read() + process.stderr.read()


def test_address_beyond_this_machine_is_refused():
    result = ui("--listen", "0.0.0.0:0")
    assert result.exit_code == 1
    assert "--insecure-no-tls" in result.output


def test_used_address_is_refused(running):
    _, link = running
    result = ui("--listen", link.split("/")[2])
    assert result.exit_code == 1
    assert "Cannot listen" in result.output


def test_refusal_as_json_names_the_cause():
    result = ui("--listen", "nowhere", "--json")
    assert json.loads(result.stdout)["error"]["type"] == "InputError"


def test_token_that_others_can_read_is_refused(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret")
    token.chmod(0o644)
    result = ui("--server", "http://127.0.0.1:1", "--token-file", token)
    assert result.exit_code == 1
    assert "can be read by other users" in result.output
    assert "s3cret" not in result.output


def test_token_is_not_sent_to_another_machine_without_tls(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret")
    token.chmod(0o600)
    result = ui("--server", "http://server.example:1", "--token-file", token)
    assert result.exit_code == 1
    assert "without TLS" in result.output


def test_address_of_grpc_is_refused_with_the_url_to_give():
    result = ui("--server", "127.0.0.1:8001")
    assert result.exit_code == 1
    assert "http://127.0.0.1:8000" in result.output


@pytest.mark.parametrize(
    "options", [["--tls-ca", "ca.pem"], ["--ledger", "0x" + "00" * 20], ["--max-upload", "much"], ["--rpc", "http://x"]]
)
def test_useless_or_incomplete_option_is_refused(options):
    assert ui(*options).exit_code == 2


def test_missing_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("zkinfer.ui")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = ui()
    assert result.exit_code == 1
    assert "pip install 'zkinfer[ui]'" in result.output


def test_samples_are_one_of_each_digit_and_the_model_reads_them():
    model = demo_model()
    session = onnxruntime.InferenceSession(str(DIGITS.model))
    read = [int(session.run(None, {"image": image})[0].argmax()) for image in model.images]
    assert list(model.labels) == read == list(range(10))


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--rpc", "ftp://s3cret", "--ledger", "0x" + "00" * 20], "URL"),
        (["--rpc", "http://s3cret", "--deployment", "missing.json"], "missing.json"),
    ],
)
def test_unusable_chain_is_refused_before_the_page_starts(options, cause):
    result = ui(*options)
    assert result.exit_code == 1
    assert cause in result.output
    assert "s3cret" not in result.output


def test_node_given_twice_is_refused():
    done = ui("--rpc", "https://node.example/5ec4e7", "--rpc-file", "node.url", "--ledger", "0x" + "1e" * 20)
    assert (done.exit_code, "exclude each other" in done.stderr) == (2, True)
    assert "5ec4e7" not in done.output
