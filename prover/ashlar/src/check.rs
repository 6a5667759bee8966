//! Well-formedness of programs (rules W1 to W9 of section 4.1): everything that later code takes for granted.

mod space;
mod terms;

use crate::error::{Result, malformed};
use crate::program::{Dim, Header, Program, Table, TableKind};
use crate::shape::Shape;

/// Most bits of a box.
const BOX_BITS: u8 = 24;

/// Checks everything that a program promises. The error names the first rule that is broken.
pub(crate) fn program(program: &Program) -> Result<()> {
    header(&program.header)?;
    boxes(program)?;
    variables(program)?;
    tables(program)?;
    space::check(program)?;
    terms::check(program)?;
    space::tiles(program)
}

fn header(header: &Header) -> Result<()> {
    let within = |name: &str, value: u8, low: u8, high: u8| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(malformed("W1", format!("{name} is {value}, and has to be from {low} to {high}")))
    };
    within("n", header.n, 1, 24)?;
    within("nT", header.nt, 1, 24)?;
    within("S", header.s, 1, 16)?;
    within("c", header.c, 4, 24)?;
    within("nB", header.nb, header.c, 28)?;
    if header.outputs == 0 {
        return Err(malformed("W1", "there are no outputs"));
    }
    Ok(())
}

/// W4: boxes and dimensions.
fn boxes(program: &Program) -> Result<()> {
    dims("the input", program.input.bits, &program.input.dims)?;
    for (at, output) in program.outputs.iter().enumerate() {
        dims(&format!("output {at}"), output.bits, &output.dims)?;
    }
    match program.hidden.iter().position(|block| block.bits > BOX_BITS) {
        Some(at) => Err(malformed("W4", format!("hidden block {at} has more than {BOX_BITS} bits"))),
        None => Ok(()),
    }
}

fn dims(owner: &str, bits: u8, dims: &[Dim]) -> Result<()> {
    if bits > BOX_BITS {
        return Err(malformed("W4", format!("the box of {owner} has more than {BOX_BITS} bits")));
    }
    if dims.is_empty() || dims.len() > 8 {
        return Err(malformed("W4", format!("{owner} has {} dimensions, and has to have 1 to 8", dims.len())));
    }
    for dim in dims {
        if dim.size == 0 || u32::from(dim.bits) != u32::BITS - (dim.size - 1).leading_zeros() {
            return Err(malformed("W4", format!("{owner} has a dimension of {} in {} bits", dim.size, dim.bits)));
        }
    }
    if dims.iter().map(|dim| u32::from(dim.bits)).sum::<u32>() != u32::from(bits) {
        return Err(malformed("W4", format!("the dimensions of {owner} do not fill its box of {bits} bits")));
    }
    Ok(())
}

/// W2: the number of variables is the least that holds all committed vectors.
fn variables(program: &Program) -> Result<()> {
    let (header, shape) = (&program.header, Shape::new(program));
    let weights = usize::from(header.chunks_f) << header.c;
    let longest = shape.p_len.max(shape.h_len).max(weights).max(shape.x_len);
    let least = u8::try_from(longest.next_power_of_two().trailing_zeros()).unwrap_or(u8::MAX).max(header.c);
    if header.nb != least {
        return Err(malformed("W2", format!("nB is {}, and the committed vectors need {least}", header.nb)));
    }
    Ok(())
}

/// W5, and W9 for tables.
fn tables(program: &Program) -> Result<()> {
    let kind = |at: u8| program.tables.get(usize::from(at)).map(|table| table.kind);
    let clamp = |at: u8| matches!(kind(at), Some(TableKind::ClampU | TableKind::ClampS));
    if kind(0) != Some(TableKind::Range) || program.tables[0].k != program.header.s {
        return Err(malformed("W5", "table 0 is no range table of 2^S rows"));
    }
    for (at, table) in program.tables.iter().enumerate() {
        one_table(at, table)?;
    }
    if !clamp(1) || !clamp(program.input.table) {
        return Err(malformed("W5", "table 1 and the table of the input have to be clamps"));
    }
    let mut used = vec![false; program.tables.len()];
    used[0] = true;
    used[usize::from(program.input.table)] = true;
    for (at, block) in program.hidden.iter().enumerate() {
        if block.table == 0 || kind(block.table).is_none() {
            return Err(malformed("W5", format!("hidden block {at} has the table {}", block.table)));
        }
        used[usize::from(block.table)] = true;
        if block.shift > program.header.s {
            return Err(malformed("W6", format!("the shift of hidden block {at} is above S")));
        }
    }
    match used.iter().position(|used| !used) {
        Some(at) => Err(malformed("W9", format!("no block uses table {at}"))),
        None => Ok(()),
    }
}

fn one_table(at: usize, table: &Table) -> Result<()> {
    if at > 0 && table.kind == TableKind::Range {
        return Err(malformed("W5", format!("table {at} is a second range table")));
    }
    if !(1..=16).contains(&table.k) || table.b >= table.k {
        return Err(malformed("W5", format!("table {at} has k = {} and b = {}", table.k, table.b)));
    }
    if matches!(table.kind, TableKind::Range | TableKind::Stored) && table.b != 0 {
        return Err(malformed("W9", format!("table {at} has no width, but b = {}", table.b)));
    }
    if table.kind != TableKind::Stored && table.f_off != 0 {
        return Err(malformed("W9", format!("table {at} is not stored, but has a place in F")));
    }
    Ok(())
}
