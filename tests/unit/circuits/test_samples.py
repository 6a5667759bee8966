import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.circuits import factories

from zkinfer.circuits import samples as module
from zkinfer.circuits.errors import DataError, ModelError
from zkinfer.circuits.labels import LabelSource
from zkinfer.circuits.samples import Samples, gather
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


def test_odd_samples_are_held_out(tiny, write):
    tuning, judging = gather(tiny, X, Y, write(range(7)))
    assert (tuning.kind, judging.kind) == ("calibration", "held-out")
    assert tuning.inputs["x"][:, 0, 0].tolist() == [0, 2, 4, 6]
    assert judging.inputs["x"][:, 0, 0].tolist() == [1, 3, 5]


@pytest.mark.parametrize(("count", "held_out"), [(1, False), (3, False), (4, True)])
def test_few_samples_serve_for_both_and_the_label_says_so(tiny, write, count, held_out):
    tuning, judging = gather(tiny, X, Y, write(range(count)))
    assert judging.kind == ("held-out" if held_out else "calibration")
    assert (len(tuning), len(judging)) == ((2, 2) if held_out else (count, count))


def test_many_samples_are_capped_and_taken_from_the_whole_file(tiny, write):
    tuning, judging = gather(tiny, X, Y, write(range(1000)))
    assert (len(tuning), len(judging)) == (64, 256)
    assert (tuning.indices[0], judging.indices[0]) == (0, 1)
    assert min(tuning.indices[-1], judging.indices[-1]) > 950


def test_sample_that_is_a_copy_of_one_that_tunes_does_not_judge(tiny, write):
    tuning, judging = gather(tiny, X, Y, write([0, 0, 1, 5, 2, 1, 3, 6]))
    assert (tuning.indices, judging.indices) == ((0, 2, 4, 6), (3, 7))


def test_samples_that_are_all_alike_are_not_called_held_out(tiny, write):
    tuning, judging = gather(tiny, X, Y, write([1] * 10))
    assert judging.kind == "calibration"
    assert judging.indices == tuning.indices


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 20), min_size=1, max_size=700))
def test_no_sample_that_judges_is_one_that_tunes_unless_all_are(numbers):
    arrays = {"x": np.array(numbers)}
    tuning, judging = module._split(arrays)
    shared = {numbers[row] for row in tuning} & {numbers[row] for row in judging}
    assert not shared or judging is tuning
    assert (len(tuning) <= 64, len(judging) <= 256, len(judging) > 0) == (True, True, True)


def test_answers_are_those_of_the_float_model(tiny, write):
    _, judging = gather(tiny, X, Y, write(range(4)))
    wanted = judging.inputs["x"] @ WEIGHTS + [0.5, 0.0]
    assert judging.outputs["y"] == pytest.approx(wanted, abs=1e-5)


def test_without_data_samples_are_synthetic_and_always_the_same(tiny):
    (tuning, judging), (again, _) = gather(tiny, X, Y, None), gather(tiny, X, Y, None)
    assert (tuning.kind, judging.kind) == ("synthetic", "synthetic")
    assert np.array_equal(tuning.inputs["x"], again.inputs["x"])
    assert (len(tuning), len(judging)) == (16, 16)


def test_one_is_the_inputs_of_one_sample():
    samples = Samples({"a": np.arange(4), "b": np.arange(4) * 2}, {}, "synthetic", tuple(range(4)))
    assert samples.one(3) == {"a": 3, "b": 6}


# --- labels


def test_labels_go_with_their_samples_and_not_into_the_model(tiny, write):
    tuning, judging = gather(tiny, X, Y, write(range(6), label=[0, 1, 1, 0, 0, 1]), LabelSource("label"))
    assert (tuning.labels.classes.tolist(), judging.labels.classes.tolist()) == ([0, 1, 0], [1, 0, 1])
    assert (tuning.labels.output, list(tuning.inputs)) == ("y", ["x"])


def test_labels_that_are_not_named_are_refused_as_before(tiny, write):
    with pytest.raises(DataError, match="holds 'label', which is no input"):
        gather(tiny, X, Y, write(range(6), label=[0] * 6))


def test_label_that_is_no_class_of_the_model_is_refused(tiny, write):
    with pytest.raises(DataError, match="Label 2 of sample 5 is no class of output 'y'"):
        gather(tiny, X, Y, write(range(6), label=[0, 1, 1, 0, 0, 2]), LabelSource("label"))


# --- refusals


def test_data_that_does_not_fit_the_model_is_refused(tiny, tmp_path):
    np.savez(tmp_path / "data.npz", z=np.zeros((4, 3)))
    with pytest.raises(DataError, match="does not hold the input 'x'"):
        gather(tiny, X, Y, tmp_path / "data.npz")


def test_model_that_answers_infinity_is_refused(tiny, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.full((4, 1, 3), 3e38, dtype=np.float32))
    with pytest.raises(ModelError, match="answers NaN or infinity in output 'y' for a calibration sample"):
        gather(tiny, X, Y, tmp_path / "data.npz")


def test_scratch_files_are_gone_afterwards(tiny, write, memory):
    gather(tiny, X, Y, write(range(4)))
    assert factories.everything_under(memory) == set()


@pytest.mark.parametrize("name", ["file", "allow_pickle"])
def test_input_may_have_any_name(tmp_path, name):
    model = factories.write_model(tmp_path / "model.onnx", input_name=name)
    tuning, _ = gather(model, [TensorSpec(name=name, dtype="float32", shape=(1, 3))], Y, None)
    assert list(tuning.inputs) == [name]
