//! Field elements times machine integers, which most of the prover's work on weights and cells is.
//!
//! The product of an element and an integer is exact in five limbs, and many can be added before the sum is reduced
//! once: a few additions with carry in place of a multiplication modulo r.

use ark_bn254::Fr;
use ark_ff::{BigInt, Fp, PrimeField, Zero};

/// Limbs of an unreduced sum: 254 bits of the element, 62 of the integer, and room for `2^64` summands.
const LIMBS: usize = 6;
/// The modulus.
const R: [u64; 4] = Fr::MODULUS.0;
/// Bits below which [`scaled`] does not look when it estimates a quotient.
const CUT: usize = 253;
/// `floor(2^(64 + CUT) / r)`.
const RECIPROCAL: u64 = reciprocal();

/// A sum of products of elements and integers that are not negative.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wide([u64; LIMBS]);

impl Wide {
    /// Adds `element * integer`.
    #[inline(always)]
    pub fn add(&mut self, element: &Fr, integer: u64) {
        let limbs = element.0.0;
        let mut carry = 0_u128;
        for (sum, limb) in self.0.iter_mut().zip(limbs) {
            carry += u128::from(limb) * u128::from(integer) + u128::from(*sum);
            *sum = carry as u64;
            carry >>= 64;
        }
        let (sum, over) = self.0[4].overflowing_add(carry as u64);
        self.0[4] = sum;
        self.0[5] += u64::from(over);
    }

    /// The sum as an element.
    pub fn reduced(self) -> Fr {
        let [a, b, c, d, high, top] = self.0;
        // In Montgomery form limbs `v` stand for `v / 2^256`: the upper limbs are that many whole elements.
        let upper = Fr::from(u128::from(top) << 64 | u128::from(high));
        Fp::new_unchecked(BigInt(subtract_modulus([a, b, c, d], 6))) + upper
    }

    /// The sum as an element, if it is below `2^63 r`: of two products with integers below `2^62`, say.
    #[inline]
    pub fn reduced_short(self) -> Fr {
        let [a, b, c, d, high, _] = self.0;
        quotient_removed([a, b, c, d, high])
    }
}

/// `sum of elements[i] * integers[i]` for integers of magnitude below `bound`, at most `2^62`.
///
/// Integers are made non-negative by adding the bound, which `total`, the sum of the elements, makes good.
pub fn dot<T: Copy + Into<i64>>(elements: &[Fr], integers: &[T], bound: u64) -> Fr {
    let mut wide = Wide::default();
    let mut total = Fr::zero();
    for (element, integer) in elements.iter().zip(integers) {
        wide.add(element, offset((*integer).into(), bound));
        total += element;
    }
    wide.reduced() - total * Fr::from(bound)
}

/// `integer + bound`, which is not negative.
#[inline(always)]
pub fn offset(integer: i64, bound: u64) -> u64 {
    integer.wrapping_add_unsigned(bound) as u64
}

/// `element * integer` for an integer of magnitude below `2^62`.
#[inline]
pub fn scaled(element: &Fr, integer: i64) -> Fr {
    let limbs = element.0.0;
    let factor = integer.unsigned_abs();
    let mut product = [0_u64; 5];
    let mut carry = 0_u128;
    for k in 0..4 {
        carry += u128::from(limbs[k]) * u128::from(factor);
        product[k] = carry as u64;
        carry >>= 64;
    }
    product[4] = carry as u64;
    let value = quotient_removed(product);
    if integer < 0 { -value } else { value }
}

/// `product` modulo r, for a product below `2^63 r`.
#[inline(always)]
fn quotient_removed(product: [u64; 5]) -> Fr {
    // The quotient by r is estimated from the bits above CUT; it may be too small by a few, never too large.
    let top = product[3] >> (CUT - 192) | product[4] << (256 - CUT);
    let quotient = ((u128::from(top) * u128::from(RECIPROCAL)) >> 64) as u64;
    let (mut borrow, mut carry) = (false, 0_u128);
    let mut rest = [0_u64; 4];
    for k in 0..4 {
        carry += u128::from(R[k]) * u128::from(quotient);
        let (difference, first) = product[k].overflowing_sub(carry as u64);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        rest[k] = difference;
        borrow = first || second;
        carry >>= 64;
    }
    Fp::new_unchecked(BigInt(subtract_modulus(rest, 3)))
}

/// `limbs` modulo r, which is subtracted at most so many times.
#[inline(always)]
fn subtract_modulus(mut limbs: [u64; 4], times: usize) -> [u64; 4] {
    for _ in 0..times {
        let (difference, borrow) = subtract(limbs, R);
        if borrow {
            break;
        }
        limbs = difference;
    }
    limbs
}

#[inline(always)]
const fn subtract(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let mut difference = [0; 4];
    let mut borrow = false;
    let mut k = 0;
    while k < 4 {
        let (value, first) = a[k].overflowing_sub(b[k]);
        let (value, second) = value.overflowing_sub(borrow as u64);
        difference[k] = value;
        borrow = first || second;
        k += 1;
    }
    (difference, borrow)
}

/// Long division of `2^(64 + CUT)` by r; the quotient is below `2^64` since `2^CUT < r`.
const fn reciprocal() -> u64 {
    let mut rest = [0, 0, 0, 1 << (CUT - 192)];
    let mut quotient = 0;
    let mut bit = 0;
    while bit < 64 {
        let mut doubled = [0; 4];
        let mut k = 0;
        while k < 4 {
            doubled[k] = rest[k] << 1 | if k > 0 { rest[k - 1] >> 63 } else { 0 };
            k += 1;
        }
        let (difference, borrow) = subtract(doubled, R);
        quotient <<= 1;
        if borrow {
            rest = doubled;
        } else {
            rest = difference;
            quotient |= 1;
        }
        bit += 1;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::Field;

    fn elements(count: u64) -> Vec<Fr> {
        (1..=count).map(|k| Fr::from(k).inverse().unwrap()).chain([-Fr::from(1), Fr::zero()]).collect()
    }

    #[test]
    fn scaled_any_integer_equals_product() {
        let integers = [0, 1, -1, 2, 255, -256, 65_537, -(1 << 31), (1 << 60) - 1, -(1 << 61), (1 << 62) - 1];
        for element in elements(50) {
            for integer in integers {
                assert_eq!(scaled(&element, integer), element * Fr::from(integer), "{integer}");
            }
        }
    }

    #[test]
    fn dot_signed_integers_equals_sum_of_products() {
        let elements = elements(300);
        for bound in [1_i64, 1 << 11, 1 << 31, 1 << 61] {
            let some = |k: usize| (-1_i64).pow(k as u32) * ((bound - 1) >> (k % 64).min(62));
            let integers: Vec<i64> = (0..elements.len()).map(some).collect();
            let sum: Fr = elements.iter().zip(&integers).map(|(e, v)| *e * Fr::from(*v)).sum();
            assert_eq!(dot(&elements, &integers, bound as u64), sum);
        }
    }
}
