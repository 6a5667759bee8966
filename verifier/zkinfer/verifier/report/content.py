"""The content of a report: one value, from which every form is made, and its JSON form.

All texts are plain and may quote the attestation, file names and the ONNX file, so each form must escape them, and
replace control characters and those that reorder text: see `printable`.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.report.card import ModelCard, model_card
from zkinfer.verifier.report.language import ENGLISH, languages, words_of
from zkinfer.verifier.report.values import Bars, Picture, Shown, Table, shown
from zkinfer.verifier.summary import OpenClaim, Property, headline, open_claims, properties, sentence
from zkinfer.verifier.verdict import record_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.circuits.manifest import Manifest
    from zkinfer.verifier.errors import Step
    from zkinfer.verifier.inference import RecordedAnswer, VerifiedInference
    from zkinfer.verifier.report.language import Words
    from zkinfer.verifier.summary import Question
    from zkinfer.verifier.verdict import Verdict

FORMAT = "zkinfer-report/1"
Outcome = Literal["valid", "forgeable", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verification found, for somebody who was not there.

    Args:
        outcome: only `valid` accepts the attestation without reserve.
        headline: the verdict in a few words.
        sentences: the verdict in one sentence, by language.
        properties: what an auditor asks first.
        checks: every step with its evidence.
        recorded: where a chain has the answer on record; None unless that was asked.
        refusal: cause and cure, if the attestation was refused.
        outputs: the proven outputs; none of a refused attestation.
        inputs: the proven inputs; none if they are hashed or private, or the attestation was refused.
        visibility: what the proof reveals of the inputs; empty if the attestation was refused.
        facts: names and values: engine, setup, request, signer.
        labels: what the engine's authors say before anyone relies on its proofs.
        card: the model's fidelity and cost; None without a circuit, or if the attestation was refused.
        open: what was not checked, and why.
        limits: what no proof of this kind can show; none if the attestation was refused.
        command: the words of the command that repeats the verification.
        digests: names and digests of everything that was compared.
        seconds: the duration of the verification.
        made_at: the time of the report, in UTC.
        made_by: the program and its version.
    """

    outcome: Outcome
    headline: str
    sentences: Mapping[str, str]
    properties: tuple[Property, ...]
    checks: tuple[Step, ...]
    recorded: RecordedAnswer | None
    refusal: tuple[str, str] | None
    outputs: tuple[Shown, ...]
    inputs: tuple[Shown, ...]
    visibility: str
    facts: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    card: ModelCard | None
    open: tuple[OpenClaim, ...]
    limits: tuple[str, ...]
    command: tuple[str, ...]
    digests: tuple[tuple[str, str], ...]
    seconds: float
    made_at: datetime
    made_by: str

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, in English."""
        return self.sentences[ENGLISH]

    @property
    def command_line(self) -> str:
        """The command as a shell takes it; a character that cannot be shown is written in its escaped form."""
        return " ".join(_quoted(word) for word in self.command)


def make_report(
    verdict: Verdict,
    question: Question,
    *,
    command: Sequence[str],
    manifest: Manifest | None = None,
    now: datetime | None = None,
) -> Report:
    """The report of a verdict.

    Args:
        verdict: accepted or refused.
        question: what was asked.
        command: the words of the command that repeats the verification; must not contain secrets.
        manifest: of the circuit, for the model's card.
        now: the time to state; by default that of the clock.

    Raises:
        InputError: the manifest is of another circuit.
    """
    inference = verdict.inference
    if inference is not None and manifest is not None and manifest.identity.model_id != inference.model_id:
        raise InputError("The manifest is not that of the circuit of this attestation.", "Give the one it was made by.")
    accepted = inference is not None and verdict.refusal is None
    outcome: Outcome = "forgeable" if verdict.forgeable else "valid"
    return Report(
        outcome=outcome if accepted else "refused",
        headline=headline(verdict),
        sentences={one: _sentence(verdict, question, words_of(one)) for one in languages()},
        properties=tuple(properties(verdict, question)),
        checks=tuple(verdict.steps),
        recorded=None if inference is None else inference.recorded,
        refusal=None if verdict.refusal is None else (verdict.refusal.cause, verdict.refusal.cure),
        outputs=_tensors(inference, "output", manifest),
        inputs=_tensors(inference, "input", manifest),
        visibility="" if inference is None else inference.recipe.input_visibility,
        facts=tuple(_facts(verdict, question).items()),
        labels=() if inference is None else inference.labels,
        card=model_card(manifest) if manifest is not None and accepted else None,
        open=tuple(_open(verdict, question, has_card=manifest is not None)),
        limits=(*_LIMITS, *([] if verdict.forgeable else [_CEREMONY])) if accepted else (),
        command=tuple(command),
        digests=tuple(_digests(verdict, question, manifest).items()),
        seconds=verdict.seconds,
        made_at=(now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0),
        made_by=f"zkinfer {version('zkinfer')}",
    )


def _sentence(verdict: Verdict, question: Question, words: Words) -> str:
    return words.text(f"Verdict: {headline(verdict)}") + sentence(verdict, question, place="below", say=words.text)


def printable(text: object) -> str:
    """Text without control characters, and without characters that reorder or hide what is beside them."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    parts = (f"\\{char}" if char in "\\'" else char if char.isprintable() else _escaped(char) for char in word)
    return f"$'{''.join(parts)}'"


def _escaped(char: str) -> str:
    return f"\\U{ord(char):08x}"


_LIMITS = (
    "That the answer is right. The proof shows which answer this model gives, not that the model is a good one.",
    "That the model computed with fractions gives exactly this answer. The proof is about the circuit, which rounds.",
    "That the input is true. The proof shows what was computed from it, not where it comes from.",
    "That model and input are secret. Whoever had them can have passed them on, whatever the proof reveals.",
    "That the programs are free of faults. Proof systems and the programs that verify them can have some.",
    "When the answer was computed. The date is what the signer states.",
)
_CEREMONY = "That nobody kept the secret of the trusted setup. Whoever has it can forge proofs of any answer."


def _tensors(
    inference: VerifiedInference | None, role: Literal["input", "output"], manifest: Manifest | None
) -> tuple[Shown, ...]:
    if inference is None:
        return ()
    tensors = inference.inputs if role == "input" else inference.outputs
    features = manifest.features if manifest is not None and role == "input" else ()
    return tuple(shown(name, values, role, features) for name, values in tensors.items())


def _facts(verdict: Verdict, question: Question) -> dict[str, str]:
    facts = {"attestation": question.attestation, "ONNX file": question.model}
    facts |= {
        name: value
        for name, value in {
            "required circuit": question.circuit,
            "policy": question.policy,
            "expected input": question.input_,
            "accepted signers": ", ".join(question.signers),
            "required request": question.request_id,
        }.items()
        if value
    }
    inference = verdict.inference
    if inference is None:
        return facts
    context = inference.context
    facts["engine"] = inference.recipe.engine
    facts["trusted setup"] = inference.recipe.setup.ceremony + (": anyone can forge proofs" * verdict.forgeable)
    facts["signed"] = f"{inference.created_at:%Y-%m-%d %H:%M:%S} UTC, as the signer states"
    facts["signer"] = _signer(inference, question)
    if not (question.policy or question.circuit or question.signers or question.request_id):
        facts["policy"] = "the model, the engine and the trusted setup; nothing else was required"
    facts["request"] = context.request_id
    if context.chain_id:
        facts["chain"] = str(context.chain_id)
        facts["contract that asked"], facts["account that asked"] = context.consumer, context.requester
    if context.expiry:
        facts["request expires"] = _moment(context.expiry)
    return facts | ({} if inference.recorded is None else _recorded(inference.recorded))


def _signer(inference: VerifiedInference, question: Question) -> str:
    if inference.ephemeral:
        return "an ephemeral key, which identifies no one"
    return inference.signer + ("" if question.signers or question.policy else "; whose key it is was not checked")


def _recorded(recorded: RecordedAnswer) -> dict[str, str]:
    return {
        "recorded on the chain": f"{recorded.recorded_at:%Y-%m-%d %H:%M:%S} UTC, by the chain's clock",
        "ledger": recorded.ledger,
        "listing of the model": recorded.listing,
        "state of the chain": recorded.described_block,
        "nodes of the chain that say so": str(recorded.nodes),
    }


def _moment(seconds: int) -> str:
    """A Unix time in words; one that no calendar has stays a number."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"


def _open(verdict: Verdict, question: Question, *, has_card: bool) -> list[OpenClaim]:
    """What was not checked; of a refused attestation, the steps that were not reached."""
    inference = verdict.inference
    if inference is None:
        why = "The attestation was refused before this step."
        return [OpenClaim(f"whether {step.title}", why) for step in verdict.steps if step.status == "not_reached"]
    found = open_claims(question)
    if inference.recipe.input_visibility != "public":
        kept = "a digest of it" if inference.recipe.input_visibility == "hashed" else "nothing about it"
        found.append(OpenClaim("what the input is", f"The circuit keeps it: the proof reveals {kept}."))
    if inference.experimental:
        found.append(
            OpenClaim(
                "whether the engine's proof system is sound",
                "It is experimental, and nobody independent has audited it.",
            )
        )
    if not question.second_opinion:
        found.append(
            OpenClaim(
                "whether a second, independent implementation accepts the proof",
                "One implementation verified it.",
                "--second-opinion asks another one",
            )
        )
    if inference.recorded is not None and inference.recorded.nodes == 1:
        found.append(
            OpenClaim(
                "whether the node of the chain told the truth",
                "One node was asked, and its answers are not proven. Another node must have a block with the same "
                "hash, and the same code at the same addresses.",
                "--rpc, repeated, asks another one",
            )
        )
    if has_card:
        found.append(
            OpenClaim(
                "whether the figures of fidelity and cost are true",
                "They are what the circuit's manifest states; a proof says nothing about them.",
            )
        )
    return found


def _digests(verdict: Verdict, question: Question, manifest: Manifest | None) -> dict[str, str]:
    digests = {"attestation file": verdict.digest, "the auditor's ONNX file": question.model_digest}
    digests["expected input"] = question.input_digest
    inference = verdict.inference
    if inference is not None:
        identity = inference.identity
        digests |= {
            "the auditor's ONNX file": identity.model,
            "model id": inference.model_id,
            "normal form": identity.network,
            "verifying key": identity.verifying_key,
            "circuit": "" if manifest is None else str(manifest.digest),
            "signer's key": inference.signer,
            "request": inference.context.request_id,
        }
        if inference.recorded is not None:
            digests |= {f"code of {one.name}, {one.address}": one.code_hash for one in inference.recorded.code}
            digests["block of the chain"] = inference.recorded.block_hash
    return {name: digest for name, digest in digests.items() if digest}


# --- JSON


def json_bytes(report: Report) -> bytes:
    """The report as JSON, in ASCII; names of fields do not change within a version of the format."""
    return (json.dumps(document(report), indent=2) + "\n").encode()


def document(report: Report) -> dict[str, Any]:
    """The JSON document."""
    card = report.card
    return {
        "format": FORMAT,
        "outcome": report.outcome,
        "accepted": report.outcome != "refused",
        "headline": report.headline,
        "verdict": report.sentence,
        "refusal": None if report.refusal is None else {"cause": report.refusal[0], "cure": report.refusal[1]},
        "properties": [one._asdict() for one in report.properties],
        "checks": [asdict(one) for one in report.checks],
        "outputs": [_tensor(one) for one in report.outputs],
        "inputs": [_tensor(one) for one in report.inputs],
        "inputVisibility": report.visibility,
        "facts": dict(report.facts),
        "labels": list(report.labels),
        "model": None if card is None else _card(card),
        "notChecked": [one._asdict() for one in report.open],
        "limits": list(report.limits),
        "repeat": report.command_line,
        "record": None if report.recorded is None else record_document(report.recorded),
        "digests": dict(report.digests),
        "seconds": report.seconds,
        "madeAt": report.made_at.isoformat().replace("+00:00", "Z"),
        "madeBy": report.made_by,
    }


def _tensor(one: Shown) -> dict[str, Any]:
    names: dict[type, str] = {Picture: "picture", Bars: "bars", Table: "table"}
    return {
        "name": one.name,
        "type": str(one.values.dtype),
        "shape": list(one.values.shape),
        "shownAs": names[type(one.view)],
        "values": one.values.tolist(),
    }


def _card(card: ModelCard) -> dict[str, Any]:
    columns = (
        None
        if card.columns is None
        else [dict(zip(card.columns.columns, row, strict=True)) for row in card.columns.rows]
    )
    return {
        "facts": dict(card.facts),
        "cost": dict(card.cost),
        "provenance": card.provenance,
        "fidelity": dict(card.fidelity),
        "errors": {bar.label: bar.text for bar in card.errors.rows},
        "columns": columns,
        "budget": card.budget,
    }
