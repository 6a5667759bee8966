"""Bad attestations of real proofs, one or more for every reason of refusal.

They are those of `tests.assets.make_refusals`, made with a real engine, and some that need one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import numpy_helper
from tests.assets.make_refusals import BY_OWNER, DEV, Case, Forger, P
from tests.e2e.server_process import write_small_model
from tests.integration import corpus
from tests.integration.attestation_mutants import ROWS, compiled
from tests.integration.bench import proof_of
from tests.integration.judges import ENGINES
from tests.unit.verifier import forge

from zkinfer.circuits.engines.ezkl.instances import MODULUS
from zkinfer.circuits.statement import Context
from zkinfer.prover import Prover
from zkinfer.verifier import MAX_BYTES, Attestation
from zkinfer.verifier.statement import to_base64

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.circuits import Home

OTHER_ARGUMENTS: Final[dict[str, list[tuple[str, dict[str, Any], str]]]] = {
    "ezkl": [
        ("other-run-argument", {"input_scale": 6}, "CircuitMismatchError"),
        ("range-check-narrowed", {"decomp_legs": 2}, "CircuitMismatchError"),
        ("range-check-of-ports-removed", {"ignore_range_check_inputs_outputs": True}, "UnusableRecipeError"),
        ("range-check-of-logarithms-removed", {"bounded_log_lookup": True}, "UnusableRecipeError"),
    ],
    "ashlar": [
        ("other-run-argument", {"chunkBits": 12}, "CircuitMismatchError"),
        ("range-check-narrowed", {"activations": {}}, "UnusableRecipeError"),
        ("unknown-semantics", {"semantics": 2}, "UnusableRecipeError"),
        ("unknown-profile", {"profile": "none"}, "UnusableRecipeError"),
    ],
}


class RealParties:
    """A prover of the small model with a real engine, for inputs and requests of today."""

    def __init__(self, engine: str, base: Path, home: Home) -> None:
        self.engine, self.home = engine, home
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.x, self.other_x = (np.array([row], np.float32) for row in ROWS)
        self.context, self.other_context = (self._context(*one) for one in ((31337, "11"), (1, "22")))
        self.model, self._samples = write_small_model(base)
        self.other_model = _biased(self.model)
        self._circuits = {
            path: compiled(f"{engine}/public", ENGINES[engine](), path, self._samples, home)
            for path in (self.model, self.other_model)
        }

    def attest(self, **changes: Any) -> Attestation:
        """An honest attestation, signed by the owner now; the arguments are those of `forge.Parties.attest`."""
        circuit = self._circuits[changes.get("model", self.model)]
        inputs, context = {"x": changes.get("x", self.x)}, changes.get("context", self.context)
        proven = Prover(home=self.home).prove(circuit, inputs, context)
        return Attestation.create(
            identity=circuit.manifest.identity,
            recipe=circuit.manifest.recipe,
            program=circuit.manifest.program,
            proof=proof_of(proven),
            context=context,
            key=changes.get("key", forge.OWNER),
            ephemeral=changes.get("ephemeral", False),
            created_at=changes.get("created_at", self.now),
        )

    def _context(self, chain: int, byte: str) -> Context:
        expiry = int((self.now + timedelta(days=1)).timestamp())
        parties = {"consumer": "0x" + "c0" * 20, "requester": "0x" + "aa" * 20}
        return Context.model_validate({"chainId": chain, "requestId": "0x" + byte * 32, "expiry": expiry} | parties)


def _biased(model: Path) -> Path:
    """Another model of the same shapes, with one other bias."""
    other = onnx.load(model)
    bias = next(one for one in other.graph.initializer if one.name == "b1")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.5), "b1"))
    path = model.with_name("other.onnx")
    onnx.save(other, path)
    return path


class RealForger(Forger):
    """Makes the cases with a real engine."""

    ahead = timedelta(days=1)  # still so when the last path has been tried

    def __init__(self, parties: RealParties) -> None:
        super().__init__(parties)
        self.real = parties
        self.foreign = forge.statement(parties.attest(model=parties.other_model))[P]

    def all(self) -> list[Case]:
        """The cases of every engine, and those below; the policy of each names the engine."""
        cases = [*super().all(), *self.proofs(), *self.swapped_keys(), *self.replays(), self.oversized()]
        engine = {"engineIs": [self.real.engine]}
        return [case._replace(rules=[*case.rules, engine]) if case.rules != [DEV] else case for case in cases]

    def other_arguments(self, *arguments: str) -> Iterator[Case]:
        for name, change, error in OTHER_ARGUMENTS[self.real.engine]:
            yield Case(name, error, "", self.changed(*arguments, to=lambda old, change=change: old | change))

    def wrapped(self) -> Iterator[Case]:
        outputs = (P, "publicOutputs", 0)
        wrapped = self.changed(*outputs, to=str(1 << 60))
        yield Case("wrapped-output", "ValueRangeError", "", wrapped)
        yield Case("output-plus-modulus", "MalformedAttestationError", "", self.changed(*outputs, to=str(1 + MODULUS)))

    def proofs(self) -> Iterator[Case]:
        """One of each kind of changed proof."""
        proof, other = proof_of(self.good), proof_of(self.parties.attest(x=self.parties.other_x))
        for kind in ("a bit flipped in every word", "every word plus either modulus", "every word zeroed",
                     "every pair of words the point at infinity", "every point negated", "every point off the curve",
                     "words swapped"):  # fmt: skip
            changed = next(iter(corpus.KINDS[kind](proof, other, self.good.predicate.layout).values()))
            yield Case(
                kind.replace(" ", "-"), "InvalidProofError", "", self.changed(P, "proof", to=to_base64(changed.data))
            )

    def swapped_keys(self) -> Iterator[Case]:
        """The proof of another model, under its key, as one of ours."""
        ours = self.document[P]["circuit"]
        mixed = self.document[P] | {name: self.foreign[name] for name in ("proof", "publicOutputs")}
        document = self.document | {
            "predicate": mixed | {"circuit": self.foreign["circuit"] | {"model": ours["model"]}}
        }
        yield Case("circuit-of-another-model", "CircuitMismatchError", "", forge.signed(document, forge.OWNER))
        yield Case(
            "proof-of-another-model", "InvalidProofError", "", self.changed(P, "proof", to=self.foreign["proof"])
        )

    def replays(self) -> Iterator[Case]:
        """An honest attestation given for another chain, consumer and requester."""
        good = self.good.to_bytes()
        for name, value in (("chainId", 10), ("consumer", "0x" + "c1" * 20), ("requester", "0x" + "ab" * 20)):
            yield Case(
                f"replayed-for-another-{name}", "PolicyRefusedError", "", good, [{"contextIs": {name: value}}, DEV]
            )

    def oversized(self) -> Case:
        return Case("oversized", "AttestationTooLargeError", "", b" " * (MAX_BYTES + 1), [BY_OWNER, DEV])
