//! The opening of section 9, coefficient by coefficient.

use ark_ff::{Field, One, PrimeField, Zero};
use zkinfer_ashlar::mle::eq_table;

use super::algebra::{divide, value};
use super::group::Trapdoor;
use super::lies::Lie;
use super::{Slow, Tape};

/// Messages 7 to 10 for the claim that `sum of f_i eq(bits(i), u)` is `claim`.
pub fn open<G: Trapdoor>(
    slow: &Slow<G>,
    tape: &mut Tape<G>,
    f: &[G::Scalar],
    u: &[G::Scalar],
    claim: G::Scalar,
    lie: Lie,
) -> Option<()> {
    let (zero, one) = (G::Scalar::zero(), G::Scalar::one());
    let p = eq_table(u, 1 << u.len());
    let mut s = quotient(f, &p);
    let true_value: G::Scalar = f.iter().zip(&p).map(|(f, p)| *f * p).sum();
    if let Lie::SRepairedAtGuess(guesses) = lie {
        repair(&mut s, true_value + true_value - claim - claim, guesses)?;
    }
    let changed = |point: G::Point, number: usize| {
        if lie == Lie::PointOff(number) { G::combine(&[point, G::generator()], &[one, one]) } else { point }
    };
    let zeta = tape.points(&[changed(slow.commit(&s), 0)]);
    let hint = (zeta * (zeta * zeta - one)).inverse()?;
    let inverse = zeta.inverse()?;
    let (mut f0, mut f1, mut s0) = (value(f, zeta), value(f, inverse), value(&s, zeta));
    match lie {
        Lie::OpeningOff(0) => f0 += one,
        Lie::OpeningOff(1) => f1 += one,
        Lie::OpeningOff(2) => s0 += one,
        Lie::OpeningCancellingAtGuess => {
            let guess = G::Scalar::from(99u64);
            f0 += guess;
            s0 -= one;
        }
        _ => {}
    }
    let delta = tape.scalars(&[f0, f1, s0, hint]);
    let (at_zeta, at_inverse) = (value(&p, zeta), value(&p, inverse));
    let s1 = zeta * (f0 * at_inverse + f1 * at_zeta - claim - claim - zeta * s0);
    let (y0, y1) = (f0 + delta * s0, f1 + delta * s1);
    let slope = (y0 - y1) * (zeta - inverse).inverse()?;

    let mut batch = f.to_vec();
    batch.resize(f.len().max(s.len()), zero);
    batch.iter_mut().zip(&s).for_each(|(sum, s)| *sum += delta * s);
    let w = {
        let mut numerator = batch.clone();
        numerator[0] -= y0 - slope * zeta;
        numerator[1] -= slope;
        divide(&divide(&numerator, zeta), inverse)
    };
    let z = tape.points(&[changed(slow.commit(&w), 1)]);
    let factor = (z - zeta) * (z - inverse);
    batch[0] -= y0 + slope * (z - zeta);
    batch.iter_mut().zip(&w).for_each(|(sum, w)| *sum -= factor * w);
    tape.points(&[changed(slow.commit(&divide(&batch, z)), 2)]);
    Some(())
}

/// Changes S so that an identity that misses `missing` everywhere misses a multiple of the product of `X + 1/X - a`
/// instead, for as many `a` as there are guesses.
fn repair<F: PrimeField>(s: &mut Vec<F>, missing: F, guesses: u64) -> Option<()> {
    // Coefficients of X^-guesses to X^guesses.
    let mut product = vec![F::one()];
    for guess in 2..2 + guesses {
        let guess = F::from(guess);
        let a = guess + guess.inverse()?;
        let mut next = vec![F::zero(); product.len() + 2];
        for (at, value) in product.iter().enumerate() {
            next[at] += value;
            next[at + 1] -= *value * a;
            next[at + 2] += value;
        }
        product = next;
    }
    let middle = product.len() / 2;
    let scale = missing * product[middle].inverse()?;
    s.resize(s.len().max(middle), F::zero());
    for (s, coefficient) in s.iter_mut().zip(&product[middle + 1..]) {
        *s -= scale * coefficient;
    }
    Some(())
}

/// `S` with `f(X) p(1/X) + f(1/X) p(X) = 2 v + X S(X) + S(1/X) / X`.
fn quotient<F: PrimeField>(f: &[F], p: &[F]) -> Vec<F> {
    let at = |list: &[F], k: usize| list.get(k).copied().unwrap_or(F::zero());
    let power = |k: usize| (0..f.len().max(p.len())).map(|i| at(f, i + k) * at(p, i) + at(f, i) * at(p, i + k)).sum();
    (1..f.len().max(p.len())).map(power).collect()
}
