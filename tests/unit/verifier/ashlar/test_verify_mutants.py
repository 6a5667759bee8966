"""The stored vectors tell the verifier from every mutant of its source."""

from functools import cache

import pytest
from tests.ashlar import cases, mutants, verdicts

DECIDED_BY_VECTORS = [name for name in mutants.MODULES if name not in {"group", "input_digest"}]
EQUIVALENT = {
    ("kernels", "bit if g >= 0 else -bit"): "0 has no bits",
    ("kernels", "if isinstance(chosen, int) and chosen == 0:"): "it spares work with weights of 0",
    ("program", "if header.profile == 2:"): "the rule is the same, and only the message is another",
    ("wellformed", '_require(1 <= header.nt <= MAX_CUBE_BITS, "W1"'): "two tables of two rows have more rows than 2^1",
}
"""Lines in which a mutant may survive, because it gives every vector the same verdict as the verifier, and why."""


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
    return not any(mutant.module == module and line in mutant.text for module, line in EQUIVALENT)


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
