//! Groups in which a commitment is one multiplication, because tau is known.

use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::PrimeField;
use std::marker::PhantomData;
use zkinfer_ashlar::group::{Bn254, Group};
use zkinfer_ashlar::transcript::words;

/// A group whose generator may be multiplied.
pub trait Trapdoor: Group {
    fn times(scalar: Self::Scalar) -> Self::Point;
}

impl Trapdoor for Bn254 {
    fn times(scalar: Fr) -> G1Affine {
        (G1Affine::generator() * scalar).into_affine()
    }
}

/// The additive group of a field: a commitment is the value of the polynomial at tau.
#[derive(Clone, Debug)]
pub struct Ideal<F>(PhantomData<F>);

impl<F: PrimeField> Group for Ideal<F> {
    type Scalar = F;
    type Point = F;

    fn decode(bytes: &[u8]) -> Option<F> {
        let value = F::from_be_bytes_mod_order(bytes);
        (bytes[..32] == [0; 32] && bytes[32..] == words(&[value])).then_some(value)
    }

    fn encode(point: &F) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[32..].copy_from_slice(&words(&[*point]));
        bytes
    }

    fn generator() -> F {
        F::one()
    }

    fn combine(points: &[F], scalars: &[F]) -> F {
        points.iter().zip(scalars).map(|(point, scalar)| *point * scalar).sum()
    }
}

impl<F: PrimeField> Trapdoor for Ideal<F> {
    fn times(scalar: F) -> F {
        scalar
    }
}
