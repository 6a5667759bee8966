import shutil
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.verifier import forge

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import (
    CircuitError,
    DataError,
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    SetupError,
)
from zkinfer.verifier import (
    AllOf,
    AnyOf,
    CircuitMismatchError,
    ContextIs,
    EmptyPolicyError,
    EngineIs,
    InputMismatchError,
    InsecureDevSetupError,
    MalformedAttestationError,
    NotExpired,
    NotOlderThan,
    Offer,
    PolicyRefusedError,
    ProofLengthError,
    RefusedError,
    SetupIs,
    SignedBy,
    Trusted,
    UnknownModelError,
    UnsafeAcceptDevSetup,
    UntrustedEngineError,
    UntrustedSetupError,
    UnusableRecipeError,
    Verifier,
)
from zkinfer.verifier.errors import TITLES
from zkinfer.verifier.verifier import StepReporter

DEV = UnsafeAcceptDevSetup()


class Broken:
    """The fake engine, with one method that fails."""

    id, production = "fake/1", True

    def __init__(self, engine, call, error):
        self._engine, self._call, self._error = engine, call, error

    def __getattr__(self, name):
        return self._fail if name == self._call else getattr(self._engine, name)

    def _fail(self, *_args, **_options):
        raise self._error


def test_honest_attestation_is_verified(parties, good):
    inference = parties.verify(good)
    assert inference.outputs["y"].tolist() == [[-0.125, -1.0]]
    assert inference.inputs["x"].tolist() == forge.X.tolist()
    assert inference.model_id == inference.identity.model_id
    assert inference.context == forge.CONTEXT
    assert (inference.signer, inference.ephemeral) == (forge.OWNER.public.fingerprint, False)
    assert inference.created_at == forge.NOW
    assert inference.attestation_digest == sha256(good.to_bytes())
    assert not inference.on_expected_input


def test_bytes_and_attestation_give_the_same_result(parties, good):
    assert parties.verify(good.to_bytes()).attestation_digest == parties.verify(good).attestation_digest


def test_p256_attestation_is_verified(parties):
    policy = AllOf(SignedBy(forge.P256.public.fingerprint), DEV)
    assert parties.verify(parties.attest(key=forge.P256), policy).signer == forge.P256.public.fingerprint


def test_every_step_is_reported_in_order(parties, good):
    seen = []
    parties.verify(good, observer=seen.append)
    assert [step.number for step in seen] == list(range(1, 13))
    assert [step.title for step in seen] == list(TITLES)
    assert [step.status for step in seen] == ["passed"] * 11 + ["skipped"]


def test_refused_step_is_reported_and_attached_to_the_error(parties, document):
    seen = []
    short = forge.signed(forge.at(document, ("predicate", "proof"), lambda _: "AAAA"), forge.OWNER)
    with pytest.raises(ProofLengthError, match="has 3 bytes; this circuit's proofs have 32") as caught:
        parties.verify(short, observer=seen.append)
    assert [step.status for step in seen] == ["passed"] * 5 + ["failed"] + ["not_reached"] * 6
    assert caught.value.step == seen[5]
    assert seen[5].detail == str(caught.value)


def test_garbage_is_refused_in_the_first_step(parties):
    with pytest.raises(MalformedAttestationError, match="not JSON") as caught:
        parties.verify(b"garbage")
    assert caught.value.step.number == 1


# --- the insecure setup


@pytest.mark.parametrize("policy", [SetupIs("insecure-dev"), AnyOf(DEV, NotExpired()), AllOf(AnyOf(DEV, NotExpired()))])
def test_dev_setup_without_permission_is_refused_before_any_work(parties, good, policy):
    untouched = Verifier(trusted=Trusted.of([], None, parties.folder / "cache", engines={}))
    with pytest.raises(InsecureDevSetupError, match="anyone can forge") as caught:
        untouched.verify(good, policy)
    assert caught.value.step.number == 2


def test_permission_alone_is_refused(parties, good):
    with pytest.raises(EmptyPolicyError, match="UnsafeAcceptDevSetup requires nothing"):
        parties.verify(good, DEV)


def test_dev_setup_named_as_a_real_ceremony_is_refused(parties, document):
    path = ("predicate", "recipe", "setup", "ceremony")
    renamed = forge.signed(forge.at(document, path, lambda _: "hermez"), forge.OWNER)
    with pytest.raises(UntrustedSetupError, match=r"hermez, but its tau\*G2 differs"):
        parties.verify(renamed, NotExpired())


def test_setup_size_beyond_every_file_is_refused(parties, document):
    grown = forge.signed(forge.at(document, ("predicate", "setupSize"), lambda _: 24), forge.OWNER)
    with pytest.raises(SetupError, match="insecure-dev setup of 2\\^24 powers would take too long"):
        parties.verify(grown)


# --- engines


def test_fake_engine_is_refused_unless_accepted(parties, good):
    trusted = parties.trusting(parties.model, unsafe_accept_fake_engine=False)
    with pytest.raises(UntrustedEngineError, match="anyone can forge its proofs"):
        Verifier(trusted=trusted).verify(good, forge.POLICY)


class Experimental(FakeEngine):
    experimental, labels = True, ("It has not been audited.",)


@pytest.mark.parametrize("policy", [forge.POLICY, AnyOf(EngineIs("fake"), forge.POLICY)])
def test_experimental_engine_is_refused_unless_the_policy_names_it(parties, good, policy):
    trusted = parties.trusting(parties.model, engines={"fake/1": Experimental()})
    steps = []
    with pytest.raises(UntrustedEngineError, match=r"fake/1, an experimental engine.*--accept-engine fake"):
        Verifier(trusted=trusted).verify(good, AllOf(policy, DEV), observer=steps.append)
    assert [step.number for step in steps if step.status == "failed"] == [2]


def test_experimental_engine_that_the_policy_names_is_accepted_with_its_labels(parties, good):
    trusted = parties.trusting(parties.model, engines={"fake/1": Experimental()})
    inference = Verifier(trusted=trusted, clock=lambda: forge.NOW).verify(good, AllOf(forge.POLICY, EngineIs("fake")))
    assert inference.labels == ("It has not been audited.",)
    assert inference.experimental


def test_offer_of_an_experimental_engine_is_refused_before_any_proof(parties):
    trusted = parties.trusting(parties.model, engines={"fake/1": Experimental()})
    offer = Offer(model_id="0x" + "00" * 32, model=str(next(iter(trusted.models))), engine="fake/1", ceremony="hermez")
    with pytest.raises(UntrustedEngineError, match="an experimental engine"):
        Verifier(trusted=trusted).refuse_offer(offer, NotExpired())


def test_production_engines_exclude_the_fake_one(parties, good):
    with pytest.raises(UntrustedEngineError, match="made with the engine fake/1"):
        Verifier(trusted=parties.trusting(parties.model, engines={})).verify(good, forge.POLICY)


@pytest.mark.parametrize("call", ["build", "make_keys", "verify"])
@pytest.mark.parametrize("kind", [EngineCrashedError, EngineTimeoutError, EngineMemoryError])
def test_failing_engine_gives_no_verdict(parties, good, tmp_path, call, kind):
    broken = Broken(parties.engine, call, kind("It broke."))
    trusted = parties.trusting(parties.model, cache=tmp_path / "cache", engines={"fake/1": broken})
    seen = []
    with pytest.raises(kind, match="It broke"):
        Verifier(trusted=trusted).verify(good, forge.POLICY, observer=seen.append)
    assert [step.status for step in seen].count("failed") == 1


@pytest.mark.parametrize("call", ["build", "make_keys"])
def test_recipe_that_the_engine_cannot_build_is_refused(parties, good, tmp_path, call):
    broken = Broken(parties.engine, call, EngineError("The program does not fit four blocks."))
    trusted = parties.trusting(parties.model, cache=tmp_path / "cache", engines={"fake/1": broken})
    with pytest.raises(UnusableRecipeError, match=r"recipe does not fit.*four blocks"):
        Verifier(trusted=trusted).verify(good, forge.POLICY)


def test_control_characters_in_an_engine_message_are_replaced(parties, good):
    broken = Broken(parties.engine, "check_run_arguments", EngineError("No argument \x1b[2J."))
    trusted = parties.trusting(parties.model, engines={"fake/1": broken})
    with pytest.raises(UnusableRecipeError, match=r"run arguments\. No argument \?\[2J"):
        Verifier(trusted=trusted).verify(good, forge.POLICY)


def test_engine_that_rebuilds_another_verifying_key_is_refused(parties, good, tmp_path):
    class Other(Broken):
        def make_keys(self, folder, setup, proving_key):
            (folder / "program.json").write_bytes(b"another version of the engine")
            return self._engine.make_keys(folder, setup, proving_key)

    engines = {"fake/1": Other(parties.engine, None, None)}
    trusted = parties.trusting(parties.model, cache=tmp_path / "cache", engines=engines)
    with pytest.raises(CircuitMismatchError, match="another verifying key, model id than the attestation"):
        Verifier(trusted=trusted).verify(good, forge.POLICY)


# --- the model and its cache


def test_attestation_of_another_model_is_refused(parties):
    with pytest.raises(UnknownModelError, match="Give exactly that file"):
        parties.verify(parties.attest(model=parties.other_model))


def test_proof_under_another_models_key_is_refused(parties, good):
    """The auditor has both models; a proof of one is presented as that of the other."""
    both = Verifier(trusted=parties.trusting(parties.model, parties.other_model), clock=lambda: forge.NOW)
    other = forge.statement(parties.attest(model=parties.other_model))
    disguised = forge.at(forge.statement(good), ("predicate", "circuit"), lambda _: other["predicate"]["circuit"])
    with pytest.raises(RefusedError, match="does not hold for these public values"):
        both.verify(forge.signed(disguised, forge.OWNER), forge.POLICY)


def test_altered_cache_is_detected(parties, good, tmp_path):
    shutil.copytree(parties.folder / "cache", tmp_path / "cache")
    for key in (tmp_path / "cache").glob("*/vk"):
        key.write_bytes(b"\x00" * 32)
    trusted = parties.trusting(parties.model, cache=tmp_path / "cache")
    with pytest.raises(CircuitError, match=r"was changed. Remove .* and verify again"):
        Verifier(trusted=trusted).verify(good, forge.POLICY)


# --- the expected input


def test_expected_input_is_confirmed(parties, good):
    assert parties.verify(good, expected_inputs={"x": forge.X}).on_expected_input


@pytest.mark.parametrize("shape", [(1, 3), (3,)])
def test_expected_input_may_have_another_float_type_and_any_accepted_shape(parties, good, shape):
    expected = forge.X.astype(np.float64).reshape(shape)
    assert parties.verify(good, expected_inputs={"x": expected}).on_expected_input


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"x": forge.OTHER_X}, "another value of the input 'x'"),
        ({"x": forge.X + np.float32(2**-8)}, "another value of the input 'x'"),
        ({"x": forge.X.reshape(3, 1)}, r"input is x float32\[1, 3\]; the expected one has the shape \[3, 1\]"),
        ({"x": np.array([[1e300, 0, 0]])}, "another value|holds inf"),
        ({}, r"inputs are \['x'\]; expected were \[\]"),
        ({"x": forge.X, "z": forge.X}, "Name every input"),
        ({"z": forge.X}, "Name every input"),
    ],
)
def test_other_input_is_refused(parties, good, expected, message):
    with pytest.raises((InputMismatchError, DataError), match=message):
        parties.verify(good, expected_inputs=expected)


def test_expected_input_of_nan_is_an_input_error(parties, good):
    with pytest.raises(DataError, match="holds nan"):
        parties.verify(good, expected_inputs={"x": forge.X * np.float32("nan")})


# --- replay and time


def test_replay_for_another_request_is_refused(parties, good):
    policy = AllOf(ContextIs(request_id="0x" + "22" * 32), DEV)
    with pytest.raises(PolicyRefusedError, match="made for the request_id 0x1111") as caught:
        parties.verify(good, policy)
    assert caught.value.step.number == 11


def test_expired_request_is_refused(parties, good):
    late = parties.verifier(forge.NOW + timedelta(hours=2))
    with pytest.raises(PolicyRefusedError, match="The request has expired"):
        late.verify(good, AllOf(NotExpired(), DEV))


def test_old_attestation_is_refused(parties, good):
    late = parties.verifier(forge.NOW + timedelta(hours=2))
    with pytest.raises(PolicyRefusedError, match="older than 1:00:00"):
        late.verify(good, AllOf(NotOlderThan(timedelta(hours=1)), DEV))


def test_ephemeral_signer_is_refused_by_name(parties):
    with pytest.raises(PolicyRefusedError, match="ephemeral key"):
        parties.verify(parties.attest(ephemeral=True))


def test_clock_defaults_to_now(parties, good):
    verifier = Verifier(trusted=parties.trusted)
    with pytest.raises(PolicyRefusedError, match=r"older than|in the future"):
        verifier.verify(good, AllOf(NotOlderThan(timedelta(microseconds=1)), DEV))


class Record:
    """A chain record that agrees with every answer, or refuses."""

    def __init__(self, refusal=None):
        self.refusal, self.asked = refusal, []

    def agree(self, answer):
        self.asked.append(answer)
        if self.refusal is not None:
            raise self.refusal
        return forge.RECORDED


def test_record_is_checked_against_the_proven_answer(parties, good):
    record, steps = Record(), []
    inference = parties.verify(good, record=record, observer=steps.append)
    (asked,) = record.asked
    assert (asked.context, asked.model_id) == (forge.CONTEXT, inference.model_id)
    assert asked.statement == good.predicate.statement
    assert (steps[-1].number, steps[-1].status, steps[-1].detail) == (12, "passed", str(forge.RECORDED))
    assert inference.recorded == forge.RECORDED


def test_inference_without_a_required_record_has_none(parties, good):
    assert parties.verify(good).recorded is None


def test_refused_record_fails_the_last_step(parties, good):
    steps = []
    with pytest.raises(RefusedError, match="Not on record") as caught:
        parties.verify(good, record=Record(RefusedError("Not on record.")), observer=steps.append)
    assert caught.value.step.number == 12
    assert [step.status for step in steps] == ["passed"] * 11 + ["failed"]


def test_record_is_not_checked_for_a_refused_attestation(parties, good):
    record = Record()
    with pytest.raises(PolicyRefusedError, match="signer"):
        parties.verify(good, AllOf(SignedBy("sha256:" + "0" * 64), DEV), record=record)
    assert record.asked == []


# --- the step reporter


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


def test_unexpected_error_is_propagated():
    seen = []
    with pytest.raises(ZeroDivisionError), StepReporter(seen.append).step(1):
        _ = 1 // 0
    assert seen == []
