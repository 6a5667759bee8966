from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper, parser

from zkinfer.circuits.engines.ezkl.lowering import pipeline as ezkl
from zkinfer.circuits.errors import ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend import fold
from zkinfer.circuits.frontend.load import parse
from zkinfer.circuits.frontend.passes import pipeline
from zkinfer.circuits.frontend.prune import serialised

CONV = "<float[2,1,2,2] w = {1.,2.,3.,4.,-1.,-2.,-3.,-4.}>"
ROW = "<float[1,4] c = {0.5,-1.0,2.0,0.25}, float[1,4] far = {0.5,-1.0,200.0,0.25}>"


def ports(field):
    return [(port.name, [dim.dim_value for dim in port.type.tensor_type.shape.dim]) for port in field]


def weights(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_dense_keeps_its_nodes_and_weights(dense, normal, kinds):
    result = normal(dense)
    assert kinds(result) == {"Gemm": 1, "Relu": 1}
    assert ports(result.graph.input) == [("x", [1, 3])]
    assert [one.tobytes() for one in weights(result).values()] == [one.tobytes() for one in weights(dense).values()]


def test_documentation_and_tool_names_do_not_reach_the_normal_form(dense, normal):
    plain = serialised(normal(dense))
    dense.producer_name, dense.doc_string, dense.graph.name = "tool", "secret", "other"
    dense.graph.node[0].name, dense.graph.node[0].doc_string = "n", "doc"
    dense.graph.node[0].output[0] = dense.graph.node[1].input[0] = "renamed"
    dense.graph.node[0].input[1] = dense.graph.initializer[0].name = "a/weight"
    dense.metadata_props.add(key="author", value="me")
    dense.graph.input[0].doc_string = dense.graph.initializer[0].doc_string = "doc"
    assert serialised(normal(dense)) == plain


def test_order_of_weights_and_attributes_does_not_matter(model, normal):
    first = model("y = Conv<strides=[1,1], pads=[0,0,1,1]>(x, w)", "float[1,1,4,4] x", "float[1,2,4,4] y", CONV)
    second = onnx.ModelProto.FromString(first.SerializeToString())
    swapped = list(second.graph.node[0].attribute)[::-1]
    del second.graph.node[0].attribute[:]
    second.graph.node[0].attribute.extend(swapped)
    assert serialised(normal(first)) == serialised(normal(second))


def test_typed_and_raw_weights_give_the_same_bytes(dense, normal):
    raw = onnx.ModelProto.FromString(dense.SerializeToString())
    for tensor in raw.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    assert serialised(normal(raw)) == serialised(normal(dense))


@pytest.mark.parametrize("opset", [7, 8, 9, 13, 18, 19, 20, 21, 23])
def test_every_opset_is_converted_to_the_tested_range(opset, model, normal):
    result = normal(
        model(
            "h = MatMul(x, w) y = Relu(h)", constants="<float[4,4] w = {" + ",".join(["0.5"] * 16) + "}>", opset=opset
        )
    )
    assert result.opset_import[0].version == min(max(opset, 9), 18)


def test_convolution_gets_explicit_strides(model, normal):
    result = normal(model("y = Conv(x, w)", "float[1,1,3,3] x", "float[1,2,2,2] y", CONV))
    assert [list(entry.ints) for entry in result.graph.node[0].attribute if entry.name == "strides"] == [[1, 1]]


def test_several_inputs_and_outputs_keep_name_and_order(model, normal):
    body = "b = Mul(x, z) a = Add(x, z)"
    result = normal(model(body, "float[1,4] x, float[1,4] z", "float[1,4] b, float[1,4] a"))
    assert [name for name, _ in ports(result.graph.input)] == ["x", "z"]
    assert [name for name, _ in ports(result.graph.output)] == ["b", "a"]


def test_integer_output_keeps_its_type(model, normal):
    result = normal(model("y = ArgMax<axis=1, keepdims=0>(x)", outputs="int64[1] y"))
    assert result.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.INT64


def test_shape_chain_of_a_torch_export_is_folded(model, normal, kinds):
    body = """
        s = Shape(x) n = Gather(s, zero) u = Unsqueeze(n, axis) m = Constant<value_ints=[-1]>() t = Concat<axis=0>(u, m)
        y = Reshape(x, t)
    """
    constants = "<int64 zero = {0}, int64[1] axis = {0}>"
    result = normal(model(body, "float[N,2,3] x", "float[N,K] y", constants))
    assert kinds(result) == {"Reshape": 1}
    assert ports(result.graph.output) == [("y", [1, 6])]


def test_transposed_weight_is_folded_bit_exactly(model, normal, kinds):
    body = "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)"
    result = normal(model(body, outputs="float[1,2] y", constants="<float[2,4] w = {1.,2.,3.,4.,5.,6.,7.,8.1}>"))
    assert kinds(result) == {"MatMul": 1}
    assert next(iter(weights(result).values())).tolist()[3] == [4.0, np.float32(8.1)]


def test_exponential_of_a_constant_is_not_folded(model, normal, kinds):
    result = normal(model("e = Exp(c) y = Add(x, e)", constants=ROW))
    assert kinds(result) == {"Exp": 1, "Add": 1}


def test_dropout_and_identity_are_removed(model, normal, kinds):
    result = normal(model("d = Dropout(x) i = Identity(d) r = Relu(i) y = Identity(r)"))
    assert kinds(result) == {"Relu": 1}
    assert result.graph.node[0].output == ["y"]


def test_unread_nodes_and_weights_are_removed(model, normal, kinds):
    result = normal(model("dead = Mul(x, c) y = Relu(x)", constants=ROW))
    assert (kinds(result), weights(result)) == ({"Relu": 1}, {})


def test_weights_listed_as_inputs_are_not_inputs(dense, normal):
    dense.ir_version = 3
    dense.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in dense.graph.initializer
    )
    assert [name for name, _ in ports(normal(dense).graph.input)] == ["x"]


def test_constant_output_is_kept(model, normal):
    result = normal(model("y = Relu(x) z = Add(c, c)", outputs="float[1,4] y, float[1,4] z", constants=ROW))
    assert weights(result)["z"].tolist() == [[1.0, -2.0, 4.0, 0.5]]


@pytest.mark.parametrize(
    ("operator", "opset"), [("Gelu", 20), ('Gelu<approximate="tanh">', 20), ("Mish", 18), ("Swish", 24)]
)
def test_composite_operator_is_inlined(operator, opset, model, normal, kinds):
    result = normal(model(f"y = {operator}(x)", opset=opset))
    assert len(kinds(result)) > 1
    assert result.opset_import[0].version == 18


@pytest.mark.parametrize(
    ("body", "outputs", "expected"),
    [
        ("y = Cast<to=7>(x)", "int64[1,4] y", {"Sign", "Abs", "Floor", "Mul", "Cast"}),
        ("y = Cast<to=9>(x)", "bool[1,4] y", {"Equal", "Not"}),
        ("f = Floor(x) y = Cast<to=7>(f)", "int64[1,4] y", {"Floor", "Cast"}),
        ("y = Max(x, far)", "float[1,4] y", {"Neg", "Min"}),
        ("t = Constant<value_ints=[2,3]>() y = Tile(x, t)", "float[2,12] y", {"Concat"}),
        ("y = CastLike(x, c)", "float[1,4] y", {"Identity"}),
    ],
)
def test_operator_that_the_engine_gets_wrong_is_rewritten(body, outputs, expected, model, normal, kinds):
    assert set(kinds(normal(model(body, outputs=outputs, constants=ROW)))) == expected


def test_average_excluding_padding_is_rescaled(model, normal, kinds):
    pool = "y = AveragePool<kernel_shape=[3,2], strides=[2,1], pads=[1,1,1,0]>(x)"
    result = normal(model(pool, "float[1,2,5,4] x", "float[1,2,3,4] y"))
    assert kinds(result) == {"AveragePool": 1, "Mul": 1}


def test_resize_to_sizes_becomes_a_resize_by_scales(model, normal):
    body = 'y = Resize<coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , , s)'
    result = normal(model(body, "float[1,1,2,2] x", "float[1,1,4,6] y", "<int64[4] s = {1,1,4,6}>"))
    assert weights(result)[result.graph.node[0].input[2]].tolist() == [1, 1, 2, 3]


def test_named_dimension_gets_its_size(model, normal):
    result = normal(model("y = Relu(x)", "float[N,T,3] x", "float[N,T,3] y"), T=5)
    assert ports(result.graph.output) == [("y", [1, 5, 3])]


def test_named_batch_can_get_a_size(dense, normal):
    assert ports(normal(dense, N=4).graph.output) == [("y", [4, 2])]


def test_dimension_without_size_is_refused_with_the_option(model, normal):
    with pytest.raises(UnsupportedModelError, match="--dim T=SIZE"):
        normal(model("y = Relu(x)", "float[N,T] x", "float[N,T] y"))


def test_size_for_an_unknown_dimension_is_refused(dense, normal):
    with pytest.raises(UnsupportedModelError, match=r"no dimension named 'Q'.*N"):
        normal(dense, Q=3)


def test_dimension_without_name_is_refused(dense, normal):
    dense.graph.input[0].type.tensor_type.shape.dim[1].Clear()
    with pytest.raises(UnsupportedModelError, match="neither a size nor a name"):
        normal(dense)


def test_empty_input_is_refused(dense, normal):
    dense.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 0
    with pytest.raises(UnsupportedModelError, match="size 0"):
        normal(dense)


def test_huge_input_is_refused(model, normal):
    with pytest.raises(ModelTooLargeError, match="elements, over"):
        normal(model("y = Relu(x)", "float[1,90000000] x", "float[1,90000000] y"))


def test_huge_intermediate_value_is_refused_before_it_is_computed(model, normal):
    body = "t = Expand(x, s) y = ReduceSum<keepdims=1>(t)"
    with pytest.raises(ModelTooLargeError, match="has shape"):
        normal(model(body, outputs="float[1,1] y", constants="<int64[2] s = {900000000, 4}>"))


def test_huge_constant_is_not_computed(model, normal):
    body = "c = ConstantOfShape(s) r = ReduceMax<keepdims=1>(c) y = Add(x, r)"
    with pytest.raises(ModelTooLargeError):
        normal(model(body, constants="<int64[2] s = {90000, 90000}>"))


def test_constants_over_the_budget_are_refused(model, normal, monkeypatch):
    monkeypatch.setattr(fold, "MAX_TOTAL_FOLDED", 3)
    with pytest.raises(ModelTooLargeError, match="more than 3 constants"):
        normal(model("d = Add(c, c) y = Mul(x, d)", constants=ROW))


def test_constant_that_becomes_infinite_is_refused(model, normal):
    with pytest.raises(ModelError, match="'d', which holds inf"):
        normal(model("z = Sub(c, c) d = Div(c, z) y = Add(x, d)", constants=ROW))


def test_incompatible_shapes_are_refused(model, normal):
    with pytest.raises(ModelError, match="do not fit"):
        normal(model("y = MatMul(x, w)", constants="<float[3,1] w = {1.,2.,3.}>"))


def test_unknown_attribute_is_refused(dense, normal):
    dense.graph.node[1].attribute.append(helper.make_attribute("odd", 1))
    with pytest.raises(ModelError, match="inconsistent"):
        normal(dense)


def test_nodes_are_called_as_in_the_owners_file(model):
    named = model("h = Neg(x) r = LeakyRelu(h) y = Sigmoid(r)")
    named.graph.node[0].name = "first"
    form = ezkl.normal_form(named, {}, 7)
    by_operator = {node.op_type: form.names[node.output[0]] for node in form.model.graph.node}
    assert by_operator["Neg"] == "first"
    assert by_operator["Relu"] == "r"  # a pass put it in the place of LeakyRelu
    assert by_operator["Sigmoid"] == "y"


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        ("y = Trilu(x)", "float[1,4] y", "depends on the model's input"),
        ("t = Trilu(x) y = Mul(t, t)", "float[1,4] y", "Trilu"),
        ("y, m = Dropout(x)", "float[1,4] y, bool[1,4] m", "cannot be rewritten"),
        ("y = Pow(x, x)", "float[1,4] y", "constant scalar exponent"),
        ("v, y = TopK<axis=1>(x, k)", "int64[1,2] y", "indices"),
        ("y = ArgMax<axis=1, select_last_index=1>(x)", "int64[1,1] y", "last of equal"),
        ('y = Pad<mode="reflect">(x, p)', "float[1,6] y", "mirrored values"),
        ("y = Pad(x, p, one)", "float[1,6] y", "a value other than 0"),
        ("y = Pad(x, q)", "float[1,2] y", "crops"),
        ("y = ScatterElements<axis=1>(x, i, u)", "float[1,4] y", "constant indices"),
        ("i0 = Cast<to=7>(x) y = Gather(u, i0)", "float[1,4,1] y", "cast from fractions"),
        ("s = Cast<to=7>(x) y = Div(s, s)", "int64[1,4] y", "divides integers"),
    ],
)
def test_use_unsupported_by_the_engine_is_refused(body, outputs, reason, model, normal):
    constants = """<int64[1] k = {2}, int64[4] p = {0,1,0,1}, int64[4] q = {0,-1,0,-1}, float one = {1.0},
        int64[1,1] i = {2}, float[1,1] u = {9.0}>"""
    with pytest.raises(UnsupportedModelError, match=reason):
        normal(model(body, outputs=outputs, constants=constants))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Conv<dilations=[2,2]>(x, w)", "dilations"),
        ("y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)", "dilations"),
        ("y = MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(x)", "ceil_mode"),
        ("y, i = MaxPool<kernel_shape=[2,2]>(x) j = Add(i, i)", "indices"),
        ('y = AveragePool<kernel_shape=[2,2], auto_pad="SAME_UPPER">(x)', "automatic padding"),
        ('y = Resize<mode="linear">(x, , s)', "interpolates"),
    ],
)
def test_image_operator_unsupported_by_the_engine_is_refused(body, reason, model, normal):
    outputs = "float[1,a,b,c] y" + (", int64[1,a,b,c] j" if "j =" in body else "")
    constants = CONV[:-1] + ", float[4] s = {1.,1.,2.,2.}>"
    with pytest.raises(UnsupportedModelError, match=reason):
        normal(model(body, "float[1,1,5,5] x", outputs, constants))


@pytest.mark.parametrize("extra", ['direction="reverse"', "clip=1.0", "layout=1"])
def test_recurrent_variant_unsupported_by_the_engine_is_refused(extra, model, normal):
    size = "float[1,1,2,2] y" if "layout" in extra else "float[2,1,1,2] y"
    zeros = ",".join(["0.5"] * 4)
    constants = f"<float[1,2,2] w = {{{zeros}}}, float[1,2,2] r = {{{zeros}}}>"
    inputs = "float[1,2,2] x" if "layout" in extra else "float[2,1,2] x"
    size = "float[1,2,1,2] y" if "layout" in extra else size
    with pytest.raises(UnsupportedModelError, match="RNN"):
        normal(model(f"y = RNN<hidden_size=2, {extra}>(x, w, r)", inputs, size, constants))


def test_model_that_onnxruntime_cannot_run_is_refused(model, normal):
    with pytest.raises(ModelError, match=r"onnxruntime refuses|fails on an input"):
        normal(model("y = Gather(x, i)", outputs="float[1,4] y", constants="<int64[1] i = {77}>"))


def test_rewriting_that_grows_the_graph_too_large_is_refused(model, normal, monkeypatch):
    monkeypatch.setattr(pipeline, "MAX_NODES", 3)
    with pytest.raises(ModelTooLargeError, match="grows too large"):
        normal(model("y = Cast<to=7>(x)", outputs="int64[1,4] y"))


GOOD = parser.parse_model("""
<ir_version: 8, opset_import: ["": 17]>
g (float[N,1,4,4] x) => (float[N,K] y)
<float[1,1,2,2] w = {1.,2.,3.,4.}, int64[2] s = {0,-1}>
{ c = Conv<kernel_shape=[2,2]>(x, w)  r = Relu(c)  p = MaxPool<kernel_shape=[2,2]>(r)  y = Reshape(p, s) }
""").SerializeToString()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(flips=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_model_is_refused_or_still_normalised(flips, normal):
    data = bytearray(GOOD)
    for place, value in flips:
        data[place] = value
    with contextlib.suppress(ModelError):  # no other error may be raised
        assert normal(parse(bytes(data))).graph.node
