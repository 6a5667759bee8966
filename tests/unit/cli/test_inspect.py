import json

import pytest
from onnx import parser
from typer.testing import CliRunner

from zkinfer.cli.main import app


@pytest.fixture
def inspect(tmp_path):
    """Run `zkinfer inspect` on a model with nodes given as text."""

    def call(body):
        text = f'<ir_version: 8, opset_import: ["": 17]> g (float[1,4] x) => (float[1,4] y) {{ {body} }}'
        (tmp_path / "m.onnx").write_bytes(parser.parse_model(text).SerializeToString())
        outcome = CliRunner().invoke(app, ["inspect", str(tmp_path / "m.onnx"), "--json"])
        assert outcome.exit_code == 0
        return json.loads(outcome.stdout), " ".join(outcome.stderr.split())

    return call


def test_supported_model_is_reported_as_supported_by_each_engine(inspect):
    document, text = inspect("y = Relu(x)")
    assert document["engines"] == {"ezkl": []}
    assert "ezkl supports every operator" in text


def test_unsupported_operator_is_reported_with_its_node(inspect):
    document, text = inspect("a = LpNormalization(x) y = Relu(a)")
    [finding] = document["engines"]["ezkl"]
    assert (finding["node"], document["model"]["problems"]) == ("a", [])
    assert "ezkl: Operator LpNormalization" in text
    assert "supports every operator" not in text


def test_problem_of_the_whole_model_is_a_finding_without_a_node(inspect):
    document, _ = inspect("y = Relu(x) ctx = Neg(x)")
    assert document["engines"]["ezkl"][0]["node"] == ""
    assert "'ctx' is reserved" in document["engines"]["ezkl"][0]["cause"]


def test_operator_that_no_engine_supports_is_a_problem_of_the_model(inspect):
    document, text = inspect("a = RandomNormalLike(x) y = Relu(a)")
    assert document["engines"] == {}
    assert "is random" in text
