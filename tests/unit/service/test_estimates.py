from types import SimpleNamespace

import pytest

from zkinfer.circuits import Home
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.service.estimates import CostEstimator


@pytest.fixture
def model(made):
    return SimpleNamespace(engine=FakeEngine(), circuit=made.circuit)


def test_machine_that_was_not_measured_is_said_to_be(model, tmp_path):
    assert not CostEstimator(Home(tmp_path / "home")).of(model).measured


def test_measurement_that_others_could_have_written_is_none_and_no_fault_of_a_caller(model, tmp_path):
    home = Home(tmp_path / "home")
    home.speeds.mkdir(parents=True)
    home.speeds.chmod(0o777)
    assert not CostEstimator(home).of(model).measured
