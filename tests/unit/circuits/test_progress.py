import pytest

from zkinfer.circuits.progress import NULL_OBSERVER, Stages


class Recorder:
    def __init__(self):
        self.seen = []

    def progress(self, stage, fraction):
        self.seen.append((stage, fraction))

    def note(self, text):
        self.seen.append(text)


def test_stage_is_started_reported_and_ended_in_order():
    recorder = Recorder()
    with Stages(recorder).stage("keys") as progress:
        progress(0.5)
    assert recorder.seen == [("keys", 0.0), ("keys", 0.5), ("keys", 1.0)]


def test_fraction_of_one_does_not_end_a_stage():
    recorder = Recorder()
    with Stages(recorder).stage("keys") as progress:
        progress(1.0)
        assert recorder.seen[-1] == ("keys", 0.999)


def test_seconds_are_recorded_by_stage():
    stages = Stages()
    with stages.stage("keys"), stages.stage("inner"):
        pass
    assert list(stages.seconds) == ["inner", "keys"]
    assert all(0 <= seconds < 1 for seconds in stages.seconds.values())


def test_failed_stage_is_not_ended():
    recorder = Recorder()
    stages = Stages(recorder)
    with pytest.raises(ValueError, match="broken"), stages.stage("keys"):
        raise ValueError("broken")
    assert recorder.seen == [("keys", 0.0)]
    assert stages.seconds == {}


def test_null_observer_accepts_every_report():
    NULL_OBSERVER.progress("keys", 0.5)
    NULL_OBSERVER.note("text")
