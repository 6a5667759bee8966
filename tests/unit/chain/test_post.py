from dataclasses import dataclass
from types import SimpleNamespace as Fake

import pytest

import zkinfer.chain.post
from zkinfer.chain.post import Outcome, match_answers, post_answers
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.errors import RevertedError, TransactionFailedError
from zkinfer.contracts.ledger import Entry
from zkinfer.verifier import CircuitMismatchError


@dataclass(frozen=True)
class Pending:
    request: str

    @property
    def posted(self):
        return self.request, b"", (), b""


class FakeLedger:
    """A ledger that takes two answers per transaction and rejects batches containing the answer to `bad`."""

    def __init__(self, **ended):
        self.states, self.tried = ended, []

    def ended(self, request):
        return self.states.get(request)

    def entry(self, request):
        state = self.states.get(request, "open")
        return Entry("open" if state == "expired" else state, 0, "0xd1")

    def in_batches(self, answers):
        return [answers[at : at + 2] for at in range(0, len(answers), 2)]

    def record_batch(self, batch):
        names = [request for request, *_ in batch]
        self.tried.append(names)
        if "bad" in names:
            raise RevertedError("The contract refused: ProofRejected().")
        self.states |= dict.fromkeys(names, "recorded")

    def record(self, *answer):
        self.record_batch([answer])


def posting(ledger, *names):
    return post_answers(Fake(ledger=ledger), {name: Pending(name) for name in names})


def test_recorded_answers_are_not_posted_again():
    ledger = FakeLedger(a="recorded", b="paid")
    posting(ledger, "a", "b", "c", "d", "e").require_all()
    assert ledger.tried == [["c", "d"], ["e"]]


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_nothing_is_sent_if_everything_is_recorded(names):
    ledger = FakeLedger(a="recorded", b="paid")
    posting(ledger, *names).require_all()
    assert ledger.tried == []


@pytest.mark.parametrize("how", ["refunded", "expired"])
def test_expired_answer_is_reported_after_the_others_are_recorded(how):
    ledger = FakeLedger(late=how)
    made = posting(ledger, "a", "late", "b")
    with pytest.raises(TransactionFailedError, match=rf"No answer is accepted any more for late \({how}\)"):
        made.require_all()
    assert ledger.tried == [["a", "b"]]
    assert [one.settled for one in made.outcomes] == [True, False, True]


def test_rejected_batch_does_not_stop_later_ones():
    ledger = FakeLedger()
    made = posting(ledger, "a", "bad", "b", "c")
    with pytest.raises(RevertedError, match="ProofRejected"):
        made.require_all()
    assert ledger.tried == [["a", "bad"], ["b", "c"]]
    assert ledger.states == {"b": "recorded", "c": "recorded"}


def test_outcome_has_the_state_before_and_after():
    (made,) = posting(FakeLedger(a="recorded"), "a").outcomes
    assert made == Outcome("a", "recorded", Entry("recorded", 0, "0xd1"), "recorded")
    assert made.document == {
        "request": "a",
        "state": "recorded",
        "recordedAt": 0,
        "outputDigest": "0xd1",
        "recordedBefore": True,
    }


MODEL = "0x" + "aa" * 32
DEPLOYED = Fake(registry=Fake(model_id=lambda _: MODEL))


def attested(request, model=MODEL):
    circuit = Fake(identity=Fake(model_id=model))
    return Fake(predicate=Fake(context=Fake(request_id=request), circuit=circuit))


def placed(name):
    return Fake(id=name, request=Fake(listing="0x1"), chain_id=1, ledger="0x2")


@pytest.fixture(autouse=True)
def _accept_all(monkeypatch):
    monkeypatch.setattr(zkinfer.chain.post, "require_answer", lambda attestation, *_: attestation)


def test_attestations_are_matched_to_requests_in_any_order():
    first, second = attested("a"), attested("b")
    assert match_answers(DEPLOYED, [second, first], [placed("a"), placed("b")]) == {"b": second, "a": first}


@pytest.mark.parametrize("given", [["b"], ["a", "a"]])
def test_attestation_without_a_matching_request_is_refused(given):
    with pytest.raises(InputError, match="which is not given"):
        match_answers(DEPLOYED, [attested(name) for name in given], [placed("a")])


def test_request_without_an_attestation_is_refused():
    with pytest.raises(InputError, match="No attestation answers the request b"):
        match_answers(DEPLOYED, [attested("a")], [placed("a"), placed("b")])


def test_attestation_of_another_model_is_refused():
    with pytest.raises(CircuitMismatchError, match=f"for the model {MODEL}; the attestation is of the model 0x0"):
        match_answers(DEPLOYED, [attested("a", "0x0")], [placed("a")])
