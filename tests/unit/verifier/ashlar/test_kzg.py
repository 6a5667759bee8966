from random import Random

import pytest
from tests.ashlar.numbers import Numbers

from zkinfer.verifier.ashlar import HintError
from zkinfer.verifier.ashlar.field import Element, at_index, eq_table
from zkinfer.verifier.ashlar.kzg import Opening, chunk_weights, line, pairing_point, require_hint

P = (1 << 31) - 1


def element(value):
    return Element(value, P)


def opening(**values):
    rng = Random(1)
    drawn = {name: element(rng.randrange(2, P)) for name in Opening._fields}
    found = {**drawn, **{name: element(value) for name, value in values.items()}}
    zeta = int(found["zeta"])
    if "hint" not in values and zeta * (zeta * zeta - 1) % P:
        found["hint"] = element(pow(zeta * (zeta * zeta - 1), -1, P))
    return Opening(**found)


def at(coefficients, x):
    return sum((c * x**k for k, c in enumerate(coefficients)), start=element(0))


def test_hint_that_is_the_inverse_is_taken():
    require_hint(opening())


@pytest.mark.parametrize("zeta", [0, 1, -1])
@pytest.mark.parametrize("hint", [0, 1, 5])
def test_zeta_without_an_inverse_has_no_hint(zeta, hint):
    with pytest.raises(HintError):
        require_hint(opening(zeta=zeta, hint=hint))


def test_value_of_the_quotient_and_line_follow_from_a_true_claim():
    rng = Random(2)
    low = [element(rng.randrange(P)) for _ in range(3)]
    f, p = [element(rng.randrange(P)) for _ in range(11)], eq_table(low, 8)  # longer than p: it does not matter
    s = [element(0)] * 11
    for i, a in enumerate(f):
        for j, b in enumerate(p):
            if i != j:
                s[abs(i - j) - 1] += a * b
    claim = sum((a * b for a, b in zip(f, p, strict=False)), start=element(0))
    zeta = element(777)
    inverse = element(pow(777, -1, P))
    told = opening(zeta=777)._replace(f0=at(f, zeta), f1=at(f, inverse), s0=at(s, zeta))
    found = line(told, low, claim)
    assert found.s1 == at(s, inverse)
    assert line(told, low, claim + 1).s1 != at(s, inverse)
    batch = [a + told.delta * b for a, b in zip(f, s, strict=True)]
    for z, root in ((zeta, zeta), (inverse, inverse)):
        through = line(told._replace(z=z), low, claim)
        assert (through.lz, through.zz) == (at(batch, root), 0)


def test_weights_of_chunks_are_kernels_times_the_chunks_index():
    high = [element(11), element(13)]
    found = chunk_weights({"F": element(3), "P": element(5)}, high, {"F": ["a"], "P": ["b", "c", "d"]})
    assert found == [(3 * at_index(0, high), "a"), *((5 * at_index(k, high), point) for k, point in enumerate("bcd"))]


def test_pairing_point_is_the_sum_of_all_parts():
    told = opening()
    through = line(told, [element(4)], element(9))
    group = Numbers(P)
    found = pairing_point(group, [(element(2), 100)], told, through, (7, 8, 9))
    assert found == (200 + int(told.delta) * 7 - int(through.lz) - int(through.zz) * 8 + int(told.z) * 9) % P
