"""HTTP of a real `zkinfer serve`, with the real engine: docs/guides/rest.md, executed as a reader does."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests.e2e.test_serve import served
from tests.integration import bench
from tests.paths import PROGRAM

PAGE = (bench.REPOSITORY / "docs/guides/rest.md").read_text(encoding="utf-8")
START = "zkinfer serve --repository models --rest 127.0.0.1:8000"
SHOWN = "127.0.0.1:8000"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def reader(shell, digits):
    """A reader in the demo's folder, as the page before this one leaves it."""
    shutil.copytree(digits, shell.folder / "models" / "digits" / "1")
    shutil.copy(bench.MODEL, shell.folder / "digits.onnx")
    (shell.folder / "image-1.json").write_text(json.dumps({"image": bench.image(1)["image"].tolist()}))
    return shell


def run(shell, command, text, address):
    """Run what the page shows, with the address of the server."""
    return subprocess.run(
        [*command, text.replace(SHOWN, address)],
        cwd=shell.folder,
        env=shell.environment | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_page_starts_the_server_that_is_started_here():
    assert [block.strip() for block in blocks("sh")] == [START]


@pytest.mark.slow
def test_page_can_be_followed_from_the_model_to_the_verified_attestation(reader):
    with served(reader, reader.folder / "models", "--rest", "127.0.0.1:0") as report:
        done = run(reader, ["bash", "-euc"], "".join(blocks("console")), report["rest"])
        assert done.returncode == 0, done.stdout + done.stderr
        triton = run(reader, [sys.executable, "-c"], blocks("python")[0], report["rest"])
        listed = reader("jobs", "list", "--state", "state", "--json").document["jobs"]
    assert "Verdict: valid, but forgeable by anyone" in done.stdout
    assert '"done":true' in done.stdout
    answer = json.loads((reader.folder / "answer.json").read_text())
    logits = next(output["data"] for output in answer["outputs"] if output["name"] == "logits")
    assert triton.returncode == 0, triton.stderr
    assert int(triton.stdout) == logits.index(max(logits))
    assert '"on_expected_input":true' in done.stdout
    created = json.loads((reader.folder / "created.json").read_text())
    assert created["operation"]["metadata"]["request_id"] == "order 17"
    assert created["operation"]["metadata"]["context"]["request_id"] == "0x" + "17" * 32
    [output] = created["outputs"]
    assert np.frombuffer(base64.b64decode(output["data"]), "<f4").argmax() == logits.index(max(logits))
    assert len(listed) == 3
    assert [job["state"] for job in listed].count("SUCCEEDED") >= 2


@pytest.mark.slow
def test_job_asked_over_http_is_proven_after_a_restart(reader):
    asked = next(line for line in blocks("console")[0].splitlines() if line.startswith("python3"))
    with served(reader, reader.folder / "models", "--rest", "127.0.0.1:0", "--workers", "0") as report:
        infer = f"{asked}\ncurl --fail --silent --data @request.json http://{SHOWN}/v2/models/digits/infer"
        answer = json.loads(run(reader, ["bash", "-euc"], infer, report["rest"]).stdout)
    operation = answer["parameters"]["zkinfer_operation"]
    with served(reader, reader.folder / "models", "--rest", "127.0.0.1:0") as report:
        wait = f"curl --fail --silent 'http://{SHOWN}/v1/{operation}:wait?timeout=60'"
        found = json.loads(run(reader, ["bash", "-euc"], wait, report["rest"]).stdout)
    assert found["response"]["operation"] == operation


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rest", "0.0.0.0:0"), "connections would not be encrypted"),
        (("--rest", "0.0.0.0:0", "--insecure-no-tls"), "anyone could call"),
        (("--rest", "nowhere"), "is not an address"),
        (("--rest", "192.0.2.1:80", "--insecure-no-tls", "--insecure-anonymous"), "cannot listen at 192.0.2.1:80"),
    ],
    ids=range(4),
)
def test_server_that_refuses_to_start_reports_why(reader, options, message):
    models = reader.folder / "models"
    refused = reader("serve", "--repository", models, "--listen", "127.0.0.1:0", "--state", "state", *options)
    assert refused.status == 1
    assert message in refused.sentence
    assert "Traceback" not in refused.stderr
