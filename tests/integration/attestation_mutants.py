"""Mutants of attestations, re-signed ones included, for circuits of both engines with every visibility.

An attacker knows everything but the owner's key: he may change any byte of a file, sign anything with his own key, and
take parts of other honest attestations. A cheating owner signs anything with the owner's key.
"""

from __future__ import annotations

import json
import string
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tests.e2e.server_process import write_small_model
from tests.integration import corpus, stored
from tests.unit.verifier import forge

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.engines.ezkl import instances
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.statement import Context
from zkinfer.prover import Prover
from zkinfer.verifier import (
    AllOf,
    Attestation,
    ContextIs,
    EngineIs,
    ModelFileIs,
    ModelIs,
    NotExpired,
    NotOlderThan,
    SetupIs,
    SignedBy,
    Trusted,
    UnsafeAcceptDevSetup,
    Verifier,
)
from zkinfer.verifier.statement import output_digest, to_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from random import Random

    from zkinfer.circuits import Circuit, Home
    from zkinfer.circuits.engines.base import Engine, Proof
    from zkinfer.verifier.inference import VerifiedInference

VISIBILITIES = ("public", "hashed", "private")
ENGINES = ("ezkl", "ashlar")
CONTEXTS = [Context.model_validate({"chainId": 1, "requestId": "0x" + byte * 32}) for byte in ("5a", "6b")]
ROWS = ([0.5, -0.75, 0.25, 0.9], [0.25, 0.9, -0.5, 0.125])
"""Two inputs of the small model."""
WORD = 32
_ONE_DAY = timedelta(days=1)
_MODULI = (instances.MODULUS, corpus.Q)
"""The orders of the fields of scalars and of coordinates."""


class Mutant(NamedTuple):
    """How a file was changed, the file, and whether the owner's key signed it."""

    kind: str
    data: bytes
    by_owner: bool = False


@dataclass(frozen=True)
class Subject:
    """A circuit with two honest attestations about different inputs and requests, and their auditor."""

    name: str
    circuit: Circuit
    honest: tuple[Attestation, Attestation]
    verifier: Verifier

    @property
    def policy(self) -> AllOf:
        """Every policy but that about the signer."""
        return self._policy(CONTEXTS[0])

    @property
    def other_policy(self) -> AllOf:
        """The same for the other attestation."""
        return self._policy(CONTEXTS[1])

    def _policy(self, context: Context) -> AllOf:
        manifest = self.circuit.manifest
        return AllOf(
            ModelIs(self.circuit.model_id),
            ModelFileIs(manifest.identity.model),
            SetupIs("insecure-dev"),
            EngineIs(manifest.recipe.engine.partition("/")[0]),
            NotOlderThan(_ONE_DAY),
            NotExpired(),
            ContextIs(chain_id=1, request_id=context.request_id),
            UnsafeAcceptDevSetup(),
        )

    @property
    def strict_policy(self) -> AllOf:
        """Every policy."""
        return AllOf(*self.policy.policies, SignedBy(forge.OWNER.public.fingerprint))


def proven(inference: VerifiedInference) -> tuple[Any, ...]:
    """What an accepted attestation says that a proof has to back."""
    tensors = [{name: array.tolist() for name, array in side.items()} for side in (inference.inputs, inference.outputs)]
    return inference.model_id, inference.identity, inference.recipe, inference.context, *tensors


def subject(name: str, base: Path, home: Home) -> Subject:
    """A circuit by engine and visibility, such as `ashlar/hashed`."""
    folder = base / f"attested-{name.replace('/', '-')}"
    folder.mkdir()
    model, samples = write_small_model(folder)
    engine = {"ezkl": RememberedEzkl, "ashlar": RememberedAshlar}[name.partition("/")[0]]()
    circuit = compiled(name, engine, model, samples, home)
    prover = Prover(home=home, key=forge.OWNER)
    inputs = [{"x": np.array([row], np.float32)} for row in ROWS]
    honest = [prover.prove(circuit, one, context) for one, context in zip(inputs, CONTEXTS, strict=True)]
    trusted = Trusted.of([model], home.setups, home.rebuilt, engines={engine.id: engine})
    verifier = Verifier(trusted=trusted, second_opinion=name.startswith("ashlar"))
    return Subject(name, circuit, (honest[0], honest[1]), verifier)


def compiled(name: str, engine: Engine, model: Path, samples: Path, home: Home) -> Circuit:
    """The circuit of a small model by engine and visibility, in a folder beside the model."""
    visibility = name.partition("/")[2]
    options = CompileOptions(setup="insecure-dev", input_visibility=visibility)
    if name.startswith("ezkl"):
        options = stored.options(f"small/{visibility}", visibility)
    folder = model.with_suffix(".circuit")
    return compile_model(model, folder, engine=engine, home=home, calibration=samples, options=options).circuit


class RememberedEzkl(EzklEngine):
    """The engine, which verifies the same proof of the same statement under the same key once."""

    def verify(self, folder: Path, program: object, setup: Path, proof: Proof) -> None:
        _once(super().verify, folder, program, setup, proof)


class RememberedAshlar(AshlarEngine):
    """The same for Ashlar."""

    def verify(self, folder: Path, program: object, setup: Path, proof: Proof) -> None:
        _once(super().verify, folder, program, setup, proof)


_ACCEPTED: set[object] = set()


def _once(verify: Callable[..., None], folder: Path, program: object, setup: Path, proof: Proof) -> None:
    about = (folder, setup, proof)
    if about not in _ACCEPTED:
        verify(folder, program, setup, proof)
        _ACCEPTED.add(about)


def mutants(random: Random, subject: Subject, count: int) -> Iterator[Mutant]:
    """So many mutants of the first honest attestation."""
    honest, made = subject.honest[0].to_bytes(), 0
    while made < count:
        kind = random.choice(list(KINDS))
        data, by_owner = KINDS[kind](random, subject)
        if data != honest:
            made += 1
            yield Mutant(kind, data, by_owner)


# --- of the file, without a new signature


def _unsigned(change: Callable[[Random, bytes], bytes]) -> Callable[[Random, Subject], tuple[bytes, bool]]:
    return lambda random, subject: (change(random, subject.honest[0].to_bytes()), False)


def _bits(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 4))):
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _spliced(random: Random, data: bytes) -> bytes:
    at, size = random.randrange(len(data)), random.choice((0, 1, 4, 100))
    parts = (b"", b" ", b"\n", b"=", b"null", b'"', b"}", b"\xff", b'{"a":1}', random.randbytes(8), data[at : at + 50])
    return data[:at] + random.choice(parts) + data[at + size :]


def _envelope(random: Random, subject: Subject) -> tuple[bytes, bool]:
    """A part of the envelope changed, taken from the other attestation, or doubled."""
    document = json.loads(subject.honest[0].to_bytes())
    other = json.loads(subject.honest[1].to_bytes())
    signature = document["signatures"][0]
    change = random.choice(("payload", "sig", "keyid", "type", "two", "none", "more"))
    if change == "payload":
        document["payload"] = other["payload"]
    elif change in {"sig", "keyid"}:
        signature[change] = random.choice((other["signatures"][0][change], _leaf(random, signature[change])))
    elif change == "type":
        document["payloadType"] = _leaf(random, document["payloadType"])
    else:
        extra = {"two": [signature, signature], "none": [], "more": [signature | {"alg": "none"}]}
        document["signatures"] = extra[change]
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), False


# --- of the statement, under the old signature or a new one


def _get(document: Any, path: Iterable[Any]) -> Any:
    for part in path:
        document = document[part]
    return document


def _path(random: Random, document: dict[str, Any]) -> tuple[Any, ...]:
    """The path of a value; parts of the document are as likely as others, but recipes seldom, as rebuilds take long."""
    path: tuple[Any, ...] = ("predicate",)
    if random.random() < 0.1:
        path = (random.choice(sorted(document)),)
    else:
        parts = sorted(document["predicate"])
        path = ("predicate", random.choice(parts))
        if path[1] == "recipe" and random.random() < 0.9:
            path = ("predicate", "context")
    while isinstance(value := _get(document, path), (dict, list)) and value:
        path = (*path, random.choice(sorted(value) if isinstance(value, dict) else range(len(value))))
    return path


def _leaf(random: Random, value: Any) -> Any:
    """A value changed, of the same type more often than not."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((value + 1, value - 1, 0, -value, 2 * value, 1 << 31, 1 << 63, str(value), float(value)))
    if not isinstance(value, str) or not value:
        return random.choice(("", "0", 0, [value]))
    at = random.randrange(len(value))
    other = random.choice(string.hexdigits + string.ascii_letters + "+/=-")
    ways = (
        value[:at] + other + value[at + 1 :],
        value[:at] + other + value[at + 1 :],
        value[:at] + value[at + 1 :],
        value + other,
        value.upper(),
        value[::-1],
        "",
        f" {value}",
        "0x" + "00" * 32,
    )
    return random.choice(ways)


def _document(subject: Subject) -> dict[str, Any]:
    document: dict[str, Any] = forge.statement(subject.honest[0])
    return document


def _signed(random: Random, document: dict[str, Any], subject: Subject) -> tuple[bytes, bool]:
    """Signed by the attacker in his own name, by him in the owner's name, by the owner, or by nobody anew."""
    way = random.randrange(4)
    if way == 0:
        return forge.signed(forge.taken_over(document), forge.ATTACKER), False
    if way == 1:
        return forge.signed(document, forge.ATTACKER), False
    if way == 2:
        return forge.signed(document, forge.OWNER), True
    old = subject.honest[0].envelope
    return forge.Envelope(forge.canonical.dump(document), old.keyid, old.signature).to_bytes(), False


def _field(random: Random, subject: Subject) -> tuple[bytes, bool]:
    """One to three fields changed."""
    document = _document(subject)
    for _ in range(random.choice((1, 1, 2, 3))):
        path = _path(random, document)
        document = forge.at(document, path, lambda value: _leaf(random, value))
    return _signed(random, document, subject)


def _field_of_another(random: Random, subject: Subject) -> tuple[bytes, bool]:
    """Fields or whole parts taken from another honest attestation."""
    document, other = _document(subject), forge.statement(subject.honest[1])
    for _ in range(random.choice((1, 1, 2, 4))):
        path = _path(random, document)
        path = path[: random.randrange(1, len(path) + 1)] if path[0] == "predicate" and len(path) > 2 else path
        if path not in {("predicate",), ()}:
            document = forge.at(document, path, lambda _, path=path: deepcopy(_get(other, path)))
    return _signed(random, document, subject)


def _shape(random: Random, subject: Subject) -> tuple[bytes, bool]:
    """A field left out, added, doubled, or of another type."""
    document = _document(subject)
    *parents, last = _path(random, document)
    place = _get(document, parents)
    change = random.randrange(4)
    if change == 0:
        del place[last]
    elif change == 1:
        place[last] = random.choice((None, [], {}, "", 0, -1, True, 1 << 70, [place[last]], {"a": place[last]}))
    elif isinstance(place, list):
        place.insert(random.randrange(len(place) + 1), place[last])
    else:
        place[random.choice(("extra", f"{last} ", str(last).upper()))] = place[last]
    return _signed(random, document, subject)


def _proof(random: Random, subject: Subject) -> tuple[bytes, bool]:
    """The proof changed: bits, words, length, or parts of another proof."""
    data, other = subject.honest[0].proof, subject.honest[1].proof
    at, place = (WORD * random.randrange(len(data) // WORD) for _ in range(2))
    word = int.from_bytes(data[at : at + WORD], "big")
    modulus = random.choice(_MODULI)
    moved = (word + random.choice((1, -1, modulus, -modulus))) % (1 << 256)
    changes = (
        _bits(random, data),
        data[:at] + moved.to_bytes(WORD, "big") + data[at + WORD :],
        data[:at] + data[place : place + WORD] + data[at + WORD :],
        data[:at] + other[at : at + WORD] + data[at + WORD :],
        data[:at] + bytes(WORD) + data[at + WORD :],
        other,
        data[:at],
        data + bytes(random.choice((1, WORD, 2 * WORD))),
    )
    document = _document(subject)
    document["predicate"]["proof"] = to_base64(random.choice(changes))
    return _signed(random, document, subject)


def _values(random: Random, subject: Subject) -> tuple[bytes, bool]:
    """Public values changed, with the subject's digest to match as often as not."""
    document = _document(subject)
    predicate = document["predicate"]
    outputs = [int(value) for value in predicate["publicOutputs"]]
    at = random.randrange(len(outputs))
    outputs[at] += random.choice((1, -1, -2 * outputs[at], 1 << 20, 1 << 61, _MODULI[0]))
    predicate["publicOutputs"] = [str(value) for value in outputs]
    if random.random() < 0.5 and all(abs(value) < 1 << 63 for value in outputs):
        document["subject"][0]["digest"]["sha256"] = output_digest(outputs)
    return _signed(random, document, subject)


KINDS: dict[str, Callable[[Random, Subject], tuple[bytes, bool]]] = {
    "bits of the file flipped": _unsigned(_bits),
    "bytes of the file inserted, left out, replaced": _unsigned(_spliced),
    "parts of the envelope changed": _envelope,
    "fields of the statement changed": _field,
    "fields of another attestation": _field_of_another,
    "fields left out, added, of another type": _shape,
    "proof changed": _proof,
    "public values changed": _values,
}
