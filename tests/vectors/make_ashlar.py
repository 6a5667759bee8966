"""Write vectors of Ashlar: `python -m tests.vectors.make_ashlar`.

Good vectors are read from `ashlar/*_1.json`; the eight whose names begin with cnn, mlp, tall and wide were made by
another implementation and are not written here. Written are, each the same at every run:

* `ashlar/mixed_*_1.json`: further good vectors, of random programs that use what the eight do not;
* `ashlar/bad/*.json`: lists of changes of good vectors. `vector` names the good one; `context`, `inputs` and `outputs`
  replace its own where they are given; `key` and `proof` are lists of splices, applied in order: from byte `at`,
  `remove` bytes are replaced by those of `insert`. `reject` is the step of section 7.1 that has to refuse it, null if
  it is to be accepted; `rule` is the broken rule of section 4.1, for step 1;
* `ashlar/parts/*.json`: values of kernels and tables at points, transcripts, and records of programs.

`test` names the bug class of section 12.4, or the lie of 12.3.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from random import Random

from tests.ashlar import cases, keys, liars
from tests.ashlar.broken_keys import BROKEN, LIMITS
from tests.ashlar.numbers import KnownTau
from tests.ashlar.programs import Example, gemm_of_range, random_example, saturated
from tests.ashlar.prover import Prover

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.srs import bn254
from zkinfer.verifier.ashlar import kernels
from zkinfer.verifier.ashlar.errors import AshlarRejectedError
from zkinfer.verifier.ashlar.field import Element
from zkinfer.verifier.ashlar.program import CLAMP_S, CLAMP_U, EXCESS, RANGE, Table, decode_key
from zkinfer.verifier.ashlar.statement import Statement
from zkinfer.verifier.ashlar.transcript import Transcript

# x = 1 and its y: a point on the curve over the extension field, but of another order
OUTSIDE_THE_SUBGROUP = bytes.fromhex(
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "0d1271953ed9ea0836846e70a1934187998c7f790cb4d7511b7f8da82de048a4"
    "2869111d5381f072f8e2728fdb825a51aadd70e52c9830e9ab4b871c0531f1bb"
)
R, P = bn254.ORDER, bn254.FIELD
MODES = ("public", "committed", "private")
CONTEXT = keccak256(b"ashlar vector context").value
SEEDS = (1563, 1774, 865, 954, 2127, 119, 1225, 1939, 1587, 939, 145, 316, 70)
"""Of random programs that together use almost all that programs can hold."""

LIES_IN_EVERY_MODE = ("activation_off_by_one", "padding_cell_used_as_input", "output_plus_one", "high_coefficients")


def hexed(data):
    return "0x" + bytes(data).hex()


def scalar(value):
    return f"0x{int(value) % R:064x}"


def point(value):
    return "0x" + "".join(f"{number:064x}" for number in value or (0, 0))


def good_vector(name, example):
    """A vector with the fields of the eight that are not made here."""
    prover = Prover(example.header, example.program, example.weights, KnownTau())
    case = prover.prove(example.inputs, CONTEXT)
    found = case.check()
    q, r, y, _ = prover.forward(example.inputs)
    layout = case.read().layout
    return {
        "name": name,
        "setup": "insecure-dev",
        "profile": 1,
        "mode": MODES[example.header.mode],
        "key": hexed(case.key),
        "vkDigest": hexed(keccak256(case.key).value),
        "weights": list(example.weights),
        "input": list(example.inputs),
        "seed": None,
        "salt": None,
        "q": q,
        "r": r,
        "y": y,
        "layout": {
            "visibility": layout.visibility,
            "inputWidth": layout.input_width,
            "inputs": layout.inputs,
            "outputs": layout.outputs,
        },
        "context": hexed(case.context),
        "inputs": hexed(case.inputs),
        "outputs": [str(output) for output in case.outputs],
        "proof": hexed(case.proof),
        "pairingPoint": point(found.pairing_point),
        "seen": _seen(found),
    }


def _seen(found):
    at, opening = found.challenges, found.opening
    numbers = {
        "alpha": at.alpha,
        "beta": at.beta,
        "gamma": at.gamma,
        "tau": at.tau,
        "t": at.t,
        "lambda_a": 0,
        "delta": found.delta,
        "lambda_b": 0,
        "rho": found.rho,
        "sigma": found.sigma,
        "zeta": opening.zeta,
        "delta2": opening.delta,
        "z": opening.z,
        "kw": {**found.kernels, "Z": 0},
        "claim": found.second_claims[-1],
        "s1": found.line.s1,
        "lz": found.line.lz,
    }
    return {name: _written(value) for name, value in numbers.items()}


def _written(value):
    if isinstance(value, dict):
        return {name: _written(entry) for name, entry in value.items()}
    return [_written(entry) for entry in value] if isinstance(value, (list, tuple)) else scalar(value)


def examples():
    """The programs of the good vectors that are written here, by name."""
    (mlp, mlp_values), (wide, wide_values), (tall, tall_values) = (
        cases.load(f"{name}_public_1") for name in ("mlp", "wide", "tall")
    )
    zeros = gemm_of_range(CLAMP_U, 3, (0, 0, 0), weights=(0,) * 8)
    found = {
        "gemm_signed_public_1": gemm_of_range(CLAMP_S, 8, (-256, 255, -1)),
        "gemm_unsigned_public_1": gemm_of_range(CLAMP_U, 9, (0, 511, 300)),
        "gemm_bytes_public_1": gemm_of_range(CLAMP_U, 8, (255, 0, 128, 1)),
        "gemm_five_committed_1": gemm_of_range(CLAMP_S, 3, (-8, 7, 1, -1, 5), mode=1),
        "gemm_zeros_public_1": zeros,
        "saturated_public_1": saturated(mlp.read(), mlp_values["weights"], mlp_values["input"]),
    }
    for name, case, values in (("cell", wide, wide_values), ("tall", tall, tall_values)):
        for mode in (1, 2):
            key = case.read()
            header = replace(key.header, mode=mode)
            found[f"{name}_{MODES[mode]}_1"] = Example(header, key.program, values["weights"], values["input"])
    for seed in SEEDS:
        example = random_example(seed)
        found[f"mixed_{seed}_{MODES[example.header.mode]}_1"] = example
    return found


def bad_keys():
    """Keys that break one rule each; the statement and the proof are the good ones."""
    for broken in BROKEN:
        good = cases.load(broken.vector)[0].key
        key = keys.with_changes(decode_key(good), broken.changes)
        yield _entry(broken.name, broken.vector, 1, rule=broken.rule, key=splices(good, key))
    for name in ("mlp_public_1", "cnn_committed_1"):
        good = cases.load(name)[0].key
        for test, rule, key in _bad_bytes(good):
            yield _entry(test, name, 1, rule=rule, key=splices(good, key))

    whole = "mixed_70_private_1"  # its records fill whole words, so this word alone is too much
    good = cases.load(whole)[0].key
    words = int.from_bytes(good[30:32], "big") + 1
    key = good[:30] + words.to_bytes(2, "big") + good[32:] + bytes(32)
    yield _entry("padding_32_bytes", whole, 1, rule="W1", key=splices(good, key))


def _entry(test, vector, reject, rule=None, **fields):
    return {"test": test, "vector": vector, "reject": reject, "rule": rule, **fields}


def splices(good, changed):
    """The changes that make the second bytes of the first: of words where both are as long, else one change."""
    if len(good) == len(changed):
        words = [at for at in range(0, len(good), 32) if changed[at : at + 32] != good[at : at + 32]]
        return [{"at": at, "remove": 32, "insert": hexed(changed[at : at + 32])} for at in words]
    least = min(len(good), len(changed))
    start = next((at for at in range(least) if good[at] != changed[at]), least)
    same = next((k for k in range(least - start) if good[-1 - k] != changed[-1 - k]), least - start)
    removed, inserted = good[start : len(good) - same], changed[start : len(changed) - same]
    return [{"at": start, "remove": len(removed), "insert": hexed(inserted)}]


def _bad_bytes(key):
    words, chunk = int.from_bytes(key[30:32], "big"), 160
    start = len(key) - 32 * words

    def put(at, data):
        return key[:at] + data + key[at + len(data) :]

    x, y = (int.from_bytes(key[at : at + 32], "big") for at in (chunk, chunk + 32))
    more = put(30, (words + 1).to_bytes(2, "big"))
    yield "magic_of_another_version", "W1", put(0, b"zkinfer.ashlar.2")
    yield "padding_32_bytes", "W1", more + bytes(32)
    yield "padding_not_zero", "W1", put(len(key) - 1, b"\1")
    yield "key_one_byte_less", "W1", key[:-1]
    yield "key_one_word_less", "W1", key[:-32]
    yield "key_one_word_more", "W1", key + bytes(32)
    yield "count_beyond_end", "W1", put(26, b"\0\xc8")
    yield "key_point_off_curve", "W1", put(chunk + 32, ((y + 1) % P).to_bytes(32, "big"))
    yield "key_coordinate_plus_p", "W1", put(chunk, (x + P).to_bytes(32, "big"))
    yield "tau_off_curve", "W1", put(159, bytes([key[159] ^ 1]))
    yield "tau_at_infinity", "W1", put(32, bytes(128))
    yield "tau_outside_the_subgroup", "W1", put(32, OUTSIDE_THE_SUBGROUP)
    yield "batch", "W4", put(start + 3, b"\1")


def limits():
    """Well-formed keys at the limits of the rules, to be read without a proof."""
    for limit in LIMITS:
        good = cases.load(limit.vector)[0].key
        key = keys.with_changes(decode_key(good), limit.changes)
        digest = hexed(keccak256(key).value)
        yield {"test": limit.name, "vector": limit.vector, "key": splices(good, key), "vkDigest": digest}


def bad_statements():
    """Good proofs with other statements."""
    for name in ("mlp_public_1", "mlp_committed_1", "mlp_private_1", "wide_public_1", "gemm_signed_public_1"):
        good, _ = cases.load(name)
        first, *rest = good.outputs
        lengths = {
            "outputs_one_more": {"outputs": (*good.outputs, 0)},
            "outputs_one_less": {"outputs": good.outputs[:-1]},
            "input_bytes_one_more": {"inputs": good.inputs + b"\0"},
            "context_one_more": {"context": good.context + b"\0"},
            "context_one_less": {"context": good.context[:-1]},
        }
        if good.inputs:
            lengths["input_bytes_one_less"] = {"inputs": good.inputs[:-1]}
        far = {"2^60": 1 << 60, "-2^60": -(1 << 60), "v + r": first + R, "v - r": first - R}
        far |= {"largest": (1 << 255) - 1, "least": -(1 << 255)}
        for test, fields in lengths.items():
            yield _statement(test, good, 2, fields)
        for test, value in far.items():
            yield _statement(f"output_out_of_range {test}", good, 3, {"outputs": (value, *rest)})
        for test, value in {"most": (1 << 60) - 1, "least": 1 - (1 << 60), "one_more": first + 1}.items():
            yield _statement(f"output_in_range {test}", good, 8, {"outputs": (value, *rest)})
        yield _statement("context_changed", good, 8, {"context": bytes([good.context[0] ^ 1]) + good.context[1:]})
        if good.inputs:
            step = 5 if good.read().header.mode == 1 else 8
            for place in (0, len(good.inputs) - 1):
                data = bytes(byte ^ (k == place) for k, byte in enumerate(good.inputs))
                yield _statement(f"inputs_changed at {place}", good, step, {"inputs": data})


def _statement(test, good, step, fields):
    found = _entry(test, good.name, step)
    for name, value in fields.items():
        found[name] = [str(output) for output in value] if name == "outputs" else hexed(value)
    return found


def bad_proofs():
    """Words mangled in each way, one or two for each kind of message; and again with the hint that fits."""
    for name in ("cnn_committed_1", "tall_public_1", "wide_public_1"):
        good, _ = cases.load(name)
        spots = _spots(good)
        for changed in cases.mangled(good):
            way, word = changed.name.removeprefix(f"{name} ").split(" at word ")
            if int(word) in spots:
                yield _proof(f"{way} {spots[int(word)]}", good, changed)
                hinted = changed.with_hint() if len(changed.proof) == len(good.proof) else changed
                if hinted.proof not in {changed.proof, good.proof}:
                    yield _proof(f"{way} {spots[int(word)]} hint_recomputed", good, hinted)
        for test, proof in {"empty": b"", "byte_less": good.proof[:-1], "byte_more": good.proof + b"\0"}.items():
            yield _proof(test, good, good.changed(test, proof=proof))


def _spots(good):
    """The words that are mangled, each with the name of its message."""
    places = [(start // 32, end // 32) for start, end in good.places()]
    key = good.read()
    first, last = places[3], places[2 + key.sizes.rounds]
    values, second = places[3 + key.sizes.rounds], places[4 + key.sizes.rounds]
    found = {places[0][0]: "commitment", places[0][0] + 1: "commitment", places[0][1] - 2: "last commitment"}
    found |= {places[1][0]: "helpers", places[1][0] + 1: "helpers", places[2][0]: "b*"}
    found |= {first[0]: "first round", first[0] + 2: "first round", last[1] - 1: "last round of A"}
    found |= dict.fromkeys(range(*values), "value")
    found |= {second[0]: "round of B", places[-5][1] - 1: "last round of B"}
    found |= {places[-4][0]: "[S]", places[-4][0] + 1: "[S]", places[-2][0]: "[W]", places[-1][0]: "[W']"}
    return found | dict.fromkeys(range(*places[-3]), "opening")


def _proof(test, good, changed):
    return _entry(test, good.name, _step(changed), proof=splices(good.proof, changed.proof))


def _step(case):
    """The step that refuses a case, or None if it is accepted."""
    try:
        case.check()
    except AshlarRejectedError as refusal:
        return refusal.step
    return None


def lying_proofs():
    """Proofs of lying provers; one lie, of high coefficients, is harmless and to be accepted."""
    for name in ("cnn_committed_1", "cnn_public_1", "cnn_private_1"):
        good, values = cases.load(name)
        key = good.read()
        told_here = liars.names(key.header.mode)
        for lie in told_here if key.header.mode == 1 else [lie for lie in LIES_IN_EVERY_MODE if lie in told_here]:
            prover = Prover(key.header, key.program, values["weights"], KnownTau())
            liars.LIES[lie](prover)
            told = prover.prove(values["input"], good.context)
            entry = _proof(lie, good, told)
            if told.outputs != good.outputs:
                entry["outputs"] = [str(output) for output in told.outputs]
            if told.inputs != good.inputs:
                entry["inputs"] = hexed(told.inputs)
            yield entry


def parts():
    """Values of the building blocks, by file."""
    rng = Random(20)
    return {
        "kernels": list(_kernels(rng)),
        "tables": list(_tables(rng)),
        "transcripts": list(_transcripts()),
        "keys": list(_keys()),
        "limits": list(limits()),
    }


def _point(rng, count):
    return [Element(rng.randrange(R), R) for _ in range(count)]


def _kernels(rng):
    """Each kind of axis at random points: tau and rho are the coordinates of the axis alone."""
    for seed in range(200):
        for constraint in random_example(seed).program.constraints:
            for axis in (axis for term in constraint.terms for axis in term.axes):
                alone = replace(axis, o=replace(axis.o, first=0), i=replace(axis.i, first=0))
                tau, rho, w = (_point(rng, count) for count in (axis.o.bits, axis.i.bits, axis.w))
                if rng.random() < 0.06:
                    value = kernels.axis_value(alone, tau, rho, w)
                    points = {"o": _written(tau), "i": _written(rho), "w": _written(w)}
                    yield {
                        "kind": axis.kind,
                        "k": axis.k,
                        "g": axis.g,
                        "bound": axis.bound,
                        **points,
                        "value": scalar(value),
                    }


def _tables(rng):
    """Both columns of each kind of computed table at random points."""
    for kind in (RANGE, CLAMP_U, CLAMP_S, EXCESS):
        for k in range(1, 7):
            for b in range(k if kind != RANGE else 1):
                table, x = Table(kind, k, b, 0, 0), _point(rng, k)
                first, second = kernels.table_input(table, x), kernels.table_output(table, x)
                yield {"kind": kind, "k": k, "b": b, "x": _written(x), "input": scalar(first), "output": scalar(second)}


def _transcripts():
    """Seeds and messages, with the challenge after each message and after each `next` (a null message)."""
    for name in ("mlp_private_1", "wide_public_1"):
        case, _ = cases.load(name)
        key = case.read()
        seed = key.digest + Statement(case.context, case.inputs, case.outputs).encode()
        transcript, steps = Transcript(seed, R), []
        for number, (start, end) in enumerate(case.places()):
            message = case.proof[start:end]
            steps.append({"message": hexed(message), "challenge": scalar(transcript.absorb(message))})
            more = transcript.many({0: 1, 1: key.sizes.tau + 1}.get(number, 0))
            steps += [{"message": None, "challenge": scalar(challenge)} for challenge in more]
        yield {"vector": name, "seed": hexed(seed), "steps": steps}


def _keys():
    """The records of programs beside their bytes."""
    for name in ("cnn_public_1", "mlp_public_1", "saturated_public_1"):
        key = decode_key(cases.load(name)[0].key)
        data = keys.program_bytes(key.program)
        yield {
            "vector": name,
            "header": asdict(key.header),
            "program": asdict(key.program),
            "bytes": hexed(data),
            "programDigest": hexed(keccak256(data).value),
        }


def files():
    """All bad vectors and parts, by their path in the folder of vectors; the good ones have to be written before."""
    bad = {"keys": bad_keys(), "statements": bad_statements(), "proofs": bad_proofs(), "lies": lying_proofs()}
    found = {f"bad/{name}.json": list(entries) for name, entries in bad.items()}
    return found | {f"parts/{name}.json": entries for name, entries in parts().items()}


def dump(value):
    """The text of a file."""
    return json.dumps(value, indent=1) + "\n"


def main():
    """Write all files."""
    for name, example in examples().items():
        (cases.FOLDER / f"{name}.json").write_text(dump(good_vector(name, example)))
    for path, entries in files().items():
        target = cases.FOLDER / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(dump(entries))


if __name__ == "__main__":
    main()
