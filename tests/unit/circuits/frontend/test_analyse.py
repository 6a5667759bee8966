import pytest
from onnx import shape_inference

from zkinfer.circuits.frontend.analyse import workload


@pytest.fixture
def counted(model):
    """The workload of the nodes."""
    return lambda *arguments, **changes: workload(shape_inference.infer_shapes(model(*arguments, **changes)))


@pytest.mark.parametrize(
    ("body", "x", "w", "y", "count"),
    [
        ("y = MatMul(x, w)", "1,4", "4,3", "1,3", 12),
        ("y = MatMul(x, w)", "2,5,4", "4,3", "2,5,3", 120),
        ("y = Gemm(x, w)", "2,4", "4,3", "2,3", 24),
        ("y = Gemm<transB=1>(x, w)", "2,4", "3,4", "2,3", 24),
        ("y = Gemm<transA=1>(x, w)", "4,2", "4,3", "2,3", 24),
        ("y = Conv(x, w)", "1,2,5,5", "3,2,3,3", "1,3,3,3", 27 * 18),
        ("y = Conv<group=2>(x, w)", "1,2,5,5", "4,1,3,3", "1,4,3,3", 36 * 9),
        ("y = Conv<strides=[2,2]>(x, w)", "1,2,5,5", "3,2,3,3", "1,3,2,2", 12 * 18),
        ("y = ConvTranspose(x, w)", "1,2,3,3", "2,3,3,3", "1,3,5,5", 18 * 27),
        ('y = Einsum<equation="ij, jk -> ik">(x, w)', "2,4", "4,3", "2,3", 24),
        ('y = Einsum<equation="bij,bij->b">(x, w)', "2,3,4", "2,3,4", "2", 24),
    ],
)
def test_multiplications_of_a_layer(counted, body, x, w, y, count):
    load = counted(body, f"float[{x}] x, float[{w}] w", f"float[{y}] y")
    assert load.multiplications == load.heaviest[0].multiplications == count


def test_sums_are_over_all_layers(counted):
    load = counted(
        "h = MatMul(x, w) a = Relu(h) y = MatMul(a, v)", "float[1,4] x, float[4,3] w, float[3,2] v", "float[1,2] y"
    )
    assert (load.multiplications, load.elements) == (12 + 6, 3 + 3 + 2)


def test_heaviest_layers_come_first(counted):
    load = counted(
        "h = MatMul(x, w) a = Relu(h) y = MatMul(a, v)", "float[1,4] x, float[4,3] w, float[3,9] v", "float[1,9] y"
    )
    assert [(layer.operator, layer.weight) for layer in load.heaviest] == [("MatMul", 27), ("MatMul", 12), ("Relu", 3)]


def test_at_most_eight_heaviest_layers_are_listed(counted):
    body = " ".join(f"a{place + 1} = Relu(a{place})" for place in range(10))
    load = counted(f"a0 = Relu(x) {body} y = Relu(a10)")
    assert len(load.heaviest) == 8
    assert load.elements == 12 * 4


@pytest.mark.parametrize(
    "body", ["y = Identity(x)", "y = Transpose<perm=[0,1]>(x)", "y = Cast<to=1>(x)", "y = CastLike(x, x)"]
)
def test_data_movement_weighs_nothing(counted, body):
    load = counted(body)
    assert (load.multiplications, load.elements, load.heaviest) == (0, 0, ())


def test_unnamed_layer_is_named_after_its_output(counted):
    assert counted("y = Relu(x)").heaviest[0].name == "y"


def test_long_layer_names_are_truncated(counted):
    name = "y" * 300
    assert counted(f"{name} = Relu(x)", outputs=f"float[1,4] {name}").heaviest[0].name == "y" * 80


@pytest.mark.parametrize("inputs", ["float[N,4] x, float[4,3] w", "float[1,4] x, float[4,M] w", "float x, float w"])
def test_unknown_shapes_count_as_nothing(model, inputs):
    load = workload(model("y = MatMul(x, w)", inputs, "float[A,B] y"))
    assert (load.multiplications, load.elements) == (0, 0)


@pytest.mark.parametrize(("name", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrence_multiplies_in_every_step(counted, name, gates):
    inputs = f"float[7,1,5] x, float[1,{gates * 2},5] w, float[1,{gates * 2},2] r"
    load = counted(f"y = {name}<hidden_size=2>(x, w, r)", inputs, "float[7,1,1,2] y")
    assert load.multiplications == 7 * gates * 2 * (5 + 2)
    assert load.elements == 14


@pytest.mark.parametrize("equation", ["...i,...i->...", "ij,jk,kl->il", "ij,jk", "ij->i", "", "i,jk->i"])
def test_unusual_einsum_counts_only_known_shapes(model, equation):
    load = workload(model(f'y = Einsum<equation="{equation}">(x, w)', "float[2,4] x, float[4,3] w", "float[2,3] y"))
    assert load.multiplications == (24 if equation == "ij,jk" else 0)


@pytest.mark.parametrize("inputs", ["float[N,1,5] x", "float x"])
def test_recurrence_of_unknown_length_counts_as_nothing(model, inputs):
    given = f"{inputs}, float[1,2,5] w, float[1,2,2] r"
    assert workload(model("y = RNN<hidden_size=2>(x, w, r)", given, "float[A,1,1,2] y")).multiplications == 0


def test_reduction_counts_its_input_elements(counted):
    load = counted("y = ReduceMax<keepdims=0>(x)", "float[1,4] x", "float y")
    assert load.elements == 4


def test_constant_subgraph_counts_as_nothing(counted):
    load = counted(
        "c = Constant<value_floats=[1.0,2.0]>() d = Sigmoid(c) y = Add(x, d)", "float[1,2] x", "float[1,2] y"
    )
    assert [layer.operator for layer in load.heaviest] == ["Add"]


def test_unused_results_are_not_counted(counted):
    load = counted("unread = Sigmoid(x) y = Relu(x)")
    assert [layer.operator for layer in load.heaviest] == ["Relu"]
