//! A prover that is slow and plain, and lies on demand: everything by its definition, over any group whose tau is known.

pub mod algebra;
mod columns;
pub mod group;
pub mod lies;
mod opening;
mod witness;

use ark_ff::{Field, One, Zero};
use zkinfer_ashlar::evaluate::{Challenges, Evaluations, powers_of};
use zkinfer_ashlar::keccak::keccak256;
use zkinfer_ashlar::mle::eq_table;
use zkinfer_ashlar::program::{Mode, Program};
use zkinfer_ashlar::proof::evaluation_words;
use zkinfer_ashlar::shape::Shape;
use zkinfer_ashlar::statement::{encode, encode_input};
use zkinfer_ashlar::transcript::{Transcript, words};
use zkinfer_ashlar::verify::{Statement, View, trace};
use zkinfer_ashlar::{Error, Result};

use super::encode::{code, records};
use algebra::{Sumcheck, extension, value};
use columns::{Cells, Rows, kernels};
use group::Trapdoor;
use lies::Lie;
use witness::{Relation, Witness, relations};

/// A program with weights, under a setup whose tau is known.
pub struct Slow<G: Trapdoor> {
    pub program: Program,
    pub weights: Vec<i64>,
    tau: G::Scalar,
    tau_g2: Vec<u8>,
    relations: Vec<Relation>,
    commitments: Vec<G::Point>,
    digest: [u8; 32],
}

/// What a prover hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    pub context: Vec<u8>,
    pub inputs: Vec<u8>,
    pub outputs: Vec<i64>,
    pub proof: Vec<u8>,
}

impl Proved {
    pub fn statement(&self) -> Statement<'_> {
        Statement { context: &self.context, inputs: &self.inputs, outputs: &self.outputs }
    }
}

/// The messages so far.
struct Tape<G: Trapdoor> {
    transcript: Transcript<G::Scalar>,
    proof: Vec<u8>,
}

impl<G: Trapdoor> Tape<G> {
    fn points(&mut self, points: &[G::Point]) -> G::Scalar {
        let bytes: Vec<u8> = points.iter().flat_map(G::encode).collect();
        self.proof.extend(&bytes);
        self.transcript.absorb(&bytes)
    }

    fn scalars(&mut self, scalars: &[G::Scalar]) -> G::Scalar {
        self.proof.extend(words(scalars));
        self.transcript.absorb_scalars(scalars)
    }
}

fn integers<F: ark_ff::PrimeField>(values: &[i64]) -> Vec<F> {
    values.iter().map(|value| F::from(*value)).collect()
}

impl<G: Trapdoor> Slow<G> {
    /// Commits to the weights. `tau_g2` are the 128 bytes that stand in the key.
    pub fn new(program: Program, weights: Vec<i64>, tau: G::Scalar, tau_g2: &[u8]) -> Self {
        let relations = relations(&program);
        let mut slow = Slow {
            program,
            weights,
            tau,
            tau_g2: tau_g2.to_vec(),
            relations,
            commitments: Vec::new(),
            digest: [0; 32],
        };
        let mut committed = integers(&slow.weights);
        committed.resize(usize::from(slow.program.header.chunks_f) << slow.program.header.c, G::Scalar::zero());
        slow.commitments = slow.chunks(&committed).iter().map(|chunk| slow.commit(chunk)).collect();
        slow.digest = keccak256(&[&slow.key()]);
        slow
    }

    /// The words of the key.
    pub fn key(&self) -> Vec<u8> {
        let points = self.commitments.iter().flat_map(G::encode);
        let header = code(&self.program)[..32].to_vec();
        header.into_iter().chain(self.tau_g2.clone()).chain(points).chain(records(&self.program)).collect()
    }

    pub fn view(&self) -> View<'_, G> {
        View { program: &self.program, digest: &self.digest, weights: &self.commitments }
    }

    /// Steps 2 to 15, with the last one as an equation in the exponent.
    pub fn verify(&self, proved: &Proved) -> Result<()> {
        let (trace, proof) = trace(&self.view(), &proved.statement(), &proved.proof)?;
        if trace.pairing_point == G::combine(&[proof.w_prime], &[self.tau]) {
            return Ok(());
        }
        Err(Error::ProofRejected { step: 15, reason: "the equation in the exponent fails".into() })
    }

    fn commit(&self, coefficients: &[G::Scalar]) -> G::Point {
        G::times(value(coefficients, self.tau))
    }

    /// The vector cut into chunks of the full size.
    fn chunks(&self, vector: &[G::Scalar]) -> Vec<Vec<G::Scalar>> {
        let size = 1 << self.program.header.c;
        let full = |chunk: &[G::Scalar]| {
            let mut chunk = chunk.to_vec();
            chunk.resize(size, G::Scalar::zero());
            chunk
        };
        vector.chunks(size).map(full).collect()
    }

    /// Proves, honestly or not. `None` if a challenge has no inverse where one is needed, or if the program gives no
    /// occasion for the lie.
    pub fn prove(&self, input: &[i64], context: &[u8; 32], lie: Lie) -> Option<Proved> {
        let (program, shape) = (&self.program, Shape::new(&self.program));
        let weights = self.believed_weights(lie)?;
        let witness = Witness::new(program, &self.relations, &weights, input, lie)?;

        let mut x = self.chunks(&integers::<G::Scalar>(&witness.x[..shape.x_len]));
        if lie == Lie::BlocksSwapped && witness.q == witness.r {
            return None;
        }
        let mut p = self.chunks(&committed_p(&shape, &witness, lie));
        if lie == Lie::HighCoefficients {
            p.iter_mut().for_each(|chunk| chunk.extend([3, 1, 4].map(G::Scalar::from)));
        }
        if lie == Lie::DigestWithMoreCoefficients {
            x[0].extend([G::Scalar::from(5)]);
        }
        let c_x: Vec<G::Point> = x.iter().map(|chunk| self.commit(chunk)).collect();
        let mut c_p: Vec<G::Point> = p.iter().map(|chunk| self.commit(chunk)).collect();
        if lie == Lie::ChunksSwapped {
            let honest = c_p.clone();
            c_p.reverse();
            (c_p != honest).then_some(())?;
        }
        let mut inputs = match program.header.mode {
            Mode::Public => encode_input(program, input),
            Mode::Hashed => keccak256(&[&c_x.iter().flat_map(G::encode).collect::<Vec<u8>>()]).to_vec(),
            Mode::Private => Vec::new(),
        };
        match lie {
            Lie::OtherPublicInput | Lie::DigestOfOtherCommitment => inputs[0] ^= 1,
            _ => {}
        }
        let mut believed = context.to_vec();
        let mut digest = self.digest;
        believed[0] ^= u8::from(lie == Lie::OtherContext);
        digest[0] ^= u8::from(lie == Lie::OtherKey);
        let seed = encode(&believed, &inputs, &witness.outputs);
        let mut tape = Tape::<G> { transcript: Transcript::new(&digest, &seed), proof: Vec::new() };

        let alpha = tape.points(&[c_x, c_p].concat());
        let beta = tape.transcript.draw();
        let cells = Cells::new(program, &witness, alpha, beta, lie)?;
        let rows = Rows::new(program, &witness, &weights, alpha, beta, lie)?;
        let mut h_vector = vec![G::Scalar::zero(); shape.h_len];
        for (off, column) in shape.h.into_iter().zip([&cells.h1, &cells.h2, &rows.g]) {
            h_vector[off..off + column.len()].copy_from_slice(column);
        }
        let mut h = self.chunks(&h_vector);
        if lie == Lie::HighCoefficients {
            h.iter_mut().for_each(|chunk| chunk.extend([2, 7].map(G::Scalar::from)));
        }
        let c_h: Vec<G::Point> = h.iter().map(|chunk| self.commit(chunk)).collect();
        let gamma = tape.points(&c_h);
        let tau = (0..shape.taus).map(|_| tape.transcript.draw()).collect();
        let challenges = Challenges { alpha, beta, gamma, tau, t: tape.transcript.draw() };

        let bstar = self.bstar(&challenges, &weights, lie);
        tape.scalars(&[bstar]);
        let believed_input: &[i64] = if program.header.mode == Mode::Public { input } else { &[] };
        let mut sums = columns::sumcheck_a(self, &challenges, &cells, &rows, &weights);
        let claim = columns::claim_a(self, &challenges, bstar, believed_input, &witness.outputs);
        let (rho, last) = self.rounds_a(&mut tape, &mut sums, claim, lie);

        let k = kernels(self, &challenges, &rho);
        let column = |values: &[i64]| extension(&integers::<G::Scalar>(values), &rho);
        let mut at = Evaluations {
            q: column(&witness.q),
            r: column(&witness.r),
            y: column(&witness.y),
            h1: extension(&cells.h1, &rho),
            h2: extension(&cells.h2, &rho),
            g: extension(&rows.g, &rho),
            m: column(&witness.multiplicities),
            v: dot(&integers(&weights), &k.v),
            x: if shape.x_len > 0 { column(&witness.x) } else { G::Scalar::zero() },
            y_stored: dot(&integers(&weights), &k.stored),
        };
        columns::lie_about_evaluations(program, &challenges, (&rho, last), &mut at, lie);
        let delta = tape.scalars(&evaluation_words(&shape, &at));
        let deltas = powers_of(delta, 12);
        let claims = [at.v, bstar, at.q, at.r, at.y, at.h1, at.h2, at.g, at.m, at.x, at.y_stored];
        let claim = dot(&claims, &deltas);

        let mut weighted = k.combined(&shape, &deltas, &rho);
        if lie == Lie::KernelOff {
            weighted[0][0] += G::Scalar::one();
            weighted[2][0] += G::Scalar::one();
        }
        let lists = [self.chunks(&integers(&weights)), x, p, h];
        let tables = lists.iter().zip(&weighted).flat_map(|(list, kernel)| {
            let mut table: Vec<G::Scalar> = list.iter().flat_map(|chunk| chunk[..1 << shape.c].to_vec()).collect();
            table.resize(1 << shape.nb, G::Scalar::zero());
            [table, kernel.clone()]
        });
        let combine = |v: &[G::Scalar]| v.chunks(2).map(|pair| pair[0] * pair[1]).sum();
        let mut sums = Sumcheck { tables: tables.collect(), combine: Box::new(combine) };
        let (sigma, claim) = self.rounds_b(&mut tape, &mut sums, claim, lie);
        let kernels_at_sigma: Vec<G::Scalar> = weighted.iter().map(|table| extension(table, &sigma)).collect();
        let f = combination(&lists, &kernels_at_sigma, &sigma[shape.c..]);
        opening::open(self, &mut tape, &f, &sigma[..shape.c], claim, lie)?;
        Some(Proved { context: context.to_vec(), inputs, outputs: witness.outputs, proof: tape.proof })
    }

    /// F as the prover wants it to be.
    fn believed_weights(&self, lie: Lie) -> Option<Vec<i64>> {
        let mut weights = self.weights.clone();
        let used = |bias: bool| {
            let relation = self.relations.iter().find(|of| of.weight.is_some() && of.cell.is_none() == bias);
            relation.and_then(|relation| relation.weight)
        };
        match lie {
            Lie::WeightChanged => weights[used(false)?] += 1,
            Lie::BiasChanged => weights[used(true)?] += 1,
            Lie::StoredColumnChanged => weights[self.program.stored_tables().next()?.f_off as usize] += 1,
            _ => {}
        }
        Some(weights)
    }

    fn bstar(&self, challenges: &Challenges<G::Scalar>, weights: &[i64], lie: Lie) -> G::Scalar {
        let honest = dot(&integers(weights), &columns::bias_kernel(self, challenges));
        match lie {
            Lie::BstarOff | Lie::ClaimsCancellingInB => honest + G::Scalar::one(),
            Lie::BstarRepairsOutput | Lie::SRepairedAtGuess(_) => {
                let output = self.program.hidden.len();
                let at_zero = eq_table(&challenges.tau[..self.program.outputs[0].bits.into()], 1)[0];
                honest + challenges.gamma.pow([output as u64]) * at_zero
            }
            _ => honest,
        }
    }

    fn rounds_a(
        &self,
        tape: &mut Tape<G>,
        sums: &mut Sumcheck<'_, G::Scalar>,
        mut claim: G::Scalar,
        lie: Lie,
    ) -> (Vec<G::Scalar>, G::Scalar) {
        let count = sums.tables[0].len().trailing_zeros() as usize;
        let mut rho = vec![G::Scalar::zero(); count];
        for j in (0..count).rev() {
            let [c0, c1, mut c2, mut c3] = sums.round();
            let wrong = claim - (c0 + c0 + c1 + c2 + c3);
            let mut c0 = c0;
            if lie == Lie::RoundsFitAWrongClaim && !wrong.is_zero() {
                // The difference to the true cubic has as many roots as a cubic can have: (X - a)(X - b)(X - c), scaled.
                let [a, b, c] = [2u64, 3, 5].map(G::Scalar::from);
                let cubic = [-a * b * c, a * b + a * c + b * c, -(a + b + c), G::Scalar::one()];
                let sum = cubic[0] + cubic.iter().sum::<G::Scalar>();
                let scale = wrong * sum.inverse().expect("not zero");
                (c0, c2, c3) = (c0 + cubic[0] * scale, c2 + cubic[2] * scale, c3 + cubic[3] * scale);
            }
            if lie == Lie::RoundOfAOff(count - 1 - j) {
                c2 += G::Scalar::one();
            }
            let x = tape.scalars(&[c0, c2, c3]);
            let c1 = claim - c0 - c0 - c2 - c3;
            claim = value(&[c0, c1, c2, c3], x);
            sums.bind(x);
            rho[j] = x;
        }
        (rho, claim)
    }

    fn rounds_b(
        &self,
        tape: &mut Tape<G>,
        sums: &mut Sumcheck<'_, G::Scalar>,
        mut claim: G::Scalar,
        lie: Lie,
    ) -> (Vec<G::Scalar>, G::Scalar) {
        let count = sums.tables[0].len().trailing_zeros() as usize;
        let mut sigma = vec![G::Scalar::zero(); count];
        for j in (0..count).rev() {
            let [c0, _, mut c2, _] = sums.round();
            if lie == Lie::RoundOfBOff(count - 1 - j) {
                c2 += G::Scalar::one();
            }
            let x = tape.scalars(&[c0, c2]);
            claim = value(&[c0, claim - c0 - c0 - c2, c2], x);
            sums.bind(x);
            sigma[j] = x;
        }
        (sigma, claim)
    }
}

/// The vector P; a lie exchanges its blocks Q and R.
fn committed_p<F: ark_ff::PrimeField>(shape: &Shape, witness: &Witness, lie: Lie) -> Vec<F> {
    let mut p = vec![F::zero(); shape.p_len];
    let mut offsets = shape.p;
    if lie == Lie::BlocksSwapped {
        offsets.swap(0, 1);
    }
    for (off, column) in offsets.into_iter().zip([&witness.q, &witness.r, &witness.y, &witness.multiplicities]) {
        p[off..off + column.len()].copy_from_slice(&integers(column));
    }
    p
}

/// The chunks of all lists, times their kernel and the selector of the chunk.
fn combination<F: ark_ff::PrimeField>(lists: &[Vec<Vec<F>>; 4], kernels: &[F], high: &[F]) -> Vec<F> {
    let longest = lists.iter().flatten().map(Vec::len).max().unwrap_or(0);
    let selectors = eq_table(high, 1 << high.len());
    let mut sum = vec![F::zero(); longest];
    for (list, kernel) in lists.iter().zip(kernels) {
        for (chunk, selector) in list.iter().zip(&selectors) {
            sum.iter_mut().zip(chunk).for_each(|(sum, coefficient)| *sum += *coefficient * kernel * selector);
        }
    }
    sum
}

fn dot<F: ark_ff::PrimeField>(one: &[F], other: &[F]) -> F {
    one.iter().zip(other).map(|(a, b)| *a * b).sum()
}
