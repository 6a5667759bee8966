"""Sessions of the real engine: answers, refusals and leftovers."""

import os
import signal
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.integration import bench
from tests.unit.circuits.factories import is_alive

from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import EngineCrashedError, EngineError, RangeError
from zkinfer.circuits.tensors import quantise_sample


@pytest.fixture
def session(digits):
    session = EzklEngine().session(digits.folder, digits.manifest.program)
    yield session
    session.close()


def integers(digits, number):
    return quantise_sample(bench.image(number), digits.manifest.program.inputs)


def test_session_gives_the_answers_of_the_engine(digits, session):
    samples = [integers(digits, number) for number in range(3)]
    expected = EzklEngine().forward(digits.folder, digits.manifest.program, samples)
    assert [session.forward(sample) for sample in samples] == expected


def test_session_continues_after_a_value_out_of_range(digits, session):
    good = integers(digits, 0)
    before = session.forward(good)
    with pytest.raises(RangeError, match="does not fit the range"):
        session.forward([[1 << 40] * 64])
    assert session.usable
    assert session.forward(good) == before


@pytest.mark.parametrize("bits", [12, 18, 20, 22, 24, 29, 30, 31])
def test_session_refuses_what_the_circuit_would_refuse(digits, session, bits):
    """A session skips the circuit's own checks of inputs and outputs."""
    for edge in ((1 << bits) - 1, -(1 << bits)):
        sample = [[edge, *integers(digits, 0)[0][1:]]]
        try:
            [expected] = EzklEngine().forward(digits.folder, digits.manifest.program, [sample])
        except RangeError:
            with pytest.raises(RangeError, match="does not fit the range"):
                session.forward(sample)
        else:
            assert session.forward(sample) == expected


def test_session_reports_a_killed_child(digits, session):
    os.kill(session._session._process.pid, signal.SIGKILL)
    with pytest.raises(EngineCrashedError, match="killed by another process"):
        session.forward(integers(digits, 0))
    assert not session.usable


def test_sample_of_the_wrong_size_is_refused(digits, session):
    with pytest.raises(EngineError, match="sizes of the inputs differ from those of the program"):
        session.forward([[0] * 63])


def test_session_leaves_no_file_or_process(digits, session, tmp_path):
    pid = session._session._process.pid
    session.forward(integers(digits, 0))
    opened = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    assert all(name.startswith(("pipe:", "/dev/null", "/memfd:")) for name in opened)
    session.close()
    assert eventually(lambda: not is_alive(pid))
