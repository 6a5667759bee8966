//! Polynomials and sumchecks by their definition.

use ark_ff::PrimeField;
use zkinfer_ashlar::mle::eq_table;

/// Value of a polynomial, lowest coefficient first.
pub fn value<F: PrimeField>(coefficients: &[F], x: F) -> F {
    coefficients.iter().rev().fold(F::zero(), |value, coefficient| value * x + coefficient)
}

/// Quotient by `X - root`; the remainder is dropped.
pub fn divide<F: PrimeField>(coefficients: &[F], root: F) -> Vec<F> {
    let mut quotient = vec![F::zero(); coefficients.len().saturating_sub(1)];
    let mut carry = F::zero();
    for at in (0..quotient.len()).rev() {
        carry = coefficients[at + 1] + carry * root;
        quotient[at] = carry;
    }
    quotient
}

/// Extension of a table at a point, on as many coordinates as it needs.
pub fn extension<F: PrimeField>(table: &[F], point: &[F]) -> F {
    let bits = table.len().trailing_zeros() as usize;
    eq_table(&point[..bits], table.len()).iter().zip(table).map(|(weight, value)| *weight * value).sum()
}

/// What is summed, from one value of each table.
type Summand<'a, F> = dyn Fn(&[F]) -> F + 'a;

/// Tables of one size whose variables are bound from the highest down.
pub struct Sumcheck<'a, F> {
    pub tables: Vec<Vec<F>>,
    /// Of degree 3 at most.
    pub combine: Box<Summand<'a, F>>,
}

impl<F: PrimeField> Sumcheck<'_, F> {
    /// Coefficients 0 to 3 of the round polynomial.
    pub fn round(&self) -> [F; 4] {
        let half = self.tables[0].len() / 2;
        let mut sums = [F::zero(); 4];
        for at in 0..half {
            let mut values: Vec<F> = self.tables.iter().map(|table| table[at]).collect();
            let steps: Vec<F> = self.tables.iter().map(|table| table[half + at] - table[at]).collect();
            for sum in &mut sums {
                *sum += (self.combine)(&values);
                values.iter_mut().zip(&steps).for_each(|(value, step)| *value += step);
            }
        }
        interpolate(sums)
    }

    /// Binds the highest variable.
    pub fn bind(&mut self, x: F) {
        for table in &mut self.tables {
            let half = table.len() / 2;
            for at in 0..half {
                table[at] = table[at] + x * (table[half + at] - table[at]);
            }
            table.truncate(half);
        }
    }
}

/// Coefficients of the cubic with these values at 0, 1, 2, 3.
fn interpolate<F: PrimeField>([s0, s1, s2, s3]: [F; 4]) -> [F; 4] {
    let inverse = |value: u64| F::from(value).inverse().expect("the field is larger");
    let second = s2 - s1 - s1 + s0;
    let third = s3 - s2 - s2 - s2 + s1 + s1 + s1 - s0;
    let c3 = third * inverse(6);
    let c2 = second * inverse(2) - F::from(3u64) * c3;
    [s0, s1 - s0 - c2 - c3, c2, c3]
}
