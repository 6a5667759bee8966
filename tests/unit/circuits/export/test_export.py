"""Both of torch's exporters; files are checked in this process, by the code that a child runs."""

import logging

import numpy as np
import onnx
import onnxruntime
import pytest
from tests.unit.circuits import factories

from zkinfer.circuits import export_torch
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.errors import (
    DataError,
    EngineError,
    InputError,
    ModelError,
    TooCostlyError,
    UnsupportedModelError,
)
from zkinfer.circuits.export import torch_backend

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install '.[torch]'")
from tests.unit.circuits.export import nets  # noqa: E402 - needs torch

BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
GOOD = {
    "dense": (nets.Dense, (1, 4)),
    "pictures": (nets.Pictures, (1, 1, 8, 8)),
    "attention": (nets.Attention, (1, 3, 8)),
    "filled": (nets.Filled, (1, 5, 8)),
    "recurrent": (nets.Recurrent, (1, 3, 4)),
}


@pytest.fixture(autouse=True)
def _here(in_process):
    pass


@pytest.fixture
def out(tmp_path):
    return tmp_path / "model.onnx"


def fast(module, example, out, **options):
    return export_torch(module, example, out, exporter="torchscript", **options)


def run(path, **inputs):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)


# --- exported files


@BOTH
@pytest.mark.parametrize("name", GOOD)
def test_good_module_is_exported_and_agrees_with_torch(name, exporter, out):
    make, shape = GOOD[name]
    module, example = make().eval(), torch.rand(shape)
    exported = export_torch(module, example, out, exporter=exporter)
    assert exported.sha256 == sha256_file(out)
    assert (exported.opset, exported.exporter, exported.compared) == (18, exporter, 9)
    assert exported.largest_difference < 1e-5
    wanted = module(example)
    first = wanted[0] if isinstance(wanted, tuple) else wanted
    got = run(out, **{exported.summary.inputs[0].name: example.numpy()})[0]
    assert np.allclose(got, first.detach().numpy(), atol=1e-5)


def test_causal_attention_is_exported_and_its_mask_is_told(out):
    [note] = export_torch(nets.Causal(), torch.rand(1, 5, 8), out).notes
    assert "-3.402823e+38 of Add '/Add_0' is held at -1024" in note


def test_mask_that_is_an_input_is_exported(out):
    kept = torch.tensor([[1, 1, 1, 1, 0]])
    [note] = export_torch(nets.Padded(), (torch.rand(1, 5, 8), kept), out).notes
    assert "-3.402823e+38 of Mul" in note


@BOTH
def test_export_is_reproducible(exporter, out):
    digests = {
        export_torch(nets.Dense(), torch.rand(1, 4), out, exporter=exporter, overwrite=True).sha256 for _ in range(2)
    }
    assert len(digests) == 1


@BOTH
def test_dynamic_batch_accepts_any_batch_size(exporter, out):
    export_torch(nets.Dense(), torch.rand(1, 4), out, exporter=exporter, dynamic_batch=True)
    (port,) = onnx.load(out).graph.input
    assert [dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim] == ["batch", 4]
    assert run(out, image=np.ones((5, 4), np.float32))[0].shape == (5, 3)


@BOTH
def test_several_inputs_and_outputs_keep_their_names_despite_torch_internal_names(exporter, out):
    exported = export_torch(nets.Several(), (torch.rand(1, 3), torch.rand(1, 4)), out, exporter=exporter)
    assert [port.name for port in exported.summary.inputs] == ["left", "right"]
    assert [port.name for port in exported.summary.outputs] == ["relu", "linear", "a.weight"]


def test_examples_by_name_may_come_in_any_order(out):
    exported = fast(nets.Several(), {"right": torch.rand(1, 4), "left": torch.rand(1, 3)}, out)
    assert [port.shape for port in exported.summary.inputs] == [(1, 3), (1, 4)]


def test_input_and_output_names_can_be_given(out):
    exported = fast(nets.Dense(), torch.rand(1, 4), out, input_names=["pixels"], output_names=["logits"])
    assert (exported.summary.inputs[0].name, exported.summary.outputs[0].name) == ("pixels", "logits")


def test_nested_outputs_are_numbered(out):
    exported = fast(nets.Recurrent(), torch.rand(1, 3, 4), out)
    assert [port.name for port in exported.summary.outputs] == ["output_0", "output_1", "output_2"]


def test_indices_stay_within_the_range_of_the_example(out):
    exported = fast(nets.Tokens(), torch.randint(0, 10, (1, 5)), out)
    assert exported.summary.inputs[0].dtype == "int64"


def test_floats_of_an_array_are_cast_to_the_module_type(out):
    assert fast(nets.Dense(), np.ones((1, 4)), out).summary.inputs[0].dtype == "float32"


# --- side effects


@BOTH
def test_module_is_unchanged_by_the_export(exporter, out):
    module = nets.Dense()
    module.drop.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    export_torch(module, torch.rand(1, 4), out, exporter=exporter)
    assert [part.training for part in (module, module.hidden, module.drop)] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(one.requires_grad for one in module.parameters())


def test_failing_module_is_unchanged_by_the_export(out):
    module = nets.Failing()
    with pytest.raises(ModelError, match="KeyError: 'no such layer'"):
        fast(module, torch.rand(1, 2), out)
    assert module.training


def test_buffers_changed_by_forward_are_restored(out):
    module = nets.Counting()
    fast(module, torch.rand(1, 2), out)
    assert module.calls.item() == 0


def test_random_state_log_level_and_fast_path_are_restored(out):
    torch.manual_seed(7)
    state, level = torch.get_rng_state(), logging.getLogger("torch").level
    with pytest.raises(ModelError, match="gives different outputs for the same input"):
        fast(nets.Noisy(), torch.ones(1, 2), out)
    assert torch.equal(torch.get_rng_state(), state)
    assert logging.getLogger("torch").level == level
    assert torch.backends.mha.get_fastpath_enabled()


@BOTH
def test_export_prints_nothing(exporter, out, capfd, recwarn):
    export_torch(nets.Dense(), torch.rand(1, 4), out, exporter=exporter)
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


# --- refusals


@BOTH
def test_every_unsupported_step_is_named_with_its_module(exporter, out):
    with pytest.raises(UnsupportedModelError, match="2 steps of this module cannot be compiled") as caught:
        export_torch(nets.Impossible(), torch.rand(1, 1, 8, 8), out, exporter=exporter)
    assert "blocks.0 (Conv2d)" in caught.value.cause
    assert "up (Upsample)" in caught.value.cause
    assert not out.exists()


def test_dynamo_names_the_line(out):
    with pytest.raises(UnsupportedModelError, match=r"blocks\.0 \(Conv2d\), nets\.py:\d+: Conv .* has dilations"):
        export_torch(nets.Impossible(), torch.rand(1, 1, 8, 8), out)


def test_constant_that_no_circuit_holds_is_refused_with_its_line(out):
    with pytest.raises(UnsupportedModelError, match=r"nets\.py:\d+: Where .* takes the constant .* holds -inf.*-100"):
        export_torch(nets.Showing(), torch.rand(1, 5, 8), out)
    assert not out.exists()


def test_module_that_answers_no_number_is_refused(out):
    with pytest.raises(ModelError, match="output 'output' is NaN or infinite for the example"):
        fast(nets.Logarithm(), torch.tensor([[-1.0, 2.0]]), out)
    assert not out.exists()


def test_network_that_the_engine_cannot_lay_out_is_refused(out):
    with pytest.raises(EngineError, match="It broke at survey"):
        fast(nets.Dense(), torch.rand(1, 4), out, engine=factories.engine_failing_at("survey"))
    assert not out.exists()


def test_circuit_that_exceeds_this_machine_is_refused(out, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.export.export.usable_memory", lambda: 1 << 20)
    with pytest.raises(TooCostlyError):
        fast(nets.Dense(), torch.rand(1, 4), out)
    assert not out.exists()


def test_data_dependent_branch_is_refused_by_dynamo(out):
    with pytest.raises(ModelError, match=r"GuardOnDataDependentSymNode.*torch\.where"):
        export_torch(nets.Branching(), torch.rand(1, 2), out)


@pytest.mark.parametrize("make", [nets.Branching, nets.Numbering])
def test_value_frozen_by_tracing_is_refused(make, out):
    with pytest.raises(UnsupportedModelError, match=r"nets\.py, line \d+, converts a tensor to a Python value"):
        fast(make(), torch.rand(1, 2), out)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nets.Failing, "fails on x float32.*KeyError"),
        (nets.Leaving, "fails on x float32.*SystemExit: 3"),
        (nets.Talking, r"an object of type str \(output_1\) instead of a tensor"),
        (nets.Empty, "returns nothing"),
    ],
)
def test_module_that_returns_no_tensors_is_refused(make, message, out):
    with pytest.raises(ModelError, match=message):
        fast(make(), torch.rand(1, 2), out)


def test_operator_unknown_to_the_exporter_is_refused_by_name(out):
    with pytest.raises(ModelError, match=r"rms_norm.*--exporter"):
        fast(nets.Rms(), torch.rand(1, 4), out)


@pytest.mark.parametrize("example", [(torch.rand(1, 2),) * 2, {"x": torch.rand(1, 2), "y": torch.rand(1, 2)}])
def test_input_dropped_by_tracing_is_refused(example, out):
    with pytest.raises(ModelError, match="torch exported 1 inputs and 1 outputs instead of 2 and 1"):
        fast(nets.HalfDeaf(), example, out)


def test_lazy_module_is_refused_with_its_cure(out):
    with pytest.raises(ModelError, match=r"parameters cannot be read.*Run it once"):
        fast(torch.nn.LazyLinear(3), torch.rand(1, 2), out)


def test_output_that_repeats_another_is_refused(out):
    with pytest.raises(ModelError, match="Return every tensor once"):
        fast(nets.Twice(), torch.rand(1, 2), out)


def test_unnamed_inputs_are_numbered(out):
    exported = fast(nets.Adding(), (torch.rand(1, 2), torch.rand(1, 2)), out)
    assert [port.name for port in exported.summary.inputs] == ["xs_0", "xs_1"]


@BOTH
def test_batch_size_fixed_by_the_module_is_refused(exporter, out):
    with pytest.raises(ModelError):
        export_torch(nets.FixedBatch(), torch.rand(2, 3), out, exporter=exporter, dynamic_batch=True)
    assert not out.exists()


def test_exported_file_that_disagrees_with_torch_is_refused_with_the_difference(out, monkeypatch):
    other, real = nets.Dense().eval(), torch_backend.to_onnx
    other.last.bias.data.fill_(9.0)
    monkeypatch.setattr(torch_backend, "to_onnx", lambda module, *rest, **options: real(other, *rest, **options))
    with pytest.raises(
        ModelError, match=r"Output 'output' of the exported file differs from torch's: torch gives .* tolerance"
    ):
        fast(nets.Dense(), torch.rand(1, 4), out)
    assert not out.exists()


def test_existing_file_is_left_alone_without_force(out):
    out.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"exists already.*--force"):
        fast(nets.Dense(), torch.rand(1, 4), out)
    assert out.read_bytes() == b"mine"


def test_directory_as_output_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a directory"):
        fast(nets.Dense(), torch.rand(1, 4), tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_names": ["a", "b"]}, "2 names for 1 outputs"),
        ({"output_names": ["image"]}, "'image' cannot name"),
        ({"output_names": ["/a"]}, "'/a' cannot name"),
    ],
)
def test_names_that_do_not_fit_are_refused(options, message, out):
    with pytest.raises(InputError, match=message):
        fast(nets.Dense(), torch.rand(1, 4), out, **options)


@pytest.mark.parametrize("names", [{"output_names": ["ctx"]}, {"input_names": ["ctx"]}])
def test_name_that_the_engine_reserves_is_refused(names, out):
    with pytest.raises(UnsupportedModelError, match="'ctx' is reserved for the context"):
        fast(nets.Dense(), torch.rand(1, 4), out, **names)
    assert not out.exists()


def test_unknown_exporter_is_refused(out):
    with pytest.raises(InputError, match="exporter 'jit' is unknown"):
        export_torch(nets.Dense(), torch.rand(1, 4), out, exporter="jit")


def test_function_instead_of_a_module_is_refused(out):
    with pytest.raises(InputError, match=r"type builtin_function_or_method is not a torch\.nn\.Module"):
        export_torch(torch.relu, torch.rand(1, 4), out)


def test_inputs_without_a_common_batch_size_are_refused(out):
    with pytest.raises(InputError, match="no common batch axis"):
        fast(nets.Several(), (torch.rand(1, 3), torch.rand(2, 4)), out, dynamic_batch=True)


@pytest.mark.parametrize(
    ("example", "error", "message"),
    [
        (torch.rand(1, 4).to(torch.bfloat16), DataError, "bfloat16 on cpu"),
        (torch.zeros(0, 4), DataError, "empty or not numeric"),
        (["a"], DataError, "is a str, not a tensor"),
        ((torch.rand(1, 4), torch.rand(1, 4)), InputError, "2 example inputs for 1 names: image"),
        ({"x": torch.rand(1, 4)}, InputError, "example for 'x', which is not an input.*takes image"),
        ({}, InputError, "0 example inputs"),
    ],
)
def test_example_that_does_not_fit_is_refused(example, error, message, out):
    with pytest.raises(error, match=message):
        fast(nets.Dense(), example, out)
