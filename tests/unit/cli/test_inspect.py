import json

import pytest
from onnx import parser
from typer.testing import CliRunner

from zkinfer.cli.main import app


@pytest.fixture
def inspect(tmp_path):
    """What `zkinfer inspect` says about a model whose nodes are written as text."""

    def call(body):
        text = f'<ir_version: 8, opset_import: ["": 17]> g (float[1,4] x) => (float[1,4] y) {{ {body} }}'
        (tmp_path / "m.onnx").write_bytes(parser.parse_model(text).SerializeToString())
        outcome = CliRunner().invoke(app, ["inspect", str(tmp_path / "m.onnx"), "--json"])
        assert outcome.exit_code == 0
        return json.loads(outcome.stdout), " ".join(outcome.stderr.split())

    return call


def test_supported_model_is_said_to_be_supported_by_each_engine(inspect):
    document, said = inspect("y = Relu(x)")
    assert document["engines"] == {"ezkl": []}
    assert "ezkl supports every operator" in said


def test_operator_that_an_engine_cannot_take_is_named_with_its_node(inspect):
    document, said = inspect("a = LpNormalization(x) y = Relu(a)")
    [finding] = document["engines"]["ezkl"]
    assert (finding["node"], document["model"]["problems"]) == ("a", [])
    assert "ezkl: Operator LpNormalization" in said
    assert "supports every operator" not in said


def test_problem_of_the_whole_model_is_a_finding_without_a_node(inspect):
    document, _ = inspect("y = Relu(x) ctx = Neg(x)")
    assert document["engines"]["ezkl"][0]["node"] == ""
    assert "'ctx' is reserved" in document["engines"]["ezkl"][0]["cause"]


def test_operator_that_no_engine_can_take_is_a_problem_of_the_model(inspect):
    document, said = inspect("a = RandomNormalLike(x) y = Relu(a)")
    assert document["engines"] == {}
    assert "is random" in said
