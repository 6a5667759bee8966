import json
import math
import stat
from dataclasses import asdict, fields, replace

import pytest
from tests.unit.circuits.factories import engine_failing_at, engine_with

from zkinfer.circuits import Home
from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.home import known_speed, measured_speed
from zkinfer.circuits.sandbox import resources

SPEED = Speed(keys_start=0.5, keys_rate=0.25, prove_start=0.125, prove_rate=2.0, small=0.5, large=8.0, gain=0.75)
ENGINE = engine_with(measure_speed=lambda *_, **__: SPEED)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def kept(home):
    """The file that holds a measured speed."""
    measured_speed(ENGINE, home)
    [path] = home.speeds.iterdir()
    return path


def rewritten(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def test_speed_is_unknown_at_first(home):
    assert known_speed(ENGINE, home) is None


def test_measured_speed_is_remembered(home):
    assert measured_speed(ENGINE, home) == SPEED
    assert known_speed(ENGINE, home) == SPEED


def test_new_measurement_replaces_the_old(home, kept):
    other = Speed(0.0, 1.0, 0.0, 1.0)
    measured_speed(engine_with(measure_speed=lambda *_, **__: other), home)
    assert known_speed(ENGINE, home) == other


def test_file_names_engine_and_machine(kept):
    document = json.loads(kept.read_bytes())
    assert document == {
        "format": "zkinfer-speed/2",
        "engine": "fake/1",
        "machine": resources.fingerprint(),
        "speed": asdict(SPEED),
    }
    assert kept.name == "fake-1.json"


def test_folder_is_private(home, kept):
    assert stat.S_IMODE(home.speeds.stat().st_mode) == 0o700


def test_speed_of_another_engine_is_unknown(home, kept):
    engine = FakeEngine()
    engine.id = "fake/2"
    assert known_speed(engine, home) is None


def test_speed_of_an_engine_with_a_colliding_file_name_is_unknown(home, kept):
    engine = FakeEngine()
    engine.id = "fake-1"
    assert known_speed(engine, home) is None


def test_speed_of_another_machine_is_unknown(home, kept, monkeypatch):
    monkeypatch.setattr(resources, "fingerprint", lambda: "Abacus 9000, 3 cores")
    assert known_speed(ENGINE, home) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": "zkinfer-speed/2"}'])
def test_damaged_file_is_ignored(home, kept, text):
    kept.write_text(text)
    assert known_speed(ENGINE, home) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": "zkinfer-speed/1"},
        {"format": "zkinfer-speed/3"},
        {"engine": 1},
        {"machine": None},
        {"more": 1},
        {"speed": None},
        {"speed": {"keys_start": 0.5}},
        {"speed": {"keys_start": "0", "keys_rate": 1.0, "prove_start": 0.0, "prove_rate": 1.0}},
    ],
    ids=str,
)
def test_malformed_file_is_ignored(home, kept, change):
    rewritten(kept, **change)
    assert known_speed(ENGINE, home) is None


@pytest.mark.parametrize("name", [field.name for field in fields(Speed)])
@pytest.mark.parametrize("number", [-1.0, -0.001, math.nan, math.inf, -math.inf, 1e6, 1e308])
def test_file_with_an_impossible_number_is_ignored(home, kept, name, number):
    rewritten(kept, speed=asdict(SPEED) | {name: number})
    assert known_speed(ENGINE, home) is None


def test_file_of_the_previous_format_is_ignored(home, kept):
    old = {"keys_start": 0.5, "keys_rate": 0.25, "prove_start": 0.125, "prove_rate": 2.0}
    rewritten(kept, format="zkinfer-speed/1", speed=old)
    assert known_speed(ENGINE, home) is None


@pytest.mark.parametrize(
    "sizes", [{"small": 0.0}, {"small": 8.5}, {"large": 0.25}, {"small": 0.0, "large": 0.0}], ids=str
)
def test_file_with_impossible_sizes_is_ignored(home, kept, sizes):
    rewritten(kept, speed=asdict(SPEED) | sizes)
    assert known_speed(ENGINE, home) is None


def test_rate_of_zero_is_accepted(home, kept):
    """The fake engine has such a rate."""
    rewritten(kept, speed=asdict(Speed(0.0, 0.0, 0.0, 0.0)))
    assert known_speed(ENGINE, home) == Speed(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("number", [-1.0, math.nan, math.inf])
def test_impossible_measurement_is_not_stored(home, number):
    engine = engine_with(measure_speed=lambda *_, **__: replace(SPEED, prove_rate=number))
    with pytest.raises(EngineError, match="fake/1 measured an impossible speed"):
        measured_speed(engine, home)
    assert known_speed(ENGINE, home) is None


def test_folder_in_place_of_the_file_is_refused_on_writing(home, kept):
    kept.unlink()
    (kept / "more").mkdir(parents=True)
    assert known_speed(ENGINE, home) is None
    with pytest.raises(InputError, match=r"fake-1\.json cannot be written"):
        measured_speed(ENGINE, home)


def test_damaged_file_is_overwritten(home, kept):
    kept.write_bytes(b"\xff")
    measured_speed(ENGINE, home)
    assert known_speed(ENGINE, home) == SPEED


def test_engine_receives_development_setups_and_a_progress_callback(home):
    given = []

    def measure(setup, *, progress):
        progress(0.5)
        given.append(setup(3))
        return SPEED

    measured_speed(engine_with(measure_speed=measure), home, given.append)
    assert given == [0.5, home.setups.find(3, "insecure-dev").path]


def test_failed_measurement_is_not_stored(home):
    with pytest.raises(EngineError, match="It broke at measure_speed"):
        measured_speed(engine_failing_at("measure_speed"), home)
    assert known_speed(ENGINE, home) is None


@pytest.mark.parametrize("call", [known_speed, measured_speed])
def test_folder_writable_by_others_is_refused(home, call):
    home.speeds.mkdir(mode=0o700)
    home.speeds.chmod(0o777)
    with pytest.raises(InputError, match="speeds"):
        call(ENGINE, home)


@pytest.mark.parametrize("call", [known_speed, measured_speed])
def test_file_in_place_of_the_folder_is_refused(home, call):
    home.speeds.write_text("")
    with pytest.raises(InputError, match="cannot be created"):
        call(ENGINE, home)
