//! Sums over cubes of different sizes within sumcheck A (sections 6.3 and 11.2).
//!
//! A sum has two parts: one with the factor `eq(tau, x)`, of which only the rest, of degree 2, is summed, and one of
//! degree 2 without it. Both are known by their values at 0 and their leading coefficients, since their claims are.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, One, Zero};
use rayon::prelude::*;

use super::lookups::unlucky;
use crate::error::Result;
use crate::mle::eq_bit;

/// Pairs that a thread takes at a time.
pub(crate) const STRIP: usize = 1 << 10;

/// Coefficients of a polynomial of degree 3, the constant first.
pub(crate) type Cubic = [Fr; 4];

/// The sums of a round: of the part with the factor `eq`, its value at 0 and its leading coefficient; likewise of the
/// other part.
pub(crate) type Sums = [Fr; 4];

/// A sum over a cube whose lowest variables are those of the table, and what earlier challenges have made of it.
pub(crate) struct Cube<const N: usize> {
    /// Columns, once the first round has bound its variable.
    pub table: Vec<[Fr; N]>,
    /// Variables of the whole table.
    pub bits: usize,
    /// Factor that the selectors and `eq` of bound variables give to the part with `eq`.
    eq_scale: Fr,
    /// The same for the other part.
    scale: Fr,
    eq_claim: Fr,
    claim: Fr,
    /// Coefficients of the part with `eq` for this round: of the linear factor, and of the rest.
    round: Option<Round>,
}

/// A round's polynomials: the linear factor times the quadratic, and the other quadratic.
struct Round {
    line: [Fr; 2],
    rest: [Fr; 3],
    other: [Fr; 3],
}

impl<const N: usize> Cube<N> {
    /// A sum over `bits` variables with the claims of its two parts.
    pub fn new(bits: usize, eq_claim: Fr, claim: Fr) -> Cube<N> {
        Cube { table: Vec::new(), bits, eq_scale: Fr::ONE, scale: Fr::ONE, eq_claim, claim, round: None }
    }

    /// The round's polynomial from the sums over the table.
    pub fn cubic(&mut self, tau: Fr, sums: Sums) -> Result<Cubic> {
        let line = [self.eq_scale * (Fr::one() - tau), self.eq_scale * (tau.double() - Fr::one())];
        let at_one = (self.eq_claim - line[0] * sums[0]) * (line[0] + line[1]).inverse().ok_or_else(unlucky)?;
        let rest = [sums[0], at_one - sums[0] - sums[1], sums[1]];
        let (first, last) = (self.scale * sums[2], self.scale * sums[3]);
        let other = [first, self.claim - first.double() - last, last];
        let cubic = [
            line[0] * rest[0] + other[0],
            line[0] * rest[1] + line[1] * rest[0] + other[1],
            line[0] * rest[2] + line[1] * rest[1] + other[2],
            line[1] * rest[2],
        ];
        self.round = Some(Round { line, rest, other });
        Ok(cubic)
    }

    /// Binds the variable of a round that is one of the table's.
    pub fn bind(&mut self, tau: Fr, rho: Fr) {
        if let Some(Round { line, rest, other }) = self.round.take() {
            self.eq_claim = (line[0] + line[1] * rho) * at(&rest, rho);
            self.claim = at(&other, rho);
            self.eq_scale *= eq_bit(tau, rho);
        }
    }

    /// The polynomial of a round above the table: `(1 - X)` times the claim.
    pub fn above(&self) -> Cubic {
        let claim = self.eq_claim + self.claim;
        [claim, -claim, Fr::zero(), Fr::zero()]
    }

    /// Binds the variable of a round above the table.
    pub fn bind_above(&mut self, rho: Fr) {
        let factor = Fr::one() - rho;
        for value in [&mut self.eq_claim, &mut self.claim, &mut self.eq_scale, &mut self.scale] {
            *value *= factor;
        }
    }

    /// Binds the highest variable of the table.
    pub fn fold(&mut self, rho: Fr) {
        self.table = folded(self.table.len() / 2, rho, |index| self.table[index]);
    }
}

/// Value of a quadratic.
fn at([c0, c1, c2]: &[Fr; 3], x: Fr) -> Fr {
    *c0 + x * (*c1 + x * c2)
}

/// The pairs `(index, index + half)` of a table, with `rho` for the variable between.
pub(crate) fn folded<const N: usize>(half: usize, rho: Fr, of: impl Fn(usize) -> [Fr; N] + Sync) -> Vec<[Fr; N]> {
    let pair = |index: usize| {
        let (low, high) = (of(index), of(index + half));
        std::array::from_fn(|k| low[k] + rho * (high[k] - low[k]))
    };
    (0..half).into_par_iter().with_min_len(STRIP).map(pair).collect()
}

/// Adds a sum for each pair of a table.
pub(crate) fn summed(half: usize, pair: impl Fn(usize) -> Sums + Sync) -> Sums {
    let strips = half.div_ceil(STRIP);
    let strip = |number: usize| {
        let indices = number * STRIP..half.min((number + 1) * STRIP);
        indices.fold([Fr::zero(); 4], |sums, index| plus(sums, pair(index)))
    };
    (0..strips).into_par_iter().map(strip).reduce(|| [Fr::zero(); 4], plus)
}

fn plus(a: Sums, b: Sums) -> Sums {
    std::array::from_fn(|k| a[k] + b[k])
}

/// The sum of `- Same(x) X(x)` over the input's box, in mode 1.
pub(crate) struct InputCube {
    off: usize,
    same: Vec<Fr>,
    x: Vec<Fr>,
    scale: Fr,
    /// The sum.
    pub claim: Fr,
    round: [Fr; 3],
}

impl InputCube {
    /// The sum over a box at `off`; nothing of it if the lists are empty.
    pub fn new(off: usize, same: Vec<Fr>, x: &[i32]) -> InputCube {
        let x: Vec<Fr> = x.iter().map(|value| Fr::from(*value)).collect();
        let claim = -inner(&same, &x);
        InputCube { off, same, x, scale: -Fr::one(), claim, round: [Fr::zero(); 3] }
    }

    /// The round's polynomial.
    pub fn quadratic(&mut self, j: usize) -> [Fr; 3] {
        let half = 1 << j;
        self.round = if half < self.x.len() {
            let (low, high) = (inner(&self.same[..half], &self.x[..half]), inner(&self.same[half..], &self.x[half..]));
            let cross = inner(&self.same[..half], &self.x[half..]) + inner(&self.same[half..], &self.x[..half]);
            let first = self.scale * low;
            let last = self.scale * (low + high - cross);
            [first, self.claim - first.double() - last, last]
        } else if self.off >> j & 1 == 1 {
            [Fr::zero(), self.claim, Fr::zero()]
        } else {
            [self.claim, -self.claim, Fr::zero()]
        };
        self.round
    }

    /// Binds the variable of a round.
    pub fn bind(&mut self, j: usize, rho: Fr) {
        self.claim = at(&self.round, rho);
        let half = 1 << j;
        if half < self.x.len() {
            for table in [&mut self.same, &mut self.x] {
                let (low, high) = table.split_at_mut(half);
                low.iter_mut().zip(high).for_each(|(low, high)| *low += rho * (*high - *low));
                table.truncate(half);
            }
        } else {
            self.scale *= if self.off >> j & 1 == 1 { rho } else { Fr::one() - rho };
        }
    }

    /// X at the point.
    pub fn value(&self) -> Fr {
        self.x.first().copied().unwrap_or_default()
    }
}

fn inner(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(a, b)| *a * b).sum()
}
