//! The verifier (section 7.1).

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, One};

use crate::curve::{g1_to_bytes, same_ratio};
use crate::error::{Result, rejected};
use crate::evaluate::{Challenges, Evaluator, next_claim, powers_of, product_polynomial};
use crate::keccak::keccak256;
use crate::mle::eq_table;
use crate::program::{Key, Mode, Program};
use crate::proof::{Proof, evaluation_words};
use crate::shape::Shape;
use crate::statement::{self, Layout, OUTPUT_LIMIT};
use crate::transcript::Transcript;

/// What a proof is about (section 5.1).
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// 32 bytes.
    pub context: &'a [u8],
    /// The input as its mode wants it.
    pub inputs: &'a [u8],
    /// The outputs.
    pub outputs: &'a [i64],
}

/// What a verifier has computed on its way; for tests against vectors.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Challenges before A.
    pub challenges: Challenges<Fr>,
    /// Point of A, lowest variable first.
    pub rho: Vec<Fr>,
    /// Batches the claims of B.
    pub delta: Fr,
    /// Point of B, lowest variable first.
    pub sigma: Vec<Fr>,
    /// The claims before each round of A, and the last.
    pub claims_a: Vec<Fr>,
    /// The claims before each round of B, and the last.
    pub claims_b: Vec<Fr>,
    /// `K_F, K_X, K_P, K_H` at sigma.
    pub kernels: [Fr; 4],
    /// Point of the opening.
    pub zeta: Fr,
    /// Batches the opening.
    pub delta_prime: Fr,
    /// Second point of the opening.
    pub z: Fr,
    /// `S(1/zeta)`.
    pub s1: Fr,
    /// The line at z.
    pub lz: Fr,
    /// `(z - zeta)(z - 1/zeta)`.
    pub zz: Fr,
    /// `A` of step 14.
    pub pairing_point: G1Affine,
}

/// Verifies a proof.
///
/// # Errors
/// [`crate::Error::ProofRejected`] names the first step of section 7.1 that fails.
pub fn verify(key: &Key, statement: &Statement<'_>, proof: &[u8]) -> Result<()> {
    let (trace, proof) = trace(key, statement, proof)?;
    if same_ratio(&trace.pairing_point, &proof.w_prime, &key.tau_g2) {
        return Ok(());
    }
    Err(rejected(15, "the pairing check fails"))
}

/// Steps 2 to 14.
///
/// # Errors
/// [`crate::Error::ProofRejected`] names the first step of section 7.1 that fails.
pub fn trace(key: &Key, statement: &Statement<'_>, proof: &[u8]) -> Result<(Trace, Proof)> {
    let program = &key.program;
    let shape = Shape::new(program);
    if proof.len() != 32 * shape.proof_words() {
        return Err(rejected(
            2,
            format!("the proof has {} bytes, and needs {}", proof.len(), 32 * shape.proof_words()),
        ));
    }
    let inputs = check_statement(program, statement)?;
    let proof = Proof::from_bytes(&shape, proof)?;
    let seed = statement::encode(statement.context, statement.inputs, statement.outputs);
    let mut transcript = Transcript::<Fr>::new(&key.digest, &seed);
    let challenges = commitments(program, &shape, &mut transcript, &proof, statement.inputs)?;
    let evaluator = Evaluator::new(program, &shape, &challenges);

    transcript.absorb_scalars(&[proof.bstar]);
    let claim = evaluator.claim_a(proof.bstar, &inputs, statement.outputs);
    let (rho, claims_a) = rounds(&mut transcript, claim, &proof.rounds_a, |round| *round);
    if evaluator.final_a(&rho, &proof.evaluations) != claims_a[shape.rounds_a] {
        return Err(rejected(8, "the last claim of sumcheck A is not what its evaluations give"));
    }

    let delta = transcript.absorb_scalars(&evaluation_words(&shape, &proof.evaluations));
    let deltas = powers_of(delta, 12);
    let claim = evaluator.claim_b(&deltas, proof.bstar, &proof.evaluations);
    let (sigma, claims_b) = rounds(&mut transcript, claim, &proof.rounds_b, |[c0, c2]| [*c0, *c2, Fr::default()]);
    let kernels = evaluator.kernels_b(&deltas, &rho, &sigma);

    let opening = opening(&mut transcript, &proof, &sigma[..shape.c], claims_b[shape.nb])?;
    let Opening { zeta, delta_prime, z, s1, lz, zz } = opening;
    let pairing_point = pairing_point(key, &shape, &proof, &kernels, &sigma, &opening);
    drop(evaluator);
    let trace = Trace {
        challenges,
        rho,
        delta,
        sigma,
        claims_a,
        claims_b,
        kernels,
        zeta,
        delta_prime,
        z,
        s1,
        lz,
        zz,
        pairing_point,
    };
    Ok((trace, proof))
}

/// Steps 2 and 3; gives the integers of a public input.
fn check_statement(program: &Program, statement: &Statement<'_>) -> Result<Vec<i64>> {
    let layout = Layout::new(program);
    let length = |what: &str, got: usize, wanted: usize| {
        if got == wanted { Ok(()) } else { Err(rejected(2, format!("{what}: {got}, and the key asks for {wanted}"))) }
    };
    length("bytes of the context", statement.context.len(), 32)?;
    length("bytes of the inputs", statement.inputs.len(), layout.input_width * layout.inputs)?;
    length("number of outputs", statement.outputs.len(), layout.outputs)?;
    if let Some(at) = statement.outputs.iter().position(|value| value.unsigned_abs() >= OUTPUT_LIMIT.unsigned_abs()) {
        return Err(rejected(3, format!("output {at} is {}, beyond 2^60", statement.outputs[at])));
    }
    let public = program.header.mode == Mode::Public;
    Ok(if public { statement::decode_input(program, statement.inputs) } else { Vec::new() })
}

/// Step 5.
fn commitments(
    program: &Program,
    shape: &Shape,
    transcript: &mut Transcript<Fr>,
    proof: &Proof,
    inputs: &[u8],
) -> Result<Challenges<Fr>> {
    let bytes = |points: &[G1Affine]| points.iter().flat_map(g1_to_bytes).collect::<Vec<u8>>();
    let x = bytes(&proof.x);
    if program.header.mode == Mode::Hashed && keccak256(&[&x]) != inputs {
        return Err(rejected(5, "the input digest is not that of the commitment to the input"));
    }
    let alpha = transcript.absorb(&[x, bytes(&proof.p)].concat());
    let beta = transcript.draw();
    let gamma = transcript.absorb(&bytes(&proof.h));
    let tau = (0..shape.taus).map(|_| transcript.draw()).collect();
    Ok(Challenges { alpha, beta, gamma, tau, t: transcript.draw() })
}

/// Steps 7 and 9: the point, lowest variable first, and all claims.
fn rounds<const N: usize>(
    transcript: &mut Transcript<Fr>,
    claim: Fr,
    rounds: &[[Fr; N]],
    coefficients: impl Fn(&[Fr; N]) -> [Fr; 3],
) -> (Vec<Fr>, Vec<Fr>) {
    let (mut point, mut claims) = (vec![Fr::default(); rounds.len()], vec![claim]);
    for (round, x) in rounds.iter().zip(point.iter_mut().rev()) {
        *x = transcript.absorb_scalars(round);
        claims.push(next_claim(claims[claims.len() - 1], coefficients(round), *x));
    }
    (point, claims)
}

/// Scalars of the opening.
#[derive(Clone, Copy)]
struct Opening {
    zeta: Fr,
    delta_prime: Fr,
    z: Fr,
    s1: Fr,
    lz: Fr,
    zz: Fr,
}

/// Steps 11 to 13.
fn opening(transcript: &mut Transcript<Fr>, proof: &Proof, u: &[Fr], value: Fr) -> Result<Opening> {
    let [f0, f1, s0, hint] = proof.opening;
    let zeta: Fr = transcript.absorb(&g1_to_bytes(&proof.s));
    let delta_prime: Fr = transcript.absorb_scalars(&proof.opening);
    let z: Fr = transcript.absorb(&g1_to_bytes(&proof.w));
    let square = zeta.square();
    if hint * zeta * (square - Fr::one()) != Fr::one() {
        return Err(rejected(11, "the hint is not the inverse of zeta (zeta^2 - 1)"));
    }
    let (inverse, gap) = (hint * (square - Fr::one()), hint * square);
    let at = |x: Fr| product_polynomial(u, x);
    let s1 = zeta * (f0 * at(inverse) + f1 * at(zeta) - value.double() - zeta * s0);
    let (y0, y1) = (f0 + delta_prime * s0, f1 + delta_prime * s1);
    let lz = y0 + (y0 - y1) * gap * (z - zeta);
    Ok(Opening { zeta, delta_prime, z, s1, lz, zz: (z - zeta) * (z - inverse) })
}

/// Steps 10 and 14: the combination of all commitments.
fn pairing_point(
    key: &Key,
    shape: &Shape,
    proof: &Proof,
    kernels: &[Fr; 4],
    sigma: &[Fr],
    opening: &Opening,
) -> G1Affine {
    let lists = [&key.weights, &proof.x, &proof.p, &proof.h];
    let most = lists.iter().map(|list| list.len()).max().unwrap_or(0);
    let chunks = eq_table(&sigma[shape.c..], most);
    let mut points = vec![proof.s, G1Affine::generator(), proof.w, proof.w_prime];
    let mut scalars = vec![opening.delta_prime, -opening.lz, -opening.zz, opening.z];
    for (list, kernel) in lists.into_iter().zip(kernels) {
        points.extend(list);
        scalars.extend(chunks.iter().take(list.len()).map(|chunk| *chunk * kernel));
    }
    G1Projective::msm_unchecked(&points, &scalars).into_affine()
}
