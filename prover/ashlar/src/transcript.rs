//! The hash chain that makes the challenges (section 5.2).

use std::marker::PhantomData;

use ark_ff::{BigInteger, PrimeField};

use crate::keccak::keccak256;

/// State of the chain. Challenges are elements of `F`.
#[derive(Clone, Debug)]
pub struct Transcript<F> {
    state: [u8; 32],
    field: PhantomData<F>,
}

impl<F: PrimeField> Transcript<F> {
    /// Starts with the digest of the key and the encoded statement.
    pub fn new(digest: &[u8; 32], statement: &[u8]) -> Self {
        Transcript { state: keccak256(&[digest, statement]), field: PhantomData }
    }

    /// Takes in a message and gives a challenge.
    pub fn absorb(&mut self, message: &[u8]) -> F {
        self.state = keccak256(&[&self.state, message]);
        F::from_be_bytes_mod_order(&self.state)
    }

    /// Takes in scalars, 32 bytes each, and gives a challenge.
    pub fn absorb_scalars(&mut self, scalars: &[F]) -> F {
        self.absorb(&words(scalars))
    }

    /// One more challenge behind the last message.
    pub fn draw(&mut self) -> F {
        self.state = keccak256(&[&self.state]);
        F::from_be_bytes_mod_order(&self.state)
    }
}

/// Scalars as words of 32 bytes, big-endian.
pub fn words<F: PrimeField>(scalars: &[F]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32 * scalars.len());
    for scalar in scalars {
        let value = scalar.into_bigint().to_bytes_be();
        bytes.extend(std::iter::repeat_n(0, 32 - value.len()));
        bytes.extend(value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;

    #[test]
    fn challenges_depend_on_every_message() {
        let start = Transcript::<Fr>::new(&[1; 32], b"statement");
        let (mut one, mut other) = (start.clone(), start);
        assert_eq!(one.absorb(b"a"), other.absorb(b"a"));
        assert_ne!(one.absorb(b"b"), other.absorb(b"c"));
        assert_ne!(one.draw(), other.draw());
    }

    #[test]
    fn words_are_big_endian() {
        let mut expected = [0; 64];
        expected[30] = 1;
        expected[63] = 7;
        assert_eq!(words(&[Fr::from(256), Fr::from(7)]), expected);
    }
}
