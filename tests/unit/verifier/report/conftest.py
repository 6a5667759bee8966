"""Reports of a verification by the fake engine, and of hand-made verdicts."""

import json
from dataclasses import replace

import pytest
from tests.unit.circuits.factories import DOCUMENT
from tests.unit.verifier import forge

from zkinfer.circuits.manifest import Manifest
from zkinfer.verifier.inference import SEAL
from zkinfer.verifier.report import make_report
from zkinfer.verifier.summary import Question
from zkinfer.verifier.verdict import verdict_on

QUESTION = Question(attestation="answer.json", model="tiny.onnx", model_digest="sha256:" + "77" * 32)
COMMAND = ("zkinfer", "verify", "answer.json", "--model", "tiny.onnx")
CEREMONY = "hermez"


@pytest.fixture(scope="session")
def forgeable(parties, good):
    """The verdict on an honest attestation under the development setup."""
    return replace(verdict_on(parties.verifier(), good.to_bytes(), forge.POLICY), seconds=0.25)


@pytest.fixture(scope="session")
def refused(parties, document):
    """The verdict on an attestation whose output was altered."""
    altered = forge.at(document, ("predicate", "publicOutputs", 0), lambda value: str(int(value) + 1))
    return replace(verdict_on(parties.verifier(), forge.signed(altered), forge.POLICY), seconds=0.25)


@pytest.fixture(scope="session")
def valid(forgeable):
    """The same verdict as `forgeable`, as if it were under a real ceremony."""
    inference = forgeable.inference
    setup = inference.recipe.setup.model_copy(update={"ceremony": CEREMONY})
    recipe = inference.recipe.model_copy(update={"setup": setup})
    steps = [replace(step, detail=step.detail.replace("insecure-dev", CEREMONY)) for step in forgeable.steps]
    inference = replace(inference, recipe=recipe, seal=SEAL)
    return replace(forgeable, steps=steps, inference=inference, claimed_setup=CEREMONY)


@pytest.fixture(scope="session")
def recorded(valid):
    """The same verdict as `valid`, as if a chain had the answer on record."""
    steps = [*valid.steps[:-1], replace(valid.steps[-1], status="passed", detail=str(forge.RECORDED))]
    return replace(valid, steps=steps, inference=replace(valid.inference, recorded=forge.RECORDED, seal=SEAL))


@pytest.fixture(scope="session")
def manifest(forgeable):
    """A made-up manifest of the proven circuit."""
    identity = json.loads(forgeable.inference.identity.model_dump_json(by_alias=True))
    return Manifest.model_validate_json(json.dumps(DOCUMENT | {"identity": identity}))


@pytest.fixture(scope="session")
def report_on(manifest):
    """Make a report with the model's card; changes go to the question."""

    def call(verdict, *, command=COMMAND, card=True, **changes):
        question = replace(QUESTION, **changes)
        return make_report(verdict, question, command=command, manifest=manifest if card else None, now=forge.NOW)

    return call
