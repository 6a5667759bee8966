from types import SimpleNamespace

import pytest
from tests.unit.verifier import forge

from zkinfer.circuits.engines.fake import FakeEngine, binding
from zkinfer.circuits.errors import EngineError, InputError, ProofRejectedError
from zkinfer.circuits.statement import Statement
from zkinfer.verifier import AllOf, InvalidProofError, OpinionsDifferError, Verifier, opinions
from zkinfer.verifier.statement import to_base64

PROOF, ZEROS = ("predicate", "proof"), to_base64(bytes(32))
MISSING = "Its core is not installed."


class Native(FakeEngine):
    """A fake engine whose key can be read, as that of an engine with a verifier on chains."""

    def evm_key(self, folder):
        return (folder / "vk").read_bytes()


class Unavailable(Native):
    unavailable = MISSING

    def verify(self, *_):
        raise AssertionError("an engine that is not installed must not be asked")


class Credulous(Native):
    """It accepts every proof."""

    def verify(self, *_):
        pass


def verify(key, context, inputs, outputs, proof):
    if proof != binding(key, Statement(context, inputs, tuple(outputs))):
        raise ProofRejectedError("Seen by the second.")


@pytest.fixture
def independent(monkeypatch):
    module = SimpleNamespace(verify=verify, commit_input=lambda key, inputs, setup: bytes(inputs))
    monkeypatch.setattr(opinions, "_independent", lambda engine: module)


@pytest.fixture
def verdict(parties, good):
    def call(engine, *, mangled=False, **options):
        trusted = parties.trusting(parties.model, engines={"fake/1": engine})
        document = (
            forge.signed(forge.at(forge.statement(good), PROOF, lambda _: ZEROS), forge.OWNER) if mangled else good
        )
        steps = []
        verifier = Verifier(trusted=trusted, clock=lambda: forge.NOW, **options)
        verifier.verify(document, AllOf(forge.POLICY), observer=steps.append)
        return steps[6].detail

    return call


def test_engine_verifies_where_it_is_installed(verdict, independent):
    assert verdict(Native()) == "fake/1"


def test_independent_verifier_decides_where_the_engine_is_not_installed(verdict, independent):
    assert verdict(Unavailable()) == "the independent verifier"
    with pytest.raises(InvalidProofError):
        verdict(Unavailable(), mangled=True)


def test_second_opinion_asks_both(verdict, independent):
    assert verdict(Native(), second_opinion=True) == "fake/1 and the independent verifier"
    with pytest.raises(InvalidProofError):
        verdict(Native(), second_opinion=True, mangled=True)


def test_different_opinions_are_a_refusal_that_names_both(verdict, independent):
    assert verdict(Credulous(), mangled=True) == "fake/1"
    with pytest.raises(OpinionsDifferError, match=r"fake/1 accepts it, and the independent verifier rejects it: Seen"):
        verdict(Credulous(), second_opinion=True, mangled=True)


@pytest.mark.parametrize("engine", [Unavailable(), Native()])
def test_second_opinion_that_is_missing_is_an_error_and_no_verdict(verdict, monkeypatch, independent, engine):
    if not engine.unavailable:
        monkeypatch.setattr(opinions, "_independent", lambda _: None)
    with pytest.raises(InputError, match="There is no second opinion"):
        verdict(engine, second_opinion=True)


def test_proof_that_nobody_can_verify_is_an_error_and_no_verdict(verdict):
    with pytest.raises(EngineError, match=MISSING):
        verdict(Unavailable())


def test_digest_of_an_input_is_computed_by_who_is_installed(parties, independent):
    circuit = parties.assembled(parties.model)
    assert opinions.commit_input(Unavailable(), circuit, parties.setup, 0, [1, 2]) == bytes([1, 2])
    digest = opinions.commit_input(Native(), circuit, parties.setup, 0, [1, 2])
    assert digest == FakeEngine().commit(circuit.folder, circuit.program, parties.setup.path, 0, [1, 2])


class Other:
    """A second implementation that the caller brings."""

    name = "the other"

    def __init__(self):
        self.asked = 0

    def verify(self, key, layout, proof):
        self.asked += 1
        verify(key, proof.statement.context, proof.statement.inputs, proof.statement.outputs, proof.data)


def test_implementation_of_the_caller_is_asked_for_second_opinions_only(verdict):
    other = Other()
    assert verdict(Native(), independent={"fake": other}) == "fake/1"
    assert other.asked == 0
    assert verdict(Native(), second_opinion=True, independent={"fake": other}) == "fake/1 and the other"
    assert other.asked == 1


def test_implementation_of_another_engine_is_not_asked(verdict):
    with pytest.raises(InputError, match="There is no second opinion"):
        verdict(Native(), second_opinion=True, independent={"else": Other()})


def test_lie_that_the_callers_implementation_rejects_is_a_refusal(verdict):
    with pytest.raises(OpinionsDifferError, match=r"fake/1 accepts it, and the other rejects it"):
        verdict(Credulous(), second_opinion=True, independent={"fake": Other()}, mangled=True)


def test_all_implementations_are_asked_where_there_are_three(verdict, independent):
    found = verdict(Native(), second_opinion=True, independent={"fake": Other()})
    assert found == "fake/1 and the independent verifier and the other"
