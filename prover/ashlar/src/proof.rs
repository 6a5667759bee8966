//! The proof as a list of messages (section 5.3).

use ark_ff::PrimeField;

use crate::error::{Result, rejected};
use crate::evaluate::Evaluations;
use crate::group::{Bn254, Group};
use crate::shape::Shape;
use crate::transcript::words;

/// The messages of a proof, decoded; points and scalars are in range (steps 2 and 4 of section 7.1).
#[derive(Clone, Debug)]
pub struct Proof<G: Group = Bn254> {
    /// Message 1: chunks of X.
    pub x: Vec<G::Point>,
    /// Message 1: chunks of P.
    pub p: Vec<G::Point>,
    /// Message 2: chunks of H.
    pub h: Vec<G::Point>,
    /// Message 3.
    pub bstar: G::Scalar,
    /// Messages 4: `c0, c2, c3` of each round, the highest variable first.
    pub rounds_a: Vec<[G::Scalar; 3]>,
    /// Message 5.
    pub evaluations: Evaluations<G::Scalar>,
    /// Messages 6: `c0, c2` of each round, the highest variable first.
    pub rounds_b: Vec<[G::Scalar; 2]>,
    /// Message 7: `[S]`.
    pub s: G::Point,
    /// Message 8: `f0, f1, s0, hint`.
    pub opening: [G::Scalar; 4],
    /// Message 9: `[W]`.
    pub w: G::Point,
    /// Message 10: `[W']`.
    pub w_prime: G::Point,
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

    fn scalar<F: PrimeField>(&mut self) -> Result<F> {
        let number = self.at / 32;
        let word = self.take(32);
        let value = F::from_be_bytes_mod_order(word);
        // The word is below the modulus if it is what its residue is written as.
        if words(&[value]) == word { Ok(value) } else { Err(rejected(4, format!("word {number} is not below r"))) }
    }

    fn scalars<F: PrimeField, const N: usize>(&mut self) -> Result<[F; N]> {
        let mut list = [F::zero(); N];
        for scalar in &mut list {
            *scalar = self.scalar()?;
        }
        Ok(list)
    }

    fn point<G: Group>(&mut self) -> Result<G::Point> {
        let word = self.at / 32;
        G::decode(self.take(64)).ok_or_else(|| rejected(4, format!("words {word} and {} are no point", word + 1)))
    }

    fn points<G: Group>(&mut self, count: usize) -> Result<Vec<G::Point>> {
        (0..count).map(|_| self.point::<G>()).collect()
    }
}

impl<G: Group> Proof<G> {
    /// Reads a proof for a program of this shape.
    ///
    /// # Errors
    /// [`crate::Error::ProofRejected`], step 2 for the length, 4 for a word.
    pub fn from_bytes(shape: &Shape, bytes: &[u8]) -> Result<Self> {
        check_length(shape, bytes)?;
        let mut reader = Reader { bytes, at: 0 };
        let [x, p, h] = shape.chunks();
        Ok(Proof {
            x: reader.points::<G>(x)?,
            p: reader.points::<G>(p)?,
            h: reader.points::<G>(h)?,
            bstar: reader.scalar()?,
            rounds_a: (0..shape.rounds_a).map(|_| reader.scalars()).collect::<Result<_>>()?,
            evaluations: evaluations(shape, &mut reader)?,
            rounds_b: (0..shape.nb).map(|_| reader.scalars()).collect::<Result<_>>()?,
            s: reader.point::<G>()?,
            opening: reader.scalars()?,
            w: reader.point::<G>()?,
            w_prime: reader.point::<G>()?,
        })
    }
}

/// Step 2, for the proof.
pub(crate) fn check_length(shape: &Shape, bytes: &[u8]) -> Result<()> {
    let length = 32 * shape.proof_words();
    if bytes.len() == length {
        return Ok(());
    }
    Err(rejected(2, format!("the proof has {} bytes, and needs {length}", bytes.len())))
}

fn evaluations<F: PrimeField>(shape: &Shape, reader: &mut Reader<'_>) -> Result<Evaluations<F>> {
    let [q, r, y, h1, h2, g, m, v] = reader.scalars()?;
    let x = if shape.x_len > 0 { reader.scalar()? } else { F::zero() };
    let y_stored = if shape.stored { reader.scalar()? } else { F::zero() };
    Ok(Evaluations { q, r, y, h1, h2, g, m, v, x, y_stored })
}

/// The scalars of message 5 in order.
pub fn evaluation_words<F: PrimeField>(shape: &Shape, at: &Evaluations<F>) -> Vec<F> {
    let mut list = vec![at.q, at.r, at.y, at.h1, at.h2, at.g, at.m, at.v];
    if shape.x_len > 0 {
        list.push(at.x);
    }
    if shape.stored {
        list.push(at.y_stored);
    }
    list
}
