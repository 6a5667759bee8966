import threading
from types import SimpleNamespace

import numpy as np
import pytest
from tests.unit.circuits import factories

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineCrashedError, ModelError, RangeError
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.prover import inference
from zkinfer.prover.errors import BusyError, ModelUnavailableError
from zkinfer.prover.inference import InferencePools
from zkinfer.prover.quantised_inputs import integers_digest, integers_of
from zkinfer.prover.repository import ModelVersion

X = {"x": factories.X}


def version_of(circuit, engine=None):
    return ModelVersion("tiny", "1", circuit, engine or FakeEngine(), circuit.digest, circuit.model_id)


@pytest.fixture
def model(tiny):
    return version_of(tiny.circuit)


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def answers(clock):
    answers = InferencePools(sessions=2, max_waiting=2, idle_seconds=10.0, clock=lambda: clock.now)
    yield answers
    answers.close()


def asked(answers, model, inputs=X):
    integers = integers_of(inputs, model.circuit.manifest.program.inputs)
    return answers.forward(model, integers).result(20)


def test_answer_is_that_of_the_circuit(answers, model):
    answer = asked(answers, model)
    integers = integers_of(X, model.circuit.manifest.program.inputs)
    (expected,) = FakeEngine().forward(model.circuit.folder, model.circuit.manifest.program, [integers])
    assert answer.integers == expected
    assert answer.outputs_digest == integers_digest(expected)
    assert answer.outputs["y"].dtype == np.float32
    np.testing.assert_array_equal(answer.outputs["y"] * 256, np.reshape(expected, (1, 2)))


def test_answer_reports_its_timings(answers, model):
    answer = asked(answers, model)
    assert answer.queue_seconds >= 0
    assert answer.compute_seconds > 0


def test_value_out_of_range_is_refused_and_the_next_request_answered(answers, model):
    with pytest.raises(RangeError, match="exceeds the range"):
        answers.forward(model, [[1 << 40, 0, 0]]).result(20)
    assert asked(answers, model).integers


@pytest.mark.parametrize(
    ("dtype", "integers", "expected"),
    [("bool", [0, 1], [False, True]), ("int8", [-128, 127], [-128, 127]), ("uint32", [0, 2**32 - 1], [0, 2**32 - 1])],
)
def test_outputs_have_the_dtype_of_the_model(dtype, integers, expected):
    array = inference._typed(integers, TensorSpec(name="y", dtype=dtype, shape=(2,)))
    assert array.dtype == dtype
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "integer"), [("bool", 2), ("int8", 128), ("uint8", -1), ("int64", 1 << 63), ("uint32", 1 << 32)]
)
def test_output_beyond_the_dtype_is_refused(dtype, integer):
    with pytest.raises(RangeError, match=f"The output 'y' exceeds the range of {dtype}"):
        inference._typed([0, integer], TensorSpec(name="y", dtype=dtype, shape=(2,)))


# --- sessions


def test_sessions_are_kept_between_requests(answers, tiny):
    opened = []
    engine = FakeEngine()
    engine.session = lambda *arguments: opened.append(1) or FakeEngine().session(*arguments)
    model = version_of(tiny.circuit, engine)
    answers.warm(model).result(20)
    for _ in range(4):
        asked(answers, model)
    assert 1 <= len(opened) <= 2


class Slow:
    """A session that answers only once it is killed or closed."""

    usable = True

    def __init__(self):
        self._ended = threading.Event()
        self.kill = self.close = self._ended.set

    def forward(self, sample):
        self._ended.wait(20)
        return [[0, 0]]


def test_too_many_requests_are_refused(tiny):
    engine = FakeEngine()
    engine.session = lambda *_: Slow()
    answers, model = InferencePools(sessions=1, max_waiting=1), version_of(tiny.circuit, engine)
    for _ in range(2):
        answers.forward(model, [[0, 0, 0]])
    with pytest.raises(BusyError, match="Too many requests wait"):
        answers.forward(model, [[0, 0, 0]])
    assert answers.unfinished() == 2
    answers.close()


def test_sessions_of_a_removed_model_are_closed(answers, model):
    asked(answers, model)
    pool = answers._circuit_pool(model)
    answers.retain([])
    with pytest.raises(ModelUnavailableError, match="no longer served"):
        pool.submit(lambda _: None)
    assert asked(answers, model).integers  # a caller that still holds the model gets a new pool


def test_idle_sessions_are_closed(answers, model, clock):
    asked(answers, model)
    pool = answers._circuit_pool(model)
    clock.now = 5.0
    answers.retain([model])
    assert answers._circuit_pool(model) is pool
    clock.now = 15.1
    answers.retain([model])
    assert answers._circuit_pool(model) is not pool


# --- the float model


def test_float_answer_is_that_of_the_original_model(answers, model):
    floats = answers.floats(model, X).result(60)
    assert floats["y"].dtype == np.float32
    np.testing.assert_allclose(floats["y"], [[0.5 * 1 - 1.25 * 0.5 - 2 * 0.25 + 0.5, -0.5 - 2.5 + 2]])


def test_float_answers_share_one_child(answers, model):
    for scale in (1, 2):
        answers.floats(model, {"x": factories.X * scale}).result(60)
    assert len(answers._pool(inference._PoolKey(model.circuit.folder, model.digest, True), None, 1)._sessions) == 1


def test_input_refused_by_the_float_model_is_refused(answers, model):
    with pytest.raises(ModelError, match="The model fails on an input"):
        answers.floats(model, {"x": factories.X.astype(np.float64)}).result(60)


def test_malformed_float_answer_is_refused(tiny, monkeypatch):
    session = inference._open_floats(version_of(tiny.circuit))
    for answer in (5, {"y": 5}, {"y": {"dtype": "object", "shape": [1], "values": [1]}}, {"y": {"dtype": "f4"}}):
        monkeypatch.setattr(session._session, "ask", lambda answer=answer, **_: answer)
        with pytest.raises(EngineCrashedError, match="malformed answer"):
            session.answer(X)
    session.close()
