import numpy as np
import pytest
from tests.unit.circuits import making

from zkinfer.circuits.errors import DataError, ModelError
from zkinfer.circuits.samples import Samples, gather
from zkinfer.circuits.tensors import TensorSpec

SPECS = [TensorSpec(name="x", dtype="float32", shape=(1, 3))]
WEIGHTS = np.array([[1, -1], [0.5, 2], [-0.25, 1]])

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def samples(tmp_path):
    """Writes N samples; sample i is [i, i, i]."""

    def write(count):
        np.savez(tmp_path / "data.npz", x=np.repeat(np.arange(count, dtype=np.float32), 3).reshape(count, 1, 3))
        return tmp_path / "data.npz"

    return write


def test_odd_samples_are_held_out(tiny, samples):
    tuning, judging = gather(tiny, SPECS, samples(7))
    assert (tuning.kind, judging.kind) == ("calibration", "held-out")
    assert tuning.inputs["x"][:, 0, 0].tolist() == [0, 2, 4, 6]
    assert judging.inputs["x"][:, 0, 0].tolist() == [1, 3, 5]


@pytest.mark.parametrize(("count", "held_out"), [(1, False), (3, False), (4, True)])
def test_few_samples_serve_for_both_and_the_label_says_so(tiny, samples, count, held_out):
    tuning, judging = gather(tiny, SPECS, samples(count))
    assert judging.kind == ("held-out" if held_out else "calibration")
    assert (len(tuning), len(judging)) == ((2, 2) if held_out else (count, count))


def test_many_samples_are_capped(tiny, samples):
    tuning, judging = gather(tiny, SPECS, samples(1000))
    assert (len(tuning), len(judging)) == (64, 256)


def test_answers_are_those_of_the_float_model(tiny, samples):
    _, judging = gather(tiny, SPECS, samples(4))
    wanted = judging.inputs["x"] @ WEIGHTS + [0.5, 0.0]
    assert judging.outputs["y"] == pytest.approx(wanted, abs=1e-5)


def test_without_data_samples_are_synthetic_and_always_the_same(tiny):
    (tuning, judging), (again, _) = gather(tiny, SPECS, None), gather(tiny, SPECS, None)
    assert (tuning.kind, judging.kind) == ("synthetic", "synthetic")
    assert np.array_equal(tuning.inputs["x"], again.inputs["x"])
    assert (len(tuning), len(judging)) == (16, 16)


def test_one_is_the_inputs_of_one_sample():
    samples = Samples({"a": np.arange(4), "b": np.arange(4) * 2}, {}, "synthetic")
    assert samples.one(3) == {"a": 3, "b": 6}


def test_data_that_does_not_fit_the_model_is_refused(tiny, tmp_path):
    np.savez(tmp_path / "data.npz", z=np.zeros((4, 3)))
    with pytest.raises(DataError, match="does not hold the input 'x'"):
        gather(tiny, SPECS, tmp_path / "data.npz")


def test_model_that_answers_infinity_is_refused(tiny, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.full((4, 1, 3), 3e38, dtype=np.float32))
    with pytest.raises(ModelError, match="answers NaN or infinity in output 'y' for a calibration sample"):
        gather(tiny, SPECS, tmp_path / "data.npz")


def test_scratch_files_are_gone_afterwards(tiny, samples, memory):
    gather(tiny, SPECS, samples(4))
    assert making.everything_under(memory) == set()


@pytest.mark.parametrize("name", ["file", "allow_pickle"])
def test_input_may_have_any_name(tmp_path, name):
    model = making.write_model(tmp_path / "model.onnx", input_name=name)
    tuning, _ = gather(model, [TensorSpec(name=name, dtype="float32", shape=(1, 3))], None)
    assert list(tuning.inputs) == [name]
