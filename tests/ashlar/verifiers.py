"""The three verifiers of Ashlar proofs: what each says about a case, and whether their verdicts fit together."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from eth_utils import to_hex
from tests.ashlar import cases

from zkinfer.circuits.digest import keccak256
from zkinfer.contracts.abi import call_data, creation_code, function_named, revert_reason
from zkinfer.verifier.ashlar import AshlarRejectedError, MalformedKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.ashlar.cases import Case
    from web3 import Web3

ACCEPTED = "accepted"
_GAS = 3_000_000
_BATCH = 100
_STEPS = {
    "InputLengthMismatch": {"step 2"},
    "OutputCountMismatch": {"step 2"},
    "OutputOutOfRange": {"step 3"},
    "ProofRejected": {"step 2", "step 4", "step 5", "step 8", "step 11", "step 15"},
}
"""The steps of section 7.1 that an error of the contract stands for."""


class Verdicts(NamedTuple):
    """What each verifier says: `accepted`, or the step that refuses; of the contract, its error."""

    core: str
    python: str
    contract: str

    @property
    def agree(self) -> bool:
        """Whether all accept, or both name the step for which the contract's error stands.

        The contract leaves most rules of well-formedness to those who rebuild the key: after step 1 any refusal fits.
        """
        if ACCEPTED in self:
            return self.core == self.python == self.contract
        fits = self.core == "step 1" or self.core in _STEPS.get(self.contract, ())
        return self.core == self.python and fits


def verdicts(tried: Sequence[Case], contract: Contract) -> Iterator[Verdicts]:
    """The verdicts on each case."""
    for case, refusal in zip(tried, contract.verdicts(tried), strict=True):
        yield Verdicts(by_core(case), by_python(case), refusal)


def by_core(case: Case) -> str:
    """The verdict of the core in Rust; any exception but a refusal is passed on."""
    import zkinfer_ashlar  # noqa: PLC0415 - an optional package

    try:
        zkinfer_ashlar.verify(case.key, case.context, case.inputs, list(case.outputs), case.proof)
    except zkinfer_ashlar.MalformedKeyError:
        return "step 1"
    except zkinfer_ashlar.ProofRejectedError as refusal:
        return f"step {refusal.step}"
    return ACCEPTED


def by_python(case: Case) -> str:
    """The verdict of the Python verifier; any exception but a refusal is passed on."""
    try:
        case.check()
    except AshlarRejectedError as refusal:
        return f"step {refusal.step}"
    return ACCEPTED


class Contract:
    """`AshlarVerifier` on a node of which it needs a funded account; a key is on the chain only during a call."""

    def __init__(self, node: Web3, creation: bytes | None = None) -> None:
        """Deploy the shipped contract, or another one from its creation code."""
        self._node = node
        code = to_hex(creation or creation_code("AshlarVerifier", ()))
        sent = node.eth.send_transaction({"from": node.eth.accounts[0], "data": code})
        self.address = node.eth.wait_for_transaction_receipt(sent)["contractAddress"]

    def verdicts(self, tried: Sequence[Case]) -> Iterator[str]:
        """For each case `accepted`, the name of the contract's error, or what the node says instead."""
        yield from self.answers(map(question, tried))

    def answers(self, questions: Iterable[Question]) -> Iterator[str]:
        """The same for calls."""
        left = iter(questions)
        while some := list(islice(left, _BATCH)):
            calls = [("eth_call", one.parameters(self.address)) for one in some]
            yield from map(_verdict, self._node.provider.make_batch_request(calls))


class Question(NamedTuple):
    """A call of `verify`, and the key that it is about."""

    data: bytes
    key: bytes

    def parameters(self, address: str) -> list[object]:
        """The parameters of `eth_call`."""
        call = {"to": address, "data": to_hex(self.data), "gas": to_hex(_GAS)}
        return [call, "latest", {to_hex(keccak256(self.key).value[-20:]): {"code": to_hex(b"\0" + self.key)}}]


def question(case: Case, layout: Sequence[int] = (), digest: bytes = b"") -> Question:
    """The call about a case, with the layout and the digest of its key unless others are given."""
    actual = keccak256(case.key).value
    statement = (case.context, case.inputs, list(case.outputs), case.proof)
    arguments = (digest or actual, actual[-20:], layout or layout_of(case), *statement)
    return Question(call_data(function_named("AshlarVerifier", "verify"), arguments), case.key)


def layout_of(case: Case) -> tuple[int, ...]:
    """The layout that the key asks for; of a malformed key, that of the vector which the case is about."""
    try:
        layout = case.read().layout
    except MalformedKeyError:
        return tuple(cases.load(case.name.split()[0])[1]["layout"].values())
    return layout.visibility, layout.input_width, layout.inputs, layout.outputs


def _verdict(response: dict[str, Any]) -> str:
    if "error" not in response:
        return ACCEPTED
    error = response["error"]
    reason = revert_reason(error["data"]) if "data" in error else error["message"]
    return reason.removeprefix("The contract refused: ").partition("(")[0]
