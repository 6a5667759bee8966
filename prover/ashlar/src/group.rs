//! The group of the commitments, as far as steps 2 to 14 of the verifier need it.
//!
//! Verification is written for any such group, so that tests can run it with ideal commitments over a small field,
//! where errors of soundness become visible.

use std::fmt::Debug;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::PrimeField;

use crate::curve::{g1_from_bytes, g1_to_bytes};

/// A group with a generator whose elements are 64 bytes.
pub trait Group: Clone + Debug {
    /// The field of its exponents.
    type Scalar: PrimeField;
    /// An element.
    type Point: Copy + Debug + PartialEq;

    /// An element from its 64 bytes; `None` if they are none.
    fn decode(bytes: &[u8]) -> Option<Self::Point>;

    /// The 64 bytes of an element.
    fn encode(point: &Self::Point) -> [u8; 64];

    /// The generator.
    fn generator() -> Self::Point;

    /// The sum of the points times the scalars; as many of the one as of the other.
    fn combine(points: &[Self::Point], scalars: &[Self::Scalar]) -> Self::Point;
}

/// G1 of BN254.
#[derive(Clone, Debug)]
pub enum Bn254 {}

impl Group for Bn254 {
    type Scalar = Fr;
    type Point = G1Affine;

    fn decode(bytes: &[u8]) -> Option<G1Affine> {
        g1_from_bytes(bytes)
    }

    fn encode(point: &G1Affine) -> [u8; 64] {
        g1_to_bytes(point)
    }

    fn generator() -> G1Affine {
        G1Affine::generator()
    }

    fn combine(points: &[G1Affine], scalars: &[Fr]) -> G1Affine {
        G1Projective::msm_unchecked(points, scalars).into_affine()
    }
}

/// The 64 bytes of each of the points.
pub(crate) fn encode_all<G: Group>(points: &[G::Point]) -> Vec<u8> {
    points.iter().flat_map(G::encode).collect()
}
