from datetime import timedelta
from types import SimpleNamespace

import pytest
from tests.unit.verifier.forge import ATTACKER, CONTEXT, EXPIRY, NOW, OWNER

from zkinfer.circuits.errors import InputError
from zkinfer.verifier import (
    AllOf,
    AnyOf,
    ContextIs,
    EmptyPolicyError,
    EngineIs,
    ModelFileIs,
    ModelIs,
    NotExpired,
    NotMadeAfter,
    NotOlderThan,
    PolicyRefusedError,
    SetupIs,
    SignedBy,
    UnsafeAcceptDevSetup,
    audit_policy,
)
from zkinfer.verifier.policy import accepts_dev_setup, named_engines

ZERO = "sha256:" + "0" * 64
YES = SetupIs("insecure-dev")
NO = SetupIs("hermez")
DEV = UnsafeAcceptDevSetup()
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def inference(parties, good):
    return parties.verify(good)


def changed(inference, **changes):
    """A copy with other attributes; policies accept any object that has them."""
    names = ("model_id", "identity", "recipe", "context", "signer", "ephemeral", "created_at")
    return SimpleNamespace(**({name: getattr(inference, name) for name in names} | changes))


def test_met_requirement_is_accepted(inference):
    policies = [
        ModelIs(inference.model_id),
        ModelFileIs(inference.identity.model),
        SignedBy(ATTACKER.public.fingerprint, OWNER.public.fingerprint),
        NotOlderThan(timedelta(hours=1)),
        NotExpired(),
        NotMadeAfter(NOW),
        SetupIs("insecure-dev"),
        EngineIs("ezkl", "fake"),
        ContextIs(
            chain_id=31337, consumer=CONTEXT.consumer, request_id=CONTEXT.request_id, requester=CONTEXT.requester
        ),
    ]
    AllOf(*policies, AnyOf(NO, *policies)).check(inference, NOW)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (ModelIs("0x" + "00" * 32), "The model id is 0x"),
        (ModelFileIs(ZERO), "The ONNX file is sha256:"),
        (SignedBy(ATTACKER.public.fingerprint), "is not listed in the policy"),
        (SetupIs("hermez"), "The trusted setup is insecure-dev, not hermez"),
        (EngineIs("ezkl", "ashlar"), "The engine is fake/1, not ashlar or ezkl"),
        (ContextIs(chain_id=0), "made for the chain_id 31337, not 0"),
        (ContextIs(consumer="0x" + "00" * 20), "made for the consumer 0xc0c0"),
        (ContextIs(request_id="0x" + "00" * 32), "made for the request_id 0x1111"),
        (ContextIs(requester="0x" + "00" * 20), "made for the requester 0xaaaa"),
        (ContextIs(chain_id=31337, requester="0x" + "00" * 20), "requester"),
    ],
)
def test_unmet_requirement_is_refused(inference, policy, message):
    with pytest.raises(PolicyRefusedError, match=message):
        policy.check(inference, NOW)


@pytest.mark.parametrize(
    "make", [AllOf, AnyOf, SignedBy, EngineIs, ContextIs, lambda: AllOf(DEV), lambda: AllOf(DEV, DEV)]
)
def test_empty_policy_is_refused(make):
    with pytest.raises(EmptyPolicyError, match="requires nothing"):
        make()


def test_permission_alone_is_refused(inference):
    with pytest.raises(EmptyPolicyError, match="This UnsafeAcceptDevSetup requires nothing"):
        DEV.check(inference, NOW)


def test_permission_does_not_satisfy_an_alternative(inference):
    with pytest.raises(PolicyRefusedError, match=r"\(1\) This UnsafeAcceptDevSetup requires nothing\. \(2\)"):
        AnyOf(DEV, NO).check(inference, NOW)


def test_all_of_stops_at_the_first_refusal(inference):
    with pytest.raises(PolicyRefusedError, match="not hermez"):
        AllOf(YES, NO, ModelIs("0x" + "00" * 32)).check(inference, NOW)


def test_any_of_lists_every_reason(inference):
    with pytest.raises(PolicyRefusedError, match=r"\(1\) The trusted setup .* \(2\) The ONNX file"):
        AnyOf(NO, ModelFileIs(ZERO)).check(inference, NOW)


def test_any_of_accepts_if_one_is_met(inference):
    AnyOf(NO, YES).check(inference, NOW)


def test_error_inside_any_of_is_propagated(inference):
    with pytest.raises(AttributeError, match="check"):
        AnyOf("not a policy", YES).check(inference, NOW)


def test_ephemeral_key_never_satisfies_a_signer_rule(inference):
    with pytest.raises(PolicyRefusedError, match="ephemeral key, which identifies no signer"):
        SignedBy(OWNER.public.fingerprint).check(changed(inference, ephemeral=True), NOW)


@pytest.mark.parametrize(("later", "refused"), [(3600 * SECOND, False), (3601 * SECOND, True)])
def test_age_is_counted_to_the_second(inference, later, refused):
    if not refused:
        NotOlderThan(timedelta(hours=1)).check(inference, NOW + later)
        return
    with pytest.raises(PolicyRefusedError, match=r"older than 1:00:00. Ask for a new one"):
        NotOlderThan(timedelta(hours=1)).check(inference, NOW + later)


def test_small_clock_skew_is_tolerated(inference):
    NotOlderThan(timedelta(hours=1)).check(inference, NOW - timedelta(minutes=5))


def test_time_in_the_future_is_refused(inference):
    with pytest.raises(PolicyRefusedError, match=r"in the future. Check both clocks"):
        NotOlderThan(timedelta(hours=1)).check(inference, NOW - timedelta(minutes=5, seconds=1))


def test_request_expires_after_its_last_second(inference):
    last = NOW + (EXPIRY - int(NOW.timestamp())) * SECOND
    NotExpired().check(inference, last)
    with pytest.raises(PolicyRefusedError, match="The request has expired"):
        NotExpired().check(inference, last + SECOND)


def test_request_without_expiry_does_not_expire(inference):
    endless = CONTEXT.model_copy(update={"expiry": 0})
    NotExpired().check(changed(inference, context=endless), NOW + timedelta(days=10_000))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ModelIs("0x" + "AA" * 32),
        lambda: ModelIs("aa" * 32),
        lambda: ModelFileIs("0" * 64),
        lambda: ModelFileIs("keccak256:" + "0" * 64),
        lambda: SignedBy(OWNER.public.fingerprint, "me"),
        lambda: SignedBy(OWNER.public.fingerprint + "\n"),
        lambda: ContextIs(consumer="0x" + "C0" * 20),
        lambda: ContextIs(request_id="0x1"),
    ],
)
def test_malformed_value_is_refused_on_construction(make):
    with pytest.raises(InputError, match="Write it in lower-case hex, in full"):
        make()


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=-1)])
def test_invalid_age_is_refused(age):
    with pytest.raises(InputError, match="must be positive"):
        NotOlderThan(age)


@pytest.mark.parametrize(
    ("policy", "accepts"),
    [
        (DEV, True),
        (AllOf(YES, DEV), True),
        (AllOf(AllOf(YES, DEV), YES), True),
        (AllOf(YES), False),
        (AnyOf(DEV, YES), False),
        (AllOf(YES, AnyOf(DEV, YES)), False),
        (AnyOf(AllOf(YES, DEV)), False),
        (YES, False),
    ],
)
def test_dev_setup_needs_a_permission_that_always_applies(policy, accepts):
    assert accepts_dev_setup(policy) is accepts


def test_policies_compare_by_value():
    assert AllOf(YES, SignedBy(ZERO)) == AllOf(YES, SignedBy(ZERO))
    assert len({AnyOf(NO), AnyOf(NO), AnyOf(YES)}) == 2
    with pytest.raises(AttributeError, match="policies"):
        AllOf(YES).policies = ()


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (NO, set()),
        (EngineIs("ashlar"), {"ashlar"}),
        (AllOf(NO, AllOf(YES, EngineIs("ezkl", "ashlar"))), {"ezkl", "ashlar"}),
        (AnyOf(EngineIs("ashlar"), YES), set()),
    ],
)
def test_engines_are_named_only_by_rules_that_always_apply(policy, names):
    assert named_engines(policy) == names


@pytest.mark.parametrize("name", ["", "Ashlar", "ashlar/0.1.0", "a" * 33])
def test_malformed_name_of_an_engine_is_refused(name):
    with pytest.raises(InputError, match="is not a name of an engine"):
        EngineIs(name)


def test_attestation_made_after_the_moment_is_refused(inference):
    NotMadeAfter(NOW - timedelta(minutes=5)).check(inference, NOW)
    with pytest.raises(PolicyRefusedError, match=r"is dated .*, after"):
        NotMadeAfter(NOW - timedelta(minutes=6)).check(inference, NOW)


def test_moment_without_a_time_zone_is_refused():
    with pytest.raises(InputError, match="no time zone"):
        NotMadeAfter(NOW.replace(tzinfo=None))


def test_audit_policy_pins_every_model_file_and_refuses_expired_requests():
    assert audit_policy([ZERO]).policies == (ModelFileIs(ZERO), NotExpired())


def test_audit_policy_adds_each_requirement_that_is_given():
    signer, word = OWNER.public.fingerprint, "0x" + "1" * 64
    found = audit_policy(
        [ZERO],
        circuit=word,
        signers=[signer],
        request_id=word,
        accept_engines=["ashlar"],
        unsafe_accept_dev_setup=True,
        further=[YES],
    )
    required = (ModelIs(word), SignedBy(signer), ContextIs(request_id=word), DEV, EngineIs("ezkl", "ashlar"), YES)
    assert found.policies[2:] == required


@pytest.mark.parametrize("given", [{"request_id": ""}, {"circuit": ""}])
def test_audit_policy_with_an_empty_identifier_is_refused(given):
    with pytest.raises(InputError, match="lower-case hex"):
        audit_policy([ZERO], **given)
