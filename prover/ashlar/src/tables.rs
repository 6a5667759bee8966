//! Multilinear extensions of tables (sections 1.4 and 3).

use ark_ff::PrimeField;

use crate::program::{Table, TableKind};

impl Table {
    /// The least and the largest value of a clamp's image.
    pub fn image(&self) -> (i64, i64) {
        let low = if self.kind == TableKind::ClampU { 0 } else { -(1 << self.b) };
        (low, (1 << self.b) - 1)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        1 << self.k
    }

    /// Half of the rows: `q` of the first row is minus this, but for RANGE.
    pub fn half(&self) -> i64 {
        1 << (self.k - 1)
    }

    /// `y` for `q`, unless the table is stored.
    pub fn y(&self, q: i64) -> i64 {
        let (low, high) = self.image();
        match self.kind {
            TableKind::Range | TableKind::Stored => 0,
            TableKind::ClampU | TableKind::ClampS => q.clamp(low, high),
            TableKind::Excess => q - q.clamp(low, high),
        }
    }
}

/// The number whose bits are `x`: `sum of 2^j x_j`.
fn number<F: PrimeField>(x: &[F]) -> F {
    x.iter().rev().fold(F::zero(), |value, x| value.double() + x)
}

/// First column at `x`, `k` coordinates.
pub fn first_column<F: PrimeField>(table: &Table, x: &[F]) -> F {
    let half = if table.kind == TableKind::Range { F::zero() } else { F::from(table.half()) };
    number(x) - half
}

/// The y column at `x`, `k` coordinates; 0 for RANGE and STORED.
pub fn y_column<F: PrimeField>(table: &Table, x: &[F]) -> F {
    if matches!(table.kind, TableKind::Range | TableKind::Stored) {
        return F::zero();
    }
    let (b, last) = (usize::from(table.b), x.len() - 1);
    let (low, top, middle) = (number(&x[..b]), x[last], &x[b..last]);
    let most = F::from((1u64 << b) - 1);
    let zeros: F = middle.iter().map(|x| F::one() - x).product();
    let above = top * (most + zeros * (low - most));
    if table.kind == TableKind::ClampU {
        return above;
    }
    let ones: F = middle.iter().product();
    let clamped = above + (F::one() - top) * (ones * low - F::from(1u64 << b));
    if table.kind == TableKind::ClampS { clamped } else { first_column(table, x) - clamped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mle::eq_index;
    use ark_bn254::Fr;

    #[test]
    fn columns_are_the_extensions_of_the_rows() {
        for k in 1..=8u8 {
            let x: Vec<Fr> = (0..k).map(|j| Fr::from(31 + 1009 * u64::from(j) * u64::from(j))).collect();
            for (b, kind) in (0..k).flat_map(|b| {
                [TableKind::Range, TableKind::ClampU, TableKind::ClampS, TableKind::Excess].map(|kind| (b, kind))
            }) {
                let table = Table { kind, k, b, off: 0, f_off: 0 };
                let (mut first, mut y) = (Fr::from(0), Fr::from(0));
                for t in 0..1i64 << k {
                    let q = if kind == TableKind::Range { t } else { t - table.half() };
                    let weight = eq_index(t as u64, &x);
                    first += weight * Fr::from(q);
                    y += weight * Fr::from(table.y(q));
                }
                assert_eq!(first_column(&table, &x), first, "first column, {table:?}");
                assert_eq!(y_column(&table, &x), y, "y, {table:?}");
            }
        }
    }
}
