//! Changed proofs, statements and keys: each refused, in the step that has to refuse it.

mod common;

use ark_bn254::{Fq, Fr};
use ark_ff::{BigInteger, PrimeField};
use common::mutate::{Message, Word, message_of, messages, with_right_hint};
use common::{Vector, ordinary, vector};
use zkinfer_ashlar::Error;
use zkinfer_ashlar::curve::{field_from_bytes, field_to_bytes, g1_from_bytes, g1_to_bytes};
use zkinfer_ashlar::program::Key;
use zkinfer_ashlar::shape::Shape;
use zkinfer_ashlar::verify;

/// The step that refuses a vector; `None` if it is accepted.
fn step_with(key: &Key, vector: &Vector) -> Option<u8> {
    match verify(key, &vector.statement(), &vector.proof) {
        Ok(()) => None,
        Err(Error::ProofRejected { step, .. }) => Some(step),
        Err(other) => panic!("another error: {other}"),
    }
}

fn step(vector: &Vector) -> Option<u8> {
    step_with(&vector.loaded(), vector)
}

fn changed(vector: &Vector, change: impl FnOnce(&mut Vec<u8>)) -> Vector {
    let mut changed = vector.clone();
    change(&mut changed.proof);
    changed
}

/// Adds a modulus to the word: twice a modulus fits 256 bits.
fn plus<F: PrimeField>(word: &mut [u8]) {
    let modulus = F::MODULUS.to_bytes_be();
    let mut carry = 0;
    for (byte, add) in word.iter_mut().zip(modulus).rev() {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
}

/// Steps that may refuse a false value in a message whose words are all in range.
fn steps(message: Message, with_hint: bool) -> &'static [u8] {
    match message.number {
        1 => &[5, 8],
        2..=5 => &[8],
        6 | 7 if with_hint => &[15],
        6 | 7 => &[11],
        8 if message.words == 4 => &[11, 15],
        _ => &[15],
    }
}

/// For each word of each proof: the change, and which words it makes sense for.
fn on_every_word(
    name: &str,
    kind: Word,
    change: impl Fn(&mut Vec<u8>, usize),
    expected: impl Fn(Message, bool) -> Vec<u8>,
) {
    for vector in ordinary() {
        let key = vector.loaded();
        let shape = Shape::new(&key.program);
        for word in 0..shape.proof_words() {
            let message = message_of(&shape, word);
            if message.kind != kind {
                continue;
            }
            let mutant = changed(&vector, |proof| change(proof, word));
            if mutant.proof == vector.proof {
                continue;
            }
            let refused = step_with(&key, &mutant).unwrap_or(0);
            let allowed = expected(message, false);
            assert!(
                allowed.contains(&refused),
                "{name}, {}, word {word}: step {refused}, not {allowed:?}",
                vector.name
            );
            if message.number == 6 || message.number == 7 {
                let refused = step_with(&key, &with_right_hint(&mutant, &key)).unwrap_or(0);
                let allowed = expected(message, true);
                assert!(allowed.contains(&refused), "{name}, hint, {}, word {word}: step {refused}", vector.name);
            }
        }
    }
}

#[test]
fn scalar_plus_r() {
    let change = |proof: &mut Vec<u8>, word: usize| plus::<Fr>(&mut proof[32 * word..32 * word + 32]);
    on_every_word("scalar_plus_r", Word::Scalar, change, |_, _| vec![4]);
}

#[test]
fn coordinate_plus_p() {
    let change = |proof: &mut Vec<u8>, word: usize| plus::<Fq>(&mut proof[32 * word..32 * word + 32]);
    on_every_word("coordinate_plus_p", Word::Coordinate, change, |_, _| vec![4]);
}

#[test]
fn point_off_curve() {
    let change = |proof: &mut Vec<u8>, word: usize| proof[32 * word + 31] ^= 1;
    on_every_word("point_off_curve", Word::Coordinate, change, |_, _| vec![4]);
}

#[test]
fn scalar_plus_one() {
    let change = |proof: &mut Vec<u8>, word: usize| {
        let bytes = &mut proof[32 * word..32 * word + 32];
        let value = field_from_bytes::<Fr>(bytes).expect("below r") + Fr::from(1);
        bytes.copy_from_slice(&field_to_bytes(&value));
    };
    on_every_word("scalar_plus_one", Word::Scalar, change, |message, hint| steps(message, hint).to_vec());
}

#[test]
fn word_zero() {
    let zero = |proof: &mut Vec<u8>, word: usize| proof[32 * word..32 * word + 32].fill(0);
    on_every_word("word_zero", Word::Scalar, zero, |message, hint| steps(message, hint).to_vec());
    on_every_word("word_zero", Word::Coordinate, zero, |_, _| vec![4]);
}

/// The bytes of the point that a word is the first half of.
fn point_at(proof: &mut [u8], word: usize, message: Message) -> Option<&mut [u8]> {
    (message.kind == Word::Coordinate && (word - message.first) % 2 == 0).then(|| &mut proof[32 * word..32 * word + 64])
}

/// Every point of every proof, replaced by `change` of it.
fn on_every_point(name: &str, change: impl Fn(&[u8]) -> Vec<u8>) {
    for vector in ordinary() {
        let key = vector.loaded();
        let shape = Shape::new(&key.program);
        for word in 0..shape.proof_words() {
            let message = message_of(&shape, word);
            let mut mutant = vector.clone();
            let Some(point) = point_at(&mut mutant.proof, word, message) else { continue };
            let other = change(point);
            point.copy_from_slice(&other);
            if mutant.proof == vector.proof {
                continue;
            }
            let refused = step_with(&key, &mutant).unwrap_or(0);
            assert!(steps(message, false).contains(&refused), "{name}, {}, word {word}: step {refused}", vector.name);
            if message.number == 7 {
                assert_eq!(step_with(&key, &with_right_hint(&mutant, &key)), Some(15), "{name}, {}", vector.name);
            }
        }
    }
}

#[test]
fn point_negated() {
    on_every_point("point_negated", |bytes| g1_to_bytes(&-g1_from_bytes(bytes).expect("a point")).to_vec());
}

#[test]
fn point_at_infinity() {
    on_every_point("point_at_infinity", |_| vec![0; 64]);
}

#[test]
fn point_replaced_by_the_generator() {
    use ark_ec::AffineRepr;
    on_every_point("generator", |_| g1_to_bytes(&ark_bn254::G1Affine::generator()).to_vec());
}

#[test]
fn word_swapped() {
    for vector in ordinary() {
        let key = vector.loaded();
        let shape = Shape::new(&key.program);
        for word in 0..shape.proof_words() - 1 {
            let mutant = changed(&vector, |proof| {
                let (left, right) = proof.split_at_mut(32 * (word + 1));
                left[32 * word..].swap_with_slice(&mut right[..32]);
            });
            if mutant.proof != vector.proof {
                assert!(step_with(&key, &mutant).is_some(), "{}, words {word} and {}", vector.name, word + 1);
            }
        }
    }
}

#[test]
fn chunks_swapped() {
    for name in ["mlp_public_1", "cnn_public_1"] {
        let vector = vector(name);
        let mutant = changed(&vector, |proof| {
            let (left, right) = proof.split_at_mut(64);
            left.swap_with_slice(&mut right[..64]);
        });
        assert_eq!(step(&mutant), Some(8), "{name}");
    }
}

/// `truncated` and `extended`, by bytes and by words, at both ends and behind each message.
#[test]
fn proof_shape_against_key() {
    for vector in ordinary() {
        let key = vector.loaded();
        let shape = Shape::new(&key.program);
        let words = vector.proof.len() / 32;
        assert_eq!(words, shape.proof_words());
        for length in (0..words).map(|word| 32 * word).chain([vector.proof.len() - 1]) {
            let mutant = changed(&vector, |proof| proof.truncate(length));
            assert_eq!(step_with(&key, &mutant), Some(2), "{}, {length} bytes", vector.name);
        }
        for more in [1, 31, 32, 64] {
            let mutant = changed(&vector, |proof| proof.extend(vec![0; more]));
            assert_eq!(step_with(&key, &mutant), Some(2), "{}, {more} more", vector.name);
        }
        for message in messages(&shape) {
            let at = 32 * (message.first + message.words);
            let more = changed(&vector, |proof| drop(proof.splice(at..at, [0; 32])));
            let less = changed(&vector, |proof| drop(proof.drain(at - 32..at)));
            assert_eq!(step_with(&key, &more), Some(2), "{}", vector.name);
            assert_eq!(step_with(&key, &less), Some(2), "{}", vector.name);
        }
    }
}

#[test]
fn statement_absorbed() {
    for vector in ordinary() {
        let key = vector.loaded();
        for at in 0..32 {
            let mut mutant = vector.clone();
            mutant.context[at] ^= 1 << (at % 8);
            assert_eq!(step_with(&key, &mutant), Some(8), "{}, context byte {at}", vector.name);
        }
        for at in 0..vector.inputs.len() {
            let mut mutant = vector.clone();
            mutant.inputs[at] ^= 1 << (at % 8);
            let expected = if vector.json["mode"] == "committed" { 5 } else { 8 };
            assert_eq!(step_with(&key, &mutant), Some(expected), "{}, input byte {at}", vector.name);
        }
        for at in 0..vector.outputs.len() {
            for value in [vector.outputs[at] + 1, vector.outputs[at] - 1, -vector.outputs[at] - 1] {
                let mut mutant = vector.clone();
                mutant.outputs[at] = value;
                assert_eq!(step_with(&key, &mutant), Some(8), "{}, output {at}", vector.name);
            }
        }
    }
}

#[test]
fn statements_of_another_length() {
    type Change = fn(&mut Vector);
    let changes: [(&str, Change); 10] = [
        ("outputs_one_more", |v| v.outputs.push(1)),
        ("outputs_one_more, 0", |v| v.outputs.push(0)),
        ("outputs_one_less", |v| v.outputs.truncate(v.outputs.len() - 1)),
        ("no outputs", |v| v.outputs.clear()),
        ("input_bytes_one_more", |v| v.inputs.push(1)),
        ("input_bytes_one_more, 0", |v| v.inputs.push(0)),
        ("32 input bytes more", |v| v.inputs.extend([0; 32])),
        ("context one more", |v| v.context.push(0)),
        ("context one less", |v| v.context.truncate(31)),
        ("no context", |v| v.context.clear()),
    ];
    for vector in ordinary() {
        for (what, change) in changes {
            let mut mutant = vector.clone();
            change(&mut mutant);
            assert_eq!(step(&mutant), Some(2), "{}: {what}", vector.name);
        }
        if !vector.inputs.is_empty() {
            let mut mutant = vector.clone();
            mutant.inputs.pop();
            assert_eq!(step(&mutant), Some(2), "{}: input_bytes_one_less", vector.name);
        }
    }
}

#[test]
fn output_out_of_range() {
    for vector in ordinary() {
        let with = |value: i64| {
            let mut mutant = vector.clone();
            *mutant.outputs.last_mut().expect("an output") = value;
            step(&mutant)
        };
        for value in [1 << 60, -(1 << 60), i64::MAX, i64::MIN] {
            assert_eq!(with(value), Some(3), "{}: {value}", vector.name);
        }
        for value in [(1 << 60) - 1, 1 - (1 << 60)] {
            assert_eq!(with(value), Some(8), "{}: {value}", vector.name);
        }
    }
}

/// Every bit of every word of the key.
#[test]
fn key_bits_flipped() {
    for vector in ["mlp_public_1", "cnn_committed_1", "wide_public_1"].map(vector) {
        for bit in 0..8 * vector.key.len() {
            let mut mutant = vector.clone();
            mutant.key[bit / 8] ^= 0x80 >> (bit % 8);
            match mutant.verify() {
                Err(Error::MalformedKey { .. } | Error::ProofRejected { step: 2 | 5 | 8, .. }) => {}
                other => panic!("{}, bit {bit}: {other:?}", vector.name),
            }
        }
    }
}

#[test]
fn other_key_of_the_same_program() {
    // Other weights: a commitment at infinity, and one negated.
    for vector in ordinary() {
        for change in
            [|_: &[u8]| vec![0; 64], |bytes: &[u8]| g1_to_bytes(&-g1_from_bytes(bytes).expect("a point")).to_vec()]
        {
            let mut mutant = vector.clone();
            let other = change(&mutant.key[160..224]);
            mutant.key[160..224].copy_from_slice(&other);
            assert_eq!(step(&mutant), Some(8), "{}", vector.name);
        }
    }
}

#[test]
fn commitment_of_another_key_behind_the_digest() {
    // The same digest in the transcript, another commitment in the check: only the pairing can tell.
    for vector in ordinary() {
        let mut key = vector.loaded();
        key.weights[0] = -key.weights[0];
        assert_eq!(step_with(&key, &vector), Some(15), "{}", vector.name);
        let mut key = vector.loaded();
        key.tau_g2 = -key.tau_g2;
        assert_eq!(step_with(&key, &vector), Some(15), "{}", vector.name);
    }
}

#[test]
fn hint_zero() {
    for vector in ordinary() {
        let key = vector.loaded();
        let message = messages(&Shape::new(&key.program)).into_iter().find(|message| message.number == 8);
        let hint = 32 * (message.expect("message 8").first + 3);
        let mutant = changed(&vector, |proof| proof[hint..hint + 32].fill(0));
        assert_eq!(step_with(&key, &mutant), Some(11), "{}", vector.name);
    }
}

#[test]
fn modes_do_not_mix() {
    for (name, other) in
        [("mlp_public_1", "mlp_private_1"), ("mlp_private_1", "mlp_public_1"), ("cnn_committed_1", "cnn_private_1")]
    {
        let (vector, other) = (vector(name), vector(other));
        let mutant = Vector { key: other.key, ..vector.clone() };
        assert_eq!(step(&mutant), Some(2), "{name}");
        let mutant = Vector { key: mutant.key, inputs: other.inputs, ..vector };
        assert!(matches!(step(&mutant), Some(2 | 8)), "{name}");
    }
}

#[test]
fn negated_infinity() {
    // [W'] of tall is infinity nowhere; a proof whose last point is infinity is still well formed.
    for vector in ordinary() {
        let mutant = changed(&vector, |proof| {
            let at = proof.len() - 64;
            proof[at..].fill(0);
        });
        assert_eq!(step(&mutant), Some(15), "{}", vector.name);
        // Minus infinity as (0, p) is no point.
        let mutant = changed(&mutant, |proof| {
            let at = proof.len() - 32;
            proof[at..].copy_from_slice(&Fq::MODULUS.to_bytes_be());
        });
        assert_eq!(step(&mutant), Some(4), "{}", vector.name);
    }
}

#[test]
fn digest_of_other_commitment() {
    for name in ["mlp_committed_1", "cnn_committed_1"] {
        let vector = vector(name);
        let mut mutant = changed(&vector, |proof| {
            let negated = g1_to_bytes(&-g1_from_bytes(&proof[..64]).expect("a point"));
            proof[..64].copy_from_slice(&negated);
        });
        assert_eq!(step(&mutant), Some(5), "{name}");
        mutant.inputs = zkinfer_ashlar::keccak::keccak256(&[&mutant.proof[..64]]).to_vec();
        assert_eq!(step(&mutant), Some(8), "{name}, with its digest");
    }
}
