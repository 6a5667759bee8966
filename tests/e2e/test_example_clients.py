"""The clients in examples/clients, run as documented."""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest
from tests.e2e.server_process import MODEL, Server
from tests.e2e.shell import Shell
from tests.paths import ROOT

CLIENTS = ROOT / "examples" / "clients"
NODE = CLIENTS / "node"
# A fake grpcurl: it records its arguments, and prints a ModelInferResponse like grpcurl does.
GRPCURL = """#!/bin/sh
printf '%s\\n' "$*" >> "$ASKED"
case "$*" in
*ModelInfer) cat << 'END'
{
  "modelName": "small",
  "parameters": {
    "zkinfer_inputs": {
      "stringParam": "sha256:00"
    },
    "zkinfer_operation": {
      "stringParam": "operations/proofs/0123abcd"
    },
    "zkinfer_state": {
      "stringParam": "QUEUED"
    }
  }
}
END
;;
esac
"""


@pytest.fixture(scope="module")
def running(models, home, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), models, home.root, ("--workers", "1")) as server:
        yield server


def ran(command, folder, **variables):
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def accepted(home, models, folder):
    """Whether an auditor accepts the attestation written by a client."""
    verify = ("verify", "attestation.json", "--model", models.parent / "model.onnx", "--unsafe-accept-dev-setup")
    return Shell(home.root, folder)(*verify).status == 0


def test_client_in_python_prints_an_answer_and_keeps_its_attestation(running, home, models, tmp_path):
    done = ran([sys.executable, CLIENTS / "answer.py", running.address, MODEL], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("y [[")
    assert "operation operations/proofs/" in done.stdout
    assert accepted(home, models, tmp_path)


def test_client_in_python_reports_a_refusal(running, tmp_path):
    done = ran([sys.executable, CLIENTS / "answer.py", running.address, "none"], tmp_path)
    assert done.returncode == 1
    assert "There is no model 'none'" in done.stderr


@pytest.mark.skipif(
    not (NODE / "node_modules").is_dir(),
    reason="npm install was not run in examples/clients/node; see make clients-test",
)
def test_client_in_typescript_prints_an_answer_and_keeps_its_attestation(running, home, models, tmp_path):
    place = tmp_path / "examples" / "clients" / "node"
    shutil.copytree(NODE, place, symlinks=True)
    shutil.copytree(ROOT / "proto" / "zkinfer" / "oip", tmp_path / "proto" / "zkinfer" / "oip")
    done = ran(["npm", "start", "--silent", "--", running.address, MODEL], place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("y [")
    assert accepted(home, models, place)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_client_in_typescript_has_valid_syntax():
    done = ran(["node", "--experimental-strip-types", "--no-warnings", "--check", "answer.ts"], NODE)
    if "bad option" in done.stderr:
        pytest.skip("this node does not read TypeScript")
    assert done.returncode == 0, done.stderr


def test_shell_calls_follow_the_operation_of_the_answer(tmp_path):
    program = tmp_path / "grpcurl"
    program.write_text(GRPCURL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    inputs = json.dumps([{"name": "x", "datatype": "FP32", "shape": [1, 4]}])
    done = subprocess.run(
        ["sh", CLIENTS / "calls.sh", "127.0.0.1:1", MODEL],
        input=inputs,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "ASKED": str(tmp_path / "asked")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed, inferred, waited = (tmp_path / "asked").read_text().splitlines()
    assert listed.endswith("zkinfer.v1.Models/ListModels")
    assert inputs in inferred
    assert '"name": "operations/proofs/0123abcd"' in waited
