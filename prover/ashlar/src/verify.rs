//! The verifier (section 7.1).

use ark_ff::{PrimeField, Zero};

use crate::curve::same_ratio;
use crate::error::{Result, rejected};
use crate::evaluate::{Challenges, Evaluator, next_claim, powers_of, product_polynomial};
use crate::group::{Bn254, Group, encode_all};
use crate::keccak::keccak256;
use crate::mle::eq_table;
use crate::program::{Key, Mode, Program};
use crate::proof::{Proof, check_length, evaluation_words};
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
pub struct Trace<G: Group = Bn254> {
    /// Challenges before A.
    pub challenges: Challenges<G::Scalar>,
    /// Point of A, lowest variable first.
    pub rho: Vec<G::Scalar>,
    /// Batches the claims of B.
    pub delta: G::Scalar,
    /// Point of B, lowest variable first.
    pub sigma: Vec<G::Scalar>,
    /// The claims before each round of A, and the last.
    pub claims_a: Vec<G::Scalar>,
    /// The claims before each round of B, and the last.
    pub claims_b: Vec<G::Scalar>,
    /// `K_F, K_X, K_P, K_H` at sigma.
    pub kernels: [G::Scalar; 4],
    /// Point of the opening.
    pub zeta: G::Scalar,
    /// Batches the opening.
    pub delta_prime: G::Scalar,
    /// Second point of the opening.
    pub z: G::Scalar,
    /// `S(1/zeta)`.
    pub s1: G::Scalar,
    /// The line at z.
    pub lz: G::Scalar,
    /// `(z - zeta)(z - 1/zeta)`.
    pub zz: G::Scalar,
    /// `A` of step 14.
    pub pairing_point: G::Point,
}

/// A key as steps 2 to 14 see it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, G: Group> {
    /// The program.
    pub program: &'a Program,
    /// `vkDigest`.
    pub digest: &'a [u8; 32],
    /// Commitments to the chunks of F.
    pub weights: &'a [G::Point],
}

impl Key {
    /// The key without what the pairing check needs.
    pub fn view(&self) -> View<'_, Bn254> {
        View { program: &self.program, digest: &self.digest, weights: &self.weights }
    }
}

/// Verifies a proof.
///
/// # Errors
/// [`crate::Error::ProofRejected`] names the first step of section 7.1 that fails.
pub fn verify(key: &Key, statement: &Statement<'_>, proof: &[u8]) -> Result<()> {
    let (trace, proof) = trace(&key.view(), statement, proof)?;
    if same_ratio(&trace.pairing_point, &proof.w_prime, &key.tau_g2) {
        return Ok(());
    }
    Err(rejected(15, "the pairing check fails"))
}

/// Steps 2 to 14.
///
/// # Errors
/// [`crate::Error::ProofRejected`] names the first step of section 7.1 that fails.
pub fn trace<G: Group>(key: &View<'_, G>, statement: &Statement<'_>, proof: &[u8]) -> Result<(Trace<G>, Proof<G>)> {
    let program = key.program;
    let shape = Shape::new(program);
    check_length(&shape, proof)?;
    let inputs = check_statement(program, statement)?;
    let proof = Proof::<G>::from_bytes(&shape, proof)?;
    let seed = statement::encode(statement.context, statement.inputs, statement.outputs);
    let mut transcript = Transcript::new(key.digest, &seed);
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
    let quadratic = |[c0, c2]: &[G::Scalar; 2]| [*c0, *c2, G::Scalar::zero()];
    let (sigma, claims_b) = rounds(&mut transcript, claim, &proof.rounds_b, quadratic);
    let kernels = evaluator.kernels_b(&deltas, &rho, &sigma);

    let opening = opening(&mut transcript, &proof, &sigma[..shape.c], claims_b[shape.nb])?;
    let Opening { zeta, delta_prime, z, s1, lz, zz } = opening;
    let pairing_point = pairing_point(key, &shape, &proof, &kernels, &sigma, &opening);
    #[rustfmt::skip]
    let trace = Trace {
        challenges, rho, delta, sigma, claims_a, claims_b, kernels, zeta, delta_prime, z, s1, lz, zz, pairing_point,
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
fn commitments<G: Group>(
    program: &Program,
    shape: &Shape,
    transcript: &mut Transcript<G::Scalar>,
    proof: &Proof<G>,
    inputs: &[u8],
) -> Result<Challenges<G::Scalar>> {
    let x = encode_all::<G>(&proof.x);
    if program.header.mode == Mode::Hashed && keccak256(&[&x]) != inputs {
        return Err(rejected(5, "the input digest is not that of the commitment to the input"));
    }
    let alpha = transcript.absorb(&[x, encode_all::<G>(&proof.p)].concat());
    let beta = transcript.draw();
    let gamma = transcript.absorb(&encode_all::<G>(&proof.h));
    let tau = (0..shape.taus).map(|_| transcript.draw()).collect();
    Ok(Challenges { alpha, beta, gamma, tau, t: transcript.draw() })
}

/// Steps 7 and 9: the point, lowest variable first, and all claims.
fn rounds<F: PrimeField, const N: usize>(
    transcript: &mut Transcript<F>,
    claim: F,
    rounds: &[[F; N]],
    coefficients: impl Fn(&[F; N]) -> [F; 3],
) -> (Vec<F>, Vec<F>) {
    let (mut point, mut claims) = (vec![F::zero(); rounds.len()], vec![claim]);
    for (round, x) in rounds.iter().zip(point.iter_mut().rev()) {
        *x = transcript.absorb_scalars(round);
        claims.push(next_claim(claims[claims.len() - 1], coefficients(round), *x));
    }
    (point, claims)
}

/// Scalars of the opening.
#[derive(Clone, Copy)]
struct Opening<F> {
    zeta: F,
    delta_prime: F,
    z: F,
    s1: F,
    lz: F,
    zz: F,
}

/// Steps 11 to 13.
fn opening<G: Group>(
    transcript: &mut Transcript<G::Scalar>,
    proof: &Proof<G>,
    u: &[G::Scalar],
    value: G::Scalar,
) -> Result<Opening<G::Scalar>> {
    let [f0, f1, s0, hint] = proof.opening;
    let zeta = transcript.absorb(&G::encode(&proof.s));
    let delta_prime = transcript.absorb_scalars(&proof.opening);
    let z = transcript.absorb(&G::encode(&proof.w));
    let (inverse, gap) = inverses(zeta, hint)?;
    let at = |x| product_polynomial(u, x);
    let s1 = zeta * (f0 * at(inverse) + f1 * at(zeta) - value - value - zeta * s0);
    let (y0, y1) = (f0 + delta_prime * s0, f1 + delta_prime * s1);
    let lz = y0 + (y0 - y1) * gap * (z - zeta);
    Ok(Opening { zeta, delta_prime, z, s1, lz, zz: (z - zeta) * (z - inverse) })
}

/// Step 11: `1/zeta` and `1/(zeta - 1/zeta)`.
fn inverses<F: PrimeField>(zeta: F, hint: F) -> Result<(F, F)> {
    let square = zeta * zeta;
    if hint * zeta * (square - F::one()) != F::one() {
        return Err(rejected(11, "the hint is not the inverse of zeta (zeta^2 - 1)"));
    }
    Ok((hint * (square - F::one()), hint * square))
}

/// Steps 10 and 14: the combination of all commitments.
fn pairing_point<G: Group>(
    key: &View<'_, G>,
    shape: &Shape,
    proof: &Proof<G>,
    kernels: &[G::Scalar; 4],
    sigma: &[G::Scalar],
    opening: &Opening<G::Scalar>,
) -> G::Point {
    let lists = [key.weights, &proof.x, &proof.p, &proof.h];
    let most = lists.iter().map(|list| list.len()).max().unwrap_or(0);
    let chunks = eq_table(&sigma[shape.c..], most);
    let mut points = vec![proof.s, G::generator(), proof.w, proof.w_prime];
    let mut scalars = vec![opening.delta_prime, -opening.lz, -opening.zz, opening.z];
    for (list, kernel) in lists.into_iter().zip(kernels) {
        points.extend(list);
        scalars.extend(chunks.iter().take(list.len()).map(|chunk| *chunk * kernel));
    }
    G::combine(&points, &scalars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;
    use ark_ff::{Field, One, Zero};

    #[test]
    fn zeta_minus_one() {
        for zeta in [Fr::zero(), Fr::one(), -Fr::one()] {
            for hint in [Fr::zero(), Fr::one(), -Fr::one(), Fr::from(2)] {
                assert!(inverses(zeta, hint).is_err(), "{zeta} {hint}");
            }
        }
    }

    #[test]
    fn hint_gives_both_inverses() {
        let zeta = Fr::from(1234567);
        let hint = (zeta * (zeta * zeta - Fr::one())).inverse().expect("not zero");
        let (inverse, gap) = inverses(zeta, hint).expect("the right hint");
        assert_eq!(inverse * zeta, Fr::one());
        assert_eq!(gap * (zeta - inverse), Fr::one());
    }
}
