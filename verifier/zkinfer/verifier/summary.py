"""A verdict in words: its properties, its sentence, and what stays open with what the auditor gave to compare with.

All texts are plain. They quote file names and errors, so whoever shows them must escape them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from zkinfer.verifier.errors import CHAIN_RECORD, RecordUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.verifier.errors import Status
    from zkinfer.verifier.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the auditor asked of an attestation; what was not given was not compared.

    Args:
        attestation: name of the file.
        model: name of the auditor's ONNX file.
        model_digest: of that file.
        circuit: name of the required circuit's folder.
        policy: name of the policy file.
        input_: name of the file with the expected input.
        input_digest: of that file; empty if it is not known.
        signers: names of the files of the accepted keys.
        request_id: the required request, `0x` and 64 hex digits.
        chain: whether a chain must have recorded the answer.
        second_opinion: whether two implementations must accept the proof.
    """

    attestation: str
    model: str
    model_digest: str = ""
    circuit: str = ""
    policy: str = ""
    input_: str = ""
    input_digest: str = ""
    signers: tuple[str, ...] = ()
    request_id: str = ""
    chain: bool = False
    second_opinion: bool = False


class Property(NamedTuple):
    """One property that an auditor asks about, a remark that limits it, and what it means whatever the status."""

    status: Status
    claim: str
    remark: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        return f"{self.claim}{self.remark}"


class OpenClaim(NamedTuple):
    """What an accepted attestation leaves open, and the option that closes it; empty if no option does."""

    claim: str
    why: str
    option: str = ""


def properties(verdict: Verdict, question: Question) -> list[Property]:
    """The properties in the order in which an auditor asks; the chain's record only if it was required."""
    names = ("proof valid", "of this model", "on this input", "for this request", "recorded on the chain")
    statuses = [
        verdict.status(5, 6, 7),
        verdict.status(3, 4),
        verdict.status(8),
        _context_status(verdict, question),
        *([verdict.status(CHAIN_RECORD)] if question.chain else []),
    ]
    remarks = (
        ", but forgeable by anyone" if verdict.forgeable else "",
        "" if question.circuit else ": with settings chosen by the prover",
        "" if question.input_ else _NOT_COMPARED,
        "" if question.request_id else _NOT_COMPARED,
        _as_nodes_say(verdict),
    )
    limits = [remark if status == "passed" else "" for status, remark in zip(statuses, remarks, strict=False)]
    holds = "Whether the proof holds under the verifying key that was rebuilt from the ONNX file. "
    meanings = (holds + (_FORGEABLE if verdict.forgeable else _SOUND), *_MEANINGS)
    found = zip(statuses, names, limits, meanings, strict=False)
    return [Property(_downgraded(one, remark), name, remark, meaning) for one, name, remark, meaning in found]


def _as_nodes_say(verdict: Verdict) -> str:
    recorded = None if verdict.inference is None else verdict.inference.recorded
    return ", as one node says" if recorded is None or recorded.nodes == 1 else f", as {recorded.nodes} nodes say"


_SOUND: Final = (
    "If so, it is for the answer that the circuit gives: a proof for another one can be made only by breaking the "
    "proof system, or with the secret of the trusted setup."
)
_FORGEABLE: Final = "The secret of the trusted setup is public, so anyone can make such a proof for any answer."
_MEANINGS: Final = (
    "Whether the circuit that the attestation names is the one that was rebuilt from the ONNX file.",
    "Whether the proof is about the input that the auditor gave, rounded as the circuit rounds it.",
    "Whether the proof was made for the request that the auditor named, and was not taken over from another one.",
    "Whether the ledger on the chain has this answer on record.",
)


def _context_status(verdict: Verdict, question: Question) -> Status:
    if question.request_id and verdict.claimed_request not in ("", question.request_id):
        return "failed"
    return verdict.status(9)


def _downgraded(status: Status, remark: str) -> Status:
    """The status to show: a passed check counts as skipped if the auditor gave nothing to compare with."""
    return "skipped" if status == "passed" and remark == _NOT_COMPARED else status


_NOT_COMPARED: Final = ": not compared"


def headline(verdict: Verdict) -> str:
    """The verdict in a few words; the only one that accepts without reserve is `valid`."""
    if verdict.refusal is not None:
        return "refused"
    return "valid, but forgeable by anyone" if verdict.forgeable else "valid"


def sentence(verdict: Verdict, question: Question, *, place: str = "above", say: Callable[[str], str] = str) -> str:
    """The rest of the sentence that `headline` begins: what the file proves, and what was not checked.

    Args:
        verdict: accepted or refused.
        question: what was asked.
        place: where the reader finds the answer and the properties.
        say: translates a text, with its placeholders; by default the sentence is English.
    """
    names = {"model": question.model, "file": question.attestation, "place": say(place)}
    if verdict.refusal is not None:
        unread = isinstance(verdict.refusal, RecordUnavailableError)
        return say(_UNREAD if unread else _REFUSED).format(cause=verdict.refusal.cause, **names)
    answer = say("{model}, as this circuit computes it, gives the answer {place} to {subject}").format(
        subject=_subject(verdict, question, say), **names
    )
    unchecked = ", ".join(_inside(say, one.claim) for one in open_claims(question))
    rest = say("; not checked: {claims}." if unchecked else "; every property {place} was checked.")
    parts = {"answer": answer, "rest": rest.format(claims=unchecked, **names), "reserve": _reserve(verdict, say)}
    return say(_NO_EVIDENCE if verdict.forgeable else _EVIDENCE).format(**parts, **names)


_REFUSED: Final = "; {file} is no evidence of any answer of {model}, because: {cause}"
_UNREAD: Final = "; the chain's record, which was required of {file}, cannot be read: {cause}"
_EVIDENCE: Final = "; {file} proves{reserve} that {answer}{rest}"
_NO_EVIDENCE: Final = (
    ", because the secret of its trusted setup (insecure-dev) is public: {file} is no evidence that {answer}{rest}"
)


def _inside(say: Callable[[str], str], claim: str) -> str:
    """A claim within a sentence; alone it begins with a capital."""
    found = say(claim[:1].upper() + claim[1:])
    return found[:1].lower() + found[1:]


def _reserve(verdict: Verdict, say: Callable[[str], str]) -> str:
    inference = verdict.inference
    if inference is None or not inference.experimental:
        return ""
    engine = inference.recipe.engine
    return say(", as far as the experimental proof system of {engine} is sound,").format(engine=engine)


def _subject(verdict: Verdict, question: Question, say: Callable[[str], str]) -> str:
    if question.input_:
        return question.input_
    visibility = "public" if verdict.inference is None else verdict.inference.recipe.input_visibility
    return say(
        {
            "public": "the input that it states",
            "hashed": "the input with the digest that it states",
            "private": "some input that the prover keeps private",
        }[visibility]
    )


def open_claims(question: Question) -> list[OpenClaim]:
    """What an accepted attestation still leaves open, because the auditor gave nothing to compare with."""
    policy = " beyond what the policy requires" if question.policy else ""
    claims = {
        OpenClaim(
            "how well the circuit, whose settings the prover chose, follows the model",
            "No circuit was named that this one must be.",
            "--circuit FOLDER accepts this circuit only, and reports how well its maker found it to follow the model",
        ): question.circuit,
        OpenClaim(
            "whether this is the input that you mean",
            "No input was given to compare with.",
            "--input FILE compares the input with yours",
        ): question.input_,
        OpenClaim(
            f"for which request it was made{policy}",
            "No request was given to compare with.",
            "--request-id ID compares the request",
        ): question.request_id,
        OpenClaim(
            f"who signed it{policy}",
            "No key was given that the signer must have.",
            "--signer KEY.pub accepts this signer only",
        ): question.signers,
        OpenClaim("whether a chain has recorded it", "No node of a chain was asked; --rpc asks one."): question.chain,
    }
    return [claim for claim, given in claims.items() if not given]


def hints(verdict: Verdict, question: Question) -> list[str]:
    """What the auditor can do next: the cure of a refusal, or the options that close what is open."""
    if verdict.refusal is not None:
        return [verdict.refusal.cure] if verdict.refusal.cure else []
    return [one.option for one in open_claims(question) if one.option]
