//! What a verifier computes at the points of the sumchecks (sections 3, 6.2 and 6.3).

use ark_ff::PrimeField;

use crate::kernels;
use crate::mle::{block, eq_prefixes};
use crate::program::{Hidden, Program, Table, TermKind, elements};
use crate::shape::Shape;
use crate::statement;
use crate::tables::{first_column, y_column};

/// The challenges before sumcheck A.
#[derive(Clone, Debug)]
pub struct Challenges<F> {
    /// Batches the columns of a lookup.
    pub alpha: F,
    /// Point of the lookup identity.
    pub beta: F,
    /// Batches the identities.
    pub gamma: F,
    /// Point of the constraints, `mT` coordinates.
    pub tau: Vec<F>,
    /// Batches the positions of the input.
    pub t: F,
}

/// The values of message 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluations<F> {
    /// Column q at rho.
    pub q: F,
    /// Column R at rho.
    pub r: F,
    /// Column y at rho.
    pub y: F,
    /// Helper of `(q, y, tag)`.
    pub h1: F,
    /// Helper of `(R, 0, 0)`.
    pub h2: F,
    /// Helper of the rows.
    pub g: F,
    /// Multiplicities.
    pub m: F,
    /// `sum of F K_V`, called `v*`.
    pub v: F,
    /// Column of X in mode 1, else 0.
    pub x: F,
    /// y of the stored tables, called `y*`; 0 without any.
    pub y_stored: F,
}

/// Evaluates everything that follows from the program and the challenges before A.
pub struct Evaluator<'a, F> {
    program: &'a Program,
    shape: &'a Shape,
    challenges: &'a Challenges<F>,
    /// Powers of gamma, `L + 6` of them.
    gammas: Vec<F>,
}

/// Powers 0, 1, 2, ... of `base`.
pub fn powers_of<F: PrimeField>(base: F, count: usize) -> Vec<F> {
    std::iter::successors(Some(F::one()), |power| Some(*power * base)).take(count).collect()
}

fn power_of_two<F: PrimeField>(exponent: u8) -> F {
    F::from(1u64 << exponent)
}

/// The product of `1 - x`: the selector of a smaller cube in a larger one.
fn selector<F: PrimeField>(x: &[F]) -> F {
    x.iter().map(|x| F::one() - x).product()
}

impl<'a, F: PrimeField> Evaluator<'a, F> {
    /// Prepares the powers of gamma.
    pub fn new(program: &'a Program, shape: &'a Shape, challenges: &'a Challenges<F>) -> Self {
        let gammas = powers_of(challenges.gamma, shape.constraints + 6);
        Evaluator { program, shape, challenges, gammas }
    }

    /// `claim_A` (section 6.3); `inputs` are the integers of a public input, else nothing.
    pub fn claim_a(&self, bstar: F, inputs: &[i64], outputs: &[i64]) -> F {
        let (shape, tau) = (self.shape, &self.challenges.tau);
        let half = power_of_two::<F>(self.program.header.s - 1);
        let hidden: F = self.gammas[..self.program.hidden.len()].iter().sum();
        let mut claim = bstar + hidden * half + self.gammas[shape.constraints + 3] + self.gammas[shape.constraints + 4];
        let mut rest = outputs;
        for (output, gamma) in self.program.outputs.iter().zip(&self.gammas[self.program.hidden.len()..]) {
            let (values, behind) = rest.split_at(elements(&output.dims));
            claim -= statement::extension(&output.dims, values, tau) * gamma;
            rest = behind;
        }
        if !inputs.is_empty() {
            let dims = &self.program.input.dims;
            claim += self.gammas[shape.constraints] * statement::polynomial(dims, inputs, self.challenges.t);
        }
        claim
    }

    /// `sel_n G_X + sel_nT G_T` at `rho` (sections 6.2 and 6.3).
    pub fn final_a(&self, rho: &[F], at: &Evaluations<F>) -> F {
        let Challenges { alpha, beta, tau, .. } = self.challenges;
        let (shape, l) = (self.shape, self.shape.constraints);
        let (cell, row) = (&rho[..shape.n], &rho[..shape.nt]);
        let prefixes = eq_prefixes(&tau[..shape.rounds_a], rho);
        let (input, same) = self.input(cell);
        let gamma = &self.gammas;

        let quotient = power_of_two::<F>(self.program.header.s) * at.q + at.r;
        let mut cells = self.constraints(cell, &prefixes) * quotient;
        cells += (input - at.v - self.linear(cell)) * at.y - same * at.x + gamma[l + 2] * (at.h1 + at.h2);
        let fingerprint = at.q + *alpha * (at.y + *alpha * self.tag(cell));
        let lookups = gamma[l + 3] * at.h1 * (*beta - fingerprint) + gamma[l + 4] * at.h2 * (*beta - at.r);
        cells += prefixes[shape.n] * lookups;

        let balance = at.g * (*beta - self.table(row, at.y_stored)) - at.m;
        let rows = gamma[l + 5] * prefixes[shape.nt] * balance - gamma[l + 2] * at.g;
        selector(&rho[shape.n..]) * cells + selector(&rho[shape.nt..]) * rows
    }

    /// `E`: where hidden blocks lie, at the point tau.
    fn constraints(&self, rho: &[F], prefixes: &[F]) -> F {
        let blocks = self.program.hidden.iter().zip(&self.gammas);
        let part = |(hidden, gamma): (&Hidden, &F)| {
            let bits = usize::from(hidden.bits);
            *gamma * block(hidden.off.into(), bits, rho) * prefixes[bits]
        };
        blocks.map(part).sum()
    }

    /// `Lin`: terms without weights.
    fn linear(&self, rho: &[F]) -> F {
        self.terms(TermKind::Cells, rho, &[])
    }

    /// `K_V` and `K_b` at `sigma`.
    pub fn weight_kernels(&self, rho: &[F], sigma: &[F]) -> (F, F) {
        let cell = &rho[..self.shape.n];
        (self.terms(TermKind::Weights, cell, sigma), self.terms(TermKind::Bias, cell, sigma))
    }

    fn terms(&self, kind: TermKind, rho: &[F], sigma: &[F]) -> F {
        let tau = &self.challenges.tau;
        let mut total = F::zero();
        for (constraint, gamma) in self.program.constraints().zip(&self.gammas) {
            let mut sum = F::zero();
            for term in constraint.terms.iter().filter(|term| term.kind == kind) {
                let mut value = kernels::term(term, tau, rho, sigma) * F::from(term.coef);
                if let Some(source) = term.source {
                    let (bits, off) = self.program.block(source);
                    value *= block(off.into(), bits.into(), rho);
                }
                sum += value;
            }
            total += sum * gamma * power_of_two::<F>(constraint.scale);
        }
        total
    }

    /// `In` and `Same`.
    fn input(&self, rho: &[F]) -> (F, F) {
        let (input, l) = (&self.program.input, self.shape.constraints);
        if !self.shape.given && !self.shape.padded {
            return (F::zero(), F::zero());
        }
        let here = block(input.off.into(), input.bits.into(), rho);
        let (every, valid) = statement::position_powers(&input.dims, rho, self.challenges.t);
        let given = if self.shape.given { here * self.gammas[l] * every } else { F::zero() };
        let padding = if self.shape.padded { here * self.gammas[l + 1] * (every - valid) } else { F::zero() };
        (given + padding, if self.shape.x_len > 0 { given } else { F::zero() })
    }

    /// Tag of the cell.
    fn tag(&self, rho: &[F]) -> F {
        let selected = |off: u32, bits: u8, table: u8| block(off.into(), bits.into(), rho) * F::from(table - 1);
        let input = &self.program.input;
        let hidden = self.program.hidden.iter().map(|of| selected(of.off, of.bits, of.table));
        F::one() + selected(input.off, input.bits, input.table) + hidden.sum::<F>()
    }

    /// `T`: fingerprint of the row.
    fn table(&self, rho: &[F], y_stored: F) -> F {
        let alpha = self.challenges.alpha;
        let row = |(tag, table): (usize, &Table)| {
            let x = &rho[..usize::from(table.k)];
            let tag = F::from(tag as u64);
            block(table.off.into(), x.len(), rho)
                * (first_column(table, x) + alpha * (y_column(table, x) + alpha * tag))
        };
        self.program.tables.iter().enumerate().map(row).sum::<F>() + alpha * y_stored
    }

    /// `claim_B`: the claims of message 5 and `b*`, batched by delta.
    pub fn claim_b(&self, deltas: &[F], bstar: F, at: &Evaluations<F>) -> F {
        let claims = [at.v, bstar, at.q, at.r, at.y, at.h1, at.h2, at.g, at.m, at.x, at.y_stored];
        claims.iter().zip(deltas).map(|(claim, delta)| *claim * delta).sum()
    }

    /// `K_F`, `K_X`, `K_P`, `K_H` at `sigma`.
    pub fn kernels_b(&self, deltas: &[F], rho: &[F], sigma: &[F]) -> [F; 4] {
        let shape = self.shape;
        let prefixes = eq_prefixes(&sigma[..shape.rounds_a], rho);
        let (v, bias) = self.weight_kernels(rho, sigma);
        let column = |table: &Table| {
            let k = usize::from(table.k);
            block(table.off.into(), k, &rho[..shape.nt]) * block(table.f_off.into(), k, sigma) * prefixes[k]
        };
        let stored: F = self.program.stored_tables().map(column).sum();
        let cells = |off: usize| block::<F>(off as u64, shape.n, sigma);
        let rows = |off: usize| block::<F>(off as u64, shape.nt, sigma) * prefixes[shape.nt];
        let [q, r, y, m] = shape.p;
        let [h1, h2, g] = shape.h;
        let x = if shape.x_len > 0 {
            deltas[9] * block::<F>(0, shape.input_bits, sigma) * prefixes[shape.input_bits]
        } else {
            F::zero()
        };
        let p = deltas[2] * cells(q) + deltas[3] * cells(r) + deltas[4] * cells(y);
        let h = deltas[5] * cells(h1) + deltas[6] * cells(h2);
        [
            v + deltas[1] * bias + deltas[10] * stored,
            x,
            prefixes[shape.n] * p + deltas[8] * rows(m),
            prefixes[shape.n] * h + deltas[7] * rows(g),
        ]
    }
}

/// Next claim of a round whose polynomial has the coefficients `c0`, `c2`, `c3`: `c1` follows from the claim.
pub fn next_claim<F: PrimeField>(claim: F, [c0, c2, c3]: [F; 3], x: F) -> F {
    let c1 = claim - c0.double() - c2 - c3;
    c0 + x * (c1 + x * (c2 + x * c3))
}

/// Value at `x` of the polynomial whose coefficients are `eq(bits(i), u)`.
pub fn product_polynomial<F: PrimeField>(u: &[F], x: F) -> F {
    let (mut value, mut power) = (F::one(), x);
    for u in u {
        value *= F::one() - u + *u * power;
        power.square_in_place();
    }
    value
}
