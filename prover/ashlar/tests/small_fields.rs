//! The protocol over small fields (section 12.5): how often a lie is accepted, against the bound of section 8.3.
//!
//! `ASHLAR_ATTEMPTS` sets how many attempts the long tests make with each lie; they are ignored by default.

mod common;

use ark_ff::PrimeField;
use common::encode::code;
use common::field::{F13, F31};
use common::programs::{Sample, Wish, sample};
use common::random::Random;
use common::slow::Slow;
use common::slow::group::Ideal;
use common::slow::lies::{Lie, harmless, refused};
use common::{Vector, integers, ordinary, vector};
use zkinfer_ashlar::program::{Mode, Program};
use zkinfer_ashlar::shape::Shape;

fn slow<F: PrimeField>(vector: &Vector, tau: u64) -> Slow<Ideal<F>> {
    Slow::new(vector.loaded().program, integers(&vector.json["weights"]), F::from(tau), &[0; 128])
}

/// Attempts with other transcripts, and how many of them were accepted.
fn attempts<F: PrimeField>(slow: &Slow<Ideal<F>>, input: &[i64], lie: Lie, count: usize) -> (usize, usize) {
    let mut random = Random::new(0x5eed);
    let (mut made, mut accepted) = (0, 0);
    for _ in 0..count {
        let context: [u8; 32] = std::array::from_fn(|_| random.next_u64() as u8);
        if let Some(proved) = slow.prove(input, &context, lie) {
            made += 1;
            accepted += usize::from(slow.verify(&proved).is_ok());
        }
    }
    assert!(made > count / 2, "{lie:?}: a prover stops seldom");
    (made, accepted)
}

/// The sum of the errors of section 8.3, times the size of the field.
fn bound(program: &Program) -> f64 {
    let shape = Shape::new(program);
    let (cells, rows, degree) = (1 << shape.n, 1 << shape.nt, (1 << shape.c) + 64);
    let lookups = 2 * rows + 2 * (2 * cells + rows);
    let batch = shape.constraints + 5 + shape.taus + (1 << shape.input_bits);
    let sums = 3 * shape.rounds_a + 11 + 2 * shape.nb;
    (lookups + batch + sums + 2 * (degree + 2) + 4 + degree + 2) as f64
}

/// Refuses rates of acceptance that are above the bound of a field of this size, by more than chance makes them.
fn check_rates<F: PrimeField>(names: &[&str], size: f64, count: usize) {
    for vector in names.iter().map(|name| vector(name)) {
        let slow = slow::<F>(&vector, 1234);
        let rate = bound(&slow.program) / size;
        for lie in refused(&slow.program) {
            let (made, accepted) = attempts(&slow, &vector.input, lie, count);
            let most = rate * made as f64 + 4.0 * (rate * made as f64).sqrt();
            assert!((accepted as f64) <= most, "{}, {lie:?}: {accepted} of {made}, bound {most}", vector.name);
        }
    }
}

#[test]
fn honest_proofs_are_accepted() {
    for vector in ordinary() {
        let large = slow::<F31>(&vector, 99);
        for lie in [vec![Lie::None], harmless(&large.program)].concat() {
            let (made, accepted) = attempts(&large, &vector.input, lie, 10);
            assert_eq!(made, accepted, "{}, {lie:?}", vector.name);
        }
        let tiny = slow::<F13>(&vector, 99);
        let (made, accepted) = attempts(&tiny, &vector.input, Lie::None, 20);
        assert_eq!(made, accepted, "{}, 13 bits", vector.name);
    }
}

#[test]
fn lies_are_refused_over_31_bits() {
    for vector in ordinary() {
        let slow = slow::<F31>(&vector, 1234);
        for lie in refused(&slow.program) {
            assert_eq!(attempts(&slow, &vector.input, lie, 4).1, 0, "{}, {lie:?}", vector.name);
        }
    }
}

#[test]
fn lies_are_accepted_within_the_bound_over_13_bits() {
    check_rates::<F13>(&["wide_public_1", "mlp_committed_1"], 8191.0, 150);
}

/// Where the bound is tight, the errors are seen: the test can fail.
#[test]
fn wrong_sum_of_a_is_accepted_as_often_as_the_bound_says() {
    let vector = vector("mlp_public_1");
    let slow = slow::<F13>(&vector, 1234);
    let (made, accepted) = attempts(&slow, &vector.input, Lie::RoundsFitAWrongClaim, 3000);
    let expected = 3.0 * Shape::new(&slow.program).rounds_a as f64 / 8191.0 * made as f64;
    let (low, high) = (expected - 3.5 * expected.sqrt(), expected + 3.5 * expected.sqrt());
    assert!(accepted > 0 && (low..high).contains(&(accepted as f64)), "{accepted} of {made}, expected {expected}");
}

#[test]
fn wrong_value_of_the_opening_is_accepted_as_often_as_the_bound_says() {
    let vector = vector("wide_public_1");
    let slow = slow::<F13>(&vector, 1234);
    for guesses in [16, 64] {
        let (made, accepted) = attempts(&slow, &vector.input, Lie::SRepairedAtGuess(guesses), 3000);
        let expected = 2.0 * guesses as f64 / 8191.0 * made as f64;
        let (low, high) = (expected - 4.0 * expected.sqrt(), expected + 4.0 * expected.sqrt());
        assert!(accepted > 0 && (low..high).contains(&(accepted as f64)), "{guesses}: {accepted}, expected {expected}");
    }
}

const MODES: [Mode; 3] = [Mode::Public, Mode::Hashed, Mode::Private];

/// A random program: its honest and harmless proofs are accepted, all lies are refused.
fn check_program(seed: u64, wish: Wish) {
    let Sample { program, weights, input, outputs, .. } = sample(seed, wish);
    Program::from_code(&code(&program)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let slow = Slow::<Ideal<F31>>::new(program, weights, F31::from(77), &[0; 128]);
    let context = [seed as u8; 32];
    for lie in [vec![Lie::None], harmless(&slow.program)].concat() {
        let proved = slow.prove(&input, &context, lie).expect("no challenge is 0");
        assert_eq!(proved.outputs, outputs, "seed {seed}");
        assert_eq!(slow.verify(&proved), Ok(()), "seed {seed}, {lie:?}");
    }
    for lie in refused(&slow.program) {
        if let Some(proved) = slow.prove(&input, &context, lie) {
            assert!(slow.verify(&proved).is_err(), "seed {seed}, {lie:?}: accepted");
        }
    }
}

fn wish(seed: u64, mode: Mode) -> Wish {
    Wish { mode, spare: ((seed / 3 % 4) as u8, (seed / 5 % 3) as u8), c: 4 + (seed % 4) as u8 }
}

#[test]
fn random_programs_have_proofs_and_no_lies() {
    for seed in 0..18 {
        check_program(seed, wish(seed, MODES[seed as usize % 3]));
    }
}

#[test]
#[ignore = "takes long"]
fn many_random_programs_have_proofs_and_no_lies() {
    for seed in 18..1000 {
        check_program(seed, wish(seed, MODES[seed as usize % 3]));
    }
}

/// Checks the first random programs, in every mode, that `wanted` names.
fn check_programs(count: usize, wanted: impl Fn(&Program) -> bool) {
    for mode in MODES {
        let seeds = (1000..).filter(|seed| wanted(&sample(*seed, wish(*seed, mode)).program));
        seeds.take(count).for_each(|seed| check_program(seed, wish(seed, mode)));
    }
}

#[test]
fn n_above_nt() {
    check_programs(2, |program| program.header.n > program.header.nt);
}

#[test]
fn n_equals_nt() {
    check_programs(2, |program| program.header.n == program.header.nt);
}

#[test]
fn one_cell_input() {
    check_programs(2, |program| program.input.bits == 0);
}

#[test]
fn wide_output() {
    let wide = |program: &Program, bits: u8| bits > program.header.n.max(program.header.nt);
    check_programs(1, |program| program.outputs.iter().any(|output| wide(program, output.bits)));
}

fn many() -> usize {
    std::env::var("ASHLAR_ATTEMPTS").map_or(20_000, |text| text.parse().expect("a number"))
}

#[test]
#[ignore = "takes long"]
fn many_attempts_over_13_bits() {
    check_rates::<F13>(&["wide_public_1", "mlp_public_1", "mlp_committed_1", "mlp_private_1"], 8191.0, many());
}

#[test]
#[ignore = "takes long"]
fn many_attempts_over_31_bits() {
    check_rates::<F31>(&["wide_public_1", "mlp_public_1", "cnn_public_1"], 2_147_483_647.0, many());
}
