"""The sections of a report, which HTML, Markdown and PDF have in common, and the words between its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.verifier.report.blocks import Command, Facts, Figure, Heading, Items, Mark, Marks, Paragraph, Section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.verifier.errors import Status
    from zkinfer.verifier.report.blocks import Block
    from zkinfer.verifier.report.card import ModelCard
    from zkinfer.verifier.report.content import Outcome, Report
    from zkinfer.verifier.report.values import Shown


_SIGNS: dict[Status, str] = {"failed": "✗", "skipped": "–", "not_reached": "–"}
_WORDS: dict[Status, str] = {
    "passed": "passed",
    "failed": "failed",
    "skipped": "not done",
    "not_reached": "not reached",
}
_PASSED: dict[Outcome, str] = {"valid": "✓", "forgeable": "~", "refused": "·"}
TITLE = "Verification report"
WRITTEN_BY = "Report written by"
OUTCOMES: dict[Outcome, str] = {"valid": "Valid", "forgeable": "Forgeable", "refused": "Refused"}
_REBUILT = 4  # the step that rebuilds the verifying key
_TERMS = (
    ("attestation", "A signed file that states a model's answer, with a proof of how it was computed."),
    ("auditor", "Whoever ran the verification that this report is about, with files and requirements of their own."),
    (
        "circuit",
        (
            "The model's arithmetic as equations over integers, which a proof can be about. Its settings say how many "
            "digits of each number are kept, so its answers differ from the model's own; how much is called fidelity."
        ),
    ),
    ("chain", "A blockchain: a public record that no single party can change. A node is a computer that reads it."),
    (
        "digest",
        (
            "A fingerprint of data: equal digests mean equal data. It is written in hex, after 0x or the name of "
            "the algorithm (sha256, keccak256)."
        ),
    ),
    ("engine", "The program that makes the proof, with its version; each has its own kind of proofs."),
    ("manifest", "A file in which whoever compiled the circuit describes it. Nothing in it is proven."),
    (
        "model id",
        (
            "A digest of the ONNX file and the verifying key together. It names one circuit: the same model with other "
            "settings or another engine has another model id."
        ),
    ),
    (
        "normal form",
        "The network as the engine computes it, simplified. It follows from the ONNX file and the settings.",
    ),
    ("ONNX file", "The model in a common format: its layers, and the numbers that it has learned."),
    ("policy", "What the auditor requires beyond the proof: which signer, request, circuit, engine and setup."),
    (
        "proof",
        (
            "A short piece of data that only someone with a solution of all the equations can make, as far as proof "
            "system and trusted setup hold. It is zero-knowledge if nothing else can be learned from it."
        ),
    ),
    ("prover", "Whoever ran the model, and made the proof. Whoever signed the attestation may be somebody else."),
    ("request", "What the prover was asked for: who asks, on which chain, and until when. Its digest is in the proof."),
    (
        "statement",
        "The numbers that the proof is about: its inputs and outputs as integers, and the request's digest.",
    ),
    (
        "trusted setup",
        (
            "Public numbers that proofs are built on, made from a secret that must have been destroyed. "
            "Whoever knows the secret can forge proofs. It is named after the ceremony that made it, such as hermez."
        ),
    ),
    ("verifying key", "The equations in short form, against which a proof is checked. Reports show its digest."),
    ("zkinfer", "The program that ran this verification; Apache-2.0, with its sources open."),
)
_UNSIGNED = (
    "This report is not signed: whoever passed it on can have changed it, and it does not show who ran the "
    "verification. To rely on it, repeat it."
)
_DIGESTS = (
    "A file is the one of this report if its digest is the one below; sha256sum FILE prints it. The names of files say "
    "nothing: other files can have the same names."
)


def sections(report: Report) -> tuple[Section, ...]:
    """The sections after the verdict, in reading order; a section without content is left out."""
    answer = "The proven answer" if report.outcome == "valid" else "The answer that it states, which is not proven"
    found = (
        Section("answer", answer, tuple(_answer(report))),
        Section("checks", "What was checked", tuple(_checks(report))),
        Section("open", "What was not checked, and why", tuple(_open(report))),
        Section("model", "The model", tuple(_model(report))),
        Section("facts", "Files, signer and request", (Facts(report.facts),)),
        Section("repeat", "How to repeat this", tuple(_repeat(report))),
        Section("digests", "Digests", (Paragraph(_DIGESTS), Facts(report.digests, digests=True))),
        Section("terms", "Terms", (Facts(_TERMS),)),
    )
    return tuple(section for section in found if section.blocks)


def summary(report: Report) -> tuple[Block, ...]:
    """What stands beside the verdict: the properties, and the reason of a refusal."""
    blocks: list[Block] = []
    if report.refusal is not None:
        blocks.append(Items(tuple(_refusal(report, *report.refusal))))
    blocks.append(Marks(tuple(_mark(report, one.status, _capital(str(one)), one.meaning) for one in report.properties)))
    blocks += [Paragraph(label, warning=True) for label in report.labels]
    return tuple(blocks)


def _refusal(report: Report, cause: str, cure: str) -> Iterable[tuple[str, str]]:
    failed = next(
        (f"Check {step.number} failed: that {step.title}. " for step in report.checks if step.status == "failed"), ""
    )
    yield "Why it was refused", failed + cause
    if cure:
        yield "Likely reason, or remedy", cure


def _answer(report: Report) -> Iterable[Block]:
    if report.outcome == "refused":
        return
    if report.outcome == "forgeable":
        yield Paragraph("Nothing shows that these values are true: anyone can make such a proof of any values.", True)
    yield Heading("Output: what the circuit answered")
    yield from (_figure(one) for one in report.outputs)
    yield Heading("Input: what it was given")
    if report.visibility != "public":
        kept = "only a digest of the input" if report.visibility == "hashed" else "nothing about the input"
        yield Paragraph(f"The circuit keeps the input from readers: the proof reveals {kept}.")
    yield from (_figure(one) for one in report.inputs)


def _figure(one: Shown) -> Figure:
    return Figure(f"{one.name} ({one.kind})", one.view)


def _checks(report: Report) -> Iterable[Block]:
    rebuilt = any(one.number == _REBUILT and one.status == "passed" for one in report.checks)
    yield Paragraph(
        "Each step relies on those before it, and the first that fails ends the verification."
        + " The verifying key was rebuilt from the auditor's own copy of the ONNX file, with the settings that the "
        "attestation states, so no statement about which model was used had to be believed." * rebuilt
    )
    yield Paragraph(
        "Checks 9 and 10 find out whether the attestation agrees with itself. Whether its request and its signer are "
        "those that the auditor expects is part of the policy, check 11."
    )
    yield Marks(tuple(_mark(report, one.status, one.title, one.detail) for one in report.checks), numbered=True)


def _mark(report: Report, status: Status, claim: str, evidence: str = "") -> Mark:
    """A mark; there is a tick only where the whole attestation is valid."""
    sign = _PASSED[report.outcome] if status == "passed" else _SIGNS[status]
    return Mark(status, sign, _WORDS[status], claim, evidence)


def _open(report: Report) -> Iterable[Block]:
    if report.open:
        yield Items(
            tuple((_capital(one.claim), " ".join(filter(None, (one.why, _offer(one.option))))) for one in report.open)
        )
    if report.limits:
        yield Heading("What no proof of this kind can show")
        yield Items(tuple(_split(text) for text in report.limits))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _offer(option: str) -> str:
    return f"To check it: {option}." if option else ""


def _split(text: str) -> tuple[str, str]:
    first, _, rest = text.partition(". ")
    return first, rest


def _model(report: Report) -> Iterable[Block]:
    if report.outcome == "refused":
        return
    if report.card is None:
        yield Paragraph(
            "How well the circuit follows the model, and what it costs, was measured by whoever compiled it and stands "
            "in its manifest, which was not given; --circuit FOLDER gives it."
        )
        return
    yield Paragraph(
        "A circuit computes with integers what the model computes with fractions. Whoever compiled the circuit "
        "measured the figures below and states them in its manifest; they are not proven. Answers are the same where "
        "the largest element of an output is, and integers are equal."
    )
    yield from _card(report.card)


def _card(card: ModelCard) -> Iterable[Block]:
    yield Heading(f"Fidelity, {card.provenance}")
    yield Facts((*card.fidelity, *((("budget", card.budget),) if card.budget else ())))
    yield Figure("Number of output values by error, as a share of their column's range", card.errors)
    if card.columns is not None:
        yield Figure("Columns with the largest errors, as shares of their range", card.columns)
    yield Heading("Size and cost, for engineers")
    yield Facts((*card.facts, *card.cost))


def _repeat(report: Report) -> Iterable[Block]:
    yield Paragraph(_UNSIGNED)
    yield Paragraph(
        f"With {report.made_by} and the same files at these paths, this command reaches the same verdict. It needs "
        + ("a node of the chain" if any(word.startswith("--rpc") for word in report.command) else "no network")
        + ("; URL stands for the node's own, which may hold a secret." if "--rpc" in report.command else ".")
    )
    yield Command(report.command_line)
    yield Paragraph(f"This verification took {report.seconds:.2f} seconds with {report.made_by}.")
