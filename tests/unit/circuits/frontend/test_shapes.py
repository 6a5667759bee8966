"""Dimension sizes, opsets, and the specs of inputs and outputs."""

from unittest import mock

import onnx
import pytest

from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.graph import copy, opset
from zkinfer.circuits.tensors import MAX_ELEMENTS


def inferred(model):
    return shapes.inferred(model)


@pytest.mark.parametrize(("given", "taken"), [(7, 9), (8, 9), (9, 9), (13, 13), (18, 18), (19, 18), (21, 18)])
def test_opset_is_converted_to_the_nearest_supported(model, given, taken):
    assert opset(shapes.with_supported_opset(model("y = Relu(x)", opset=given))) == taken


def test_supported_opset_is_kept(model):
    relu = model("y = Relu(x)", opset=17)
    assert shapes.with_supported_opset(relu) is relu


def refusing(*_):
    raise UnsupportedModelError("No adapter.", "Export it again.")


def test_operator_unknown_to_the_converter_is_renumbered(model):
    with mock.patch.object(runtime, "convert_opset", refusing):
        result = shapes.with_supported_opset(model("y = Relu(x)", opset=20))
    assert opset(result) == 18
    assert [node.op_type for node in result.graph.node] == ["Relu"]


def test_operator_missing_from_the_supported_opset_is_refused(model):
    """Gelu exists only since opset 20, so renumbering is not enough."""
    with (
        mock.patch.object(runtime, "convert_opset", refusing),
        pytest.raises(UnsupportedModelError, match="No adapter"),
    ):
        shapes.with_supported_opset(model("y = Gelu(x)", opset=20))


def test_failed_conversion_is_refused_with_its_reason(model):
    strange = model("y = Relu(x)", opset=9)
    strange.graph.node[0].op_type = "Hardmax2"
    with pytest.raises(UnsupportedModelError, match=r"cannot be converted to opset 18.*opset_version=17"):
        runtime.convert_opset(strange, 18)


@pytest.mark.parametrize("size", [0, -1, -(1 << 40)])
def test_input_without_elements_is_refused(model, size):
    empty = model("y = Relu(x)")
    empty.graph.input[0].type.tensor_type.shape.dim[1].dim_value = size
    with pytest.raises(UnsupportedModelError, match="Input 'x' has a dimension of size 0 or less"):
        shapes.with_fixed_shapes(empty, {})


def test_input_with_too_many_elements_is_refused(model):
    large = model("y = Relu(x)", "float[1,N] x", "float[1,N] y")
    with pytest.raises(ModelTooLargeError, match=r"Input 'x' has 1,073,741,824 elements.*smaller"):
        shapes.with_fixed_shapes(large, {"N": 1 << 30})


def test_named_first_dimension_becomes_one_sample(model):
    fixed = shapes.with_fixed_shapes(model("y = Relu(x)", "float[batch,4] x", "float[batch,4] y"), {})
    assert shapes.specs(inferred(fixed))[0][0].shape == (1, 4)


@pytest.mark.parametrize("name", ["N", "batch_size", "n_samples", "unk__7", "s77", "x_dynamic_axes_1", "None", "?"])
def test_first_dimension_that_may_be_the_batch_is_one(model, name):
    relu = model("y = Relu(x)", "float[batch,4] x", "float[1,4] y")
    relu.graph.input[0].type.tensor_type.shape.dim[0].dim_param = name
    assert shapes.specs(inferred(shapes.with_fixed_shapes(relu, {})))[0][0].shape == (1, 4)


@pytest.mark.parametrize("name", ["seq", "T", "sequence_length", "time", "nodes", "height", "tokens"])
def test_first_dimension_with_another_name_needs_a_size(model, name):
    relu = model("y = Relu(x)", f"float[{name},4] x", f"float[{name},4] y")
    with pytest.raises(UnsupportedModelError, match=f"Dimension '{name}' .* --dim {name}=SIZE, or {name}=1 if it is"):
        shapes.with_fixed_shapes(relu, {})
    assert shapes.specs(inferred(shapes.with_fixed_shapes(relu, {name: 6})))[0][0].shape == (6, 4)


GRU = "r = Transpose<perm=[1,0,2]>(x) y, h = GRU<hidden_size=2>(r, w, u)"
WEIGHTS = "<float[1,6,3] w, float[1,6,2] u, int64 zero = {0}, int64 last = {-1}>"


@pytest.mark.parametrize(
    ("body", "shape", "note"),
    [
        ("y = Relu(x)", "batch,4", None),
        ("y = Relu(x)", "1,4", None),
        ("y = Relu(x)", "s77,4", "dimension 's77' of input 'x' has no size; it is taken for the batch and set to 1."),
        (
            "y = CumSum(x, zero)",
            "batch,4",
            "CumSum 'y' runs along it: if it is a sequence, set its length with --dim b",
        ),
        ("y = CumSum(x, last)", "batch,4", None),
        (GRU, "batch,5,3", None),
        (GRU.replace("[1,0,2]", "[0,1,2]"), "batch,1,3", "set to 1, but GRU 'y' runs along it"),
    ],
)
def test_first_dimension_that_is_set_to_one_is_told_unless_it_is_clearly_the_batch(model, body, shape, note):
    notes = shapes.batch_notes(model(body, f"float[{shape}] x", "float[1,1] y", WEIGHTS), {})
    assert len(notes) == (note is not None)
    assert (note or "") in "".join(notes)


def test_first_dimension_without_a_name_is_told_even_where_a_recurrence_runs_along_it(model):
    unnamed = model("y = CumSum(x, zero)", "float[batch,4] x", "float[1,4] y", WEIGHTS)
    unnamed.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    [note] = shapes.batch_notes(unnamed, {})
    assert note.endswith("if it is a sequence, export the model with a fixed length.")


def test_first_dimension_of_a_given_size_is_not_told(model):
    assert shapes.batch_notes(model("y = CumSum(x, zero)", "float[s0,4] x", "float[1,4] y", WEIGHTS), {"s0": 3}) == []


def test_fixing_shapes_does_not_modify_the_model(model):
    symbolic = model("y = Relu(x)", "float[batch,4] x", "float[batch,4] y")
    before = copy(symbolic)
    shapes.with_fixed_shapes(symbolic, {"batch": 3})
    assert symbolic == before


def test_dimension_name_shared_by_two_inputs_has_one_size(model):
    two = model("y = MatMul(x, z)", "float[1,N] x, float[N,1] z", "float[1,1] y")
    fixed = shapes.with_fixed_shapes(two, {"N": 3})
    assert [spec.shape for spec in shapes.specs(inferred(fixed))[0]] == [(1, 3), (3, 1)]


def test_data_dependent_output_shape_is_refused(model):
    found = inferred(model("y = NonZero(x)", outputs="int64[2,k] y"))
    with pytest.raises(UnsupportedModelError, match="shape of 'y' depends on the input"):
        shapes.specs(found)


def test_output_of_an_unsupported_element_type_is_refused(model):
    with pytest.raises(UnsupportedModelError, match=r"'y' has the unsupported element type uint64\. Cast it"):
        shapes.specs(inferred(model("y = Cast<to=13>(x)", outputs="uint64[1,4] y")))


def test_output_without_elements_is_refused(model):
    constants = "<int64[1] none = {0}, int64[1] axis = {1}>"
    nothing = inferred(model("y = Slice(x, none, none, axis)", outputs="float[1,0] y", constants=constants))
    with pytest.raises(ModelError, match=r"'y' has the invalid shape \[1, 0\]"):
        shapes.specs(nothing)


def test_output_with_too_many_elements_is_refused(model):
    wide = MAX_ELEMENTS // 4 + 1
    constants = f"<int64[2] wide = {{{wide}, 4}}>"
    large = inferred(model("y = Expand(x, wide)", outputs=f"float[{wide},4] y", constants=constants))
    with pytest.raises(ModelTooLargeError, match=f"'y' has {4 * wide:,} elements"):
        shapes.specs(large)


def test_too_large_intermediate_value_is_refused(model):
    constants = "<int64[2] wide = {67108865, 4}, int64[1] axis = {0}>"
    body = "a = Expand(x, wide) y = ReduceSum<keepdims=1>(a, axis)"
    with pytest.raises(ModelTooLargeError, match=r"Value 'a' has shape \[67108865, 4\]"):
        inferred(model(body, constants=constants))


def test_shapes_that_contradict_the_declared_ones_are_refused(model):
    with pytest.raises(ModelError, match="shapes do not fit together"):
        inferred(model("y = Relu(x)", outputs="float[1,5] y"))


def test_weights_listed_as_inputs_are_not_inputs(model):
    listed = model("y = Add(x, c)", "float[1,4] x, float[1,4] c", constants="<float[1,4] d = {1,2,3,4}>")
    listed.graph.initializer[0].name = "c"
    listed.ir_version = 3
    result = shapes.without_constant_inputs(listed)
    assert [port.name for port in result.graph.input] == ["x"]
    assert result.ir_version == 4
    onnx.checker.check_model(result)
