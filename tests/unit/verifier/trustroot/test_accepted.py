from datetime import timedelta
from types import SimpleNamespace

import pytest
from tests.unit.verifier import logs
from tests.unit.verifier.forge import ATTACKER, NOW, OWNER
from tests.unit.verifier.trustroot.factory import CIRCUIT, DAY, LOG, OTHER, YEAR, A, full, key_entry, revocation
from tests.unit.verifier.trustroot.factory import following as next_version

from zkinfer.verifier import AllOf, EngineIs, PolicyRefusedError
from zkinfer.verifier.consistency import KnownCheckpoint
from zkinfer.verifier.errors import NotLoggedError, RevokedError, RootExpiredError
from zkinfer.verifier.statement import write_time
from zkinfer.verifier.transparency import Checkpoint
from zkinfer.verifier.trustroot.accepted import AcceptedByRoot, ListedRecord, in_force, root_policy

BEFORE, AFTER = write_time(NOW - DAY), write_time(NOW + DAY)


@pytest.fixture(scope="module")
def inference(parties, good):
    return parties.verify(good)


@pytest.fixture(scope="module")
def trusting(inference):
    """Make a root that lists the model, setup and engine of the inference; changes replace its lists."""

    def make(**changes):
        file = full(model=inference.identity.model, setups=["insecure-dev"], engines=["fake"])
        return next_version(file, A, **changes) if changes else file

    return make


def changed(inference, **changes):
    names = ("model_id", "identity", "recipe", "context", "signer", "ephemeral", "created_at", "attestation_digest")
    return SimpleNamespace(**({name: getattr(inference, name) for name in names} | changes))


def test_listed_inference_is_accepted(inference, trusting):
    root_policy(trusting(), NOW).check(inference, NOW)


def test_policy_of_a_root_names_its_engines(trusting):
    file = trusting()
    assert root_policy(file, NOW) == AllOf(EngineIs("fake"), AcceptedByRoot(file))


def test_root_without_engines_accepts_no_inference(inference, trusting):
    with pytest.raises(PolicyRefusedError, match="does not list the engine fake"):
        root_policy(trusting(engines=[]), NOW).check(inference, NOW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": []}, "does not list the ONNX file sha256:"),
        ({"signers": []}, "does not list the signer sha256:"),
        ({"signers": [key_entry(ATTACKER)]}, "does not list the signer sha256:"),
        ({"signers": [key_entry(OWNER, validFrom=AFTER)]}, "was not valid at"),
        ({"signers": [key_entry(OWNER, validUntil=write_time(NOW))]}, r"was not valid at .* --at"),
        ({"setups": ["hermez"]}, "does not list the trusted setup insecure-dev"),
        ({"setups": []}, "does not list the trusted setup insecure-dev"),
        ({"engines": ["ezkl"]}, "does not list the engine fake"),
        ({"chains": []}, "does not list the chain 31337"),
    ],
)
def test_unlisted_inference_is_refused(inference, trusting, changes, message):
    with pytest.raises(PolicyRefusedError, match=message):
        AcceptedByRoot(trusting(**changes)).check(inference, NOW)


def models(inference, **more):
    return [{"sha256": inference.identity.model, "circuits": "any", **more}]


def test_other_circuit_of_a_listed_model_is_refused(inference, trusting):
    with pytest.raises(PolicyRefusedError, match="does not list the circuit"):
        AcceptedByRoot(trusting(models=models(inference, circuits=[CIRCUIT]))).check(inference, NOW)


def test_listed_circuit_is_accepted(inference, trusting):
    AcceptedByRoot(trusting(models=models(inference, circuits=[CIRCUIT, inference.model_id]))).check(inference, NOW)


def test_model_outside_its_period_is_refused(inference, trusting):
    with pytest.raises(PolicyRefusedError, match="for another time"):
        AcceptedByRoot(trusting(models=models(inference, validUntil=BEFORE))).check(inference, NOW)


def test_ephemeral_signature_is_refused(inference, trusting):
    with pytest.raises(PolicyRefusedError, match="ephemeral key"):
        AcceptedByRoot(trusting()).check(changed(inference, ephemeral=True), NOW)


def test_request_without_a_chain_needs_no_chain(inference, trusting):
    offline = changed(inference, context=inference.context.model_copy(update={"chain_id": 0}))
    AcceptedByRoot(trusting(chains=[])).check(offline, NOW)


def test_attestation_dated_before_its_signer_was_valid_is_refused(inference, trusting):
    file = trusting(signers=[key_entry(OWNER, validFrom=write_time(NOW))])
    with pytest.raises(PolicyRefusedError, match="when its signer was not valid"):
        AcceptedByRoot(file).check(changed(inference, created_at=NOW - DAY), NOW)


# --- revocations


def identifiers(inference):
    return {
        "signer": inference.signer,
        "model": inference.identity.model,
        "circuit": inference.model_id,
        "attestation": str(inference.attestation_digest),
    }


@pytest.mark.parametrize("kind", ["signer", "model", "circuit", "attestation"])
def test_revoked_from_the_beginning_is_refused_at_any_date(inference, trusting, kind):
    file = trusting(revocations=[revocation(kind, identifiers(inference)[kind], reason="key leaked")])
    for moment in (NOW, NOW + YEAR - DAY):
        with pytest.raises(RevokedError, match=rf"The {kind} .* is revoked from the beginning: key leaked"):
            AcceptedByRoot(file).check(inference, moment)


@pytest.mark.parametrize("kind", ["signer", "model", "circuit", "attestation"])
def test_revoked_since_a_date_is_refused_from_then_on(inference, trusting, kind):
    file = trusting(revocations=[revocation(kind, identifiers(inference)[kind], since=AFTER)])
    AcceptedByRoot(file).check(inference, NOW + DAY - timedelta(seconds=1))
    with pytest.raises(RevokedError, match=f"is revoked since {AFTER}"):
        AcceptedByRoot(file).check(inference, NOW + DAY)


@pytest.mark.parametrize("kind", ["signer", "model", "circuit", "attestation"])
def test_revocation_of_something_else_changes_nothing(inference, trusting, kind):
    AcceptedByRoot(trusting(revocations=[revocation(kind, OTHER)])).check(inference, NOW)


def test_revocation_under_another_kind_changes_nothing(inference, trusting):
    AcceptedByRoot(trusting(revocations=[revocation("attestation", inference.signer)])).check(inference, NOW)


# --- as of an earlier date


@pytest.fixture(scope="module")
def rotated(trusting):
    """A root whose second signed version, issued ten days later, replaces the signer and revokes nothing."""
    return next_version(trusting(), A, now=NOW + 10 * DAY, signers=[key_entry(ATTACKER)])


def test_version_in_force_is_the_latest_issued_by_then(rotated):
    assert in_force(rotated, NOW + DAY) is rotated.versions[-2].root
    assert in_force(rotated, NOW + 11 * DAY) is rotated.current.root


def test_replaced_signer_is_accepted_as_of_then_and_refused_now(inference, rotated):
    AcceptedByRoot(rotated).check(inference, NOW + 9 * DAY)
    with pytest.raises(PolicyRefusedError, match="does not list the signer"):
        AcceptedByRoot(rotated).check(inference, NOW + 11 * DAY)


def test_later_revocation_from_the_beginning_counts_as_of_then(inference, rotated):
    revoked = next_version(rotated, A, now=NOW + 20 * DAY, revocations=[revocation("signer", inference.signer)])
    with pytest.raises(RevokedError, match="from the beginning"):
        AcceptedByRoot(revoked).check(inference, NOW + DAY)


def test_attestation_made_after_the_date_is_refused(inference, rotated):
    with pytest.raises(PolicyRefusedError, match=r"is dated .*, after"):
        AcceptedByRoot(rotated).check(changed(inference, created_at=NOW + 2 * DAY), NOW + DAY)


def test_date_before_the_first_version_is_refused(inference, rotated):
    with pytest.raises(RootExpiredError, match="has no version from before"):
        AcceptedByRoot(rotated).check(inference, NOW - DAY)


def test_date_after_the_expiry_of_the_version_in_force_is_refused(trusting):
    file = next_version(trusting(), A, now=NOW + 2 * YEAR)
    with pytest.raises(RootExpiredError, match=r"Version 1 of .* expired at"):
        in_force(file, NOW + YEAR + DAY)
    assert in_force(file, NOW + 2 * YEAR + DAY).version == file.current.root.version


# --- transparency logs


def test_required_log_without_a_proof_is_refused(inference, trusting):
    with pytest.raises(NotLoggedError, match=r"requires a proof .* --log-proof"):
        AcceptedByRoot(trusting(logRequired=True)).check(inference, NOW)


def test_logged_attestation_is_accepted(inference, trusting):
    proof = logs.proof_of(inference.attestation_digest, LOG, "log.example/1")
    AcceptedByRoot(trusting(logRequired=True), proof).check(inference, NOW)


def test_given_proof_is_checked_even_if_none_is_required(inference, trusting):
    proof = logs.proof_of(inference.attestation_digest, ATTACKER, "log.example/1")
    with pytest.raises(NotLoggedError, match="not signed by the trusted key"):
        AcceptedByRoot(trusting(), proof).check(inference, NOW)


def test_proof_of_a_log_that_the_root_does_not_list_is_refused(inference, trusting):
    proof = logs.proof_of(inference.attestation_digest, LOG, "log.example/2")
    with pytest.raises(NotLoggedError, match=r"is not trusted; trusted are: log\.example/1"):
        AcceptedByRoot(trusting(), proof).check(inference, NOW)


def test_checkpoint_from_elsewhere_must_be_consistent_with_the_proofs(inference, trusting):
    proof = logs.proof_of(inference.attestation_digest, LOG, "log.example/1")
    AcceptedByRoot(trusting(), proof, KnownCheckpoint(proof.checkpoint)).check(inference, NOW)
    other = Checkpoint.parse(logs.checkpoint_text([b"another"] * 7, LOG, "log.example/1"))
    with pytest.raises(NotLoggedError, match="has a split view"):
        AcceptedByRoot(trusting(), proof, KnownCheckpoint(other)).check(inference, NOW)


def test_checkpoint_from_elsewhere_without_a_proof_is_refused(inference, trusting):
    known = KnownCheckpoint(logs.proof_of(inference.attestation_digest, LOG, "log.example/1").checkpoint)
    with pytest.raises(NotLoggedError, match="requires a proof"):
        AcceptedByRoot(trusting(), None, known).check(inference, NOW)


# --- records of chains


@pytest.mark.parametrize("chain_id", [1, 31337])
def test_record_counts_only_by_a_listed_ledger(trusting, chain_id):
    root = trusting(chains=[{"chainId": chain_id, "ledger": "0x" + "1e" * 20}]).current.root
    found = SimpleNamespace(chain_id=31337, ledger="0x" + "1e" * 20)
    listed = ListedRecord(SimpleNamespace(agree=lambda _: found), root)
    if chain_id == found.chain_id:
        assert listed.agree(None) is found
    else:
        with pytest.raises(PolicyRefusedError, match=r"does not list the ledger 0x1e\w+ on chain 31337"):
            listed.agree(None)
