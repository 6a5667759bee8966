//! The errors of the crate. Each says what is wrong; the caller knows what to do about it.

use std::fmt;

/// What can go wrong between bytes and a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A key or a program breaks a rule of well-formedness (section 4.1). `rule` is its name, `W1` to `W9`.
    MalformedKey { rule: &'static str, reason: String },
    /// A proof was refused at `step` of section 7.1.
    ProofRejected { step: u8, reason: String },
    /// Element `index` of an input is no value of the input's table.
    InputOutOfRange { index: usize, value: i64 },
    /// The file with the powers of tau cannot be read, or is too small.
    Setup { reason: String },
    /// An argument has the wrong length or form.
    Argument { reason: String },
}

impl Error {
    /// The same error of a key, with the place where it is.
    pub(crate) fn within(self, place: &str) -> Error {
        match self {
            Error::MalformedKey { rule, reason } => Error::MalformedKey { rule, reason: format!("{place}: {reason}") },
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::MalformedKey { rule, reason } => write!(f, "malformed key, rule {rule}: {reason}"),
            Error::ProofRejected { step, reason } => write!(f, "proof rejected in step {step}: {reason}"),
            Error::InputOutOfRange { index, value } => {
                write!(f, "input element {index} is {value}, which is out of the range of the input")
            }
            Error::Setup { reason } | Error::Argument { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A rule of well-formedness that is broken.
pub(crate) fn malformed(rule: &'static str, reason: impl Into<String>) -> Error {
    Error::MalformedKey { rule, reason: reason.into() }
}

/// A step of the verifier that fails.
pub(crate) fn rejected(step: u8, reason: impl Into<String>) -> Error {
    Error::ProofRejected { step, reason: reason.into() }
}
