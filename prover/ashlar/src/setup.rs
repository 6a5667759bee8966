//! The file with the powers of tau: `k: u32 LE | 2^k G1 | 2^k G1 Lagrange | G2 | tau G2` (halo2's raw bytes).
//!
//! Coordinates are little-endian and in Montgomery form, which is the internal form of field elements here, so points
//! are read without a multiplication. Whoever stored the file has checked it; here only its outline is looked at.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::scalar_mul::ScalarMul;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInt, Field, Fp};
use memmap2::Mmap;

use crate::curve::field_to_bytes;
use crate::error::{Error, Result};
use crate::points::{Bases, Point};

const HEADER: usize = 4;
const COORDINATE: usize = 32;
const G1: usize = 2 * COORDINATE;
const G2: usize = 4 * COORDINATE;
/// Largest k of the ceremonies known.
const MAX_K: u32 = 26;

enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// A setup: the powers of tau in G1, and tau in G2.
pub struct Setup {
    bytes: Bytes,
    k: u32,
    tau_g2: G2Affine,
}

impl Setup {
    /// Maps a setup file.
    ///
    /// # Errors
    /// [`Error::Setup`] if it cannot be read or is no setup file.
    pub fn open(path: &Path) -> Result<Setup> {
        let unreadable =
            |cause: std::io::Error| fault(format!("the setup {} is not readable: {cause}", path.display()));
        let file = File::open(path).map_err(unreadable)?;
        // A map is unsafe because another process may change the file while it is read. The bytes are only ever read
        // as integers, of which every value is valid, so a change makes a wrong point, and no proof that verifies;
        // a file that is cut short ends the process by a signal, which callers must expect of a child anyway.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Setup::new(Bytes::Mapped(map))
    }

    /// A setup from the bytes of its file.
    ///
    /// # Errors
    /// [`Error::Setup`] if they are no setup file.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Setup> {
        Setup::new(Bytes::Owned(bytes))
    }

    /// A setup of `2^k` powers whose tau everybody knows, for tests and measurements. Its Lagrange part is zeros.
    ///
    /// # Errors
    /// [`Error::Setup`] if k is too large.
    pub fn insecure(tau: Fr, k: u32) -> Result<Setup> {
        let count =
            1_usize.checked_shl(k).filter(|_| k <= MAX_K).ok_or_else(|| fault(format!("k = {k} is too large")))?;
        let powers: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |power| Some(*power * tau)).take(count).collect();
        let mut bytes = k.to_le_bytes().to_vec();
        for point in G1Projective::from(G1Affine::generator()).batch_mul(&powers) {
            for coordinate in [point.x().unwrap_or_default(), point.y().unwrap_or_default()] {
                push(&mut bytes, &coordinate);
            }
        }
        bytes.resize(HEADER + 2 * G1 * count, 0);
        for point in [G2Affine::generator(), (G2Affine::generator() * tau).into_affine()] {
            let (x, y) = point.xy().unwrap_or_default();
            for coordinate in [x.c0, x.c1, y.c0, y.c1] {
                push(&mut bytes, &coordinate);
            }
        }
        Setup::from_bytes(bytes)
    }

    fn new(bytes: Bytes) -> Result<Setup> {
        let no_setup = || fault("this is no setup file of BN254: its size does not fit its header".into());
        let k = bytes.first_chunk::<HEADER>().map(|head| u32::from_le_bytes(*head)).ok_or_else(no_setup)?;
        if !(1..=MAX_K).contains(&k) || bytes.len() != HEADER + ((2 * G1) << k) + 2 * G2 {
            return Err(no_setup());
        }
        let tail = &bytes[bytes.len() - 2 * G2..];
        if g2(&tail[..G2]) != G2Affine::generator() {
            return Err(fault("the G2 point of the setup is not the generator of BN254".into()));
        }
        let tau_g2 = g2(&tail[G2..]);
        let setup = Setup { bytes, k, tau_g2 };
        if G1Affine::from(setup.powers(1)?.point(0)) != G1Affine::generator() {
            return Err(fault("the first G1 point of the setup is not the generator of BN254".into()));
        }
        Ok(setup)
    }

    /// The first `count` powers.
    ///
    /// # Errors
    /// [`Error::Setup`] if there are fewer.
    pub fn powers(&self, count: usize) -> Result<Powers<'_>> {
        if count > 1 << self.k {
            let (needed, k) = (count.next_power_of_two().ilog2(), self.k);
            return Err(fault(format!("the setup has 2^{k} powers of tau, 2^{needed} are needed")));
        }
        Ok(Powers { bytes: &self.bytes[HEADER..HEADER + G1 * count] })
    }

    /// `[tau]_2`.
    pub fn tau_g2(&self) -> &G2Affine {
        &self.tau_g2
    }

    /// `[tau]_2` as the words 1 to 4 of a key have it: imaginary parts first.
    pub fn tau_g2_bytes(&self) -> [u8; G2] {
        let (x, y) = self.tau_g2.xy().unwrap_or_default();
        let mut bytes = [0; G2];
        for (target, part) in bytes.chunks_exact_mut(COORDINATE).zip([x.c1, x.c0, y.c1, y.c0]) {
            target.copy_from_slice(&field_to_bytes(&part));
        }
        bytes
    }
}

/// Powers of tau as they lie in the file.
#[derive(Clone, Copy)]
pub struct Powers<'a> {
    bytes: &'a [u8],
}

impl Powers<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.bytes.len() / G1
    }
}

impl Bases for Powers<'_> {
    #[inline]
    fn point(&self, index: usize) -> Point {
        let bytes = &self.bytes[G1 * index..G1 * index + G1];
        Point { x: coordinate(&bytes[..COORDINATE]), y: coordinate(&bytes[COORDINATE..]) }
    }
}

fn fault(reason: String) -> Error {
    Error::Setup { reason }
}

/// The element of the file; not reduced, so coordinates must be below the modulus, which the store has checked.
#[inline(always)]
fn coordinate(bytes: &[u8]) -> Fq {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    Fp::new_unchecked(BigInt(limbs))
}

fn g2(bytes: &[u8]) -> G2Affine {
    let part = |k: usize| coordinate(&bytes[COORDINATE * k..COORDINATE * (k + 1)]);
    G2Affine::new_unchecked(Fq2::new(part(0), part(1)), Fq2::new(part(2), part(3)))
}

fn push(bytes: &mut Vec<u8>, value: &Fq) {
    for limb in value.0.0 {
        bytes.extend(limb.to_le_bytes());
    }
}
