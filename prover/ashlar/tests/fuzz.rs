//! Random changes of good proofs, statements and keys: all refused, none a panic.
//!
//! `ASHLAR_MUTANTS` sets how many of the long test; it is ignored by default.

mod common;

use common::mutate::with_right_hint;
use common::random::Random;
use common::{Vector, vectors};
use zkinfer_ashlar::program::Key;
use zkinfer_ashlar::shape::Shape;
use zkinfer_ashlar::verify;

/// A few bits, bytes or words changed, moved or copied; the length stays.
fn change(random: &mut Random, bytes: &mut [u8]) {
    let words = bytes.len() / 32;
    let at = random.below(bytes.len() as u64) as usize;
    let (one, other) = (random.below(words as u64) as usize, random.below(words as u64) as usize);
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next_u64() as u8,
        2 => bytes[32 * one..32 * one + 32].fill(0),
        3 => bytes.copy_within(32 * one..32 * one + 32, 32 * other),
        4 => bytes[32 * one + 31] = bytes[32 * one + 31].wrapping_add(1),
        5 if one < words - 1 && other < words - 1 => bytes.copy_within(32 * one..32 * one + 64, 32 * other),
        _ => {
            let start = 32 * one + 1;
            bytes[start..32 * one + 32].iter_mut().for_each(|byte| *byte = random.next_u64() as u8);
        }
    }
}

/// One random mutant: refused, unless the change has changed nothing.
fn refuse(random: &mut Random, good: &[(Vector, Key)]) {
    let (vector, key) = &good[random.below(good.len() as u64) as usize];
    let mut mutant = vector.clone();
    match random.below(20) {
        0 => change(random, &mut mutant.key),
        1 => change(random, &mut mutant.context),
        2 => {
            let at = random.below(mutant.outputs.len() as u64) as usize;
            mutant.outputs[at] ^= 1 << random.below(64);
        }
        3 if !mutant.inputs.is_empty() => {
            let at = random.below(mutant.inputs.len() as u64) as usize;
            mutant.inputs[at] ^= 1 << random.below(8);
        }
        _ => {
            for _ in 0..=random.below(2) {
                change(random, &mut mutant.proof);
            }
        }
    }
    if mutant.key != vector.key {
        assert!(mutant.verify().is_err(), "{}: accepted with another key", vector.name);
        return;
    }
    if random.below(2) == 0 && mutant.proof.len() == 32 * Shape::new(&key.program).proof_words() {
        mutant = with_right_hint(&mutant, key);
    }
    let same = mutant.proof == vector.proof
        && mutant.inputs == vector.inputs
        && mutant.outputs == vector.outputs
        && mutant.context == vector.context;
    assert!(same || verify(key, &mutant.statement(), &mutant.proof).is_err(), "{}: a mutant accepted", vector.name);
}

fn run(seed: u64, count: u64) {
    let good: Vec<(Vector, Key)> = vectors().into_iter().map(|vector| (vector.clone(), vector.loaded())).collect();
    let mut random = Random::new(seed);
    for _ in 0..count {
        refuse(&mut random, &good);
    }
}

#[test]
fn ten_thousand_mutants_are_refused() {
    run(2024, 10_000);
}

#[test]
#[ignore = "takes minutes"]
fn a_million_mutants_are_refused() {
    let count = std::env::var("ASHLAR_MUTANTS").map_or(1_000_000, |text| text.parse().expect("a number"));
    run(7, count);
}
