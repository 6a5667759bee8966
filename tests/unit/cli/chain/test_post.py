from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from zkinfer.cli.chain.post import _post, _require_all
from zkinfer.contracts.errors import RevertedError, TransactionFailedError


@dataclass(frozen=True)
class Asked:
    request: str
    proof: bytes = b""
    instances: tuple[int, ...] = ()


class FakeLedger:
    """A ledger with two answers to a transaction, which refuses whatever goes with the answer to `bad`."""

    def __init__(self, **ended):
        self.states, self.tried = ended, []

    def ended(self, request):
        return self.states.get(request)

    def in_batches(self, answers):
        return [answers[at : at + 2] for at in range(0, len(answers), 2)]

    def record_batch(self, batch):
        names = [request for request, _, _ in batch]
        self.tried.append(names)
        if "bad" in names:
            raise RevertedError("The contract refused: ProofRejected().")
        self.states |= dict.fromkeys(names, "recorded")

    def record(self, *answer):
        self.record_batch([answer])


def posted(ledger, *names):
    deployed, answers = SimpleNamespace(ledger=ledger), {name: Asked(name) for name in names}
    _require_all(deployed, answers, _post(deployed, list(answers.values())))
    return ledger.tried


def test_answers_are_recorded_and_what_is_taken_already_is_left_out():
    assert posted(FakeLedger(a="recorded", b="paid"), "a", "b", "c", "d", "e") == [["c", "d"], ["e"]]


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_nothing_is_sent_where_all_is_taken_already(names):
    assert posted(FakeLedger(a="recorded", b="paid"), *names) == []


@pytest.mark.parametrize("how", ["refunded", "expired"])
def test_answer_that_comes_too_late_is_named_after_the_rest_was_recorded(how):
    ledger = FakeLedger(late=how)
    with pytest.raises(TransactionFailedError, match=rf"No answer is taken any more to late \({how}\)"):
        posted(ledger, "a", "late", "b")
    assert ledger.tried == [["a", "b"]]


def test_batch_that_is_refused_keeps_no_later_one_from_being_recorded():
    ledger = FakeLedger()
    with pytest.raises(RevertedError, match="ProofRejected"):
        posted(ledger, "a", "bad", "b", "c")
    assert ledger.tried == [["a", "bad"], ["b", "c"]]
    assert ledger.states == {"b": "recorded", "c": "recorded"}
