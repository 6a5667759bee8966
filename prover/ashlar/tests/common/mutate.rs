//! Changes of proofs, and the hint made right again behind them.

use ark_bn254::Fr;
use ark_ff::{Field, One};
use zkinfer_ashlar::curve::field_to_bytes;
use zkinfer_ashlar::program::Key;
use zkinfer_ashlar::shape::Shape;
use zkinfer_ashlar::statement::encode;
use zkinfer_ashlar::transcript::Transcript;

use super::Vector;

/// What a message of a proof is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Half of a point.
    Coordinate,
    /// A field element.
    Scalar,
}

/// A message: its number in section 5.3 and its place in the proof, in words.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub number: usize,
    pub first: usize,
    pub words: usize,
    pub kind: Word,
}

/// The messages of a proof in order. Rounds are messages 4 and 6.
pub fn messages(shape: &Shape) -> Vec<Message> {
    let [x, p, h] = shape.chunks();
    let mut parts = vec![(1, 2 * (x + p), Word::Coordinate), (2, 2 * h, Word::Coordinate), (3, 1, Word::Scalar)];
    parts.extend(std::iter::repeat_n((4, 3, Word::Scalar), shape.rounds_a));
    parts.push((5, shape.evaluations(), Word::Scalar));
    parts.extend(std::iter::repeat_n((6, 2, Word::Scalar), shape.nb));
    parts.extend([(7, 2, Word::Coordinate), (8, 4, Word::Scalar), (9, 2, Word::Coordinate), (10, 2, Word::Coordinate)]);
    let mut at = 0;
    let message = |(number, words, kind)| {
        at += words;
        Message { number, first: at - words, words, kind }
    };
    parts.into_iter().map(message).collect()
}

/// The message that holds a word.
pub fn message_of(shape: &Shape, word: usize) -> Message {
    let holds = |message: &Message| (message.first..message.first + message.words).contains(&word);
    messages(shape).into_iter().find(holds).expect("a word of the proof")
}

/// The vector with the hint that its messages 1 to 7 ask for.
pub fn with_right_hint(vector: &Vector, key: &Key) -> Vector {
    let shape = Shape::new(&key.program);
    let mut transcript = Transcript::<Fr>::new(&key.digest, &encode(&vector.context, &vector.inputs, &vector.outputs));
    let mut zeta = Fr::one();
    let mut hint_at = 0;
    for message in messages(&shape) {
        let bytes = &vector.proof[32 * message.first..32 * (message.first + message.words)];
        match message.number {
            1 | 2 => {
                transcript.absorb(bytes);
                for _ in 0..if message.number == 1 { 1 } else { shape.taus + 1 } {
                    transcript.draw();
                }
            }
            7 => zeta = transcript.absorb(bytes),
            8 => hint_at = message.first + 3,
            9 | 10 => {}
            _ => {
                transcript.absorb(bytes);
            }
        }
    }
    let hint = (zeta * (zeta.square() - Fr::one())).inverse().expect("zeta is none of 0, 1, -1");
    let mut changed = vector.clone();
    changed.proof[32 * hint_at..32 * hint_at + 32].copy_from_slice(&field_to_bytes(&hint));
    changed
}
