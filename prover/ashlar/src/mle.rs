//! Multilinear tools (sections 0 and 3).

use ark_ff::PrimeField;

/// `eq` of two bits: `1 - a - b + 2ab`.
pub fn eq_bit<F: PrimeField>(a: F, b: F) -> F {
    let product = a * b;
    F::one() - a - b + product + product
}

/// `eq(a, b)`: the product over the coordinates.
pub fn eq<F: PrimeField>(a: &[F], b: &[F]) -> F {
    debug_assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| eq_bit(*a, *b)).product()
}

/// `eq(bits(value), x)`.
pub fn eq_index<F: PrimeField>(value: u64, x: &[F]) -> F {
    let bit = |(j, x): (usize, &F)| if bit(value, j) { *x } else { F::one() - x };
    x.iter().enumerate().map(bit).product()
}

/// `eq(a, b)` on the low 0, 1, 2, ... coordinates.
pub fn eq_prefixes<F: PrimeField>(a: &[F], b: &[F]) -> Vec<F> {
    let mut prefixes = vec![F::one()];
    for (a, b) in a.iter().zip(b) {
        prefixes.push(prefixes[prefixes.len() - 1] * eq_bit(*a, *b));
    }
    prefixes
}

/// `eq(bits(i), x)` for the first `count` indices.
pub fn eq_table<F: PrimeField>(x: &[F], count: usize) -> Vec<F> {
    let mut table = vec![F::one()];
    for (j, x) in x.iter().enumerate() {
        let high: Vec<F> = table.iter().take(count.saturating_sub(1 << j)).map(|value| *value * x).collect();
        for (value, high) in table.iter_mut().zip(&high) {
            *value -= high;
        }
        if high.len() < table.len() {
            // Indices at `count` and above were cut off: what is left of these needs its factor all the same.
            let rest = F::one() - x;
            table.iter_mut().skip(high.len()).for_each(|value| *value *= rest);
        }
        table.extend(high);
    }
    table.truncate(count);
    table
}

/// Selector of the aligned block of `2^bits` at `off`: `eq` of the high bits with the high coordinates.
pub fn block<F: PrimeField>(off: u64, bits: usize, x: &[F]) -> F {
    eq_index(off >> bits, &x[bits..])
}

/// Bit `j` of `value`, 0 beyond its width.
pub fn bit(value: u64, j: usize) -> bool {
    j < 64 && value >> j & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;
    use ark_ff::Zero;

    fn points(count: u64) -> Vec<Fr> {
        (0..count).map(|j| Fr::from(1000 + 77 * j * j)).collect()
    }

    #[test]
    fn eq_table_has_the_values_of_eq_index() {
        for m in 0..5 {
            let x = points(m);
            for count in 0..=1 << m {
                let expected: Vec<Fr> = (0..count).map(|i| eq_index(i as u64, &x)).collect();
                assert_eq!(eq_table(&x, count), expected, "{m} coordinates, {count} entries");
            }
        }
    }

    #[test]
    fn eq_of_corners_is_equality() {
        let corner = |value: u64| (0..3).map(|j| Fr::from(value >> j & 1)).collect::<Vec<_>>();
        for (a, b) in (0..8).flat_map(|a| (0..8).map(move |b| (a, b))) {
            assert_eq!(eq(&corner(a), &corner(b)), Fr::from(a == b));
            assert_eq!(eq_index(a, &corner(b)), Fr::from(a == b));
        }
    }

    #[test]
    fn block_selects_its_cells() {
        for (bits, off, cell) in (0..4).flat_map(|b| (0..16).map(move |cell| (b, 8 >> b << b, cell))) {
            let x: Vec<Fr> = (0..4).map(|j| Fr::from(cell >> j & 1)).collect();
            let inside = (off..off + (1 << bits)).contains(&cell);
            assert_eq!(block(off, bits, &x), Fr::from(inside), "block of {bits} bits at {off}, cell {cell}");
        }
        assert!(!block(0, 1, &points(3)).is_zero());
    }

    #[test]
    fn eq_prefixes_end_with_eq() {
        let (a, b) = (points(4), points(5));
        let prefixes = eq_prefixes(&a, &b);
        assert_eq!(prefixes.len(), 5);
        assert_eq!(prefixes[4], eq(&a, &b[..4]));
    }
}
