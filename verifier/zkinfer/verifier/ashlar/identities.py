"""The two sumchecks: what the verifier itself knows of their sums (sections 6.2 and 6.3).

The powers of gamma are those of 6.2: one for each constraint, then input, padding, lookups, cells, ranges, rows. The
powers of delta are those of 6.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zkinfer.verifier.ashlar.field import eq, in_block, powers, product
from zkinfer.verifier.ashlar.kernels import fingerprints, kernel, power, tags
from zkinfer.verifier.ashlar.program import CELLS, HASHED, PRIVATE, PUBLIC, STORED, WEIGHTED_CELLS, WEIGHTS, Block, Tile
from zkinfer.verifier.ashlar.statement import elements, outputs_at, public_input_at, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zkinfer.verifier.ashlar.field import Element, Scalar
    from zkinfer.verifier.ashlar.program import Header, Output, Program, Term

    Point = Sequence[Scalar]


class Challenges(NamedTuple):
    """The challenges that fix the first sumcheck."""

    alpha: Element
    beta: Element
    gamma: Element
    tau: Sequence[Element]
    t: Element


class Values(NamedTuple):
    """Message 5: what the prover says that the columns are at rho; `x` and `stored` are 0 where they are not sent."""

    q: Scalar
    r: Scalar
    y: Scalar
    h1: Scalar
    h2: Scalar
    g: Scalar
    m: Scalar
    v: Scalar
    x: Scalar
    stored: Scalar


@dataclass(frozen=True, slots=True)
class Batch:
    """All identities as one sum, under one set of challenges."""

    header: Header
    program: Program
    at: Challenges

    @property
    def _count(self) -> int:
        return len(self.program.constraints)

    def _gammas(self) -> list[Scalar]:
        return powers(self.at.gamma, self._count + 6)

    def _constraints(self) -> Iterator[tuple[Block | Output, Scalar, Scalar]]:
        """Each constraint with its power of gamma and, in that, the factor of its terms, 2^(S - shift) for blocks."""
        for constraint, gamma in zip(self.program.constraints, self._gammas(), strict=False):
            scale = 1 << (self.header.s - constraint.shift) if isinstance(constraint, Block) else 1
            yield constraint, gamma, gamma * scale

    def _terms(self, kind: int) -> Iterator[tuple[Term, Scalar]]:
        for constraint, _, factor in self._constraints():
            for term in constraint.terms:
                if term.kind == kind:
                    yield term, factor

    def first_claim(self, bias: Scalar, inputs: Sequence[int], outputs: Sequence[int]) -> Scalar:
        """The sum that the first sumcheck starts from; `bias` is b*, the part of the terms that read weights alone."""
        gammas, half = self._gammas()[self._count :], 1 << (self.header.s - 1)
        claim, place = bias + gammas[3] + gammas[4], 0
        for constraint, gamma, _ in self._constraints():
            if isinstance(constraint, Block):
                claim = claim + gamma * half
            else:
                end = place + elements(constraint.dims)
                claim = claim - gamma * outputs_at(self.at.tau, outputs[place:end], constraint)
                place = end
        if self.header.mode == PUBLIC:
            claim = claim + gammas[0] * public_input_at(self.at.t, inputs, self.program.blocks[0].dims)
        return claim

    def value_at(self, rho: Point, columns: Values) -> Scalar:
        """G: the summand of the first sumcheck at its last point, from the values of the columns there."""
        n, nt = self.header.n, self.header.nt
        return _unselected(rho[n:]) * self._cells(rho[:n], columns) + _unselected(rho[nt:]) * self._rows(
            rho[:nt], columns
        )

    def _cells(self, rho: Point, columns: Values) -> Scalar:
        alpha, beta, tau = self.at.alpha, self.at.beta, self.at.tau
        _, _, logs, looked_up, in_range, _ = self._gammas()[self._count :]
        q, r, y, h1, h2, _, _, v, x, _ = columns
        fingerprint = q + alpha * y + alpha * alpha * tags(self.program.blocks, rho)
        lookups = looked_up * h1 * (beta - fingerprint) + in_range * h2 * (beta - r)
        read, same = self._input(rho)
        return (
            self._blocks(rho) * ((1 << self.header.s) * q + r)
            + (read - v - self._sums(rho)) * y
            - same * x
            + logs * (h1 + h2)
            + eq(tau[: len(rho)], rho) * lookups
        )

    def _rows(self, rho: Point, columns: Values) -> Scalar:
        _, _, logs, _, _, rows = self._gammas()[self._count :]
        row = fingerprints(self.program.tables, rho, self.at.alpha, columns.stored)
        looked_up = columns.g * (self.at.beta - row) - columns.m
        return rows * eq(self.at.tau[: len(rho)], rho) * looked_up - logs * columns.g

    def _blocks(self, rho: Point) -> Scalar:
        """E: the cells of hidden blocks, each with the index that its constraint is looked at."""
        total: Scalar = 0
        for block, gamma in zip(self.program.hidden, self._gammas(), strict=False):
            index = eq(self.at.tau[: block.bits], rho[: block.bits])
            total = total + gamma * in_block(block.offset, block.bits, rho) * index
        return total

    def _sums(self, rho: Point) -> Scalar:
        """Lin: the terms that add up cells without weights."""
        total: Scalar = 0
        for term, factor in self._terms(CELLS):
            related = kernel(term, Tile(0, ()), self.at.tau, rho, ())
            total = total + factor * term.coef * self._source(term, rho) * related
        return total

    def _source(self, term: Term, rho: Point) -> Scalar:
        block = self.program.blocks[term.source]
        return in_block(block.offset, block.bits, rho)

    def _input(self, rho: Point) -> tuple[Scalar, Scalar]:
        """In and Same: the weights of the input's cells and, in mode 1, of what they are compared with."""
        block, mode = self.program.blocks[0], self.header.mode
        here = in_block(block.offset, block.bits, rho)
        compared, padded = self._gammas()[self._count :][:2]
        every, valid = self._progression(rho, within=False), self._progression(rho, within=True)
        read: Scalar = 0 if mode == PRIVATE else here * compared * every
        if mode != PUBLIC:
            read = read + here * padded * (every - valid)  # 0 if the shape fills the box
        return read, here * compared * every  # x is 0 where it is not sent

    def _progression(self, rho: Point, *, within: bool) -> Scalar:
        """t to the power of the position in the input's box; 0 at padding positions if `within` the valid sizes."""
        dims, result = self.program.blocks[0].dims, 1
        high = self.program.blocks[0].bits
        factors = []
        for dim, step in zip(dims, steps(self.at.t, dims), strict=True):
            along = rho[high - dim.bits : high]
            factors.append(power(along, step, dim.size if within else 1 << dim.bits))
            high -= dim.bits
        return result * product(factors)

    def weight_kernel(self, kind: int, rho: Point, sigma: Point) -> Scalar:
        """K_V (terms of weights times cells) or K_b (weights alone): what each place of F counts for, at sigma."""
        total: Scalar = 0
        for term, factor in self._terms(kind):
            read = self._source(term, rho) if kind == WEIGHTED_CELLS else 1
            for tile in term.tiles:
                place = in_block(tile.offset, tile.bits, sigma)
                total = total + factor * read * place * kernel(term, tile, self.at.tau, rho, sigma)
        return total

    def kernels(self, rho: Point, delta: Scalar, sigma: Point) -> Mapping[str, Scalar]:
        """K_j(sigma): what each committed vector counts for in the second sumcheck."""
        n, nt, d = self.header.n, self.header.nt, powers(delta, 11)
        stored: Scalar = 0
        for table in self.program.tables:
            if table.kind == STORED:
                row = in_block(table.offset, table.k, rho[:nt]) * in_block(table.column, table.k, sigma)
                stored = stored + row * eq(sigma[: table.k], rho[: table.k])
        bits = self.program.blocks[0].bits
        input_box = in_block(0, bits, sigma) * eq(sigma[:bits], rho[:bits]) if self.header.mode == HASHED else 0
        (q, r, y, m), (h1, h2, g) = (_columns(n, nt, count, sigma) for count in (3, 2))
        cell, row = eq(sigma[:n], rho[:n]), eq(sigma[:nt], rho[:nt])
        cells = rho[:n]
        weights = self.weight_kernel(WEIGHTED_CELLS, cells, sigma) + d[1] * self.weight_kernel(WEIGHTS, cells, sigma)
        return {
            "F": weights + d[10] * stored,
            "X": d[9] * input_box,
            "P": cell * (d[2] * q + d[3] * r + d[4] * y) + row * d[8] * m,
            "H": cell * (d[5] * h1 + d[6] * h2) + row * d[7] * g,
        }


def second_claim(bias: Scalar, columns: Values, delta: Scalar) -> Scalar:
    """The sum that the second sumcheck starts from: all values that it proves, with powers of delta."""
    q, r, y, h1, h2, g, m, v, x, stored = columns
    claims = (v, bias, q, r, y, h1, h2, g, m, x, stored)
    return sum((d * claim for d, claim in zip(powers(delta, len(claims)), claims, strict=True)), start=0)


def _unselected(x: Point) -> Scalar:
    """All further coordinates are 0."""
    return product(1 - v for v in x)


def _columns(n: int, nt: int, count: int, sigma: Point) -> list[Scalar]:
    """Where sigma lies: in one of `count` blocks of cells, or in the block of rows, which is first if it is larger."""
    first, rows = (1 << nt, 0) if nt > n else (0, count << n)
    return [*(in_block(first + (place << n), n, sigma) for place in range(count)), in_block(rows, nt, sigma)]
