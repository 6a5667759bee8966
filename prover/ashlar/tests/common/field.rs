//! A small prime field, in which brute force is quick.

use ark_ff::{Fp64, MontBackend, MontConfig};

#[derive(MontConfig)]
#[modulus = "2147483647"]
#[generator = "7"]
pub struct Mersenne31Config;

/// The field of `2^31 - 1` elements.
pub type F31 = Fp64<MontBackend<Mersenne31Config, 1>>;

#[derive(MontConfig)]
#[modulus = "8191"]
#[generator = "17"]
pub struct Mersenne13Config;

/// The field of `2^13 - 1` elements, in which errors of soundness are seen.
pub type F13 = Fp64<MontBackend<Mersenne13Config, 1>>;
