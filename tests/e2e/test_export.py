"""`zkinfer export` as a user runs it; the guide is followed literally."""

import re
import shlex

import numpy as np
import pytest
from tests.integration import bench

pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install '.[torch]'")

GUIDE = (bench.REPOSITORY / "docs/guides/torch.md").read_text(encoding="utf-8")
CODE = re.search(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[1]
LINES = re.search(r"^```console\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)[1].splitlines()
NETS = """
import torch
print("loading the weights")

def make():
    print("making the model")
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())

def bad():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, dilation=2), torch.nn.Upsample(scale_factor=1.5))

def norm():
    return torch.nn.RMSNorm(3)
"""
FAST = ("--exporter", "torchscript")


@pytest.fixture
def nets(shell):
    (shell.folder / "nets_of_a_user.py").write_text(NETS)
    return lambda name, *options: shell("export", f"nets_of_a_user:{name}", "--out", "new.onnx", *options)


@pytest.mark.slow
def test_guide_can_be_followed_to_a_verified_answer(shell):
    (shell.folder / "net.py").write_text(CODE)
    assert [line.split()[1] for line in LINES] == ["export", "compile"]
    for line in LINES:
        outcome = shell(*shlex.split(line)[1:])
        assert outcome.status == 0, outcome.stderr
        assert "Warning" not in outcome.stderr
    np.savez(shell.folder / "in.npz", image=np.full((1, 8), 0.5, np.float32))
    assert shell("prove", "net.circuit", "--input", "in.npz", "--out", "a.json").status == 0
    checked = shell("verify", "a.json", "--model", "net.onnx", "--unsafe-accept-dev-setup")
    assert checked.status == 0, checked.stderr


def test_stdout_has_only_json_even_if_user_code_prints(nets, shell):
    outcome = nets("make", "--shape", "input=1,3", *FAST, "--json")
    assert outcome.status == 0, outcome.stderr
    document = outcome.document
    assert document["inputs"] == [{"name": "input", "dtype": "float32", "shape": [1, 3]}]
    assert (document["opset"], document["parameters"], document["exporter"]) == (18, 8, "torchscript")
    assert 0 <= document["largestDifference"] < 1e-6
    assert "making the model" in outcome.stderr
    assert {path.name for path in shell.folder.glob("*.onnx")} == {"new.onnx"}


def test_stdout_has_only_json_for_a_refusal_even_if_torch_prints(nets):
    outcome = nets("norm", "--shape", "x=1,3", *FAST, "--json")
    assert outcome.status == 1
    assert "rms_norm" in outcome.document["error"]["cause"]


def test_example_from_a_file_defines_the_input(nets, shell):
    (shell.folder / "example.json").write_text('{"input": [[0.5, 1.5, -2.5]]}')
    assert nets("make", "--example", "example.json", *FAST).status == 0


def test_csv_example_takes_the_shape_option(nets, shell):
    (shell.folder / "example.csv").write_text("1,2,3\n")
    assert "does not contain the shapes" in nets("make", "--example", "example.csv", *FAST).sentence
    assert nets("make", "--example", "example.csv", "--shape", "input=1,3", *FAST).status == 0


def test_every_unsupported_step_is_named(nets, shell):
    outcome = nets("bad", "--shape", "input=1,1,8,8", *FAST)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert "0 (Conv2d): Conv '/0/Conv_0' has dilations" in outcome.sentence
    assert "1 (Upsample): Resize" in outcome.sentence
    assert not list(shell.folder.glob("*.onnx"))


def test_existing_file_is_replaced_with_force_only(nets, shell):
    (shell.folder / "new.onnx").write_bytes(b"mine")
    refused = nets("make", "--shape", "input=1,3", *FAST)
    assert (refused.status, "--force" in refused.sentence) == (1, True)
    assert (shell.folder / "new.onnx").read_bytes() == b"mine"
    assert nets("make", "--shape", "input=1,3", *FAST, "--force").status == 0
    assert (shell.folder / "new.onnx").read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("make", (), "The module's inputs are unknown. Give --example FILE, or --shape input=1,..."),
        ("make", ("--shape", "image=1,3"), "'image', which is not an input. The module takes input"),
        ("make", ("--shape", "input=1,4"), "fails on input float32[1, 4]: RuntimeError: mat1 and mat2"),
    ],
)
def test_mistake_is_reported_in_one_sentence(nets, name, options, message):
    outcome = nets(name, *options, *FAST)
    assert outcome.status == 1
    assert message in outcome.sentence
    assert "Traceback" not in outcome.stderr


def test_malformed_shape_is_a_usage_error(nets):
    assert nets("make", "--shape", "input=1x3").status == 2
