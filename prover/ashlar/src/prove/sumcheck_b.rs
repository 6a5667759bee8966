//! Sumcheck B: all claims about the committed vectors at once (sections 6.3 and 11.2).
//!
//! Each vector is summed with its own length; above it a round only adds its claim. Integers stay integers in the
//! first round that touches them.

use ark_bn254::Fr;
use ark_ff::{One, Zero};
use rayon::prelude::*;

use crate::small::{Wide, offset};

/// Pairs that a thread takes at a time.
const STRIP: usize = 1 << 11;

/// A committed vector.
pub(crate) enum Vector<'a> {
    /// Weights.
    Long(&'a [i64]),
    /// Values of cells, counts.
    Short(&'a [i32]),
    /// Elements.
    Elements(Vec<Fr>),
}

/// `sum of f(w) K(w)` for a vector f and its kernel.
pub(crate) struct Product<'a> {
    vector: Vector<'a>,
    kernel: Vec<Fr>,
    /// What the kernel and the vector have to be multiplied by: challenges of rounds above their length.
    scale: Fr,
    claim: Fr,
    round: [Fr; 2],
}

impl<'a> Product<'a> {
    /// A vector, a kernel as long, and the value of their product.
    pub fn new(vector: Vector<'a>, kernel: Vec<Fr>, claim: Fr) -> Product<'a> {
        Product { vector, kernel, scale: Fr::one(), claim, round: [Fr::zero(); 2] }
    }

    /// `c0` and `c2` of round `j`.
    fn quadratic(&mut self, j: usize) -> [Fr; 2] {
        let half = 1 << j;
        self.round = if self.kernel.len() <= half {
            [self.claim, self.claim]
        } else {
            let sums = match &self.vector {
                Vector::Long(values) => integer_sums(values, &self.kernel, half),
                Vector::Short(values) => integer_sums(values, &self.kernel, half),
                Vector::Elements(values) => element_sums(values, &self.kernel, half),
            };
            sums.map(|sum| self.scale * sum)
        };
        self.round
    }

    fn bind(&mut self, j: usize, sigma: Fr) {
        let half = 1 << j;
        let [first, last] = self.round;
        let middle = self.claim - first - first - last;
        self.claim = first + sigma * (middle + sigma * last);
        if self.kernel.len() <= half {
            self.scale *= (Fr::one() - sigma) * (Fr::one() - sigma);
            return;
        }
        self.vector = Vector::Elements(match &mut self.vector {
            Vector::Long(values) => folded_integers(values, half, sigma),
            Vector::Short(values) => folded_integers(values, half, sigma),
            Vector::Elements(values) => {
                fold(values, half, sigma);
                std::mem::take(values)
            }
        });
        fold(&mut self.kernel, half, sigma);
    }
}

/// Runs all `rounds`; `challenge` takes `c0, c2` and gives the value of the variable. Returns sigma.
pub(crate) fn run(products: &mut [Product<'_>], rounds: usize, mut challenge: impl FnMut([Fr; 2]) -> Fr) -> Vec<Fr> {
    let mut sigma = vec![Fr::zero(); rounds];
    for j in (0..rounds).rev() {
        let [c0, c2] = products.iter_mut().map(|product| product.quadratic(j)).fold([Fr::zero(); 2], plus);
        sigma[j] = challenge([c0, c2]);
        products.iter_mut().for_each(|product| product.bind(j, sigma[j]));
    }
    sigma
}

fn plus(a: [Fr; 2], b: [Fr; 2]) -> [Fr; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// Element `index` of a list that goes on with zeros.
fn or_zero<T: Copy + Default>(list: &[T], index: usize) -> T {
    list.get(index).copied().unwrap_or_default()
}

/// Sums `sum of low low` and `sum of (high - low) (high - low)` over strips of indices below `half`.
fn strips(half: usize, strip: impl Fn(std::ops::Range<usize>) -> [Fr; 2] + Sync + Send) -> [Fr; 2] {
    let ranges = (0..half.div_ceil(STRIP)).into_par_iter().map(|k| k * STRIP..half.min((k + 1) * STRIP));
    ranges.map(strip).reduce(|| [Fr::zero(); 2], plus)
}

fn element_sums(values: &[Fr], kernel: &[Fr], half: usize) -> [Fr; 2] {
    strips(half, |range| {
        range.fold([Fr::zero(); 2], |sums, k| {
            let (low, weight) = (values[k], kernel[k]);
            let (high, above) = (or_zero(values, k + half), or_zero(kernel, k + half));
            plus(sums, [low * weight, (high - low) * (above - weight)])
        })
    })
}

fn integer_sums<T: Copy + Default + Into<i64> + Sync>(values: &[T], kernel: &[Fr], half: usize) -> [Fr; 2] {
    let bound = largest(values);
    strips(half, |range| {
        let (mut lows, mut steps) = (Wide::default(), Wide::default());
        let (mut low_total, mut step_total) = (Fr::zero(), Fr::zero());
        for k in range {
            let weight = or_zero(kernel, k);
            let step = or_zero(kernel, k + half) - weight;
            let (low, high): (i64, i64) = (or_zero(values, k).into(), or_zero(values, k + half).into());
            lows.add(&weight, offset(low, bound));
            steps.add(&step, offset(high - low, 2 * bound));
            low_total += weight;
            step_total += step;
        }
        let bound = Fr::from(bound);
        [lows.reduced() - low_total * bound, steps.reduced() - step_total * (bound + bound)]
    })
}

fn largest<T: Copy + Into<i64> + Sync>(values: &[T]) -> u64 {
    values.par_iter().with_min_len(STRIP).map(|value| (*value).into().unsigned_abs()).max().unwrap_or(0)
}

fn folded_integers<T: Copy + Default + Into<i64> + Sync>(values: &[T], half: usize, sigma: Fr) -> Vec<Fr> {
    let bound = largest(values);
    let (rest, correction) = (Fr::one() - sigma, Fr::from(bound));
    let pair = |k: usize| {
        let mut sum = Wide::default();
        sum.add(&rest, offset(or_zero(values, k).into(), bound));
        sum.add(&sigma, offset(or_zero(values, k + half).into(), bound));
        sum.reduced_short() - correction
    };
    (0..half).into_par_iter().with_min_len(STRIP).map(pair).collect()
}

/// Binds the highest variable of a list longer than `half`, which goes on with zeros.
fn fold(list: &mut Vec<Fr>, half: usize, x: Fr) {
    let (low, high) = list.split_at_mut(half);
    let (pairs, alone) = low.split_at_mut(high.len());
    pairs.par_iter_mut().with_min_len(STRIP).zip(high).for_each(|(low, high)| *low += x * (*high - *low));
    let rest = Fr::one() - x;
    alone.par_iter_mut().with_min_len(STRIP).for_each(|low| *low *= rest);
    list.truncate(half);
}
