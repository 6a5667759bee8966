"""Lies of a prover, by name: what each changes in the slow prover of the tests.

A lie is a function that prepares an honest prover of `cnn` (two hidden blocks, a stored table, an input of 3x3 in a
box of 4x4) in one of the modes. All are to be refused, but for `HARMLESS`.
"""

from __future__ import annotations

from copy import copy
from math import prod

from tests.ashlar import polynomials

LIES = {}
HARMLESS = ("high_coefficients",)
HASHED_ONLY = ("other_committed_input", "evaluation_off_x", "evaluations_cancelling")
"""Lies about the commitment to the input."""
UNREAD_ONLY = ("padding_cell_used_as_input",)
"""Lies that a public input rules out otherwise."""
EVALUATIONS = ("q", "r", "y", "h1", "h2", "g", "m", "v", "x", "stored")
INPUT, CONV, ADD = 64, 0, 32
"""Where the blocks of cnn begin."""


def lie(function):
    LIES[function.__name__] = function
    return function


def names(mode):
    """The lies that exist in a mode: public 0, hashed 1, private 2."""
    left_out = (HASHED_ONLY if mode != 1 else ()) + (UNREAD_ONLY if mode == 0 else ())
    return [name for name in LIES if name not in left_out]


def changed(values, place, step):
    """A list with another value at one place."""
    values = [*values]
    values[place] += step
    return values


def witness(prover, **steps):
    """Add steps to the cells of columns: `q={cell: step}`."""

    def tell(columns):
        q, r, y, boxes = columns
        found = {"q": q, "r": r, "y": y}
        for name, cells in steps.items():
            for cell, step in cells.items():
                found[name] = changed(found[name], cell, step)
        return found["q"], found["r"], found["y"], boxes

    prover.lies["witness"] = tell


@lie
def output_plus_one(prover):
    prover.lies["outputs"] = lambda outputs: changed(outputs, 0, 1)


@lie
def activation_off_by_one(prover):
    witness(prover, y={CONV + 4: 1})


@lie
def rounding_other_way(prover):
    witness(prover, q={CONV + 9: 1}, r={CONV + 9: -8})


@lie
def value_outside_table(prover):
    witness(prover, q={CONV + 4: 1 << 10}, y={CONV + 4: 100})


@lie
def wrong_tag(prover):
    """A cell of the stored table holds a row of the clamp: q = 3, y = 3."""

    def tell(columns):
        q, r, y, boxes = columns
        return changed(q, ADD, 3 - q[ADD]), r, changed(y, ADD, 3 - y[ADD]), boxes

    prover.lies["witness"] = tell


@lie
def range_value_too_large(prover):
    witness(prover, q={CONV + 4: -1}, r={CONV + 4: 8})


@lie
def multiplicity_off(prover):
    prover.lies["multiplicities"] = lambda m: changed(m, 0, 1)


@lie
def multiplicity_on_unused_row(prover):
    prover.lies["multiplicities"] = lambda m: changed(m, len(m) - 1, 1)


@lie
def helper_off(prover):
    prover.lies["helpers"] = lambda helpers: (changed(helpers[0], 0, 1), *helpers[1:])


@lie
def helpers_cancelling(prover):
    """h1 one more and h2 one less in a cell: the sum of lookups stays right."""
    prover.lies["helpers"] = lambda h: (changed(h[0], 0, 1), changed(h[1], 0, -1), h[2])


@lie
def row_helper_off(prover):
    prover.lies["helpers"] = lambda h: (h[0], h[1], changed(h[2], 0, 1))


@lie
def weight_changed(prover):
    prover.weights = changed(prover.weights, 64, 1)


@lie
def bias_changed(prover):
    prover.weights = changed(prover.weights, 132, 1)


@lie
def stored_value_changed(prover):
    prover.weights = changed(prover.weights, 35, 1)


@lie
def bstar_off(prover):
    prover.lies["bias"] = lambda bias: bias + 1


@lie
def kernel_off(prover):
    prover.lies["kernels"] = lambda kernels: {**kernels, "F": changed(kernels["F"], 0, 1)}


@lie
def padding_cell_used_as_input(prover):
    witness(prover, q={INPUT + 3: 1}, y={INPUT + 3: 1})


@lie
def padding_cell_of_hidden_block(prover):
    witness(prover, y={CONV + 15: 1})


@lie
def other_committed_input(prover):
    prover.lies["committed"] = lambda x: changed(x, 0, -1)


def _evaluation(place):
    def tell(prover):
        def change(values):
            names = [name for name in EVALUATIONS if name != "x" or prover.header.mode == 1]
            return changed(values, names.index(EVALUATIONS[place]), 1)

        prover.lies["values"] = change

    return tell


LIES |= {f"evaluation_off_{name}": _evaluation(place) for place, name in enumerate(EVALUATIONS)}


@lie
def evaluations_cancelling(prover):
    """m, v and x are wrong, but the first sumcheck ends well, and with the guessed delta so does their sum."""

    def tell(values):
        guess, p = prover.guess(), prover.p
        of_v, of_m, of_x = _slopes(prover, values)
        # of_v v + of_m m + of_x x = 0 and v + delta^8 m + delta^9 x = 0 for (v, m, x) orthogonal to both rows.
        a, b = (of_v, of_m, of_x), (1, guess**8, guess**9)
        v, m, x = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
        values = [*values]
        values[6], values[7], values[8] = (values[6] + m) % p, (values[7] + v) % p, (values[8] + x) % p
        return values

    prover.lies["values"] = tell


def _slopes(prover, values):
    """How much the summand of the first sumcheck at rho changes with v, m and x."""
    h, p, rho, tau = prover.header, prover.p, prover.rho, prover.challenges[3]
    cells, rows = (prod(1 - v for v in rho[bits:]) for bits in (h.n, h.nt))
    at_rows = prod(1 - a - b + 2 * a * b for a, b in zip(tau, rho[: h.nt], strict=False))
    last = pow(prover.challenges[2], len(prover.program.constraints) + 5, p)
    same = prover.mle(prover.reads()[2], rho[: h.n])
    return -cells * values[2] % p, -rows * last * at_rows % p, -cells * same % p


@lie
def round_polynomial_off(prover):
    prover.lies["first round"] = lambda message: changed(message, 1, 1)


@lie
def second_round_polynomial_off(prover):
    prover.lies["second round"] = lambda message: changed(message, 1, 1)


def _opening(place):
    def tell(prover):
        prover.lies["opening"] = lambda told: (changed(told[0], place, 1), *told[1:])

    return tell


LIES |= {f"opening_off_{name}": _opening(place) for place, name in enumerate(("f0", "f1", "s0", "hint"))}


@lie
def quotient_off(prover):
    prover.lies["S"] = lambda told: (changed(told[0], 2, 1), *told[1:])


@lie
def chunks_swapped(prover):
    size = 1 << prover.header.c
    prover.lies["P"] = lambda p: [*p[size : 2 * size], *p[:size], *p[2 * size :]]


@lie
def columns_swapped(prover):
    """Q and R change places in P; rows come first in cnn."""
    rows, cells = 1 << prover.header.nt, 1 << prover.header.n
    prover.lies["P"] = lambda p: [
        *p[:rows],
        *p[rows + cells : rows + 2 * cells],
        *p[rows : rows + cells],
        *p[rows + 2 * cells :],
    ]


def _open_committed_weights(prover):
    """All but the opening is about other weights than the key's, so that the claim of the opening is false."""
    committed = prover.weights
    prover.weights = changed(committed, 64, 1)
    prover.lies["opened"] = lambda vectors: {**vectors, "F": committed}


@lie
def quotient_repaired_at_guess(prover):
    """A false claim; S makes it right at the guessed zeta."""
    _open_committed_weights(prover)

    def tell(told):
        s, excess = told
        zeta, p = prover.guess(), prover.p
        return changed(s, 0, -2 * excess * pow(zeta + pow(zeta, -1, p), -1, p)), excess

    prover.lies["S"] = tell


@lie
def openings_cancelling(prover):
    """A false claim; f0 and s0 make it right for the guessed delta'."""
    _open_committed_weights(prover)

    def tell(told):
        values, excess, zeta, at_inverse = told
        delta, p = prover.guess(), prover.p
        inverse = pow(delta, -1, p)
        step = 2 * excess * pow(at_inverse + zeta * inverse, -1, p)
        return changed(changed(values, 0, step), 2, -step * inverse), excess, zeta, at_inverse

    prover.lies["opening"] = tell


@lie
def hint_of_another_point(prover):
    """A false claim, which holds if a root u of a polynomial stands for 1/zeta: the hint makes it so."""
    _open_committed_weights(prover)
    found = {}

    def tell_s(told):
        s, excess = told
        for step in range(64):
            s = changed(told[0], 2, step)
            zeta = int(copy(prover.transcript).absorb(prover.group.encode(prover.at(s, prover.group.tau))))
            if roots := _places_for_the_claim(prover, s, zeta):
                found["s"], found["u"] = s, roots[0]
                return s, excess
        raise ValueError("no polynomial has a root")

    def tell_opening(told):
        (f0, _, s0, _), excess, zeta, at_inverse = told
        p, u = prover.p, found["u"]
        hint = u * pow(zeta * zeta - 1, -1, p) % p
        ratio = hint * zeta * zeta * (u - zeta) % p
        f1 = f0 - (prover.at(prover.opened[0], u) - f0) * pow(ratio, -1, p)
        found["inverses"] = u, hint * zeta * zeta % p
        return [f0, f1 % p, s0, hint], excess, zeta, at_inverse

    prover.lies |= {"S": tell_s, "opening": tell_opening, "inverses": lambda _: found["inverses"]}


def _places_for_the_claim(prover, s, zeta):
    """The places u at which f + delta' S is on the line of steps 12 and 13 for every delta', with u for 1/zeta.

    With K = h zeta^2 (u - zeta) and the hint h = u / (zeta^2 - 1) the line is at u where f(u) = f0 + (f0 - f1) K and
    S(u) = s0 + (s0 - s1) K. Of these the first gives f1, which step 12 takes into s1, and the second is to be solved.
    """
    f, weights, claim = prover.opened
    p = prover.p
    f0, s0, at_zeta = (prover.at(column, zeta) for column in (f, s, weights))
    scale = zeta * zeta * pow(zeta * zeta - 1, -1, p)
    k = [0, -zeta * scale, scale]
    of_k = [s0 - zeta * (f0 * at_zeta - 2 * claim - zeta * s0)]
    total = polynomials.plus([s0 - zeta * f0 * at_zeta], polynomials.times(of_k, k, p))
    total = polynomials.plus(total, polynomials.times([-zeta * f0], polynomials.times(k, weights, p), p))
    total = polynomials.plus(total, polynomials.times([zeta * at_zeta], f, p))
    total = polynomials.plus(total, polynomials.times([-1], s, p))
    return [u for u in polynomials.roots(total, p) if u not in {0, zeta, pow(zeta, -1, p)}]


@lie
def quotient_with_a_pole_at_guess(prover):
    """A false claim; W is no quotient, but right at the guessed z."""
    _open_committed_weights(prover)

    def tell(told):
        _, remainder = told
        z, p = prover.guess(), prover.p
        rest, zz = remainder(z, [])
        return [prover.at(rest, z) * pow(zz, -1, p)], remainder

    prover.lies["W"] = tell


@lie
def opened_polynomial_off(prover):
    prover.lies["f"] = lambda f: changed(f, 0, 1)


@lie
def high_coefficients(prover):
    prover.extra = 5
