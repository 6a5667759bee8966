"""The stored vectors tell the verifier from every mutant of its source."""

from functools import cache

import pytest
from tests.ashlar import cases, mutants, numbers, verdicts
from tests.ashlar.numbers import KnownTau
from tests.ashlar.programs import gemm_of_range
from tests.ashlar.prover import Prover

from zkinfer.circuits.errors import DataError, InputError, RangeError, SetupError
from zkinfer.circuits.srs import bn254
from zkinfer.circuits.srs.ceremonies import generate_insecure_dev
from zkinfer.verifier.ashlar import EncodingError, commit_input, input_digest
from zkinfer.verifier.ashlar.group import Bn254
from zkinfer.verifier.ashlar.program import CLAMP_S, CLAMP_U

DECIDED_BY_VECTORS = [name for name in mutants.MODULES if name not in {"group", "input_digest"}]
EQUIVALENT = {
    ("group", "moved 0", "if x >= bn254.FIELD or y >= bn254.FIELD:"): "no point of the curve has a coordinate 0",
    ("input_digest", "moved 0", "pairs = [(point if value > 0 else"): "values of 0 are left out",
    ("kernels", "moved 0", "bit if g >= 0 else -bit"): "0 has no bits",
    ("kernels", "false", "if isinstance(chosen, int) and chosen == 0:"): "it spares work with weights of 0",
    ("program", "false", "if header.profile == 2:"): "the rule is the same, and only the message is another",
    ("wellformed", "moved 0", "_require(1 <= header.nt <="): "two tables of two rows have more rows than 2^1",
}
"""Mutants that give every input the same verdict as the verifier: module, kind and line; and why."""


@cache
def checks():
    return list(verdicts.checks(verdicts.Remembered()))


def survives(mutant, told):
    cases.forget_keys()
    with mutant.applied():
        for check in told:
            try:
                check()
            except Exception:  # noqa: BLE001 - a mutant may break anything
                return False
    return not any(
        (mutant.module, mutant.kind) == (module, kind) and line in mutant.text for module, kind, line in EQUIVALENT
    )


def test_verifier_gives_every_vector_its_verdict():
    cases.forget_keys()
    for check in checks():
        check()


def test_some_mutants_do_not_survive_the_vectors():
    told = list(mutants.mutants(DECIDED_BY_VECTORS))[::12]
    assert [str(mutant) for mutant in told if survives(mutant, checks())] == []


@pytest.mark.nightly
@pytest.mark.parametrize("module", DECIDED_BY_VECTORS)
def test_no_mutant_survives_the_vectors(module):
    assert [str(mutant) for mutant in mutants.mutants([module]) if survives(mutant, checks())] == []


def test_mutant_that_changes_no_verdict_survives():
    [mutant] = [
        mutant for mutant in mutants.mutants(["kernels"]) if "bit if g >= 0" in mutant.text and mutant.kind == "moved 0"
    ]
    with mutant.applied():
        for check in checks()[:3]:
            check()


def test_no_mutant_of_the_group_survives_its_checks():
    points = [bn254.multiply(bn254.GENERATOR, k) for k in (1, 5, 7)]
    packed = [numbers.packed(point) for point in points]

    def check():
        group = Bn254()
        assert [group.decode(data) for data in [*packed, bytes(64)]] == [*points, None]
        assert group.combine([(2, points[0]), (2, None), (3, points[1])]) == bn254.multiply(points[0], 17)
        for data in (packed[0][:32] + packed[1][32:], (1 + bn254.FIELD).to_bytes(32, "big") + packed[0][32:]):
            refused(EncodingError, group.decode, data)
        refused(EncodingError, group.decode, packed[0][:32] + (2 + bn254.FIELD).to_bytes(32, "big"))

    assert [str(mutant) for mutant in mutants.mutants(["group"]) if survives(mutant, [check])] == []


def test_no_mutant_of_the_input_digest_survives_its_checks(tmp_path, monkeypatch):
    monkeypatch.setattr(input_digest, "BATCH", 6)
    setup, small = tmp_path / "setup", tmp_path / "small"
    generate_insecure_dev(4, setup)
    generate_insecure_dev(3, small)
    example = gemm_of_range(CLAMP_S, 3, [v * 5 % 16 - 8 for v in range(35)], mode=1, weights=(1,) * 128)
    unsigned = gemm_of_range(CLAMP_U, 3, (0, 7, 3), mode=1)
    several, few = (Prover(e.header, e.program, e.weights, KnownTau()).prove(e.inputs) for e in (example, unsigned))
    other = few.key[:32] + bn254.generator_g2() + few.key[160:]
    public = few.key[:17] + b"\0" + few.key[18:]

    def check():
        assert commit_input(several.key, example.inputs, setup) == several.inputs
        assert commit_input(few.key, unsigned.inputs, setup) == few.inputs
        for value in (-9, 8):
            refused(RangeError, commit_input, several.key, [value, *example.inputs[1:]], setup)
        for value in (-1, 8):
            refused(RangeError, commit_input, few.key, [value, 0, 0], setup)
        refused(SetupError, commit_input, other, unsigned.inputs, setup)
        refused(SetupError, commit_input, several.key, example.inputs, small)
        refused(DataError, commit_input, few.key, [0, 0], setup)
        refused(InputError, commit_input, public, unsigned.inputs, setup)

    assert [str(mutant) for mutant in mutants.mutants(["input_digest"]) if survives(mutant, [check])] == []


def refused(error, function, *args):
    """Check for an error; pytest's own failure would not be an `Exception`."""
    try:
        function(*args)
    except error as refusal:
        assert type(refusal) is error  # noqa: PT017 - not that of a subclass
    else:
        raise AssertionError(f"no {error.__name__}")
