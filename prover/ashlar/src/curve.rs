//! Points of BN254 as bytes (section 0), and the pairing check.

use ark_bn254::{Bn254, Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use ark_ff::{BigInteger, PrimeField, Zero};

/// A field element from 32 bytes, big-endian; `None` if it is not below the modulus.
pub fn field_from_bytes<F: PrimeField<BigInt = ark_ff::BigInt<4>>>(bytes: &[u8]) -> Option<F> {
    let limb = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    F::from_bigint(ark_ff::BigInt([limb(24)?, limb(16)?, limb(8)?, limb(0)?]))
}

/// The 32 bytes of a field element, big-endian.
pub fn field_to_bytes<F: PrimeField<BigInt = ark_ff::BigInt<4>>>(value: &F) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&value.into_bigint().to_bytes_be());
    bytes
}

/// A point of G1 from 64 bytes; infinity is 64 zero bytes. `None` if it is not on the curve.
pub fn g1_from_bytes(bytes: &[u8]) -> Option<G1Affine> {
    let (x, y) = (field_from_bytes::<Fq>(bytes.get(..32)?)?, field_from_bytes::<Fq>(bytes.get(32..64)?)?);
    if x.is_zero() && y.is_zero() {
        return Some(G1Affine::zero());
    }
    // The cofactor of G1 is 1: being on the curve is all there is to check.
    Some(G1Affine::new_unchecked(x, y)).filter(G1Affine::is_on_curve)
}

/// The 64 bytes of a point of G1.
pub fn g1_to_bytes(point: &G1Affine) -> [u8; 64] {
    let mut bytes = [0; 64];
    if let Some((x, y)) = point.xy() {
        bytes[..32].copy_from_slice(&field_to_bytes(&x));
        bytes[32..].copy_from_slice(&field_to_bytes(&y));
    }
    bytes
}

/// A point of G2 from 128 bytes as EIP-197 writes it: imaginary parts first. `None` if it is not in the subgroup.
pub fn g2_from_bytes(bytes: &[u8]) -> Option<G2Affine> {
    let part = |k: usize| field_from_bytes::<Fq>(bytes.get(32 * k..32 * k + 32)?);
    let (x, y) = (Fq2::new(part(1)?, part(0)?), Fq2::new(part(3)?, part(2)?));
    if x.is_zero() && y.is_zero() {
        return Some(G2Affine::zero());
    }
    Some(G2Affine::new_unchecked(x, y))
        .filter(|point| point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve())
}

/// Whether `e(a, [1]_2) = e(b, tau_g2)`.
pub fn same_ratio(a: &G1Affine, b: &G1Affine, tau_g2: &G2Affine) -> bool {
    Bn254::multi_pairing([*a, -*b], [G2Affine::generator(), *tau_g2]).is_zero()
}
