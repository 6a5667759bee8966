//! Commitments to what is known before a proof: weights and inputs (sections 4.2 and 5.1).

use ark_bn254::G1Affine;
use ark_ec::CurveGroup;
use rayon::prelude::*;

use crate::curve::g1_to_bytes;
use crate::error::{Error, Result};
use crate::infer::Network;
use crate::keccak::keccak256;
use crate::msm::msm_small;
use crate::program::{Key, Program, positions};
use crate::setup::{Powers, Setup};
use crate::statement::check_input;

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
    check_input(program, input)?;
    let mut cells = vec![0_i32; 1 << program.input.bits];
    for (place, value) in positions(&program.input.dims).into_iter().zip(input) {
        cells[place] = *value as i32;
    }
    let points = commit(&setup.powers(1 << program.header.c)?, &cells);
    Ok(digest_of(&points))
}

/// The digest of a list of commitments.
pub(super) fn digest_of(points: &[G1Affine]) -> [u8; 32] {
    keccak256(&[&points.iter().flat_map(g1_to_bytes).collect::<Vec<_>>()])
}

/// Commitments to the chunks of a vector of integers.
pub(super) fn commit<T: Copy + Into<i64> + Sync>(powers: &Powers<'_>, vector: &[T]) -> Vec<G1Affine> {
    let chunks = vector.par_chunks(powers.count());
    chunks.map(|chunk| msm_small(powers, chunk).into_affine()).collect()
}
