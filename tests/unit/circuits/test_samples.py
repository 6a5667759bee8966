import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.circuits import factories

from zkinfer.circuits import samples as module
from zkinfer.circuits.errors import DataError, ModelError
from zkinfer.circuits.samples import LabelSource, Samples, load_samples
from zkinfer.circuits.tensors import TensorSpec

X, Y = [TensorSpec(name="x", dtype="float32", shape=(1, 3))], [TensorSpec(name="y", dtype="float32", shape=(1, 2))]
WEIGHTS = np.array([[1, -1], [0.5, 2], [-0.25, 1]])

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def write(tmp_path):
    """Writes samples, each a number three times."""

    def make(numbers, **others):
        inputs = np.repeat(np.array(numbers, dtype=np.float32), 3).reshape(-1, 1, 3)
        np.savez(tmp_path / "data.npz", x=inputs, **others)
        return tmp_path / "data.npz"

    return make


def test_odd_samples_are_held_out(tiny_model, write):
    calibration, held_out = load_samples(tiny_model, X, Y, write(range(7)))
    assert (calibration.kind, held_out.kind) == ("calibration", "held-out")
    assert calibration.inputs["x"][:, 0, 0].tolist() == [0, 2, 4, 6]
    assert held_out.inputs["x"][:, 0, 0].tolist() == [1, 3, 5]


@pytest.mark.parametrize(("count", "enough"), [(1, False), (3, False), (4, True)])
def test_few_samples_serve_as_calibration_and_held_out_under_their_own_label(tiny_model, write, count, enough):
    calibration, held_out = load_samples(tiny_model, X, Y, write(range(count)))
    assert held_out.kind == ("held-out" if enough else "calibration")
    assert (len(calibration), len(held_out)) == ((2, 2) if enough else (count, count))


def test_many_samples_are_subsampled_from_the_whole_file(tiny_model, write):
    calibration, held_out = load_samples(tiny_model, X, Y, write(range(1000)))
    assert (len(calibration), len(held_out)) == (64, 256)
    assert (calibration.indices[0], held_out.indices[0]) == (0, 1)
    assert min(calibration.indices[-1], held_out.indices[-1]) > 950


def test_copy_of_a_calibration_sample_is_not_held_out(tiny_model, write):
    calibration, held_out = load_samples(tiny_model, X, Y, write([0, 0, 1, 5, 2, 1, 3, 6]))
    assert (calibration.indices, held_out.indices) == ((0, 2, 4, 6), (3, 7))


def test_equal_samples_are_not_called_held_out(tiny_model, write):
    calibration, held_out = load_samples(tiny_model, X, Y, write([1] * 10))
    assert held_out.kind == "calibration"
    assert held_out.indices == calibration.indices


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 20), min_size=1, max_size=700))
def test_held_out_samples_differ_from_calibration_samples_unless_all_are_equal(numbers):
    arrays = {"x": np.array(numbers)}
    calibration, held_out = module._split(arrays)
    shared = {numbers[row] for row in calibration} & {numbers[row] for row in held_out}
    assert not shared or held_out is calibration
    assert (len(calibration) <= 64, len(held_out) <= 256, len(held_out) > 0) == (True, True, True)


def test_answers_are_those_of_the_float_model(tiny_model, write):
    _, held_out = load_samples(tiny_model, X, Y, write(range(4)))
    wanted = held_out.inputs["x"] @ WEIGHTS + [0.5, 0.0]
    assert held_out.outputs["y"] == pytest.approx(wanted, abs=1e-5)


def test_samples_without_data_are_synthetic_and_deterministic(tiny_model):
    (calibration, held_out), (again, _) = load_samples(tiny_model, X, Y, None), load_samples(tiny_model, X, Y, None)
    assert (calibration.kind, held_out.kind) == ("synthetic", "synthetic")
    assert np.array_equal(calibration.inputs["x"], again.inputs["x"])
    assert (len(calibration), len(held_out)) == (16, 16)


def test_one_returns_the_inputs_of_one_sample():
    samples = Samples({"a": np.arange(4), "b": np.arange(4) * 2}, {}, "synthetic", tuple(range(4)))
    assert samples.sample(3) == {"a": 3, "b": 6}


# --- labels


def test_labels_follow_their_samples_and_are_not_model_inputs(tiny_model, write):
    calibration, held_out = load_samples(
        tiny_model, X, Y, write(range(6), label=[0, 1, 1, 0, 0, 1]), LabelSource("label")
    )
    assert (calibration.labels.classes.tolist(), held_out.labels.classes.tolist()) == ([0, 1, 0], [1, 0, 1])
    assert (calibration.labels.output, list(calibration.inputs)) == ("y", ["x"])


def test_unnamed_label_array_is_refused(tiny_model, write):
    with pytest.raises(DataError, match="holds 'label', which is not an input"):
        load_samples(tiny_model, X, Y, write(range(6), label=[0] * 6))


def test_label_outside_the_classes_of_the_model_is_refused(tiny_model, write):
    with pytest.raises(DataError, match="Label 2 of sample 5 is not a class of output 'y'"):
        load_samples(tiny_model, X, Y, write(range(6), label=[0, 1, 1, 0, 0, 2]), LabelSource("label"))


# --- refusals


def test_data_that_does_not_fit_the_model_is_refused(tiny_model, tmp_path):
    np.savez(tmp_path / "data.npz", z=np.zeros((4, 3)))
    with pytest.raises(DataError, match="lacks the input 'x'"):
        load_samples(tiny_model, X, Y, tmp_path / "data.npz")


def test_index_outside_of_its_table_is_refused_by_sample(model, saved, tmp_path):
    file = saved(model("y = Gather(e, t)", "int64[1,2] t", "float[1,2] y", "<float[3] e = {0.5,1.0,1.5}>"))
    [t], y = [TensorSpec(name="t", dtype="int64", shape=(1, 2))], [TensorSpec(name="y", dtype="float32", shape=(1, 2))]
    tokens = np.array([[0, 1], [2, 1], [0, 0], [1, 0], [2, -1]])
    np.savez(tmp_path / "data.npz", t=tokens)
    with pytest.raises(DataError, match=r"Sample 4: Input 't' is -1 at element \[0, 1\], which is no index"):
        load_samples(file, [t], y, tmp_path / "data.npz", network=file)
    np.savez(tmp_path / "data.npz", t=np.abs(tokens))
    assert len(load_samples(file, [t], y, tmp_path / "data.npz", network=file)[0]) == 3


def test_model_that_answers_infinity_is_refused(tiny_model, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.full((4, 1, 3), 3e38, dtype=np.float32))
    with pytest.raises(ModelError, match="Output 'y' of the float model is NaN or infinite"):
        load_samples(tiny_model, X, Y, tmp_path / "data.npz")


def test_scratch_files_are_gone_afterwards(tiny_model, write, memory):
    load_samples(tiny_model, X, Y, write(range(4)))
    assert factories.everything_under(memory) == set()


@pytest.mark.parametrize("name", ["file", "allow_pickle"])
def test_input_may_have_any_name(tmp_path, name):
    model = factories.write_model(tmp_path / "model.onnx", input_name=name)
    calibration, _ = load_samples(model, [TensorSpec(name=name, dtype="float32", shape=(1, 3))], Y, None)
    assert list(calibration.inputs) == [name]
