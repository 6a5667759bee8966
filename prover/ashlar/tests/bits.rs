//! Every single bit of proof, statement and key of small vectors changed in turn: all refused, none a panic.

mod common;

use common::mutate::with_right_hint;
use common::{Vector, vector};
use zkinfer_ashlar::{Error, verify};

const NAMES: [&str; 3] = ["mlp_public_1", "cell_committed_1", "cnn_private_1"];

fn flipped(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 0x80 >> (bit % 8);
}

/// The vector with each bit of a field changed in turn.
fn each_bit<'a>(good: &'a Vector, field: fn(&mut Vector) -> &mut Vec<u8>) -> impl Iterator<Item = Vector> + 'a {
    let length = field(&mut good.clone()).len();
    (0..8 * length).map(move |bit| {
        let mut mutant = good.clone();
        flipped(field(&mut mutant), bit);
        mutant
    })
}

#[test]
fn each_bit_of_a_proof_counts() {
    for good in NAMES.map(vector) {
        let key = good.loaded();
        for (bit, mutant) in each_bit(&good, |vector| &mut vector.proof).enumerate() {
            let refused = verify(&key, &mutant.statement(), &mutant.proof);
            assert!(matches!(refused, Err(Error::ProofRejected { .. })), "{}, bit {bit}: {refused:?}", good.name);
        }
    }
}

/// The hint follows from what comes before it, so its own bits are left out.
#[test]
fn each_bit_of_a_proof_counts_with_the_right_hint() {
    let good = vector(NAMES[0]);
    let key = good.loaded();
    for (bit, mutant) in each_bit(&good, |vector| &mut vector.proof).enumerate() {
        let mutant = with_right_hint(&mutant, &key);
        if mutant.proof != good.proof {
            let refused = verify(&key, &mutant.statement(), &mutant.proof);
            assert!(matches!(refused, Err(Error::ProofRejected { .. })), "{}, bit {bit}: {refused:?}", good.name);
        }
    }
}

#[test]
fn each_bit_of_a_statement_counts() {
    for good in NAMES.map(vector) {
        let key = good.loaded();
        let texts = each_bit(&good, |vector| &mut vector.context).chain(each_bit(&good, |vector| &mut vector.inputs));
        let outputs = (0..64 * good.outputs.len()).map(|bit| {
            let mut mutant = good.clone();
            mutant.outputs[bit / 64] ^= 1 << (bit % 64);
            mutant
        });
        for (at, mutant) in texts.chain(outputs).enumerate() {
            for mutant in [with_right_hint(&mutant, &key), mutant] {
                let refused = verify(&key, &mutant.statement(), &mutant.proof);
                assert!(matches!(refused, Err(Error::ProofRejected { .. })), "{}, change {at}: {refused:?}", good.name);
            }
        }
    }
}

#[test]
fn each_bit_of_a_key_counts() {
    for good in NAMES.map(vector) {
        for (bit, mutant) in each_bit(&good, |vector| &mut vector.key).enumerate() {
            let refused = mutant.verify();
            let named = matches!(refused, Err(Error::MalformedKey { .. } | Error::ProofRejected { .. }));
            assert!(named, "{}, bit {bit}: {refused:?}", good.name);
        }
    }
}
