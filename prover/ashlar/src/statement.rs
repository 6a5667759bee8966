//! What a proof is about (sections 5.1 and 7.4).

use ark_ff::PrimeField;

use crate::error::{Error, Result};
use crate::kernels::powers;
use crate::mle::eq_table;
use crate::program::{Dim, Mode, Program, Table, TableKind, elements};

/// Outputs have a magnitude below this.
pub const OUTPUT_LIMIT: i64 = 1 << 60;

/// The lengths of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// 0 public, 1 hashed, 2 private.
    pub visibility: u8,
    /// Bytes of an element of `inputs`.
    pub input_width: usize,
    /// Elements of `inputs`.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
}

impl Layout {
    /// The layout that follows from a program.
    pub fn new(program: &Program) -> Layout {
        let (visibility, input_width, inputs) = match program.header.mode {
            Mode::Public => (0, encoding(program).0, elements(&program.input.dims)),
            Mode::Hashed => (1, 32, 1),
            Mode::Private => (2, 0, 0),
        };
        let outputs = program.outputs.iter().map(|output| elements(&output.dims)).sum();
        Layout { visibility, input_width, inputs, outputs }
    }
}

/// The table of the input block, a clamp.
pub fn input_table(program: &Program) -> &Table {
    &program.tables[usize::from(program.input.table)]
}

/// Bytes of an element of a public input, and whether it has a sign.
pub fn encoding(program: &Program) -> (usize, bool) {
    let table = input_table(program);
    let signed = table.kind == TableKind::ClampS;
    let bits = usize::from(table.b) + usize::from(signed);
    (bits.div_ceil(8).next_power_of_two(), signed)
}

/// Refuses an input of the wrong length, or with an element that is no value of the input's table.
///
/// # Errors
/// [`Error::Argument`] and [`Error::InputOutOfRange`].
pub fn check_input(program: &Program, input: &[i64]) -> Result<()> {
    let count = elements(&program.input.dims);
    if input.len() != count {
        return Err(Error::Argument { reason: format!("the input has {} elements, and needs {count}", input.len()) });
    }
    let (low, high) = input_table(program).image();
    match input.iter().position(|value| !(low..=high).contains(value)) {
        Some(index) => Err(Error::InputOutOfRange { index, value: input[index] }),
        None => Ok(()),
    }
}

/// The bytes of a public input whose elements are in range.
pub fn encode_input(program: &Program, input: &[i64]) -> Vec<u8> {
    let (width, _) = encoding(program);
    input.iter().flat_map(|value| value.to_be_bytes().into_iter().skip(8 - width)).collect()
}

/// The integers of a public input.
pub fn decode_input(program: &Program, bytes: &[u8]) -> Vec<i64> {
    let (width, signed) = encoding(program);
    let element = |bytes: &[u8]| {
        let fill = if signed && bytes[0] >= 0x80 { 0xff } else { 0 };
        let mut word = [fill; 8];
        word[8 - width..].copy_from_slice(bytes);
        i64::from_be_bytes(word)
    };
    bytes.chunks_exact(width).map(element).collect()
}

/// Context, inputs and outputs as the transcript takes them in.
pub fn encode(context: &[u8], inputs: &[u8], outputs: &[i64]) -> Vec<u8> {
    let words = outputs.iter().flat_map(|value| i256(*value));
    context.iter().chain(inputs).copied().chain(words).collect()
}

/// A word of 32 bytes, two's complement.
fn i256(value: i64) -> [u8; 32] {
    let mut word = [if value < 0 { 0xff } else { 0 }; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

/// Sum over the valid elements of a box of their value times the product of a weight for each index. `weights` has one
/// list for each dimension, outermost first, as long as the dimension.
fn contract<F: PrimeField>(values: &[i64], weights: &[Vec<F>]) -> F {
    let mut values: Vec<F> = values.iter().map(|value| F::from(*value)).collect();
    for weights in weights.iter().rev() {
        let row = |row: &[F]| row.iter().zip(weights).map(|(value, weight)| *value * weight).sum();
        values = values.chunks_exact(weights.len()).map(row).collect();
    }
    values[0]
}

/// For each dimension, outermost first, its first bit in the position.
fn first_bits(dims: &[Dim]) -> Vec<usize> {
    let mut at = dims.iter().map(|dim| usize::from(dim.bits)).sum();
    let below = |dim: &Dim| {
        at -= usize::from(dim.bits);
        at
    };
    dims.iter().map(below).collect()
}

/// The extension at `tau` of a box that holds `values` in its valid cells and 0 in all others.
pub fn extension<F: PrimeField>(dims: &[Dim], values: &[i64], tau: &[F]) -> F {
    let table = |(dim, low): (&Dim, usize)| eq_table(&tau[low..low + usize::from(dim.bits)], dim.size as usize);
    contract(values, &dims.iter().zip(first_bits(dims)).map(table).collect::<Vec<_>>())
}

/// The sum of `t^position` times value over the valid cells of a box.
pub fn polynomial<F: PrimeField>(dims: &[Dim], values: &[i64], t: F) -> F {
    let table = |(dim, low): (&Dim, usize)| {
        let step = t.pow([1 << low]);
        std::iter::successors(Some(F::one()), |power| Some(*power * step)).take(dim.size as usize).collect()
    };
    contract(values, &dims.iter().zip(first_bits(dims)).map(table).collect::<Vec<Vec<F>>>())
}

/// The extensions at `rho` of `t^position` on all cells of a box, and on its valid ones.
pub fn position_powers<F: PrimeField>(dims: &[Dim], rho: &[F], t: F) -> (F, F) {
    dims.iter().zip(first_bits(dims)).fold((F::one(), F::one()), |(every, valid), (dim, low)| {
        let x = &rho[low..low + usize::from(dim.bits)];
        let (full, below) = powers(x, t.pow([1 << low]), dim.size.into());
        (every * full, valid * below)
    })
}
