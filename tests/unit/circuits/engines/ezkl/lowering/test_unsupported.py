"""Uses of operators that only normal forms have: each is refused with its reason and cure."""

import pytest
from onnx import helper

from zkinfer.circuits.engines.ezkl.lowering import unsupported
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import shapes

IMAGE = "float[1,1,4,4] x"
CONSTANTS = (
    "<float[4] w = {1,2,3,4}, float[4] v = {1,2,3,4}, float[4] scales = {1,1,2,2}, int64[4] sizes = {1,1,8,8}, "
    "float[1,4,1] k = {1,2,3,4}, float[1,4,1] r = {1,2,3,4}, float[1,8] b = {1,2,3,4,5,6,7,8}, int32[1] long = {2}>"
)


@pytest.fixture
def refuse(model):
    """Check a graph as the engine's reader would see it, without any rewriting."""

    def call(body, inputs="float[1,4] x", outputs="float[1,4] y", opset=17, constants=CONSTANTS):
        unsupported.refuse_unsupported(shapes.inferred(model(body, inputs, outputs, constants, opset)))

    return call


@pytest.mark.parametrize(
    ("body", "inputs", "outputs", "reason", "cure"),
    [
        ("y = Resize(x, , , sizes)", IMAGE, "float[1,1,8,8] y", "specifies sizes instead of scales", "other operators"),
        ("y = Pow(x, x)", "float[1,4] x", "float[1,4] y", "constant scalar base", "other operators"),
        ("i = Cast<to=6>(x) y = Add(i, i)", "float[1,4] x", "int32[1,4] y", "wrap around", "Cast to int64"),
        ("y = Cast<to=3>(x)", "int64[1,4] x", "int8[1,4] y", "may not hold", "Cast to int64"),
        ("y = MaxPool<kernel_shape=[2,2], pads=[1,1,1,1]>(x)", IMAGE, "float[1,1,5,5] y", "pad negative", "Relu"),
        ("y = ConvTranspose<dilations=[2,2]>(x, t)", IMAGE, "float[1,1,a,b] y", "has dilations", "other operators"),
        ("s = Shape(x) y = Expand(x, s)", "float[1,4] x", "float[1,4] y", "Shape depends on the model's", "mask"),
        ("y = ReduceSum(x, a)", "float[1,4] x, int64[1] a", "float[1,4] y", "'a', computed from the input", "other"),
        (
            "y = Reshape(x, a)",
            "float[1,4] x, int64[2] a",
            "float[p,q] y",
            "has the parameter .a., computed",
            "other operators",
        ),
        (
            "y = Slice(x, a, a)",
            "float[1,4] x, int64[1] a",
            "float[p,q] y",
            "has the parameter .a., computed",
            "other operators",
        ),
    ],
)
def test_use_is_refused_with_a_cure(refuse, body, inputs, outputs, reason, cure):
    constants = CONSTANTS[:-1] + ", float[1,1,2,2] t = {1,2,3,4}>"
    with pytest.raises(UnsupportedModelError, match=reason) as refusal:
        refuse(body, inputs, outputs, constants=constants)
    assert cure in refusal.value.cure


def test_normalisation_in_training_mode_is_refused(refuse):
    with pytest.raises(
        UnsupportedModelError, match="BatchNormalization 'y' runs in training mode, which is not supported"
    ):
        refuse("y, m, n = BatchNormalization<training_mode=1>(x, w, w, w, v)", opset=15)


def test_batch_normalisation_in_inference_mode_is_accepted(refuse):
    refuse("y = BatchNormalization<momentum=0.5>(x, w, w, w, v)", opset=15)


@pytest.mark.parametrize(
    ("body", "domain"),
    [
        ("y = Div(x, none)", "x != 0"),
        ("y = BatchNormalization(x, w, w, w, less)", "x > -1e-05"),
        ("a = Log(none) y = Add(x, a)", "x > 0"),
    ],
)
def test_constant_outside_the_domain_is_refused(refuse, body, domain):
    constants = "<float[4] w = {1,2,3,4}, float[4] none = {1,0,1,1}, float[4] less = {1,1,-1,1}>"
    with pytest.raises(UnsupportedModelError, match=f"has a constant operand x outside the domain {domain}"):
        refuse(body, constants=constants)


@pytest.mark.parametrize("base", ["-2", "0"])
def test_power_of_a_number_that_is_not_above_0_is_refused(refuse, base):
    with pytest.raises(UnsupportedModelError, match="raises a number that is not above 0 to a computed power"):
        refuse("y = Pow(base, x)", constants=f"<float base = {{{base}}}>")


@pytest.mark.parametrize("kind", ["InstanceNormalization", "LayerNormalization"])
def test_normalisation_without_an_epsilon_is_refused(refuse, kind):
    inputs = ("float[1,4,2] x", "float[1,4,2] y") if kind.startswith("I") else ("float[1,4] x", "float[1,4] y")
    with pytest.raises(UnsupportedModelError, match="divides by 0 where all values are equal") as refusal:
        refuse(f"y = {kind}<epsilon=0.0>(x, w, w)", *inputs)
    assert "Set epsilon above 0" in refusal.value.cure
    refuse(f"y = {kind}<epsilon=0.001>(x, w, w)", *inputs)


def test_recurrence_with_sequence_lengths_is_refused(refuse):
    body = "y, h = RNN<hidden_size=1>(x, k0, r0, , long)"
    constants = "<float[1,1,4] k0 = {1,2,3,4}, float[1,1,1] r0 = {1}, int32[1] long = {2}>"
    with pytest.raises(UnsupportedModelError, match="takes sequence lengths"):
        refuse(body, "float[2,1,4] x", "float[2,1,1,1] y, float[1,1,1] h", constants=constants)


def test_resize_of_an_old_opset_repeats_values(refuse):
    refuse("y = Resize(x, scales)", IMAGE, "float[1,1,8,8] y", opset=10)


@pytest.mark.parametrize("kind", ["Dropout", "Einsum2", "If"])
def test_operator_that_rewriting_should_have_removed_is_refused_by_name(model, kind):
    odd = model("y = Relu(x)")
    odd.graph.node[0].op_type = kind
    with pytest.raises(UnsupportedModelError, match=rf"Operator {kind} is used in a way .* \(node 'y'\)"):
        unsupported.refuse_unsupported(odd)


def test_every_refused_node_is_listed(model):
    body = "a = Pow(x, x) b = Relu(a) y = Pow(b, a)"
    found = list(unsupported.unsupported(shapes.inferred(model(body))))
    assert [node.op_type for node, _ in found] == ["Pow", "Pow"]
    assert all(isinstance(problem, UnsupportedModelError) for _, problem in found)


def test_refusal_truncates_a_hostile_name(model):
    odd = model("y = Pow(x, x)")
    odd.graph.node[0].name = "n" * 100_000
    odd.graph.node.append(helper.make_node("Relu", ["x"], ["z"]))
    with pytest.raises(UnsupportedModelError, match="Pow") as refusal:
        unsupported.refuse_unsupported(odd)
    assert len(str(refusal.value)) < 500
