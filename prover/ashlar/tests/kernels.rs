//! Kernels against the relations, summed over all corners at random points.

mod common;

use ark_ff::{One, PrimeField, Zero};
use common::field::F31;
use common::random::Random;
use common::relation::related;
use zkinfer_ashlar::kernels::{Walk, equal, mask, powers, term};
use zkinfer_ashlar::mle::{eq_index, eq_table};
use zkinfer_ashlar::program::{Axis, AxisKind, Bits, Span, Term, TermKind, Tile};

fn table(x: &[F31]) -> Vec<F31> {
    eq_table(x, 1 << x.len())
}

/// The extension of a relation by its definition.
fn brute(o: &[F31], i: &[F31], w: &[F31], holds: impl Fn(i64, i64, i64) -> bool) -> F31 {
    let (weights_o, weights_i, weights_w) = (table(o), table(i), table(w));
    let mut sum = F31::zero();
    for (at_o, a) in weights_o.iter().enumerate() {
        for (at_w, c) in weights_w.iter().enumerate() {
            let inner = weights_i.iter().enumerate();
            let inner = inner.filter(|(at_i, _)| holds(at_o as i64, *at_i as i64, at_w as i64));
            sum += *a * c * inner.map(|(_, b)| *b).sum::<F31>();
        }
    }
    sum
}

#[test]
fn equal_is_the_extension_of_equality() {
    let mut random = Random::new(1);
    for m in 1..=4 {
        let [o, i, w] = [(); 3].map(|()| random.point::<F31>(m));
        assert_eq!(equal(&o, &i, &w), brute(&o, &i, &w, |o, i, w| o == i && i == w), "{m} bits, three");
        assert_eq!(equal(&o, &i, &[]), brute(&o, &i, &[], |o, i, _| o == i), "{m} bits, without w");
        assert_eq!(equal(&o, &[], &w), brute(&o, &[], &w, |o, _, w| o == w), "{m} bits, without i");
        assert_eq!(equal(&[], &i, &w), brute(&[], &i, &w, |_, i, w| i == w), "{m} bits, without o");
    }
}

#[test]
fn mask_is_the_extension_of_below_the_bound() {
    let mut random = Random::new(2);
    for m in 0..=6 {
        let x = random.point::<F31>(m);
        for bound in 0..=(1 << m) + 1 {
            assert_eq!(mask(&x, bound), brute(&x, &[], &[], |v, _, _| v < bound as i64), "{m} bits below {bound}");
        }
    }
}

#[test]
fn powers_are_the_extensions_of_powers() {
    let mut random = Random::new(3);
    for m in 0..=5 {
        let (x, t) = (random.point::<F31>(m), random.scalar::<F31>());
        let terms: Vec<F31> = table(&x).iter().enumerate().map(|(v, weight)| *weight * power(t, v)).collect();
        for bound in 1..=1usize << m {
            let (full, below) = powers(&x, t, bound as u64);
            assert_eq!(full, terms.iter().sum(), "{m} bits");
            assert_eq!(below, terms[..bound].iter().sum(), "{m} bits below {bound}");
        }
    }
}

fn power<F: PrimeField>(t: F, exponent: usize) -> F {
    (0..exponent).fold(F::one(), |value, _| value * t)
}

fn check_walk(random: &mut Random, [mo, mi, md]: [usize; 3], walk: Walk) {
    let (o, i, d) = (random.point::<F31>(mo), random.point::<F31>(mi), random.point::<F31>(md));
    let (weights_o, weights_i, weights_d) = (table(&o), table(&i), table(&d));
    let mut sum = F31::zero();
    for (at_o, a) in weights_o.iter().enumerate().take(walk.bound.min(1 << mo) as usize) {
        for (at_d, c) in weights_d.iter().enumerate() {
            let at_i = ((at_o << walk.k) + at_d) as i64 + walk.g;
            if let Some(b) = usize::try_from(at_i).ok().and_then(|at| weights_i.get(at)) {
                sum += *a * b * c;
            }
        }
    }
    assert_eq!(walk.value(&o, &i, &d), sum, "{walk:?} with {mo} bits of o, {mi} of i, {md} of d");
}

#[test]
fn walk_is_the_extension_of_its_relation() {
    let mut random = Random::new(4);
    for sizes in (0..125).map(|at| [at % 5, at / 5 % 5, at / 25]) {
        let [mo, _, md] = sizes;
        for k in 0..=4 {
            for g in -9..=if md == 0 { 9 } else { 0 } {
                for bound in 1..=1 << mo {
                    check_walk(&mut random, sizes, Walk { k, g, bound });
                }
            }
        }
    }
}

#[test]
fn walk_with_large_offsets_and_kernels() {
    let mut random = Random::new(5);
    for g in [-127, -128 + 64, -65, -1, 0, 1, 64, 126, 127] {
        for md in [0, 6, 7] {
            if g <= 0 || md == 0 {
                for (mo, mi, k) in [(7, 7, 0), (6, 8, 2), (8, 5, 0), (3, 9, 4), (0, 7, 0), (7, 0, 1), (5, 7, 1)] {
                    for bound in [1, (1 << mo) / 2 + 1, (1 << mo) - 1, 1 << mo] {
                        check_walk(&mut random, [mo, mi, md], Walk { k, g, bound: bound.max(1) });
                    }
                }
            }
        }
    }
}

#[test]
fn walk_carry_out_is_no_relation() {
    // i has one bit: 2 o + d = 2 needs a second one.
    let corner = |value: u64, bits: usize| (0..bits).map(|j| F31::from(value >> j & 1)).collect::<Vec<_>>();
    let walk = Walk { k: 1, g: 0, bound: 2 };
    for (o, i, d) in (0..16).map(|at| (at & 1, at >> 1 & 1, at >> 2)) {
        let expected = F31::from(i == 2 * o + d);
        assert_eq!(walk.value(&corner(o, 1), &corner(i, 1), &corner(d, 2)), expected, "o {o}, i {i}, d {d}");
    }
}

#[test]
fn walk_negative_places_are_no_relation() {
    let corner = |value: u64| (0..2).map(|j| F31::from(value >> j & 1)).collect::<Vec<_>>();
    let walk = Walk { k: 0, g: -3, bound: 4 };
    for (o, i, d) in (0..64).map(|at| (at & 3, at >> 2 & 3, at >> 4)) {
        let expected = F31::from((o + d) as i64 - 3 == i as i64);
        assert_eq!(walk.value(&corner(o), &corner(i), &corner(d)), expected, "o {o}, i {i}, d {d}");
    }
}

#[test]
fn fix_is_the_extension_of_a_constant() {
    let mut random = Random::new(6);
    for m in 0..=5 {
        let x = random.point::<F31>(m);
        for (constant, weight) in table(&x).into_iter().enumerate() {
            assert_eq!(eq_index(constant as u64, &x), weight);
        }
    }
}

/// A term with random axes on up to six bits of o and of i, and random tiles.
struct Draft {
    term: Term,
    o: usize,
    i: usize,
}

fn random_term(random: &mut Random, kind: TermKind) -> Draft {
    let (mut o, mut i, mut axes) = (0, 0, Vec::new());
    let range = |at: &mut usize, bits: usize| {
        let first = if bits == 0 { 0 } else { *at as u8 };
        *at += bits;
        Bits { first, bits: bits as u8 }
    };
    let weights = kind != TermKind::Cells;
    let source = kind != TermKind::Bias;
    for _ in 0..random.between(1, 3) {
        let m = random.between(1, 2) as usize;
        let none = Axis { kind: AxisKind::Eq, o: Bits::default(), i: Bits::default(), w: 0, k: 0, g: 0, bound: 0 };
        let axis = match random.below(if source { 7 } else { 2 }) {
            0 => Axis {
                kind: AxisKind::Mask,
                o: range(&mut o, m),
                bound: random.between(1, (1 << m) - 1) as u32,
                ..none
            },
            1 if weights => Axis { o: range(&mut o, m), w: m as u8, ..none },
            2 if weights => Axis { i: range(&mut i, m), w: m as u8, ..none },
            3 if weights => Axis { o: range(&mut o, m), i: range(&mut i, m), w: m as u8, ..none },
            4 => Axis { kind: AxisKind::Free, i: range(&mut i, m), ..none },
            5 => Axis { kind: AxisKind::Fix, i: range(&mut i, m), g: random.between(0, (1 << m) - 1) as i32, ..none },
            _ if source => Axis { o: range(&mut o, m), i: range(&mut i, m), ..none },
            _ => continue,
        };
        axes.push(axis);
    }
    for _ in 0..if source { random.between(0, 2) } else { 0 } {
        let (mo, mi) = (random.between(0, 2) as usize, random.between(0, 2) as usize);
        let w = if weights { random.between(0, 2) as u8 } else { 0 };
        axes.push(Axis {
            kind: AxisKind::Walk,
            o: range(&mut o, mo),
            i: range(&mut i, mi),
            w,
            k: random.between(0, 2) as u8,
            g: random.between(-3, if w > 0 { 0 } else { 3 }) as i32,
            bound: random.between(1, 1 << mo) as u32,
        });
    }
    o += random.between(0, 1) as usize; // a bit that no axis names: the term is broadcast along it
    let tiles = if weights { random_tiles(random, &axes) } else { Vec::new() };
    let coef = 1;
    Draft { term: Term { kind, source: source.then_some(0), coef, axes, tiles }, o, i }
}

/// One or two tiles that share no weight, at aligned places of an F of 2^9.
fn random_tiles(random: &mut Random, axes: &[Axis]) -> Vec<Tile> {
    let cut = axes.iter().position(|axis| axis.w > 0 && axis.kind != AxisKind::Walk);
    let whole = |axis: &Axis| Span { start: 0, bits: axis.w };
    let spans: Vec<Span> = axes.iter().filter(|axis| axis.w > 0).map(whole).collect();
    let place = |random: &mut Random, spans: Vec<Span>, half: u64| {
        let bits: u32 = spans.iter().map(|span| u32::from(span.bits)).sum();
        assert!(bits <= 8);
        Tile { off: (half * 256 + (random.below(1 << (8 - bits)) << bits)) as u32, spans }
    };
    // Weighted axes that may be cut come before the ones of WALK, so the first span belongs to the first of them.
    if cut.is_none() || random.below(2) == 0 {
        return vec![place(random, spans, 0)];
    }
    let bits = random.between(0, i64::from(spans[0].bits) - 1) as u8;
    let starts = [0, (1 << bits) * random.between(1, (1 << (spans[0].bits - bits)) - 1) as u32];
    let half = |at: usize| {
        let mut spans = spans.clone();
        spans[0] = Span { start: starts[at], bits };
        spans
    };
    let (first, second) = (half(0), half(1));
    vec![place(random, first, 0), place(random, second, 1)]
}

#[test]
fn term_is_the_extension_of_its_relation() {
    let mut random = Random::new(7);
    let mut tried = 0;
    for round in 0..3000 {
        let kind = [TermKind::Weights, TermKind::Cells, TermKind::Bias][round % 3];
        let Draft { term: of, o, i } = random_term(&mut random, kind);
        if of.tiles.iter().any(|tile| tile.bits() > 6) || o + i > 8 {
            continue;
        }
        tried += 1;
        let (tau, rho, sigma) = (random.point::<F31>(o), random.point::<F31>(i), random.point::<F31>(9));
        let (weights_o, weights_i, weights_f) = (table(&tau), table(&rho), table(&sigma));
        let mut sum = F31::zero();
        for (at_o, a) in weights_o.iter().enumerate() {
            for (at_i, b) in weights_i.iter().enumerate() {
                let (at_o, at_i) = (at_o as u64, at_i as u64);
                if of.tiles.is_empty() && related(&of, None, at_o, at_i) {
                    sum += *a * b;
                }
                for tile in &of.tiles {
                    for place in (0..1 << tile.bits()).filter(|place| related(&of, Some((tile, *place)), at_o, at_i)) {
                        sum += *a * b * weights_f[tile.off as usize + place as usize];
                    }
                }
            }
        }
        assert_eq!(term(&of, &tau, &rho, &sigma), sum, "{of:?}");
    }
    assert!(tried > 2000, "{tried} terms were small enough");
}

#[test]
fn free_axis_is_one() {
    let axis =
        Axis { kind: AxisKind::Free, o: Bits::default(), i: Bits { first: 0, bits: 2 }, w: 0, k: 0, g: 0, bound: 0 };
    let rho = Random::new(8).point::<F31>(2);
    assert_eq!(zkinfer_ashlar::kernels::axis(&axis, &[], &rho, &[]), F31::one());
}
