"""Exported files name modules and values, but nothing of the machine that wrote them."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install '.[torch]'")
from tests.unit.circuits.export import nets  # noqa: E402 - needs torch

from zkinfer.circuits.errors import ModelError  # noqa: E402
from zkinfer.circuits.export.example_inputs import examples  # noqa: E402
from zkinfer.circuits.export.sanitise import Origin, sanitised  # noqa: E402
from zkinfer.circuits.export.torch_backend import evaluation_mode, to_onnx  # noqa: E402


@pytest.fixture(scope="module", params=["dynamo", "torchscript"])
def made(request):
    module = nets.Attention()
    with evaluation_mode(module):
        inputs = examples(module, torch.rand(1, 3, 8))
        return to_onnx(module, inputs, request.param, dynamic_batch=False), module, request.param


def test_file_holds_no_metadata_and_no_path(made):
    import onnx  # noqa: PLC0415 - heavy

    data, _ = sanitised(made[0], made[1], ["tokens"], ["output"])
    model = onnx.load_from_string(data)
    parts = [model, model.graph, *model.graph.node, *model.graph.input, *model.graph.initializer]
    assert not any(part.metadata_props or part.doc_string for part in parts)
    assert b".py" not in data
    assert b"File " not in data


def test_metadata_is_present_before_sanitising(made):
    original = made[0].SerializeToString()
    assert (b".py" in original) == (made[2] == "dynamo")


def test_every_node_is_named_after_its_module(made):
    data, origins = sanitised(made[0], made[1], ["tokens"], ["output"])
    assert {"norm", "attention", "bend"} <= {origin.path for origin in origins.values()}
    assert all(name.encode() in data for name in origins)
    assert {origin.kind for origin in origins.values() if origin.path == "bend"} == {"GELU"}


def test_source_line_is_known_to_dynamo_only(made):
    _, origins = sanitised(made[0], made[1], ["tokens"], ["output"])
    lines = {origin.line for origin in origins.values() if origin.path == "norm"}
    assert all(line.startswith("nets.py:") for line in lines) if made[2] == "dynamo" else lines == {""}


@pytest.mark.parametrize(("inputs", "outputs"), [([], ["output"]), (["tokens"], ["a", "b"])])
def test_wrong_number_of_inputs_or_outputs_is_refused(made, inputs, outputs):
    with pytest.raises(ModelError, match="torch exported 1 inputs and 1 outputs"):
        sanitised(made[0], made[1], inputs, outputs)


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("a.b", "Linear", "net.py:3"), "a.b (Linear), net.py:3"),
        (Origin("", "Net", ""), "the module itself (Net)"),
        (Origin("a", "", ""), "a"),
    ],
)
def test_origin_is_described(origin, text):
    assert str(origin) == text
