//! A small prime field, in which brute force is quick.

use ark_ff::{Fp64, MontBackend, MontConfig};

#[derive(MontConfig)]
#[modulus = "2147483647"]
#[generator = "7"]
pub struct Mersenne31Config;

/// The field of `2^31 - 1` elements.
pub type F31 = Fp64<MontBackend<Mersenne31Config, 1>>;
