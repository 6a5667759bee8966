//! Sums of many points: groups of points, and combinations with small or with full scalars (section 11.1).
//!
//! All additions are affine and share inversions (Montgomery's trick), about six multiplications each. A sum of
//! points is one point however it is computed, so neither threads nor batches change a byte.

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::AdditiveGroup;
use ark_ff::{BigInt, Field, Fp, PrimeField, Zero, batch_inversion};
use rayon::prelude::*;

/// Additions that share one inversion.
const BATCH: usize = 1024;
/// Fewer items than this are summed by one thread.
const PARALLEL: usize = 1 << 12;
/// Most bits of a window.
const MAX_WINDOW: usize = 14;

/// An affine point in 64 bytes; `(0, 0)`, which is not on the curve, is infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// First coordinate.
    pub x: Fq,
    /// Second coordinate.
    pub y: Fq,
}

impl Point {
    /// The neutral element.
    pub const INFINITY: Point = Point { x: Fq::ZERO, y: Fq::ZERO };

    /// Whether this is the neutral element.
    pub fn is_infinity(&self) -> bool {
        self.x.is_zero() && self.y.is_zero()
    }

    fn negated(self) -> Point {
        Point { x: self.x, y: -self.y }
    }
}

impl From<Point> for G1Affine {
    fn from(point: Point) -> G1Affine {
        if point.is_infinity() { G1Affine::identity() } else { G1Affine::new_unchecked(point.x, point.y) }
    }
}

/// A list of points, however it is stored.
pub trait Bases: Sync {
    /// Point `index`.
    fn point(&self, index: usize) -> Point;
}

impl Bases for [Point] {
    fn point(&self, index: usize) -> Point {
        self[index]
    }
}

/// A point of a list, or its negative.
#[derive(Clone, Copy)]
struct Item(u32);

impl Item {
    fn new(index: usize, negative: bool) -> Item {
        Item((index as u32) << 1 | u32::from(negative))
    }

    fn point<B: Bases + ?Sized>(self, bases: &B) -> Point {
        let point = bases.point((self.0 >> 1) as usize);
        if self.0 & 1 == 1 { point.negated() } else { point }
    }
}

/// Products that are computed side by side, so that one need not wait for the other.
const CHAINS: usize = 4;

/// Pending additions, whose results go to places of a list.
struct Adder {
    pairs: Vec<(Point, Point)>,
    targets: Vec<u32>,
    divisors: Vec<Fq>,
    prefixes: Vec<Fq>,
}

impl Adder {
    fn new() -> Adder {
        Adder {
            pairs: Vec::with_capacity(BATCH),
            targets: Vec::with_capacity(BATCH),
            divisors: Vec::with_capacity(BATCH),
            prefixes: Vec::with_capacity(BATCH),
        }
    }

    fn push(&mut self, a: Point, b: Point, target: usize, points: &mut [Point]) {
        self.pairs.push((a, b));
        self.targets.push(target as u32);
        if self.pairs.len() == BATCH {
            self.flush(points);
        }
    }

    fn flush(&mut self, points: &mut [Point]) {
        self.divisors.clear();
        self.divisors.extend(self.pairs.iter().map(|(a, b)| divisor(a, b)));
        self.prefixes.clear();
        let mut products = [Fq::ONE; CHAINS];
        for (k, divisor) in self.divisors.iter().enumerate() {
            self.prefixes.push(products[k % CHAINS]);
            products[k % CHAINS] *= divisor;
        }
        let mut inverses = products;
        batch_inversion(&mut inverses);
        for (k, (a, b)) in self.pairs.iter().enumerate().rev() {
            let inverse = inverses[k % CHAINS] * self.prefixes[k];
            inverses[k % CHAINS] *= self.divisors[k];
            points[self.targets[k] as usize] = sum(a, b, inverse);
        }
        self.pairs.clear();
        self.targets.clear();
    }
}

/// `a - b` without a branch, which would be mispredicted half of the time.
#[inline(always)]
fn minus(a: Fq, b: Fq) -> Fq {
    let (mut limbs, mut borrow) = ([0_u64; 4], 0_u64);
    for (limb, (a, b)) in limbs.iter_mut().zip(a.0.0.iter().zip(b.0.0)) {
        let difference = u128::from(*a).wrapping_sub(u128::from(b)).wrapping_sub(u128::from(borrow));
        *limb = difference as u64;
        borrow = (difference >> 64) as u64 & 1;
    }
    let mask = borrow.wrapping_neg();
    let mut carry = 0;
    for (limb, modulus) in limbs.iter_mut().zip(Fq::MODULUS.0) {
        let sum = u128::from(*limb) + u128::from(modulus & mask) + carry;
        *limb = sum as u64;
        carry = sum >> 64;
    }
    Fp::new_unchecked(BigInt(limbs))
}

/// What an addition divides by, 1 if it needs no division.
fn divisor(a: &Point, b: &Point) -> Fq {
    let difference = minus(b.x, a.x);
    if !difference.is_zero() {
        return if a.is_infinity() || b.is_infinity() { Fq::ONE } else { difference };
    }
    if a.y == b.y && !a.y.is_zero() { a.y.double() } else { Fq::ONE }
}

/// `a + b`, with the inverse of their [`divisor`].
fn sum(a: &Point, b: &Point, inverse: Fq) -> Point {
    if a.is_infinity() {
        return *b;
    }
    if b.is_infinity() {
        return *a;
    }
    let slope = if a.x != b.x {
        minus(b.y, a.y) * inverse
    } else if a.y == b.y {
        let square = a.x.square();
        (square.double() + square) * inverse
    } else {
        return Point::INFINITY;
    };
    let x = minus(minus(slope.square(), a.x), b.x);
    Point { x, y: minus(slope * minus(a.x, x), a.y) }
}

/// The sum of each segment of `items`; `ends` are the ends of the segments.
fn sum_segments<B: Bases + ?Sized>(bases: &B, items: &[Item], ends: &[usize]) -> Vec<Point> {
    if items.len() < 2 * PARALLEL || rayon::current_num_threads() == 1 {
        return sum_segments_alone(bases, items, ends);
    }
    let parts = (items.len() / PARALLEL).min(4 * rayon::current_num_threads());
    let bounds: Vec<usize> = (0..=parts).map(|part| items.len() * part / parts).collect();
    let first_of = |at: usize| ends.partition_point(|end| *end <= at);
    let sums: Vec<(usize, Vec<Point>)> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let (low, high) = (bounds[part], bounds[part + 1]);
            let (first, last) = (first_of(low), first_of(high - 1));
            let local: Vec<usize> = ends[first..=last].iter().map(|end| (*end).min(high) - low).collect();
            (first, sum_segments_alone(bases, &items[low..high], &local))
        })
        .collect();
    let mut total = vec![Point::INFINITY; ends.len()];
    for (first, sums) in sums {
        for (target, point) in total[first..].iter_mut().zip(sums) {
            *target = if target.is_infinity() {
                point
            } else {
                let inverse = divisor(target, &point).inverse().unwrap_or(Fq::ONE);
                sum(target, &point, inverse)
            };
        }
    }
    total
}

fn sum_segments_alone<B: Bases + ?Sized>(bases: &B, items: &[Item], ends: &[usize]) -> Vec<Point> {
    let mut adder = Adder::new();
    let mut points = vec![Point::INFINITY; items.len().div_ceil(2) + ends.len()];
    let mut lengths = Vec::with_capacity(ends.len());
    let (mut start, mut write) = (0, 0);
    for end in ends {
        for pair in items[start..*end].chunks(2) {
            match pair {
                [a, b] => adder.push(a.point(bases), b.point(bases), write, &mut points),
                [a, ..] => points[write] = a.point(bases),
                [] => {}
            }
            write += 1;
        }
        lengths.push((end - start).div_ceil(2));
        start = *end;
    }
    adder.flush(&mut points);
    while lengths.iter().any(|length| *length > 1) {
        let (mut read, mut write) = (0, 0);
        for length in &mut lengths {
            for k in 0..*length / 2 {
                adder.push(points[read + 2 * k], points[read + 2 * k + 1], write, &mut points);
                write += 1;
            }
            if *length % 2 == 1 {
                points[write] = points[read + *length - 1];
                write += 1;
            }
            read += *length;
            *length = length.div_ceil(2);
        }
        adder.flush(&mut points);
    }
    let mut read = 0;
    let mut take = |length: &usize| {
        read += length;
        if *length == 0 { Point::INFINITY } else { points[read - 1] }
    };
    lengths.iter().map(&mut take).collect()
}

/// A group and a sign in one number; [`Place::NONE`] is no group.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const NONE: Place = Place(u32::MAX);

    #[inline(always)]
    fn new(group: usize, negative: bool) -> Place {
        Place((group as u32) << 1 | u32::from(negative))
    }

    fn group(self) -> usize {
        (self.0 >> 1) as usize
    }
}

/// Sorts items by group, stably, without those of no group. Returns items and ends of the groups' segments.
fn sort_by_group(places: &[Place], groups: usize) -> (Vec<Item>, Vec<usize>) {
    let mut next = vec![0; groups + 1];
    for place in places.iter().filter(|place| **place != Place::NONE) {
        next[place.group() + 1] += 1;
    }
    for group in 0..groups {
        next[group + 1] += next[group];
    }
    let mut items = vec![Item(0); next[groups]];
    for (index, place) in places.iter().enumerate().filter(|(_, place)| **place != Place::NONE) {
        let target = &mut next[place.group()];
        items[*target] = Item::new(index, place.0 & 1 == 1);
        *target += 1;
    }
    next.pop();
    (items, next)
}

/// The sum of the points of each group: point `i` of the bases belongs to group `groups[i]` of `count`.
pub fn grouped_sums<B: Bases + ?Sized>(bases: &B, groups: &[u32], count: usize) -> Vec<Point> {
    let places: Vec<Place> = groups.iter().map(|group| Place::new(*group as usize, false)).collect();
    let (items, ends) = sort_by_group(&places, count);
    sum_segments(bases, &items, &ends)
}

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
    use ark_bn254::G1Affine;
    use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};

    /// Multiples of the generator, with infinity, equal points and opposite ones among them.
    fn points(count: u64) -> (Vec<Point>, Vec<Fr>) {
        let scalars: Vec<Fr> =
            (0..count).map(|k| [Fr::from(k * k + 1), Fr::from(3), -Fr::from(3), Fr::ZERO][k as usize % 4]).collect();
        let point = |scalar: &Fr| {
            let point = (G1Affine::generator() * scalar).into_affine();
            point.xy().map_or(Point::INFINITY, |(x, y)| Point { x, y })
        };
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

    #[test]
    fn grouped_sums_with_empty_groups_and_one_large_group_equal_sums() {
        let (points, scalars) = points(20_000);
        let groups: Vec<u32> = (0..20_000).map(|k| if k % 3 == 0 { 5 } else { k % 50 * 2 }).collect();
        let sums = grouped_sums(&points[..], &groups, 101);
        for (group, sum) in sums.iter().enumerate() {
            let own = groups.iter().map(|of| Fr::from(u64::from(*of as usize == group)));
            assert_eq!(G1Projective::from(G1Affine::from(*sum)), expected(&scalars, own), "group {group}");
        }
    }
}
