import json
from dataclasses import asdict

import pytest
from tests.unit.circuits.factories import engine_failing_at, engine_with
from typer.testing import CliRunner

from zkinfer.circuits import Home
from zkinfer.circuits.cost import Speed
from zkinfer.circuits.home import known_speed
from zkinfer.circuits.sandbox import resources
from zkinfer.cli.main import app

SPEED = Speed(keys_start=0.5, keys_rate=0.25, prove_start=0.125, prove_rate=2.0, small=0.5, large=8.0, gain=0.75)


@pytest.fixture
def calibrate(tmp_path, monkeypatch):
    """The command, with the given engine instead of the installed ones."""
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path))

    def call(engine):
        monkeypatch.setattr("zkinfer.circuits.engines.engine_named", lambda _: engine)
        outcome = CliRunner().invoke(app, ["calibrate", "--json"])
        return outcome.exit_code, json.loads(outcome.stdout), " ".join(outcome.stderr.split())

    return call


def test_calibrate_measures_and_stores_the_speed(calibrate, tmp_path):
    engine = engine_with(measure_speed=lambda *_, **__: SPEED)
    status, document, text = calibrate(engine)
    assert (status, document["engine"], document["machine"]) == (0, engine.id, resources.fingerprint())
    assert document["speed"] == asdict(SPEED)
    assert "2.00 s per unit of work" in text
    assert known_speed(engine, Home(tmp_path)) == SPEED


def test_calibrate_with_a_failing_engine_stores_nothing(calibrate, tmp_path):
    engine = engine_failing_at("measure_speed")
    status, document, _ = calibrate(engine)
    assert (status, document["error"]["cause"]) == (1, "It broke at measure_speed.")
    assert known_speed(engine, Home(tmp_path)) is None
