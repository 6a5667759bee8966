"""Give every stored honest proof to the verifiers that can read it: `python -m benchmarks.honest_proofs`.

Writes the section "Honest proofs" of docs/measurements/reliability.md. Needs Ashlar's core, and anvil from the npm
packages of contracts/.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.gas import anvil_node
from benchmarks.sections import write_section
from tests.ashlar import cases, verifiers
from tests.ashlar.verifiers import ACCEPTED
from tests.paths import VECTORS

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import ProofRejectedError
from zkinfer.circuits.statement import Layout, Statement
from zkinfer.cli.evm_opinion import EvmVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs/measurements/reliability.md"
TITLE = "## Honest proofs"
EZKL: Final = VECTORS / "chain/digits.json"
INTRODUCTION = """\
Every honest proof that is stored with the tests must be accepted by every verifier that can read it. Those of Ashlar
are of networks and programs of all kinds with public, committed and private inputs, some of them made by another
implementation. Those of ezkl are of the digits model, made for contracts. `python -m benchmarks.honest_proofs` writes
this section, and `tests/integration/test_honest_proofs.py` compares it with its own results. Proofs and attestations
made anew are counted with the bad ones."""


def main() -> None:
    with anvil_node() as node:
        rows = {"Ashlar": by_ashlar(verifiers.Contract(node)), "ezkl": by_ezkl()}
    text = section(rows)
    print(text)
    write_section(PAGE, text)
    if any(accepted != total for total, accepted_by in rows.values() for accepted in accepted_by.values()):
        sys.exit("an honest proof was refused")


def by_ashlar(contract: verifiers.Contract) -> tuple[int, Counter[str]]:
    """How many stored proofs there are, and how many each verifier accepts."""
    good = [cases.load(name)[0] for name in cases.GOOD]
    found: Counter[str] = Counter(core=0, python=0, contract=0)
    for verdicts in verifiers.verdicts(good, contract):
        found.update(name for name, verdict in verdicts._asdict().items() if verdict == ACCEPTED)
    return len(good), found


def by_ezkl() -> tuple[int, Counter[str]]:
    """The same for the generated contract in an EVM of this process."""
    document = json.loads(EZKL.read_bytes())
    key, layout = bytes.fromhex(document["model"]["key"][2:]), _layout(document["model"]["layout"])
    proofs, evm, found = list(stored_proofs(document)), EvmVerifier(), Counter(contract=0)
    for proof in proofs:
        try:
            evm.verify(key, layout, proof)
        except ProofRejectedError:
            continue
        found["contract"] += 1
    return len(proofs), found


def stored_proofs(document: dict[str, Any]) -> Iterator[Proof]:
    """The proofs of the digits model."""
    for entry in (*document["batch"], document["lock"], document["caller"]):
        context, inputs, data = (bytes.fromhex(entry[name][2:]) for name in ("context", "inputs", "proof"))
        yield Proof(data, Statement(context, inputs, tuple(map(int, entry["outputs"]))))


def _layout(stored: dict[str, int]) -> Layout:
    width, inputs, outputs = (stored[name] for name in ("inputWidth", "inputs", "outputs"))
    return Layout(visibility="public", input_width=width, signed=True, inputs=inputs, outputs=outputs)


def section(rows: dict[str, tuple[int, Counter[str]]]) -> str:
    """The section of the page."""
    lines = [TITLE, "", INTRODUCTION, "", "| stored proofs | | accepted |", "| --- | ---: | --- |"]
    for engine, (total, accepted) in rows.items():
        told = ", ".join(f"{count} of {total} by the {name}" for name, count in accepted.items())
        lines.append(f"| {engine} | {total} | {told} |")
    return "\n".join([*lines, ""]).replace("by the python", "by the verifier in Python")


if __name__ == "__main__":
    main()
