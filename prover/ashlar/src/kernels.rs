//! Multilinear extensions of axes and terms (section 3).

use ark_ff::PrimeField;

use crate::mle::{bit, block, eq_bit, eq_index};
use crate::program::{Axis, AxisKind, Bits, Term, Tile};

/// Relation of equality of two or three indices; an index that is absent is empty.
pub fn equal<F: PrimeField>(o: &[F], i: &[F], w: &[F]) -> F {
    let pair = |a: &[F], b: &[F]| -> F { a.iter().zip(b).map(|(a, b)| eq_bit(*a, *b)).product() };
    match (o.is_empty(), i.is_empty(), w.is_empty()) {
        (true, ..) => pair(i, w),
        (_, true, _) => pair(o, w),
        (.., true) => pair(o, i),
        _ => {
            let one = F::one();
            let all = |((o, i), w): ((&F, &F), &F)| *o * i * w + (one - o) * (one - i) * (one - w);
            o.iter().zip(i).zip(w).map(all).product()
        }
    }
}

/// `[v < bound]`.
pub fn mask<F: PrimeField>(x: &[F], bound: u64) -> F {
    if bound >> x.len() > 0 {
        return F::one();
    }
    let step = |below: F, (j, x): (usize, &F)| {
        let zero = F::one() - x;
        if bit(bound, j) { zero + *x * below } else { zero * below }
    };
    x.iter().enumerate().fold(F::zero(), step)
}

/// `t^v`, and `[v < bound] t^v`.
pub fn powers<F: PrimeField>(x: &[F], t: F, bound: u64) -> (F, F) {
    let (mut full, mut below, mut power) = (F::one(), F::zero(), t);
    for (j, x) in x.iter().enumerate() {
        let (zero, one) = (F::one() - x, *x * power);
        below = if bit(bound, j) { zero * full + one * below } else { zero * below };
        full *= zero + one;
        power.square_in_place();
    }
    (full, if bound >> x.len() > 0 { full } else { below })
}

/// What a WALK relates: `i = 2^k o + d + g` and `o < bound`.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// log2 of the stride.
    pub k: usize,
    /// Offset.
    pub g: i64,
    /// Bound of `o`.
    pub bound: u64,
}

impl Walk {
    /// The extension, by weights of carries -1, 0, 1: `all` whatever `o` is, `below` where the bits of `o` so far are
    /// below those of the bound. Carries stay in that range, since `g > 0` only where `d` is absent (rule W7).
    pub fn value<F: PrimeField>(&self, o: &[F], i: &[F], d: &[F]) -> F {
        let bounded = self.bound < 1 << o.len();
        let (zero, one) = (F::zero(), F::one());
        let at = |x: &[F], j: usize| x.get(j).copied().unwrap_or(zero);
        let magnitude = self.g.unsigned_abs();
        let length = (64 - magnitude.leading_zeros()) as usize;
        let (mut all, mut below) = ([zero, one, zero], [zero; 3]);
        for j in 0..i.len().max(d.len()).max(self.k + o.len()).max(length) {
            let (oj, bj) = match j.checked_sub(self.k) {
                Some(at_o) => (at(o, at_o), bit(self.bound, at_o)),
                None => (zero, false),
            };
            let g = if bit(magnitude, j) { self.g.signum() } else { 0 };
            let (ij, dj) = (at(i, j), at(d, j));
            let sums = add_bit(&all, dj);
            let with_o = sums.map(|weight| weight * oj);
            let lower: [F; 4] = std::array::from_fn(|t| sums[t] - with_o[t]);
            if bounded {
                let sums = add_bit(&below, dj);
                let with_o = sums.map(|weight| weight * oj);
                let values = if bj {
                    join(&lower, &with_o)
                } else {
                    join(&std::array::from_fn(|t| sums[t] - with_o[t]), &[zero; 4])
                };
                below = carry(&values, g, ij);
            }
            all = carry(&join(&lower, &with_o), g, ij);
        }
        if bounded { below[1] } else { all[1] }
    }
}

/// Weights of the sums -1 to 2 of a carry and a bit that is 1 with weight `d`.
fn add_bit<F: PrimeField>(carries: &[F; 3], d: F) -> [F; 4] {
    let with = carries.map(|weight| weight * d);
    let without: [F; 3] = std::array::from_fn(|t| carries[t] - with[t]);
    [without[0], without[1] + with[0], without[2] + with[1], with[2]]
}

/// Weights of the sums -1 to 3 where the next bit is 0 (`low`) or 1 (`high`).
fn join<F: PrimeField>(low: &[F; 4], high: &[F; 4]) -> [F; 5] {
    [low[0], low[1] + high[0], low[2] + high[1], low[3] + high[2], high[3]]
}

/// New carries: a sum `2 c + b`, with `g` added to it, has the bit `b` of `i` and the carry `c`.
fn carry<F: PrimeField>(values: &[F; 5], g: i64, i: F) -> [F; 3] {
    let weight = |sum: i64| usize::try_from(sum - g + 1).ok().and_then(|t| values.get(t)).copied().unwrap_or(F::zero());
    [-1, 0, 1].map(|carry| {
        let (even, odd) = (weight(2 * carry), weight(2 * carry + 1));
        even + i * (odd - even)
    })
}

/// The coordinates of a range, none if it is absent.
fn coordinates<F>(x: &[F], range: Bits) -> &[F] {
    if range.bits == 0 { &[] } else { &x[range.range()] }
}

/// An axis at `tau` (bits of the output cell), `rho` (bits of the source cell) and `w` (the weight index).
pub fn axis<F: PrimeField>(axis: &Axis, tau: &[F], rho: &[F], w: &[F]) -> F {
    let (o, i) = (coordinates(tau, axis.o), coordinates(rho, axis.i));
    match axis.kind {
        AxisKind::Eq => equal(o, i, w),
        AxisKind::Walk => Walk { k: axis.k.into(), g: axis.g.into(), bound: axis.bound.into() }.value(o, i, w),
        AxisKind::Mask => mask(o, axis.bound.into()),
        AxisKind::Free => F::one(),
        AxisKind::Fix => eq_index(u64::from(axis.g.unsigned_abs()), i),
    }
}

/// The kernel of a term: without tiles the product of its axes, with tiles the sum over them of the selector in F
/// times the product. `tau` and `rho` hold at least the bits of the output's and of the source's box.
pub fn term<F: PrimeField>(term: &Term, tau: &[F], rho: &[F], sigma: &[F]) -> F {
    let tiled = |of: &&Axis| of.w > 0 && of.kind != AxisKind::Walk;
    let walk_bits: usize = term.axes.iter().filter(|of| of.kind == AxisKind::Walk).map(|of| usize::from(of.w)).sum();
    // WALK axes are the last ones and are never cut: their value is the same in all tiles.
    let mut at = walk_bits;
    let mut same = F::one();
    for of in term.axes.iter().filter(|of| !tiled(of)) {
        let bits = usize::from(of.w);
        at -= bits;
        let w = if bits == 0 { &[][..] } else { &sigma[at..at + bits] };
        same *= axis(of, tau, rho, w);
    }
    if term.tiles.is_empty() {
        return same;
    }
    let cut: Vec<&Axis> = term.axes.iter().filter(tiled).collect();
    same * term.tiles.iter().map(|of| tile(of, &cut, walk_bits, tau, rho, sigma)).sum::<F>()
}

/// Selector of a tile times its axes that may be cut; `low` coordinates of sigma belong to WALK axes.
fn tile<F: PrimeField>(tile: &Tile, cut: &[&Axis], low: usize, tau: &[F], rho: &[F], sigma: &[F]) -> F {
    let mut at = low;
    let mut value = block(tile.off.into(), tile.bits() as usize, sigma);
    for (of, span) in cut.iter().zip(&tile.spans).rev() {
        let bits = usize::from(span.bits);
        let high = span.start >> span.bits;
        let constant = (0..usize::from(of.w) - bits).map(|j| F::from(bit(high.into(), j)));
        let w: Vec<F> = sigma[at..at + bits].iter().copied().chain(constant).collect();
        value *= axis(of, tau, rho, &w);
        at += bits;
    }
    value
}
