//! Combinations of points with small or with full scalars (section 11.1): windows of signed digits, of which each sums
//! the points of every digit.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::AdditiveGroup;
use ark_ff::{PrimeField, Zero};
use rayon::prelude::*;

use crate::points::{Bases, Place, Point, sort_by_group, sum_segments, sum_segments_alone};

/// Most bits of a window.
const MAX_WINDOW: usize = 14;

/// Windows of a multiplication: how many, and of how many bits.
#[derive(Clone, Copy)]
struct Windows {
    count: usize,
    bits: usize,
}

impl Windows {
    /// The cheapest windows for `points` scalars of so many bits, a sign included.
    fn cheapest(points: usize, scalar_bits: usize) -> Windows {
        let all = (2..=MAX_WINDOW).map(|bits| Windows { count: scalar_bits.div_ceil(bits), bits });
        all.min_by_key(|windows| windows.count * (points + (1 << windows.bits)))
            .unwrap_or(Windows { count: 1, bits: 2 })
    }

    /// Buckets of a window, for the digits `1 .. 2^(bits - 1)`.
    fn buckets(self) -> usize {
        1 << (self.bits - 1)
    }

    /// The digit `raw - 2^(bits - 1)` as a bucket and a sign.
    #[inline(always)]
    fn bucket(self, raw: usize) -> Place {
        let middle = self.buckets();
        match raw {
            raw if raw > middle => Place::new(raw - middle - 1, false),
            raw if raw < middle => Place::new(middle - raw - 1, true),
            _ => Place::NONE,
        }
    }

    /// `sum over windows of 2^(bits window) sum over buckets of (bucket + 1) point`.
    fn combine(self, buckets: &[Vec<Point>]) -> G1Projective {
        let sums: Vec<G1Projective> = buckets.par_iter().map(|buckets| weighted_sum(buckets)).collect();
        sums.iter().rev().fold(G1Projective::zero(), |mut total, sum| {
            for _ in 0..self.bits {
                total.double_in_place();
            }
            total + sum
        })
    }
}

/// `sum of (index + 1) point`: rows and columns of a square first, then running sums over each side.
fn weighted_sum(points: &[Point]) -> G1Projective {
    let low_bits = points.len().ilog2() as usize / 2;
    let (low, high) = (1 << low_bits, (points.len() >> low_bits) + 1);
    let side = |count: usize, of: &dyn Fn(usize) -> usize| {
        let place = |value: usize| of(value).checked_sub(1).map_or(Place::NONE, |group| Place::new(group, false));
        let places: Vec<Place> = (1..=points.len()).map(place).collect();
        let (items, ends) = sort_by_group(&places, count - 1);
        running_sum(&sum_segments_alone(points, &items, &ends))
    };
    let mut total = side(high, &|value| value >> low_bits);
    for _ in 0..low_bits {
        total.double_in_place();
    }
    if low > 1 { total + side(low, &|value| value & (low - 1)) } else { total }
}

fn running_sum(points: &[Point]) -> G1Projective {
    let (mut running, mut total) = (G1Projective::zero(), G1Projective::zero());
    for point in points.iter().rev() {
        running += G1Affine::from(*point);
        total += running;
    }
    total
}

/// `sum of scalars[i] bases[i]` for any scalars.
pub fn msm_full<B: Bases + ?Sized>(bases: &B, scalars: &[Fr]) -> G1Projective {
    // One more than the modulus' bits, for the carry of the last digit.
    let windows = Windows::cheapest(scalars.len(), Fr::MODULUS_BIT_SIZE as usize + 1);
    // With half a window's size added to each window but the last, digits need no carry.
    let shift = (0..windows.count - 1).map(|k| windows.bits * (k + 1) - 1);
    let shift = shift.fold([0_u64; 4], |mut limbs, bit| {
        limbs[bit / 64] |= 1 << (bit % 64);
        limbs
    });
    let shifted: Vec<[u64; 4]> = scalars.par_iter().map(|scalar| add(scalar.into_bigint().0, shift)).collect();
    let buckets: Vec<Vec<Point>> = (0..windows.count)
        .into_par_iter()
        .map(|window| {
            let last = window + 1 == windows.count;
            let place = |scalar: &[u64; 4]| {
                let raw = digit(scalar, window * windows.bits, windows.bits);
                match raw.checked_sub(1) {
                    _ if !last => windows.bucket(raw),
                    Some(bucket) => Place::new(bucket, false),
                    None => Place::NONE,
                }
            };
            let places: Vec<Place> = shifted.iter().map(place).collect();
            let (items, ends) = sort_by_group(&places, windows.buckets());
            sum_segments_alone(bases, &items, &ends)
        })
        .collect();
    windows.combine(&buckets)
}

fn add(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut carry = false;
    std::array::from_fn(|k| {
        let (sum, first) = a[k].overflowing_add(b[k]);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        sum
    })
}

fn digit(limbs: &[u64; 4], at: usize, bits: usize) -> usize {
    let (limb, low) = (at / 64, at % 64);
    let high = limbs.get(limb + 1).copied().unwrap_or(0);
    let pair = u128::from(high) << 64 | u128::from(limbs[limb]);
    ((pair >> low) as usize) & ((1 << bits) - 1)
}

/// `sum of values[i] bases[i]` for integers of magnitude below `2^62`; cheap if they are small.
pub fn msm_small<B: Bases + ?Sized, T: Copy + Into<i64> + Sync>(bases: &B, values: &[T]) -> G1Projective {
    let largest = values.iter().map(|value| (*value).into().unsigned_abs()).max().unwrap_or(0);
    let bits = (u64::BITS - largest.leading_zeros()) as usize;
    // A sign, and one bit for the sum with half of each window's size.
    let windows = Windows::cheapest(values.len(), bits + 2);
    let shift = (0..windows.count).fold(0_i128, |shift, k| shift | 1 << (windows.bits * (k + 1) - 1));
    let buckets: Vec<Vec<Point>> = (0..windows.count)
        .map(|window| {
            let place = |value: &T| {
                let raw = (i128::from((*value).into()) + shift) >> (window * windows.bits);
                windows.bucket(raw as usize & ((1 << windows.bits) - 1))
            };
            let places: Vec<Place> = values.iter().map(place).collect();
            let (items, ends) = sort_by_group(&places, windows.buckets());
            sum_segments(bases, &items, &ends)
        })
        .collect();
    windows.combine(&buckets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
    use ark_ff::Field;

    /// Multiples of the generator, with infinity, equal points and opposite ones among them.
    fn points(count: u64) -> (Vec<Point>, Vec<Fr>) {
        let scalars: Vec<Fr> =
            (0..count).map(|k| [Fr::from(k * k + 1), Fr::from(3), -Fr::from(3), Fr::ZERO][k as usize % 4]).collect();
        let point = |scalar: &Fr| Point::from((G1Affine::generator() * scalar).into_affine());
        (scalars.iter().map(point).collect(), scalars)
    }

    fn expected(scalars: &[Fr], factors: impl Iterator<Item = Fr>) -> G1Projective {
        G1Projective::generator() * scalars.iter().zip(factors).map(|(scalar, factor)| *scalar * factor).sum::<Fr>()
    }

    #[test]
    fn msm_full_any_scalars_equals_sum() {
        for count in [0, 1, 2, 3, 40, 700] {
            let (points, scalars) = points(count);
            let factors: Vec<Fr> = (0..count)
                .map(|k| [Fr::from(k), -Fr::from(k + 1), Fr::from(k + 2).inverse().unwrap_or_default()][k as usize % 3])
                .collect();
            assert_eq!(msm_full(&points[..], &factors), expected(&scalars, factors.iter().copied()), "{count} points");
        }
    }

    #[test]
    fn msm_small_integers_of_any_width_equals_sum() {
        for bits in [0, 1, 2, 7, 12, 16, 31, 61] {
            let (points, scalars) = points(300);
            let value =
                |k: i64| [(1 << bits) - 1 - k % 3, -(1_i64 << bits) + k % 2, 0, k & ((1 << bits) - 1)][k as usize % 4];
            let values: Vec<i64> = (0..300).map(value).collect();
            let factors = values.iter().map(|value| Fr::from(*value));
            assert_eq!(msm_small(&points[..], &values), expected(&scalars, factors), "{bits} bits");
        }
    }
}
