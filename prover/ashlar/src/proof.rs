//! The proof as a list of messages (section 5.3).

use ark_bn254::{Fr, G1Affine};

use crate::curve::{field_from_bytes, g1_from_bytes};
use crate::error::{Result, rejected};
use crate::evaluate::Evaluations;
use crate::shape::Shape;

/// The messages of a proof, decoded; points and scalars are in range (steps 2 and 4 of section 7.1).
#[derive(Clone, Debug)]
pub struct Proof {
    /// Message 1: chunks of X.
    pub x: Vec<G1Affine>,
    /// Message 1: chunks of P.
    pub p: Vec<G1Affine>,
    /// Message 2: chunks of H.
    pub h: Vec<G1Affine>,
    /// Message 3.
    pub bstar: Fr,
    /// Messages 4: `c0, c2, c3` of each round, the highest variable first.
    pub rounds_a: Vec<[Fr; 3]>,
    /// Message 5.
    pub evaluations: Evaluations<Fr>,
    /// Messages 6: `c0, c2` of each round, the highest variable first.
    pub rounds_b: Vec<[Fr; 2]>,
    /// Message 7: `[S]`.
    pub s: G1Affine,
    /// Message 8: `f0, f1, s0, hint`.
    pub opening: [Fr; 4],
    /// Message 9: `[W]`.
    pub w: G1Affine,
    /// Message 10: `[W']`.
    pub w_prime: G1Affine,
}

/// Reads words from the front.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        self.at += count;
        &self.bytes[self.at - count..self.at]
    }

    fn scalar(&mut self) -> Result<Fr> {
        let word = self.at / 32;
        field_from_bytes(self.take(32)).ok_or_else(|| rejected(4, format!("word {word} is not below r")))
    }

    fn scalars<const N: usize>(&mut self) -> Result<[Fr; N]> {
        let mut list = [Fr::default(); N];
        for scalar in &mut list {
            *scalar = self.scalar()?;
        }
        Ok(list)
    }

    fn point(&mut self) -> Result<G1Affine> {
        let word = self.at / 32;
        g1_from_bytes(self.take(64)).ok_or_else(|| rejected(4, format!("words {word} and {} are no point", word + 1)))
    }

    fn points(&mut self, count: usize) -> Result<Vec<G1Affine>> {
        (0..count).map(|_| self.point()).collect()
    }
}

impl Proof {
    /// Reads a proof for a program of this shape.
    ///
    /// # Errors
    /// [`crate::Error::ProofRejected`], step 2 for the length, 4 for a word.
    pub fn from_bytes(shape: &Shape, bytes: &[u8]) -> Result<Proof> {
        let words = shape.proof_words();
        if bytes.len() != 32 * words {
            return Err(rejected(2, format!("the proof has {} bytes, and needs {}", bytes.len(), 32 * words)));
        }
        let mut reader = Reader { bytes, at: 0 };
        let [x, p, h] = shape.chunks();
        Ok(Proof {
            x: reader.points(x)?,
            p: reader.points(p)?,
            h: reader.points(h)?,
            bstar: reader.scalar()?,
            rounds_a: (0..shape.rounds_a).map(|_| reader.scalars()).collect::<Result<_>>()?,
            evaluations: evaluations(shape, &mut reader)?,
            rounds_b: (0..shape.nb).map(|_| reader.scalars()).collect::<Result<_>>()?,
            s: reader.point()?,
            opening: reader.scalars()?,
            w: reader.point()?,
            w_prime: reader.point()?,
        })
    }
}

fn evaluations(shape: &Shape, reader: &mut Reader<'_>) -> Result<Evaluations<Fr>> {
    let [q, r, y, h1, h2, g, m, v] = reader.scalars()?;
    let x = if shape.x_len > 0 { reader.scalar()? } else { Fr::default() };
    let y_stored = if shape.stored { reader.scalar()? } else { Fr::default() };
    Ok(Evaluations { q, r, y, h1, h2, g, m, v, x, y_stored })
}

/// The scalars of message 5 in order.
pub fn evaluation_words(shape: &Shape, at: &Evaluations<Fr>) -> Vec<Fr> {
    let mut list = vec![at.q, at.r, at.y, at.h1, at.h2, at.g, at.m, at.v];
    if shape.x_len > 0 {
        list.push(at.x);
    }
    if shape.stored {
        list.push(at.y_stored);
    }
    list
}
