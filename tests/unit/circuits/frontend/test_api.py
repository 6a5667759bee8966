"""The caller's side, through real child processes; each costs about 0.4 s."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.paths import SHARED

from zkinfer.circuits import frontend
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import (
    DataError,
    EngineCrashedError,
    EngineTimeoutError,
    ModelError,
    ModelTooLargeError,
    UnsupportedModelError,
)
from zkinfer.circuits.frontend import api, evaluate, inspect_model, normalise_model
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.sandbox.child import Limits

ENGINE = EzklEngine()
MODELS = SHARED / "models"
NAMES = ("1l_mlp", "1l_softmax", "4l_relu_conv_fc", "accuracy", "lstm", "xgboost")


def lowered(path, out, visibility="public"):
    return ENGINE.lower(path, out, dimensions={}, input_visibility=visibility)


def test_all_lists_existing_names():
    assert len(set(frontend.__all__)) == len(frontend.__all__)
    assert all(hasattr(frontend, name) for name in frontend.__all__)


def test_import_in_the_parent_loads_no_parser():
    code = "import sys, zkinfer.circuits.frontend; print({'onnx', 'onnxruntime'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_inspect_describes_a_dense_model(dense, saved):
    path = saved(dense)
    summary = inspect_model(path)
    assert summary.sha256 == sha256_file(path)
    assert summary.inputs[0].shape == ("N", 3)
    assert (summary.operators, summary.nodes) == ({"Gemm": 1, "Relu": 1}, 2)
    assert (summary.parameters, summary.workload.multiplications, summary.opset) == (8, 6, 17)
    assert summary.problems == ()


def test_inspect_unsupported_model_lists_the_problems(model, saved):
    summary = inspect_model(saved(model("y = RandomNormalLike(x)")))
    assert "is random" in summary.problems[0]


def test_normalise_adds_the_context_input_and_reports_the_file(dense, saved, tmp_path):
    out = tmp_path / "new" / "normal.onnx"
    answer = lowered(saved(dense), out, "private")
    graph = onnx.load(out).graph
    assert [port.name for port in graph.input] == ["ctx", "x"]
    assert [port.name for port in graph.output] == ["y", "ctx_out"]
    assert answer.sha256 == sha256_file(out)
    assert [spec.describe() for spec in (*answer.inputs, *answer.outputs)] == ["x float32[1, 3]", "y float32[1, 2]"]


def test_normalise_gives_the_same_bytes_in_two_processes(model, saved, tmp_path):
    path = saved(model("a = Gelu(x) b = Mish(a) y = Cast<to=7>(b)", outputs="int64[1,4] y", opset=20))
    # Children run with -I, so each has a hash seed of its own.
    digests = {str(normalise_model(path, tmp_path / name).sha256) for name in ("a.onnx", "b.onnx")}
    assert len(digests) == 1


def test_normalise_refusal_keeps_its_class_and_leaves_no_file(model, saved, tmp_path):
    out = tmp_path / "out" / "normal.onnx"
    with pytest.raises(UnsupportedModelError, match="depends on the model's input"):
        lowered(saved(model("y = Trilu(x)")), out)
    assert list(out.parent.iterdir()) == []


def test_normalise_past_its_deadline_is_stopped(dense, saved, tmp_path):
    with pytest.raises(EngineTimeoutError):
        normalise_model(saved(dense), tmp_path / "o.onnx", limits=Limits(seconds=0.01))


@pytest.mark.parametrize("name", NAMES)
def test_normalise_shared_model_succeeds(name, tmp_path):
    path = MODELS / name / "network.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    answer = normalise_model(path, tmp_path / "normal.onnx")
    assert answer.normaliser == "zkinfer-normal/2"
    assert all(spec.shape[0] == 1 for spec in answer.inputs)


def test_evaluate_answers_every_sample(dense, saved, tmp_path):
    samples = np.random.default_rng(1).normal(size=(5, 1, 3)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=samples)
    evaluate(saved(dense), tmp_path / "in.npz", tmp_path / "out.npz")
    weights = np.array([[1, -2], [3, 0.5], [0.25, -1]])
    with np.load(tmp_path / "out.npz") as answers:
        assert np.allclose(answers["y"], np.maximum(samples @ weights + [0.5, -0.5], 0), atol=1e-5)


def test_evaluate_without_samples_file_is_refused(dense, saved, tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        evaluate(saved(dense), tmp_path / "none.npz", tmp_path / "out.npz")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        inspect_model(tmp_path / "none.onnx")


def test_directory_is_refused(tmp_path):
    with pytest.raises(ModelError, match="is a directory"):
        inspect_model(tmp_path)


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "e.onnx").touch()
    with pytest.raises(ModelError, match="is empty"):
        inspect_model(tmp_path / "e.onnx")


def test_file_over_the_cap_is_refused_unread(tmp_path):
    path = tmp_path / "big.onnx"
    with path.open("wb") as file:
        file.truncate(api.MAX_FILE_BYTES + 1)
    with pytest.raises(ModelTooLargeError, match="over the limit"):
        inspect_model(path)


def test_dimension_below_one_is_refused(dense, saved, tmp_path):
    with pytest.raises(UnsupportedModelError, match="cannot have size 0"):
        normalise_model(saved(dense), tmp_path / "o.onnx", dimensions={"N": 0})


def test_malformed_answer_is_refused(dense, saved, monkeypatch):
    monkeypatch.setattr(child, "run", lambda *_, **__: '{"sha256": 3}')
    with pytest.raises(EngineCrashedError, match="malformed"):
        inspect_model(saved(dense))


def test_answer_with_a_malformed_digest_is_refused(dense, saved, monkeypatch):
    monkeypatch.setattr(child, "run", lambda *_, **__: '{"sha256": "sha256:zz"}')
    with pytest.raises(EngineCrashedError, match="malformed"):
        inspect_model(saved(dense))


def test_answer_about_another_file_is_refused(dense, saved, tmp_path, monkeypatch):
    real = child.run

    def lie(function, arguments, *, limits):
        answer = real(function, arguments, limits=limits)
        Path(arguments["out"]).write_bytes(b"another")
        return answer

    monkeypatch.setattr(child, "run", lie)
    with pytest.raises(EngineCrashedError, match="not the one the child reported"):
        normalise_model(saved(dense), tmp_path / "o.onnx")


@pytest.mark.parametrize("visibility", ["hashed", "private", "public"])
def test_integer_input_is_guarded_whatever_its_visibility(model, saved, tmp_path, visibility):
    lowered(saved(model("a = Cast<to=1>(x) y = Relu(a)", "uint8[1,4] x")), tmp_path / "normal.onnx", visibility)
    nodes = onnx.load(tmp_path / "normal.onnx").graph.node
    assert {node.op_type for node in nodes if "x" in node.input} == {"Add", "Cast"}
    assert sum(node.op_type == "Relu" for node in nodes) > 1


def test_public_bool_input_is_accepted(model, saved, tmp_path):
    path = saved(model("y = Cast<to=1>(x)", "bool[1,4] x"))
    assert normalise_model(path, tmp_path / "normal.onnx").inputs[0].dtype == "bool"


@pytest.mark.parametrize(("visibility", "guards"), [("hashed", ["Less", "Where"]), ("private", []), ("public", [])])
def test_only_hashed_inputs_are_guarded(dense, saved, tmp_path, visibility, guards):
    lowered(saved(dense), tmp_path / "normal.onnx", visibility)
    nodes = onnx.load(tmp_path / "normal.onnx").graph.node
    assert [node.op_type for node in nodes if node.op_type in ("Less", "Where")] == guards
    readers = {node.op_type for node in nodes if "x" in node.input}
    assert readers == ({*guards} or {nodes[0].op_type})


@pytest.mark.parametrize("name", ["OneHot", "Hardmax"])
def test_operator_with_an_unconstrained_result_is_refused(model, saved, tmp_path, name):
    path = saved(model(f"y = {name}(x)" if name == "Hardmax" else "y = OneHot(x, x, x)"))
    with pytest.raises(UnsupportedModelError, match=f"Operator {name} has a result that the engine lets a prover"):
        lowered(path, tmp_path / "normal.onnx")


def test_findings_name_every_misused_node(model, saved):
    body = "a = CumSum<reverse=1>(x, z) y = CumSum<exclusive=1>(a, z)"
    found = ENGINE.supports(saved(model(body, constants="<int64 z = {1}>")))
    assert [one.node for one in found] == ["a", "y"]
    assert all("exclusive or reversed" in one.cause and one.cure for one in found)


def test_findings_name_every_unsupported_operator(model, saved):
    found = ENGINE.supports(saved(model("a = RandomNormalLike(x) b = LpNormalization(a) y = Relu(b)")))
    assert [one.node for one in found] == ["a", "b"]


def test_supported_model_has_no_findings(dense, saved):
    assert ENGINE.supports(saved(dense)) == ()
