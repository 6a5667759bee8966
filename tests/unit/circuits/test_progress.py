import pytest

from zkinfer.circuits.progress import NULL_OBSERVER, Stages, with_time_left


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


def test_time_left_is_noted_at_most_every_ten_seconds():
    recorder, now = Recorder(), [0.0]
    report = with_time_left(lambda _: None, recorder, "search", lambda: now[0])
    for seconds, fraction in ((4, 0.1), (20, 0.25), (28, 0.3), (40, 0.5), (60, 1.0)):
        now[0] = seconds
        report(fraction)
    assert recorder.seen == ["search: 25% after 20 s, about 60 s left", "search: 50% after 40 s, about 40 s left"]


def test_callback_with_time_left_passes_every_fraction_on():
    seen = []
    report = with_time_left(seen.append, NULL_OBSERVER, "search")
    for fraction in (0.0, 0.5, 1.0):
        report(fraction)
    assert seen == [0.0, 0.5, 1.0]


def test_null_observer_accepts_every_report():
    NULL_OBSERVER.progress("keys", 0.5)
    NULL_OBSERVER.note("text")
