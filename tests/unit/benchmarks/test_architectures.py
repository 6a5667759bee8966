"""The benchmark's larger networks are what their names say."""

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks import architectures


@pytest.fixture(params=sorted(architectures.ARCHITECTURES))
def written(request, tmp_path):
    """The name of an architecture, its file, and four samples."""
    path = tmp_path / "model.onnx"
    architectures.write(path, request.param)
    return request.param, path, architectures.samples(request.param, 4)


def weights_of(path):
    return sum(int(np.prod(one.dims)) for one in onnx.load(path).graph.initializer)


def test_networks_run_and_give_finite_answers_that_differ(written):
    _, path, samples = written
    answers = onnxruntime.InferenceSession(path).run(None, {"x": samples})[0]
    assert len(answers) == 4
    assert np.isfinite(answers).all()
    assert np.ptp(answers, axis=0).min() > 0


def test_networks_have_as_many_weights_as_promised(written):
    name, path, _ = written
    expected = {"convolutional": 266_000, "residual": 270_000, "forest": 0, "credit": 3_400_000}
    assert weights_of(path) == pytest.approx(expected[name], rel=0.01)


def test_networks_are_the_same_bytes_every_time(written, tmp_path):
    name, path, _ = written
    architectures.write(tmp_path / "again.onnx", name)
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


def test_forest_has_complete_trees():
    graph = architectures.Graph((architectures.FEATURES,))
    architectures.forest(graph)
    [node] = graph._nodes
    modes = next(list(one.strings) for one in node.attribute if one.name == "nodes_modes")
    assert (modes.count(b"BRANCH_LEQ"), modes.count(b"LEAF")) == (100 * 255, 100 * 256)
