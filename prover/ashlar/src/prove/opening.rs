//! The opening of all committed vectors at one point (part 9, and section 11.2).

use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Field, One, Zero};
use rayon::prelude::*;

use super::lookups::unlucky;
use crate::error::Result;
use crate::msm::msm_full;
use crate::setup::Powers;
use crate::small::{Wide, offset};

/// Coefficients that a thread takes at a time.
const STRIP: usize = 1 << 10;

/// `f`, a sum of multiples of chunks (section 6.3).
pub(crate) struct Combination<'a> {
    size: usize,
    long: Vec<(Fr, &'a [i64])>,
    short: Vec<(Fr, &'a [i32])>,
    elements: Vec<(Fr, &'a [Fr])>,
}

impl<'a> Combination<'a> {
    /// A sum of polynomials with `size` coefficients.
    pub fn new(size: usize) -> Combination<'a> {
        Combination { size, long: Vec::new(), short: Vec::new(), elements: Vec::new() }
    }

    /// Adds the chunks of integers of 64 bits, each times a factor and its weight.
    pub fn add_long(&mut self, factor: Fr, weights: &[Fr], vector: &'a [i64]) {
        self.long.extend(weights.iter().map(|weight| factor * weight).zip(vector.chunks(self.size)));
    }

    /// Adds the chunks of integers of 32 bits.
    pub fn add_short(&mut self, factor: Fr, weights: &[Fr], vector: &'a [i32]) {
        self.short.extend(weights.iter().map(|weight| factor * weight).zip(vector.chunks(self.size)));
    }

    /// Adds the chunks of elements.
    pub fn add_elements(&mut self, factor: Fr, weights: &[Fr], vector: &'a [Fr]) {
        self.elements.extend(weights.iter().map(|weight| factor * weight).zip(vector.chunks(self.size)));
    }

    /// The coefficients.
    pub fn coefficients(&self) -> Vec<Fr> {
        let (long, short) = (Bounded::all(&self.long), Bounded::all(&self.short));
        let correction: Fr =
            long.iter().map(|part| part.correction).chain(short.iter().map(|part| part.correction)).sum();
        let mut coefficients = vec![-correction; self.size];
        let strips = coefficients.par_chunks_mut(STRIP).enumerate();
        strips.for_each(|(number, strip)| {
            let start = number * STRIP;
            let mut sums = vec![Wide::default(); strip.len()];
            long.iter().for_each(|part| part.add(&mut sums, start));
            short.iter().for_each(|part| part.add(&mut sums, start));
            strip.iter_mut().zip(sums).for_each(|(coefficient, sum)| *coefficient += sum.reduced());
            for (factor, values) in &self.elements {
                let values = values.get(start..).unwrap_or_default();
                strip.iter_mut().zip(values).for_each(|(coefficient, value)| *coefficient += *factor * value);
            }
        });
        coefficients
    }
}

/// A chunk of integers of known magnitude.
struct Bounded<'a, T> {
    factor: Fr,
    values: &'a [T],
    bound: u64,
    /// What is added too much to every coefficient.
    correction: Fr,
}

impl<'a, T: Copy + Into<i64> + Sync> Bounded<'a, T> {
    fn all(chunks: &[(Fr, &'a [T])]) -> Vec<Bounded<'a, T>> {
        let of = |(factor, values): &(Fr, &'a [T])| {
            let bound = values.iter().map(|value| (*value).into().unsigned_abs()).max().unwrap_or(0);
            Bounded { factor: *factor, values, bound, correction: *factor * Fr::from(bound) }
        };
        chunks.par_iter().map(of).collect()
    }

    fn add(&self, sums: &mut [Wide], start: usize) {
        let values = self.values.get(start..).unwrap_or_default();
        for (k, sum) in sums.iter_mut().enumerate() {
            let value = values.get(k).map_or(0, |value| (*value).into());
            sum.add(&self.factor, offset(value, self.bound));
        }
    }
}

/// What the prover sends in messages 7 to 10, in order.
pub(crate) trait Messages {
    /// Takes `[S]`, `[W]` or `[W']` and gives the next challenge.
    fn point(&mut self, point: &G1Affine) -> Fr;
    /// Takes `f0, f1, s0, hint` and gives the next challenge.
    fn scalars(&mut self, scalars: [Fr; 4]) -> Fr;
}

/// Proves that `sum of f_i eq(bits(i), u) = claim`.
///
/// # Errors
/// If a challenge is one of the few that have no proof.
pub(crate) fn open(mut f: Vec<Fr>, u: &[Fr], powers: &Powers<'_>, messages: &mut impl Messages) -> Result<()> {
    let s = symmetric_quotient(&f, u);
    let zeta = messages.point(&commit(powers, &s));
    let hint = (zeta * (zeta.square() - Fr::one())).inverse().ok_or_else(unlucky)?;
    let inverse = hint * (zeta.square() - Fr::one());
    let values = [value(&f, zeta), value(&f, inverse), value(&s, zeta), value(&s, inverse)];
    let [f0, f1, s0, s1] = values;
    let delta = messages.scalars([f0, f1, s0, hint]);

    // Lp = f + delta' S, and the line through its values at zeta and 1/zeta.
    f.par_iter_mut().zip(&s).for_each(|(f, s)| *f += delta * s);
    let (y0, y1) = (f0 + delta * s0, f1 + delta * s1);
    let slope = (y0 - y1) * hint * zeta.square();
    let constant = y0 - slope * zeta;
    let mut w = f.clone();
    w[0] -= constant;
    w[1] -= slope;
    divide(&mut w, zeta);
    divide(&mut w, inverse);
    let z = messages.point(&commit(powers, &w));

    let factor = (z - zeta) * (z - inverse);
    let mut rest = f;
    rest[0] -= constant + slope * z;
    rest.par_iter_mut().zip(&w).for_each(|(rest, w)| *rest -= factor * w);
    divide(&mut rest, z);
    messages.point(&commit(powers, &rest));
    Ok(())
}

fn commit(powers: &Powers<'_>, coefficients: &[Fr]) -> G1Affine {
    msm_full(powers, coefficients).into_affine()
}

/// `S` with `f(X) p(1/X) + f(1/X) p(X) = 2 v + X S(X) + S(1/X) / X`, where `p` has the coefficients `eq(bits(i), u)`.
///
/// `p(1/X)` is a product of binomials, so `f(X) p(1/X)` takes one multiplication for each coefficient and variable.
fn symmetric_quotient(f: &[Fr], u: &[Fr]) -> Vec<Fr> {
    // Coefficients of X^(k - shift).
    let mut product = f.to_vec();
    let mut shift = 0;
    for (j, u) in u.iter().enumerate() {
        let step = 1 << j;
        let old = |k: usize| product.get(k).copied().unwrap_or_default();
        // New exponent k - (shift + step): 1 - u times the old coefficient there, u times that of the exponent + step.
        let next = |k: usize| {
            let above = old(k);
            let here = if k < step { Fr::ZERO } else { old(k - step) };
            here + *u * (above - here)
        };
        product = (0..product.len() + step).into_par_iter().with_min_len(STRIP).map(next).collect();
        shift += step;
    }
    (1..f.len()).map(|k| product[shift + k] + product[shift - k]).collect()
}

/// Value of a polynomial, by Horner's rule in strips.
fn value(coefficients: &[Fr], x: Fr) -> Fr {
    let horner = |strip: &[Fr]| strip.iter().rev().fold(Fr::zero(), |sum, coefficient| sum * x + coefficient);
    let step = x.pow([STRIP as u64]);
    let strips: Vec<Fr> = coefficients.par_chunks(STRIP).map(horner).collect();
    strips.iter().rev().fold(Fr::zero(), |sum, strip| sum * step + strip)
}

/// Divides by `X - x`, which must leave no rest; the list gets one shorter.
fn divide(coefficients: &mut Vec<Fr>, x: Fr) {
    let mut carry = Fr::zero();
    for coefficient in coefficients.iter_mut().rev() {
        carry = *coefficient + carry * x;
        *coefficient = carry;
    }
    debug_assert!(carry.is_zero(), "a division with a rest");
    coefficients.remove(0);
}
