//! The prover (part 6 and section 11).

mod axis;
mod commit;
mod cube;
mod lookups;
mod opening;
mod sumcheck_a;
mod sumcheck_b;
mod terms;
mod witness;

use ark_bn254::{Fr, G1Affine};
use ark_ff::Zero;
use rayon::prelude::*;

use crate::curve::g1_to_bytes;
use crate::error::{Error, Result};
use crate::evaluate::{Challenges, Evaluations, Evaluator, powers_of};
use crate::infer::{Network, Run, WEIGHT_BOUND};
use crate::mle::{block, eq_table};
use crate::program::{Key, Mode, Program, Table};
use crate::proof::evaluation_words;
use crate::setup::{Powers, Setup};
use crate::shape::Shape;
use crate::small::dot;
use crate::statement;
use crate::transcript::{Transcript, words};
use crate::verify::{Statement, verify};

use commit::{commit, digest_of};
use lookups::{GroupedChunk, Rows, helpers};
use opening::{Combination, Messages};
use sumcheck_a::{Columns, SumcheckA};
use sumcheck_b::{Product, Vector};
use terms::{BiasKernel, cell_kernel, input_kernel, weight_kernel};
use witness::Witness;

pub use commit::{commit_input, commit_weights, make_key};

/// A proof and the statement that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// `inputs` of the statement.
    pub inputs: Vec<u8>,
    /// Outputs.
    pub outputs: Vec<i64>,
    /// Messages 1 to 10.
    pub proof: Vec<u8>,
}

/// The messages so far, and the chain of challenges that they make.
struct Tape {
    transcript: Transcript<Fr>,
    proof: Vec<u8>,
}

impl Tape {
    fn send(&mut self, message: &[u8]) -> Fr {
        self.proof.extend(message);
        self.transcript.absorb(message)
    }

    fn send_scalars(&mut self, scalars: &[Fr]) -> Fr {
        self.send(&words(scalars))
    }
}

impl Messages for Tape {
    fn point(&mut self, point: &G1Affine) -> Fr {
        self.send(&g1_to_bytes(point))
    }

    fn scalars(&mut self, scalars: [Fr; 4]) -> Fr {
        self.send_scalars(&scalars)
    }
}

/// Proves the outputs of an input, and verifies the proof.
///
/// # Errors
/// [`Error::InputOutOfRange`]; [`Error::Setup`] for a setup that is not the key's, or too small; [`Error::Argument`]
/// for a context, an input or weights of the wrong length; [`Error::ProofRejected`] if the weights are not those that
/// the key commits to.
pub fn prove(key: &Key, network: &Network, input: &[i64], context: &[u8], setup: &Setup) -> Result<Proved> {
    if context.len() != 32 {
        return Err(Error::Argument { reason: format!("the context has {} bytes, and needs 32", context.len()) });
    }
    if *setup.tau_g2() != key.tau_g2 {
        return Err(Error::Setup { reason: "the key was made with another setup".into() });
    }
    let run = network.run(input)?;
    let prover = Prover {
        program: &key.program,
        network,
        shape: Shape::new(&key.program),
        powers: setup.powers(1 << key.program.header.c)?,
    };
    let proved = prover.prove(key, input, context, run)?;
    let statement = Statement { context, inputs: &proved.inputs, outputs: &proved.outputs };
    verify(key, &statement, &proved.proof)?;
    Ok(proved)
}

struct Prover<'a> {
    program: &'a Program,
    network: &'a Network,
    shape: Shape,
    powers: Powers<'a>,
}

/// What is committed beside the weights.
struct Committed {
    x: Vec<i32>,
    witness: Witness,
}

/// The challenges before sumcheck A, and powers of gamma.
struct Drawn {
    challenges: Challenges<Fr>,
    gammas: Vec<Fr>,
}

/// What sumcheck B proves.
struct Claims {
    bstar: Fr,
    rho: Vec<Fr>,
    at: Evaluations<Fr>,
    /// Powers of delta.
    deltas: Vec<Fr>,
}

impl Prover<'_> {
    fn prove(&self, key: &Key, input: &[i64], context: &[u8], run: Run) -> Result<Proved> {
        let (program, shape, weights) = (self.program, &self.shape, self.network.weights());
        let Run { blocks, outputs } = run;
        let witness = Witness::new(self.network, shape, &blocks);
        let x: Vec<i32> = blocks[0].y.iter().take(shape.x_len).map(|value| *value as i32).collect();
        drop(blocks);
        let committed = Committed { x, witness };
        let c_x = commit(&self.powers, &committed.x);
        let inputs = match program.header.mode {
            Mode::Public => statement::encode_input(program, input),
            Mode::Hashed => digest_of(&c_x).to_vec(),
            Mode::Private => Vec::new(),
        };
        let seed = statement::encode(context, &inputs, &outputs);
        let mut tape = Tape { transcript: Transcript::new(&key.digest, &seed), proof: Vec::new() };

        let (rows, drawn) = self.commitments(&mut tape, &c_x, &committed)?;
        let Drawn { challenges, gammas } = &drawn;
        let bias = BiasKernel::new(program, gammas, &challenges.tau);
        let bstar = bias.sum(weights);
        tape.send_scalars(&[bstar]);
        let public = if program.header.mode == Mode::Public { input } else { &[] };
        let claim = Evaluator::new(program, shape, challenges).claim_a(bstar, public, &outputs);
        let (rho, mut at) = self.sumcheck_a(&mut tape, &drawn, &committed, &rows, claim)?;

        let mut kernel = weight_kernel(program, gammas, &challenges.tau, &rho, weights.len());
        at.v = product(&kernel, weights);
        let stored = self.stored_kernels(&rho);
        at.y_stored = stored.iter().map(|(off, values)| dot(values, &weights[*off..], WEIGHT_BOUND)).sum();
        let delta = tape.send_scalars(&evaluation_words(shape, &at));
        let claims = Claims { bstar, rho, at, deltas: powers_of(delta, 12) };
        bias.add_to(&mut kernel, delta);
        for (off, values) in &stored {
            let target = kernel[*off..].iter_mut().zip(values);
            target.for_each(|(total, value)| *total += claims.deltas[10] * value);
        }
        let h = helpers(shape, &committed.witness, &rows);
        drop(rows);
        self.finish(&mut tape, challenges, &claims, kernel, &committed, &h)?;
        Ok(Proved { inputs, outputs, proof: tape.proof })
    }

    /// Messages 1 and 2, and their challenges.
    fn commitments(&self, tape: &mut Tape, c_x: &[G1Affine], committed: &Committed) -> Result<(Rows, Drawn)> {
        let (shape, witness) = (&self.shape, &committed.witness);
        let bytes = |points: &[G1Affine]| points.iter().flat_map(g1_to_bytes).collect::<Vec<_>>();
        let (c_p, grouped) =
            rayon::join(|| commit(&self.powers, &witness.p), || GroupedChunk::all(shape, witness, &self.powers));
        let alpha = tape.send(&bytes(&[c_x, &c_p].concat()));
        let beta = tape.transcript.draw();
        let rows = Rows::new(self.network, shape, witness, alpha, beta)?;
        let c_h: Vec<G1Affine> = grouped.par_iter().map(|chunk| chunk.commitment(&rows)).collect();
        let gamma = tape.send(&bytes(&c_h));
        let tau = (0..shape.taus).map(|_| tape.transcript.draw()).collect();
        let challenges = Challenges { alpha, beta, gamma, tau, t: tape.transcript.draw() };
        Ok((rows, Drawn { challenges, gammas: powers_of(gamma, shape.constraints + 6) }))
    }

    /// Messages 4: rho, and the columns there.
    fn sumcheck_a(
        &self,
        tape: &mut Tape,
        drawn: &Drawn,
        committed: &Committed,
        rows: &Rows,
        claim: Fr,
    ) -> Result<(Vec<Fr>, Evaluations<Fr>)> {
        let (program, shape) = (self.program, &self.shape);
        let Drawn { challenges, gammas } = drawn;
        let mut cells = cell_kernel(program, gammas, &challenges.tau, self.network.weights());
        cells.par_iter_mut().for_each(|cell| *cell = -*cell);
        let (kernel, mut same) = input_kernel(program, shape, gammas, challenges);
        let input = program.input.off as usize;
        cells[input..].iter_mut().zip(&kernel).for_each(|(cell, kernel)| *cell += kernel);
        same.truncate(shape.x_len);
        let constraints = constraint_kernel(program, gammas, &challenges.tau);
        let Committed { x, witness } = committed;
        let columns = Columns { shape, s: program.header.s, witness, rows, constraints, cells, input, same, x };
        let powers = std::array::from_fn(|k| gammas[shape.constraints + 2 + k]);
        let mut sumcheck = SumcheckA::new(columns, challenges, powers, claim);
        let rho = sumcheck.run(|message| tape.send_scalars(&message))?;
        Ok((rho, sumcheck.evaluations()?))
    }

    /// For each stored table its place in F, and the kernel of `y*` there.
    fn stored_kernels(&self, rho: &[Fr]) -> Vec<(usize, Vec<Fr>)> {
        let row = &rho[..self.shape.nt];
        let kernel = |table: &Table| {
            let k = usize::from(table.k);
            let selected = block(table.off.into(), k, row);
            let values = eq_table(&rho[..k], 1 << k).into_iter().map(|value| value * selected).collect();
            (table.f_off as usize, values)
        };
        self.program.stored_tables().map(kernel).collect()
    }

    /// Messages 6 to 10; `kernel` is that of F.
    fn finish(
        &self,
        tape: &mut Tape,
        challenges: &Challenges<Fr>,
        claims: &Claims,
        kernel: Vec<Fr>,
        committed: &Committed,
        h: &[Fr],
    ) -> Result<()> {
        let (shape, weights, Committed { x, witness }) = (&self.shape, self.network.weights(), committed);
        let Claims { rho, deltas, .. } = claims;
        let mut products = self.products(claims, kernel, committed, h);
        let sigma = sumcheck_b::run(&mut products, shape.nb, |message| tape.send_scalars(&message));
        drop(products);

        let [k_f, k_x, k_p, k_h] = Evaluator::new(self.program, shape, challenges).kernels_b(deltas, rho, &sigma);
        let high = eq_table(&sigma[shape.c..], 1 << (shape.nb - shape.c));
        let mut sum = Combination::new(1 << shape.c);
        sum.add_long(k_f, &high, weights);
        sum.add_short(k_x, &high, x);
        sum.add_short(k_p, &high, &witness.p);
        sum.add_elements(k_h, &high, h);
        opening::open(sum.coefficients(), &sigma[..shape.c], &self.powers, tape)
    }

    /// The sums of sumcheck B.
    fn products<'a>(
        &'a self,
        claims: &Claims,
        kernel: Vec<Fr>,
        committed: &'a Committed,
        h: &[Fr],
    ) -> Vec<Product<'a>> {
        let (shape, Committed { x, witness }) = (&self.shape, committed);
        let Claims { bstar, rho, at, deltas } = claims;
        let cells = eq_table(&rho[..shape.n], 1 << shape.n);
        let rows = eq_table(&rho[..shape.nt], 1 << shape.nt);
        let [q, r, y, m] = shape.p;
        let [h1, h2, g] = shape.h;
        let of_p = [(q, &cells, deltas[2]), (r, &cells, deltas[3]), (y, &cells, deltas[4]), (m, &rows, deltas[8])];
        let of_h = [(h1, &cells, deltas[5]), (h2, &cells, deltas[6]), (g, &rows, deltas[7])];
        let claim_f = at.v + deltas[1] * bstar + deltas[10] * at.y_stored;
        let claim_p = deltas[2] * at.q + deltas[3] * at.r + deltas[4] * at.y + deltas[8] * at.m;
        let claim_h = deltas[5] * at.h1 + deltas[6] * at.h2 + deltas[7] * at.g;
        let mut products = vec![
            Product::new(Vector::Long(self.network.weights()), kernel, claim_f),
            Product::new(Vector::Short(&witness.p), filled(shape.p_len, &of_p), claim_p),
            Product::new(Vector::Elements(h.to_vec()), filled(shape.h_len, &of_h), claim_h),
        ];
        if shape.x_len > 0 {
            let table = eq_table(&rho[..shape.input_bits], shape.x_len);
            let kernel = filled(shape.x_len, &[(0, &table, deltas[9])]);
            products.push(Product::new(Vector::Short(x), kernel, deltas[9] * at.x));
        }
        products
    }
}

/// A vector of multiples of others at their places, which fill it.
fn filled(length: usize, parts: &[(usize, &Vec<Fr>, Fr)]) -> Vec<Fr> {
    let mut vector = vec![Fr::zero(); length];
    for (off, values, factor) in parts {
        let target = vector[*off..].par_iter_mut().with_min_len(1 << 10).zip(*values);
        target.for_each(|(element, value)| *element = *factor * value);
    }
    vector
}

/// `E`: on each hidden block `gamma^l eq(tau, .)`.
fn constraint_kernel(program: &Program, gammas: &[Fr], tau: &[Fr]) -> Vec<Fr> {
    let mut cells = vec![Fr::zero(); 1 << program.header.n];
    for (hidden, gamma) in program.hidden.iter().zip(gammas) {
        let table = eq_table(&tau[..hidden.bits.into()], 1 << hidden.bits);
        let target = cells[hidden.off as usize..].par_iter_mut().with_min_len(1 << 10).zip(&table);
        target.for_each(|(cell, value)| *cell = *gamma * value);
    }
    cells
}

/// The sum of weights times a kernel.
fn product(kernel: &[Fr], weights: &[i64]) -> Fr {
    let strips = kernel.par_chunks(1 << 12).zip(weights.par_chunks(1 << 12));
    strips.map(|(kernel, weights)| dot(kernel, weights, WEIGHT_BOUND)).sum()
}

/// Bytes of memory that [`prove`] takes at most for a program, beside the mapped setup: known before it starts.
pub fn memory(program: &Program) -> u64 {
    const ELEMENT: u64 = 32;
    let shape = Shape::new(program);
    let (cells, rows) = (1_u64 << shape.n, 1_u64 << shape.nt);
    let weights = u64::from(program.header.chunks_f) << shape.c;
    let (p, h) = (shape.p_len as u64, shape.h_len as u64);
    // P, both lookups of a cell, the weights, and the columns of the rows.
    let always = 4 * p + 8 * cells + 8 * weights + 3 * ELEMENT * rows;
    // Two kernels, half of eight columns, a quarter of them while they are folded; four columns of rows, then three.
    let a = ELEMENT * (8 * cells + 6 * rows);
    // H twice, kernels as long as the vectors, and half of the vectors as elements.
    let b = ELEMENT * (3 * h + 3 * p / 2 + 3 * weights / 2);
    // The heap holds back some of what is free.
    (always + a.max(b)) / 4 * 5 + (1 << 24)
}
