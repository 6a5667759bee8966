"""The opening by the slow prover: one claim about a polynomial, with the lies that are told in it (part 9)."""

from __future__ import annotations


def open_at(prover, f, low, claim):
    """Prove that f is the claim at the point `low`; sends messages 7 to 10."""
    p, tau, encode = prover.p, prover.group.tau, prover.group.encode
    weights = prover.eq(low)
    # f(X) p(1/X) + f(1/X) p(X) = 2 v + X S(X) + S(1/X)/X: the coefficient of X^k, k > 0, is that of S at k - 1.
    s = [0] * len(f)
    for i, a in enumerate(f):
        for j, b in enumerate(weights):
            if i != j:
                s[abs(i - j) - 1] += a * b
    excess = claim - sum(a * b for a, b in zip(f, weights, strict=False))  # 0 if the claim is right
    prover.opened = (f, weights, claim)
    s = prover.lie("S", ([value % p for value in s], excess))[0]
    zeta = prover.send(encode(prover.at(s, tau)))
    inverse = pow(zeta, -1, p)
    at_zeta, at_inverse = prover.at(weights, zeta), prover.at(weights, inverse)
    values = [prover.at(f, zeta), prover.at(f, inverse), prover.at(s, zeta), pow(zeta * (zeta * zeta - 1), -1, p)]
    f0, f1, s0, hint = prover.lie("opening", (values, excess, zeta, at_inverse))[0]
    delta = prover.send_scalars([f0, f1, s0, hint])
    inverse, over_difference = prover.lie("inverses", (inverse, pow(zeta - inverse, -1, p)))
    s1 = zeta * (f0 * prover.at(weights, inverse) + f1 * at_zeta - 2 * claim - zeta * s0)
    y0, y1 = f0 + delta * s0, f1 + delta * s1
    slope = (y0 - y1) * over_difference
    batch = [(a + delta * b) % p for a, b in zip(f, s, strict=True)]
    numerator = [batch[0] - y0 + slope * zeta, batch[1] - slope, *batch[2:]]
    w = divide(divide(numerator, zeta, p), inverse, p)

    def remainder(z, w):
        """What is left of the batch at z, and all of it as a polynomial."""
        lz, zz = y0 + slope * (z - zeta), (z - zeta) * (z - inverse)
        rest = [(a - zz * b) % p for a, b in zip(batch, [*w, *[0] * (len(batch) - len(w))], strict=True)]
        return [rest[0] - lz, *rest[1:]], zz

    w = prover.lie("W", (w, remainder))[0]
    z = prover.send(encode(prover.at(w, tau)))
    prover.send(encode(prover.at(divide(remainder(z, w)[0], z, p), tau)))


def divide(coefficients, root, p):
    """The quotient by X - root; the remainder is dropped, as a lying prover does."""
    quotient, carry = [], 0
    for coefficient in reversed(coefficients[1:]):
        carry = (carry * root + coefficient) % p
        quotient.append(carry)
    return quotient[::-1]
