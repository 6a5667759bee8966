//! Sums of many points, affine, with shared inversions (Montgomery's trick): about six multiplications an addition.
//!
//! A sum of points is one point however it is computed, so neither threads nor batches change a byte.

use ark_bn254::{Fq, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInt, Field, Fp, PrimeField, Zero, batch_inversion};
use rayon::prelude::*;

/// Additions that share one inversion.
const BATCH: usize = 1024;
/// Fewer items than this are summed by one thread.
const PARALLEL: usize = 1 << 12;

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

impl From<G1Affine> for Point {
    fn from(point: G1Affine) -> Point {
        point.xy().map_or(Point::INFINITY, |(x, y)| Point { x, y })
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
pub(crate) struct Item(u32);

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
pub(crate) fn sum_segments<B: Bases + ?Sized>(bases: &B, items: &[Item], ends: &[usize]) -> Vec<Point> {
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

pub(crate) fn sum_segments_alone<B: Bases + ?Sized>(bases: &B, items: &[Item], ends: &[usize]) -> Vec<Point> {
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
pub(crate) struct Place(u32);

impl Place {
    /// No group.
    pub const NONE: Place = Place(u32::MAX);

    /// A group and a sign.
    #[inline(always)]
    pub fn new(group: usize, negative: bool) -> Place {
        Place((group as u32) << 1 | u32::from(negative))
    }

    fn group(self) -> usize {
        (self.0 >> 1) as usize
    }
}

/// Sorts items by group, stably, without those of no group. Returns items and ends of the groups' segments.
pub(crate) fn sort_by_group(places: &[Place], groups: usize) -> (Vec<Item>, Vec<usize>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{Fr, G1Projective};
    use ark_ec::{CurveGroup, PrimeGroup};

    #[test]
    fn grouped_sums_with_empty_groups_and_one_large_group_equal_sums() {
        // Infinity, equal points and opposite ones are among them.
        let scalar = |k: u64| [Fr::from(k), Fr::from(3), -Fr::from(3), Fr::ZERO][k as usize % 4];
        let scalars: Vec<Fr> = (0..20_000).map(scalar).collect();
        let point = |scalar: &Fr| (G1Affine::generator() * scalar).into_affine();
        let points: Vec<Point> = scalars.iter().map(|scalar| Point::from(point(scalar))).collect();
        let groups: Vec<u32> = (0..20_000).map(|k| if k % 3 == 0 { 5 } else { k % 50 * 2 }).collect();
        let mut expected = vec![Fr::ZERO; 101];
        groups.iter().zip(&scalars).for_each(|(group, scalar)| expected[*group as usize] += scalar);
        for (sum, scalar) in grouped_sums(&points[..], &groups, 101).iter().zip(expected) {
            assert_eq!(G1Affine::from(*sum), (G1Projective::generator() * scalar).into_affine());
        }
    }
}
