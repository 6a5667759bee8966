//! Columns, kernels and claims, entry by entry.

use ark_ff::{Field, PrimeField, Zero};
use zkinfer_ashlar::evaluate::{Challenges, Evaluations, Evaluator, powers_of};
use zkinfer_ashlar::mle::eq_table;
use zkinfer_ashlar::program::{Mode, Program, elements, positions};
use zkinfer_ashlar::shape::Shape;

use super::algebra::{Sumcheck, extension};
use super::group::Trapdoor;
use super::lies::Lie;
use super::witness::{Relation, Witness, first_column, tags, y_of};
use super::{Slow, dot, integers};

/// Columns of the cells.
pub struct Cells<F> {
    pub q: Vec<F>,
    pub r: Vec<F>,
    pub y: Vec<F>,
    pub x: Vec<F>,
    pub tag: Vec<F>,
    pub h1: Vec<F>,
    pub h2: Vec<F>,
}

impl<F: PrimeField> Cells<F> {
    /// `None` if beta hits a fingerprint.
    pub fn new(program: &Program, witness: &Witness, alpha: F, beta: F, lie: Lie) -> Option<Self> {
        let tag: Vec<F> = tags(program).into_iter().map(F::from).collect();
        let (q, r, y) = (integers::<F>(&witness.q), integers::<F>(&witness.r), integers::<F>(&witness.y));
        let value = |at: usize| (beta - q[at] - alpha * y[at] - alpha * alpha * tag[at]).inverse();
        let mut h1 = (0..q.len()).map(value).collect::<Option<Vec<F>>>()?;
        let mut h2 = r.iter().map(|r| (beta - r).inverse()).collect::<Option<Vec<F>>>()?;
        match lie {
            Lie::HelperOff(0) => h1[0] += F::one(),
            Lie::HelperOff(1) => h2[0] += F::one(),
            _ => {}
        }
        Some(Cells { q, r, y, x: integers(&witness.x), tag, h1, h2 })
    }
}

/// Columns of the rows.
pub struct Rows<F> {
    pub fingerprint: Vec<F>,
    pub m: Vec<F>,
    pub g: Vec<F>,
}

impl<F: PrimeField> Rows<F> {
    /// `None` if beta hits a fingerprint.
    pub fn new(program: &Program, witness: &Witness, weights: &[i64], alpha: F, beta: F, lie: Lie) -> Option<Self> {
        let mut fingerprint = vec![F::zero(); 1 << program.header.nt];
        for (tag, table) in program.tables.iter().enumerate() {
            for t in 0..table.rows() {
                let q = first_column(table, t);
                let y = F::from(y_of(table, q, weights));
                let value = F::from(q) + alpha * y + alpha * alpha * F::from(tag as u64);
                fingerprint[table.off as usize + t] = value;
            }
        }
        let m = integers::<F>(&witness.multiplicities);
        let inverse = |(m, value): (&F, &F)| Some(*m * (beta - value).inverse()?);
        let mut g = m.iter().zip(&fingerprint).map(inverse).collect::<Option<Vec<F>>>()?;
        if lie == Lie::HelperOff(2) {
            g[0] += F::one();
        }
        Some(Rows { fingerprint, m, g })
    }
}

/// `gamma^l u_l eq(tau, o)` of a relation.
fn factor<F: PrimeField>(gammas: &[F], scales: &[F], tau: &[Vec<F>], relation: &Relation) -> F {
    gammas[relation.constraint] * scales[relation.constraint] * tau[relation.constraint][relation.o]
}

/// For each relation its factor.
fn factors<'a, G: Trapdoor>(
    slow: &'a Slow<G>,
    challenges: &Challenges<G::Scalar>,
) -> impl Iterator<Item = (&'a Relation, G::Scalar)> {
    let constraints: Vec<_> = slow.program.constraints().collect();
    let gammas = powers_of(challenges.gamma, constraints.len());
    let scales: Vec<G::Scalar> = constraints.iter().map(|of| G::Scalar::from(1u64 << of.scale)).collect();
    let table = |bits: u8| eq_table(&challenges.tau[..usize::from(bits)], 1 << bits);
    let tau: Vec<Vec<G::Scalar>> = constraints.iter().map(|of| table(of.bits)).collect();
    slow.relations.iter().map(move |relation| (relation, factor(&gammas, &scales, &tau, relation)))
}

/// `K_b`, for each element of F.
pub fn bias_kernel<G: Trapdoor>(slow: &Slow<G>, challenges: &Challenges<G::Scalar>) -> Vec<G::Scalar> {
    let mut kernel = vec![G::Scalar::zero(); slow.weights.len().max(1 << slow.program.header.nb)];
    for (relation, factor) in factors(slow, challenges).filter(|(relation, _)| relation.cell.is_none()) {
        kernel[relation.weight.expect("a bias has weights")] += factor;
    }
    kernel
}

/// The linear functions of the committed vectors that B proves.
pub struct Kernels<F> {
    pub v: Vec<F>,
    pub bias: Vec<F>,
    pub stored: Vec<F>,
}

/// The functions of F at rho.
pub fn kernels<G: Trapdoor>(
    slow: &Slow<G>,
    challenges: &Challenges<G::Scalar>,
    rho: &[G::Scalar],
) -> Kernels<G::Scalar> {
    let header = &slow.program.header;
    let length = 1usize << header.nb;
    let cells = eq_table(&rho[..header.n.into()], 1 << header.n);
    let rows = eq_table(&rho[..header.nt.into()], 1 << header.nt);
    let (mut v, mut stored) = (vec![G::Scalar::zero(); length], vec![G::Scalar::zero(); length]);
    for (relation, factor) in factors(slow, challenges) {
        if let (Some(cell), Some(weight)) = (relation.cell, relation.weight) {
            v[weight] += factor * cells[cell];
        }
    }
    for table in slow.program.stored_tables() {
        for t in 0..table.rows() {
            stored[table.f_off as usize + t] += rows[table.off as usize + t];
        }
    }
    Kernels { v, bias: bias_kernel(slow, challenges), stored }
}

impl<F: PrimeField> Kernels<F> {
    /// `K_F, K_X, K_P, K_H` for each element.
    pub fn combined(&self, shape: &Shape, deltas: &[F], rho: &[F]) -> [Vec<F>; 4] {
        let mut lists: [Vec<F>; 4] = std::array::from_fn(|_| vec![F::zero(); 1 << shape.nb]);
        for (at, value) in lists[0].iter_mut().enumerate() {
            *value = self.v[at] + deltas[1] * self.bias[at] + deltas[10] * self.stored[at];
        }
        let mut add = |list: usize, off: usize, bits: usize, delta: F| {
            for (at, weight) in eq_table(&rho[..bits], 1 << bits).into_iter().enumerate() {
                lists[list][off + at] += delta * weight;
            }
        };
        if shape.x_len > 0 {
            add(1, 0, shape.input_bits, deltas[9]);
        }
        let [q, r, y, m] = shape.p;
        let [h1, h2, g] = shape.h;
        for (list, off, power) in [(2, q, 2), (2, r, 3), (2, y, 4), (3, h1, 5), (3, h2, 6)] {
            add(list, off, shape.n, deltas[power]);
        }
        add(3, g, shape.nt, deltas[7]);
        add(2, m, shape.nt, deltas[8]);
        lists
    }
}

/// Right side of A: what the identities say about public numbers.
pub fn claim_a<G: Trapdoor>(
    slow: &Slow<G>,
    challenges: &Challenges<G::Scalar>,
    bstar: G::Scalar,
    input: &[i64],
    outputs: &[i64],
) -> G::Scalar {
    let (program, l) = (&slow.program, slow.program.hidden.len() + slow.program.outputs.len());
    let gammas = powers_of(challenges.gamma, l + 6);
    let mut claim = bstar + gammas[l + 3] + gammas[l + 4];
    claim += dot(
        &gammas[..program.hidden.len()],
        &vec![G::Scalar::from(1u64 << (program.header.s - 1)); program.hidden.len()],
    );
    let mut rest = outputs;
    for (at, output) in program.outputs.iter().enumerate() {
        let mut cells = vec![G::Scalar::zero(); 1 << output.bits];
        let (values, behind) = rest.split_at(elements(&output.dims));
        for (position, value) in positions(&output.dims).into_iter().zip(values) {
            cells[position] = G::Scalar::from(*value);
        }
        claim -= gammas[program.hidden.len() + at] * extension(&cells, &challenges.tau);
        rest = behind;
    }
    for (position, value) in positions(&program.input.dims).into_iter().zip(input) {
        claim += gammas[l] * challenges.t.pow([position as u64]) * G::Scalar::from(*value);
    }
    claim
}

/// Sumcheck A with a table for each factor.
pub fn sumcheck_a<'a, G: Trapdoor>(
    slow: &'a Slow<G>,
    challenges: &'a Challenges<G::Scalar>,
    cells: &Cells<G::Scalar>,
    rows: &Rows<G::Scalar>,
    weights: &[i64],
) -> Sumcheck<'a, G::Scalar> {
    let (program, shape) = (&slow.program, Shape::new(&slow.program));
    let gammas = powers_of(challenges.gamma, shape.constraints + 6);
    let (l, size) = (shape.constraints, 1usize << shape.n);
    let zero = G::Scalar::zero();
    let (mut e, mut linear, mut same) = (vec![zero; size], vec![zero; size], vec![zero; size]);
    for (hidden, gamma) in program.hidden.iter().zip(&gammas) {
        let bits = usize::from(hidden.bits);
        for (o, weight) in eq_table(&challenges.tau[..bits], 1 << bits).into_iter().enumerate() {
            e[hidden.off as usize + o] = *gamma * weight;
        }
    }
    let given = integers::<G::Scalar>(weights);
    for (relation, factor) in factors(slow, challenges) {
        let Some(cell) = relation.cell else { continue };
        let coefficient = match relation.weight {
            Some(weight) => given.get(weight).copied().unwrap_or(zero),
            None => G::Scalar::from(relation.coef),
        };
        linear[cell] -= factor * coefficient;
    }
    let valid = positions(&program.input.dims);
    for position in 0..1usize << program.input.bits {
        let (cell, power) = (program.input.off as usize + position, challenges.t.pow([position as u64]));
        if program.header.mode != Mode::Private {
            linear[cell] += gammas[l] * power;
        }
        if program.header.mode != Mode::Public && !valid.contains(&position) {
            linear[cell] += gammas[l + 1] * power;
        }
        if program.header.mode == Mode::Hashed {
            same[cell] = gammas[l] * power;
        }
    }
    let mut x = vec![zero; size];
    if shape.x_len > 0 {
        // The column of X depends on the low coordinates alone, as its extension does.
        x = (0..size).map(|at| cells.x[at % cells.x.len()]).collect();
    }
    let top = shape.rounds_a;
    let spread = |column: &[G::Scalar]| (0..1usize << top).map(|at| column[at % column.len()]).collect();
    let selector = |bits: usize| (0..1usize << top).map(|at| G::Scalar::from(at >> bits == 0)).collect();
    let eq = |bits: usize| eq_table(&challenges.tau[..bits], 1 << bits);
    let columns: [&[G::Scalar]; 15] = [
        &e,
        &linear,
        &same,
        &eq(shape.n),
        &cells.tag,
        &cells.q,
        &cells.r,
        &cells.y,
        &x,
        &cells.h1,
        &cells.h2,
        &eq(shape.nt),
        &rows.fingerprint,
        &rows.g,
        &rows.m,
    ];
    let mut tables: Vec<Vec<G::Scalar>> = columns.into_iter().map(spread).collect();
    tables.extend([selector(shape.n), selector(shape.nt)]);
    let (alpha, beta, scale) = (challenges.alpha, challenges.beta, G::Scalar::from(1u64 << program.header.s));
    let combine = move |v: &[G::Scalar]| {
        let [e, linear, same, eq_n, tag, q, r, y, x, h1, h2, eq_nt, fingerprint, g, m, in_n, in_nt] = v else {
            unreachable!("seventeen tables")
        };
        let lookup =
            gammas[l + 3] * h1 * (beta - q - alpha * y - alpha * alpha * tag) + gammas[l + 4] * h2 * (beta - r);
        let cells = *e * (scale * q + r) + *linear * y - *same * x + gammas[l + 2] * (*h1 + h2) + *eq_n * lookup;
        let rows = gammas[l + 5] * eq_nt * (*g * (beta - fingerprint) - m) - gammas[l + 2] * g;
        *in_n * cells + *in_nt * rows
    };
    Sumcheck { tables, combine: Box::new(combine) }
}

/// The field of message 5 with this number.
fn evaluation<F>(at: &mut Evaluations<F>, number: usize) -> &mut F {
    match number {
        0 => &mut at.q,
        1 => &mut at.r,
        2 => &mut at.y,
        3 => &mut at.h1,
        4 => &mut at.h2,
        5 => &mut at.g,
        6 => &mut at.m,
        7 => &mut at.v,
        8 => &mut at.x,
        _ => &mut at.y_stored,
    }
}

/// Lies about message 5; `last` is the last claim of A.
pub fn lie_about_evaluations<F: PrimeField>(
    program: &Program,
    challenges: &Challenges<F>,
    (rho, last): (&[F], F),
    at: &mut Evaluations<F>,
    lie: Lie,
) {
    let shape = Shape::new(program);
    let evaluator = Evaluator::new(program, &shape, challenges);
    // G is affine in each evaluation: what one of them has to be for G to be the last claim.
    let repair = |at: &mut Evaluations<F>, number: usize| {
        let now = evaluator.final_a(rho, at);
        *evaluation(at, number) += F::one();
        let slope = evaluator.final_a(rho, at) - now;
        *evaluation(at, number) -= F::one();
        if let Some(inverse) = slope.inverse() {
            *evaluation(at, number) += (last - now) * inverse;
        }
    };
    match lie {
        Lie::EvaluationOff(number) => *evaluation(at, number) += F::one(),
        Lie::EvaluationsCancellingInA => {
            at.q += F::one();
            repair(at, 7);
        }
        Lie::EvaluationsCancellingAtGuess => {
            // q changes by 1, m by d, v by what keeps G: v is affine in d, and so is the sum for the guess.
            let (honest, powers) = (*at, powers_of(F::from(1234u64), 12));
            let mut sum_for = |d: F| {
                *at = Evaluations { q: honest.q + F::one(), m: honest.m + d, ..honest };
                repair(at, 7);
                (at.v - honest.v) * powers[0] + powers[2] + d * powers[8]
            };
            let (zero, one) = (sum_for(F::zero()), sum_for(F::one()));
            if let Some(inverse) = (one - zero).inverse() {
                sum_for(-zero * inverse);
            }
        }
        Lie::ClaimsCancellingInB => {
            // b* is one too much; v* is too little for a guess of delta, and A is repaired by m.
            at.v -= F::from(1234u64);
            repair(at, 6);
        }
        _ => {}
    }
}
