//! The prover (part 6 and section 11).

mod axis;
mod lookups;
mod opening;
mod sumcheck_a;
mod sumcheck_b;
mod terms;
mod witness;

use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use ark_ff::Zero;
use rayon::prelude::*;

use crate::curve::g1_to_bytes;
use crate::error::{Error, Result};
use crate::evaluate::{Challenges, Evaluations, Evaluator, powers_of};
use crate::infer::{Network, Run, WEIGHT_BOUND};
use crate::keccak::keccak256;
use crate::mle::{block, eq_table};
use crate::msm::msm_small;
use crate::program::{Key, Mode, Program};
use crate::proof::evaluation_words;
use crate::setup::{Powers, Setup};
use crate::shape::Shape;
use crate::small::dot;
use crate::statement;
use crate::transcript::{Transcript, words};
use crate::verify::{Statement, verify};

use lookups::{GroupedChunk, Rows, helpers};
use opening::{Combination, Messages};
use sumcheck_a::{Columns, SumcheckA};
use sumcheck_b::{Product, Vector};
use terms::{BiasKernel, cell_kernel, input_kernel, weight_kernel};
use witness::Witness;

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

/// Commitments to the chunks of F.
///
/// # Errors
/// [`Error::Setup`] if the setup has too few powers.
pub fn commit_weights(network: &Network, setup: &Setup) -> Result<Vec<G1Affine>> {
    let powers = setup.powers(1 << network.program().header.c)?;
    Ok(commit(&powers, network.weights()))
}

/// The key of a program: `code`, with tau in G2 and the commitments to the weights behind the header.
///
/// # Errors
/// [`Error::MalformedKey`] if it would not be one, and the errors of [`commit_weights`].
pub fn make_key(code: &[u8], network: &Network, setup: &Setup) -> Result<Vec<u8>> {
    let (header, program) = code
        .split_at_checked(32)
        .ok_or_else(|| Error::MalformedKey { rule: "W1", reason: "a program is a header and records".into() })?;
    let mut key = header.to_vec();
    key.extend(setup.tau_g2_bytes());
    key.extend(commit_weights(network, setup)?.iter().flat_map(g1_to_bytes));
    key.extend(program);
    Key::from_bytes(&key)?;
    Ok(key)
}

/// The input digest of mode 1 (section 5.1).
///
/// # Errors
/// [`Error::InputOutOfRange`], and [`Error::Setup`] if the setup has too few powers.
pub fn commit_input(program: &Program, input: &[i64], setup: &Setup) -> Result<[u8; 32]> {
    statement::check_input(program, input)?;
    let mut cells = vec![0_i32; 1 << program.input.bits];
    for (place, value) in crate::program::positions(&program.input.dims).into_iter().zip(input) {
        cells[place] = *value as i32;
    }
    let points = commit(&setup.powers(1 << program.header.c)?, &cells);
    Ok(digest_of(&points))
}

fn digest_of(points: &[G1Affine]) -> [u8; 32] {
    keccak256(&[&points.iter().flat_map(g1_to_bytes).collect::<Vec<_>>()])
}

/// Commitments to the chunks of a vector of integers.
fn commit<T: Copy + Into<i64> + Sync>(powers: &Powers<'_>, vector: &[T]) -> Vec<G1Affine> {
    let chunks = vector.par_chunks(powers.count());
    chunks.map(|chunk| msm_small(powers, chunk).into_affine()).collect()
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
    h: Vec<Fr>,
}

impl Prover<'_> {
    fn prove(&self, key: &Key, input: &[i64], context: &[u8], run: Run) -> Result<Proved> {
        let (program, shape) = (self.program, &self.shape);
        let witness = Witness::new(self.network, shape, &run);
        let x: Vec<i32> = run.blocks[0].y.iter().take(shape.x_len).map(|value| *value as i32).collect();
        let outputs = run.outputs;
        drop(run.blocks);
        let c_x = commit(&self.powers, &x);
        let inputs = match program.header.mode {
            Mode::Public => statement::encode_input(program, input),
            Mode::Hashed => digest_of(&c_x).to_vec(),
            Mode::Private => Vec::new(),
        };
        let seed = statement::encode(context, &inputs, &outputs);
        let mut tape = Tape { transcript: Transcript::new(&key.digest, &seed), proof: Vec::new() };

        let (c_p, grouped) =
            rayon::join(|| commit(&self.powers, &witness.p), || GroupedChunk::all(shape, &witness, &self.powers));
        let alpha = tape.send(&c_x.iter().chain(&c_p).flat_map(g1_to_bytes).collect::<Vec<_>>());
        let beta = tape.transcript.draw();
        let rows = Rows::new(self.network, shape, &witness, alpha, beta)?;
        let c_h: Vec<G1Affine> = grouped.par_iter().map(|chunk| chunk.commitment(&rows)).collect();
        drop(grouped);
        let gamma = tape.send(&c_h.iter().flat_map(g1_to_bytes).collect::<Vec<_>>());
        let tau = (0..shape.taus).map(|_| tape.transcript.draw()).collect();
        let challenges = Challenges { alpha, beta, gamma, tau, t: tape.transcript.draw() };

        let gammas = powers_of(gamma, shape.constraints + 6);
        let bias = BiasKernel::new(program, &gammas, &challenges.tau);
        let bstar = bias.sum(self.network.weights());
        tape.send_scalars(&[bstar]);
        let public = if program.header.mode == Mode::Public { input } else { &[] };
        let claim = Evaluator::new(program, shape, &challenges).claim_a(bstar, public, &outputs);
        let (rho, mut at) = self.sumcheck_a(&mut tape, &challenges, &gammas, &witness, &rows, &x, claim)?;

        let weights = self.network.weights();
        let mut kernel = weight_kernel(program, &gammas, &challenges.tau, &rho, weights.len());
        at.v = product(&kernel, weights);
        let stored = self.stored_kernels(&rho);
        at.y_stored = stored.iter().map(|(off, values)| dot(values, &weights[*off..], WEIGHT_BOUND)).sum();
        let delta = tape.send_scalars(&evaluation_words(shape, &at));
        let deltas = powers_of(delta, 12);
        bias.add_to(&mut kernel, delta);
        for (off, values) in &stored {
            kernel[*off..].iter_mut().zip(values).for_each(|(total, value)| *total += deltas[10] * value);
        }
        let committed = Committed { x, h: helpers(shape, &witness, &rows), witness };
        drop(rows);
        self.finish(&mut tape, &challenges, &deltas, bstar, &rho, &at, kernel, &committed)?;
        Ok(Proved { inputs, outputs, proof: tape.proof })
    }

    /// Messages 4: rho, and the columns there.
    #[allow(clippy::too_many_arguments)]
    fn sumcheck_a(
        &self,
        tape: &mut Tape,
        challenges: &Challenges<Fr>,
        gammas: &[Fr],
        witness: &Witness,
        rows: &Rows,
        x: &[i32],
        claim: Fr,
    ) -> Result<(Vec<Fr>, Evaluations<Fr>)> {
        let (program, shape) = (self.program, &self.shape);
        let mut cells = cell_kernel(program, gammas, &challenges.tau, self.network.weights());
        cells.par_iter_mut().for_each(|cell| *cell = -*cell);
        let (input, same) = input_kernel(program, gammas, challenges);
        let off = program.input.off as usize;
        cells[off..].iter_mut().zip(&input).for_each(|(cell, input)| *cell += input);
        let same = (shape.x_len > 0).then(|| (off, same, x.to_vec()));
        let constraints = constraint_kernel(program, gammas, &challenges.tau);
        let columns = Columns { shape, s: program.header.s, witness, rows, constraints, cells, same };
        let powers = std::array::from_fn(|k| gammas[shape.constraints + 2 + k]);
        let mut sumcheck = SumcheckA::new(columns, challenges, powers, claim);
        let rho = sumcheck.run(|message| tape.send_scalars(&message))?;
        Ok((rho, sumcheck.evaluations()?))
    }

    /// For each stored table its place in F, and the kernel of `y*` there.
    fn stored_kernels(&self, rho: &[Fr]) -> Vec<(usize, Vec<Fr>)> {
        let row = &rho[..self.shape.nt];
        let kernel = |table: &crate::program::Table| {
            let k = usize::from(table.k);
            let selected = block(table.off.into(), k, row);
            let values = eq_table(&rho[..k], 1 << k).into_iter().map(|value| value * selected).collect();
            (table.f_off as usize, values)
        };
        self.program.stored_tables().map(kernel).collect()
    }

    /// Messages 6 to 10.
    #[allow(clippy::too_many_arguments)]
    fn finish(
        &self,
        tape: &mut Tape,
        challenges: &Challenges<Fr>,
        deltas: &[Fr],
        bstar: Fr,
        rho: &[Fr],
        at: &Evaluations<Fr>,
        kernel: Vec<Fr>,
        committed: &Committed,
    ) -> Result<()> {
        let (shape, weights) = (&self.shape, self.network.weights());
        let Committed { x, witness, h } = committed;
        let cells = eq_table(&rho[..shape.n], 1 << shape.n);
        let rows = eq_table(&rho[..shape.nt], 1 << shape.nt);
        let fill = |length: usize, parts: &[(usize, &[Fr], Fr)]| {
            let mut kernel = vec![Fr::zero(); length];
            for (off, values, factor) in parts {
                kernel[*off..].par_iter_mut().zip(*values).for_each(|(kernel, value)| *kernel = *factor * value);
            }
            kernel
        };
        let [q, r, y, m] = shape.p;
        let [h1, h2, g] = shape.h;
        let p_kernel = fill(
            shape.p_len,
            &[(q, &cells, deltas[2]), (r, &cells, deltas[3]), (y, &cells, deltas[4]), (m, &rows, deltas[8])],
        );
        let h_kernel = fill(shape.h_len, &[(h1, &cells, deltas[5]), (h2, &cells, deltas[6]), (g, &rows, deltas[7])]);
        drop((cells, rows));
        let claim_f = at.v + deltas[1] * bstar + deltas[10] * at.y_stored;
        let claim_p = deltas[2] * at.q + deltas[3] * at.r + deltas[4] * at.y + deltas[8] * at.m;
        let claim_h = deltas[5] * at.h1 + deltas[6] * at.h2 + deltas[7] * at.g;
        let mut products = vec![
            Product::new(Vector::Long(weights), kernel, claim_f),
            Product::new(Vector::Short(&witness.p), p_kernel, claim_p),
            Product::new(Vector::Elements(h.clone()), h_kernel, claim_h),
        ];
        if shape.x_len > 0 {
            let table = eq_table(&rho[..shape.input_bits], shape.x_len);
            let x_kernel = fill(shape.x_len, &[(0, &table, deltas[9])]);
            products.push(Product::new(Vector::Short(x), x_kernel, deltas[9] * at.x));
        }
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
    always + a.max(b) + (1 << 24)
}
