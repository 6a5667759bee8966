"""The example's model under Ashlar, compiled once per test run, and a feed of its answers."""

import json
from pathlib import Path

import pytest
from tests.paths import ROOT
from tests.unit.oracle.series import NOW
from tests.vectors.make_feeds import config, signers, spec

from zkinfer.circuits import Budget, Circuit, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.oracle.answers import scale_of_output
from zkinfer.oracle.recipes import Encoding, Recipe
from zkinfer.oracle.sources.files import FileSource
from zkinfer.oracle.specs import FeedFile

EXAMPLE = ROOT / "examples/volatility"
PRICES = EXAMPLE / "prices.json"
MODEL = EXAMPLE / "vol.onnx"
SIGNERS = signers(3)


def home_in(base: Path) -> Home:
    return Home(base / "volatility-home")


def circuit_in(base: Path) -> Circuit:
    """The circuit; skips if the engine's core is missing."""
    engine, folder = engine_named("ashlar"), base / "vol.circuit"
    if engine.unavailable:
        pytest.skip(engine.unavailable)
    if not folder.exists():
        options = CompileOptions(setup="insecure-dev", budget=Budget(max_error=0.002))
        samples = EXAMPLE / "calibration.npz"
        compile_model(MODEL, folder, engine=engine, home=home_in(base), calibration=samples, options=options)
    return Circuit.open(folder)


def recipe_of(circuit: Circuit, **changes) -> Recipe:
    fields = {"count": 24, "select": "prices[*].close", "bounds": ("1", "1000"), "form": "return", "tolerance": "0.01"}
    return Recipe.make(**{**fields, **changes}, encoding=Encoding.of(circuit))


def feed_of(circuit: Circuit, *, signed: bool = True, **changes) -> FeedFile:
    """A feed with two of three signers."""
    recipe, scale = recipe_of(circuit), scale_of_output(circuit, 0)
    about = spec(recipe=recipe.digest, scale=scale, description="WTI volatility", **changes)
    return FeedFile(about, recipe, config() if signed else None)


def observation_of(circuit: Circuit):
    return FileSource(PRICES).observe(recipe_of(circuit), NOW)


def closes() -> list[float]:
    return [one["close"] for one in json.loads(PRICES.read_text())["prices"]]
