import json
import re
from types import SimpleNamespace

import pytest
from onnx import parser
from tests.unit.circuits.factories import DOCUMENT, with_value
from typer.testing import CliRunner

from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.manifest import Circuit, Manifest
from zkinfer.cli.compile import show
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
    assert document["engines"]["ezkl"]["findings"] == []
    assert document["engines"]["ezkl"]["least"]["gas"] > 200_000
    assert "ezkl supports every operator" in text


def test_unsupported_operator_is_reported_with_its_node(inspect):
    document, text = inspect("a = LpNormalization(x) y = Relu(a)")
    [finding] = document["engines"]["ezkl"]["findings"]
    assert (finding["node"], document["model"]["problems"]) == ("a", [])
    assert "ezkl: Operator LpNormalization" in text
    assert "supports every operator" not in text


def test_problem_of_the_whole_model_is_a_finding_without_a_node(inspect):
    document, _ = inspect("y = Relu(x) ctx = Neg(x)")
    assert document["engines"]["ezkl"]["findings"][0]["node"] == ""
    assert "'ctx' is reserved" in document["engines"]["ezkl"]["findings"][0]["cause"]


def test_operator_that_no_engine_supports_is_a_problem_of_the_model(inspect):
    document, text = inspect("a = RandomNormalLike(x) y = Relu(a)")
    assert document["engines"] == {}
    assert "is random" in text


# --- over budget


@pytest.mark.parametrize(("kept", "words"), [(True, "budget met"), (False, "! over budget on held-out samples")])
def test_circuit_over_budget_is_told_without_a_tick_or_markup(monkeypatch, tmp_path, kept, words):
    manifest = Manifest.model_validate_json(json.dumps(with_value(DOCUMENT, ("choice", "kept"), kept)))
    circuit = SimpleNamespace(manifest=manifest, digest="sha256:0", model_id="0x0")
    monkeypatch.setattr(Circuit, "open", lambda _: circuit)
    out = CliRunner().invoke(app, ["inspect", str(tmp_path)]).stdout
    assert words in out
    assert "budget missed" in out or kept
    assert not {"✓", "[yellow]", "[/]"} & set(re.split(r"(\[[^\]]*\]|\s)", out))


@pytest.mark.parametrize("stated", [(), ("It is slow.",)])
def test_label_of_the_engine_is_shown_whatever_the_circuit_states(monkeypatch, tmp_path, stated):
    document = with_value(DOCUMENT, ("recipe", "engine"), "ashlar/0.1.0")
    manifest = Manifest.model_validate_json(json.dumps(document)).model_copy(update={"labels": stated})
    monkeypatch.setattr(Circuit, "open", lambda _: SimpleNamespace(manifest=manifest, digest="", model_id=""))
    lines = CliRunner().invoke(app, ["inspect", str(tmp_path)]).stdout.splitlines()
    shown = [line.removeprefix("! ") for line in lines if line.startswith("! ") and "budget" not in line]
    assert shown == [*engine_named("ashlar").labels, *stated]


def test_compiled_circuit_over_budget_gets_no_tick(capsys):
    manifest = Manifest.model_validate_json(json.dumps(DOCUMENT))
    made = SimpleNamespace(
        circuit=SimpleNamespace(folder="c", manifest=manifest), timings={}, options=(), shortfall="odd"
    )
    show(made)
    out = capsys.readouterr().out
    assert out.startswith("! c in 0.0 s, over budget\n")
    assert "✓" not in out
    made.shortfall = ""
    show(made)
    assert capsys.readouterr().out.startswith("✓ c in 0.0 s\n")
