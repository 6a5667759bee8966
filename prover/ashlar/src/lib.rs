//! Ashlar: a proof system for quantised neural networks (`docs/ashlar`; section numbers refer to it).
//!
//! The input of everything here is bytes: a verifying key or the code in it, weights, a statement, a proof.

mod check;
pub mod curve;
pub mod error;
pub mod evaluate;
pub mod group;
pub mod infer;
pub mod keccak;
pub mod kernels;
pub mod mle;
pub mod msm;
mod nest;
mod parse;
pub mod points;
pub mod program;
pub mod proof;
pub mod prove;
#[cfg(feature = "python")]
mod python;
pub mod setup;
pub mod shape;
pub mod small;
pub mod statement;
pub mod tables;
pub mod transcript;
pub mod verify;

pub use error::{Error, Result};
pub use parse::{MAGIC, MAX_WORDS};
pub use verify::{Statement, verify};
