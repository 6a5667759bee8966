import pytest

from zkinfer.circuits.errors import EngineError
from zkinfer.verifier.errors import RefusedError
from zkinfer.verifier.step_reporter import StepReporter
from zkinfer.verifier.steps import TITLES


def test_passed_step_reports_its_details():
    seen = []
    with StepReporter(seen.append).step(2) as details:
        details += ["a", "b"]
    assert [(step.number, step.title, step.status, step.detail) for step in seen] == [(2, TITLES[1], "passed", "a; b")]


def test_refusal_carries_its_step():
    with pytest.raises(RefusedError, match="Too odd") as caught, StepReporter(None).step(3):
        raise RefusedError("Too odd.")
    assert (caught.value.step.number, caught.value.step.status) == (3, "failed")


def test_steps_after_a_failure_are_not_reached():
    seen = []
    with pytest.raises(EngineError, match="broke"), StepReporter(seen.append).step(len(TITLES) - 2):
        raise EngineError("It broke.")
    assert [step.status for step in seen] == ["failed", "not_reached", "not_reached"]


def test_error_of_the_program_itself_is_left_alone():
    seen = []
    with pytest.raises(ZeroDivisionError), StepReporter(seen.append).step(1):
        _ = 1 // 0
    assert seen == []
