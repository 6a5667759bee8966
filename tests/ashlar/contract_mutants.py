"""Mutants of `AshlarVerifier`: a check taken out or moved by one, a term of a formula dropped, a message not hashed.

Each is a text of a source that occurs once, and what stands in its place. Mutants are compiled for size, several times
as fast as the shipped code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.ashlar import cases, proof_mutants, verdicts
from tests.ashlar.verifiers import Contract, Question, layout_of, question
from tests.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.ashlar.cases import Case
    from web3 import Web3

CONTRACTS = ROOT / "contracts"
FOLDER = "src/verifiers/ashlar/"
_OTHERS = (
    "interfaces/IInferenceVerifier",
    "libraries/CanonicalCalldata",
    "libraries/CodeStore",
    "libraries/StatementLayout",
)
LIGHT = {"evmVersion": "cancun", "viaIR": True, "optimizer": {"enabled": True, "runs": 200}}


class Mutant(NamedTuple):
    """The file, the text there, and the text in its place."""

    file: str
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}: {' '.join(self.text.split())} -> {' '.join(self.instead.split())}"

    def of(self, sources: Mapping[str, str]) -> dict[str, str]:
        """The sources with the change; raises ValueError unless the text occurs once."""
        name = f"{FOLDER}{self.file}.sol"
        if sources[name].count(self.text) != 1:
            raise ValueError(f"{self}: the text occurs {sources[name].count(self.text)} times")
        return {**sources, name: sources[name].replace(self.text, self.instead)}


def honest() -> dict[str, str]:
    """The sources of the contract, by their paths."""
    paths = [*sorted((CONTRACTS / FOLDER).glob("*.sol")), *(CONTRACTS / f"src/{name}.sol" for name in _OTHERS)]
    return {str(path.relative_to(CONTRACTS)): path.read_text() for path in paths}


MUTANTS = (
    Mutant("AshlarKeys", "eq(shr(120, header), PLAIN)", "1"),
    Mutant("AshlarKeys", "eq(mload(words), before)", "1"),
    Mutant("AshlarKeys", "gt(and(header, 0xffff), 0)", "1"),
    Mutant("AshlarKeys", "lt(before, MAX_WORDS)", "1"),
    Mutant("AshlarKeys", "lt(byte(17, header), 3)", "1"),
    Mutant("AshlarKeys", "lt(sub(byte(22, header), 1), 16)", "1"),
    Mutant("AshlarKeys", "lt(sub(n, 1), 24)", "1"),
    Mutant("AshlarKeys", "lt(sub(nT, 1), 24)", "1"),
    Mutant("AshlarOpening", "if (times(inverse, zeta) != 1) transcript.good = false;", ""),
    Mutant("AshlarOpening", "_addFromCalldata(sum, messages + QUOTIENT, ORDER - zeros);", ""),
    Mutant("AshlarOpening", "_addFromCalldata(sum, messages, batch);", ""),
    Mutant("AshlarOpening", "_addPoint(sum, 1, 2, ORDER - line);", ""),
    Mutant("AshlarOpening", "_addChunks(key, points, sum, fixed_, commitments);", ""),
    Mutant("AshlarOpening", "good := and(good, eq(mload(sum), 1))", ""),
    Mutant("AshlarOpening", "good := and(good, eq(returndatasize(), 0x20))", ""),
    Mutant("AshlarTranscript", "mstore(buffer, keyDigest)", ""),
    Mutant("AshlarTranscript", "mstore(add(buffer, 0x20), context)", ""),
    Mutant("AshlarTranscript", "calldatacopy(add(buffer, 0x40), inputs.offset, inputs.length)", ""),
    Mutant("AshlarTranscript", "calldatacopy(add(add(buffer, 0x40), inputs.length), outputs.offset, size)", ""),
    Mutant("AshlarStatement", "if (outside)", "if (false)"),
    Mutant("AshlarStatement", "t = _power(t, bits);", ""),
    Mutant(
        "AshlarStatement",
        "lt(add(value, sub(LIMIT, 1)), sub(mul(2, LIMIT), 1))",
        "lt(add(value, LIMIT), mul(2, LIMIT))",
    ),
    Mutant("AshlarStatement", "sub(mul(2, LIMIT), 1)", "mul(2, LIMIT)"),
    Mutant("AshlarVerifier", "CanonicalCalldata.requireWhole(inputs, outputs, proof, 0x140);", ""),
    Mutant("AshlarVerifier", "if (actual != keyDigest)", "if (false)"),
    Mutant("AshlarVerifier", "if (!AshlarKeys.isLayoutOf(parsed, layout_))", "if (false)"),
    Mutant("AshlarVerifier", "if (inputs.length != size)", "if (false)"),
    Mutant("AshlarProgram", "revert IInferenceVerifier.MalformedKey();", ""),
    Mutant("AshlarProgram", "key.padded != 0 ? times(", "false ? times("),
    Mutant("AshlarProgram", "key.padded != 0 ? word >> 224 : 1 << bits", "1 << bits"),
    Mutant("AshlarProgram", "if (key.mode == 1) values.same", "if (false) values.same"),
    Mutant("AshlarKernels", "if iszero(digit) {", "if 0 {"),
    Mutant("AshlarKernels", "if eq(digit, 1) {", "if digit {"),
    Mutant("AshlarKernels", "case 2 {", "case 3 {"),
    Mutant("AshlarKernels", "if gt(below, 0) { if gt(ones, set) { continue } }", ""),
)
SHADOWED = (
    "gt(and(header, 0xffff), 0)",
    "lt(sub(n, 1), 24)",
    "lt(sub(nT, 1), 24)",
    "good := and(good, eq(returndatasize(), 0x20))",
)
"""Texts whose mutants no call of the judge tells from the honest contract.

A program of no words has no record INPUT, which is required behind the header; a cube of 0 or of more than 24 variables
makes the cube of committed entries of every stored key too small or too large; and a pairing that fails is one that
`forge test` has to pretend.
"""


class Judge:
    """What the honest contract says to many calls; a mutant survives if it says the same to all of them."""

    def __init__(self, node: Web3) -> None:
        self._node, self._questions = node, list(questions())
        self.honest = list(Contract(node).answers(self._questions))

    def survives(self, creation: bytes) -> bool:
        """Whether a contract answers every call as the honest one does."""
        answers = Contract(self._node, creation).answers(self._questions)
        return all(answer == honest for answer, honest in zip(answers, self.honest, strict=True))


def questions() -> Iterator[Question]:
    """Calls about the good vectors, the bad ones, and random mutants; and calls with other arguments."""
    good = [cases.load(name)[0] for name in cases.GOOD]
    yield from map(question, good)
    for case in (cases.load(name)[0] for name in ("mlp_public_1", "cell_committed_1", "gemm_signed_public_1")):
        yield from _other_arguments(case)
    for file in ("parts/limits", *(f"bad/{name}" for name in verdicts.BAD)):
        for entry in verdicts.entries(file):
            case = verdicts.bad_case(entry, cases.KNOWN_TAU)
            if len(case.context) == 32:  # others cannot be encoded
                yield question(case)
    yield from map(question, cases.mangled(cases.load("mlp_public_1")[0]))
    yield from (question(mutant.case) for mutant in proof_mutants.mutants(1, 600))


def _other_arguments(case: Case) -> Iterator[Question]:
    """The good proof with another layout or digest, and calldata that the ABI would decode to the good call."""
    layout = layout_of(case)
    for place in range(4):
        for step in (1, -1, 1 << 8):
            changed = [number + step * (k == place) for k, number in enumerate(layout)]
            if changed[0] in range(3) and changed[1] in range(256) and min(changed) >= 0:
                yield question(case, layout=changed)
    yield question(case, digest=bytes(32))
    data = question(case).data
    yield Question(data + bytes(32), case.key)
    yield Question(data + b"\1", case.key)
    heads = [int.from_bytes(data[at : at + 32], "big") for at in (0xE4, 0x104, 0x124)]
    for head, offset in zip((0xE4, 0x104, 0x124), heads, strict=True):
        yield Question(_moved(data, head, offset), case.key)


def _moved(data: bytes, head: int, offset: int) -> bytes:
    """An argument read from a copy behind the calldata."""
    return data[:head] + (len(data) - 4).to_bytes(32, "big") + data[head + 32 :] + data[4 + offset :]
