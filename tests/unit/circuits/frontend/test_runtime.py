from __future__ import annotations

import numpy as np
import pytest

from zkinfer.circuits.errors import DataError, ModelError, ModelTooLargeError
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.runtime import evaluate_samples


@pytest.fixture
def run(tmp_path):
    def call(model, **arrays):
        np.savez(tmp_path / "in.npz", **arrays)
        evaluate_samples(model, tmp_path / "in.npz", tmp_path / "out.npz")
        with np.load(tmp_path / "out.npz") as archive:
            return dict(archive)

    return call


def test_every_output_has_a_row_for_every_sample(run, model):
    two = model("y = Relu(x) z = ArgMax<axis=1>(x)", outputs="float[1,4] y, int64[1,1] z")
    result = run(two, x=np.eye(4, dtype=np.float32)[:3, None])
    assert result["z"].ravel().tolist() == [0, 1, 2]
    assert result["y"].shape == (3, 1, 4)


def test_double_samples_are_cast_to_float(run, dense):
    assert run(dense, x=np.zeros((2, 1, 3)))["y"].dtype == np.float32


def test_same_samples_give_the_same_answers(run, dense):
    samples = np.random.default_rng(0).normal(size=(4, 1, 3))
    assert run(dense, x=samples)["y"].tobytes() == run(dense, x=samples)["y"].tobytes()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"z": np.zeros((2, 1, 3))}, "inputs are"),
        ({}, "inputs are"),
        ({"x": np.zeros((2, 1, 4))}, "have shape"),
        ({"x": np.zeros((2, 3))}, "have shape"),
        ({"x": np.zeros((0, 1, 3))}, "at least one"),
        ({"x": np.float32(1)}, "at least one"),
        ({"x": np.array([["text"]])}, "have shape"),
        ({"x": np.array([[["a", "b", "c"]]])}, "are <U1"),
    ],
)
def test_samples_that_do_not_fit_the_model_are_refused(run, dense, arrays, reason):
    with pytest.raises(DataError, match=reason):
        run(dense, **arrays)


def test_floats_for_an_integer_input_are_refused(run, model):
    with pytest.raises(DataError, match="are float64, not int64"):
        run(model("y = Add(x, x)", "int64[1,4] x", "int64[1,4] y"), x=np.zeros((1, 1, 4)))


def test_inputs_of_different_length_are_refused(run, model):
    two = model("y = Add(x, z)", "float[1,4] x, float[1,4] z")
    with pytest.raises(DataError, match="different numbers of samples"):
        run(two, x=np.zeros((2, 1, 4)), z=np.zeros((3, 1, 4)))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04garbage", b"\x93NUMPY\x01\x00"])
def test_samples_that_are_not_an_archive_are_refused(dense, tmp_path, data):
    (tmp_path / "in.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"not an \.npz"):
        evaluate_samples(dense, tmp_path / "in.npz", tmp_path / "out.npz")


def test_pickled_samples_are_refused(dense, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="plain arrays"):
        evaluate_samples(dense, tmp_path / "in.npz", tmp_path / "out.npz")


def test_sample_the_model_fails_on_is_refused(run, model):
    gather = model("y = Gather(w, x)", "int64[1,1] x", "float[1,1] y", "<float[2] w = {1.0, 2.0}>")
    with pytest.raises(ModelError, match="fails on an input"):
        run(gather, x=np.array([[[9]]]))


def test_onnxruntime_message_becomes_one_printable_sentence():
    text = runtime.short_message(RuntimeError("\n[ShapeInferenceError] /a/b/defs.cc:12: broken \x1b[31m\nmore"))
    assert text == "broken ?[31m."


def test_parser_out_of_memory_means_a_model_that_is_too_large(dense, monkeypatch):
    def hungry(*_, **__):
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(runtime.shape_inference, "infer_shapes", hungry)
    with pytest.raises(ModelTooLargeError, match="memory limit"):
        runtime.infer_shapes(dense)


# --- agreement of two models


def test_normal_form_with_different_outputs_is_refused(model):
    first, second = model("y = Relu(x)"), model("y = Abs(x)")
    inputs, _ = shapes.specs(shapes.inferred(first))
    with pytest.raises(ModelError, match="changes the model's output 'y'"):
        runtime.refuse_difference(first, second, inputs, 1)


def test_agreement_is_relative_to_the_size_of_the_output():
    large = np.array([1e6, 0.0], dtype=np.float32)
    assert runtime._agree(large, large + 1)
    assert not runtime._agree(large / 1e6, large / 1e6 + 1)


def test_agreement_accepts_nan_for_nan_only():
    odd = np.array([np.nan, 1.0])
    assert runtime._agree(odd, odd)
    assert not runtime._agree(odd, np.array([1.0, np.nan]))
