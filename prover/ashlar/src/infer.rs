//! Inference in machine integers (sections 1.2 and 11.2).
//!
//! Sums wrap: the bounds of section 1.5 hold for a sum of terms, not for every part of it, and modulo `2^64` the last
//! sum is right whatever the order.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::nest::{Nest, Part, nests};
use crate::program::{Constraint, Program, TableKind, Term, TermKind, elements, positions};
use crate::statement::{OUTPUT_LIMIT, check_input};

/// Multiplications of a constraint below which it is not worth a second thread.
const PARALLEL: usize = 1 << 17;
/// Weights have a magnitude below this.
pub(crate) const WEIGHT_BOUND: u64 = 1 << 61;
/// log2 of the parts of a box that threads may work on.
const PARTS: usize = 4;

/// A program and its weights, prepared for many samples.
pub struct Network {
    program: Program,
    weights: Vec<i64>,
    sums: Vec<Sum>,
    input: Vec<usize>,
    outputs: Vec<Vec<usize>>,
}

/// The integers of a block: `q`, `R` and `y` of each cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    /// Requantised sums.
    pub q: Vec<i64>,
    /// What rounding took away, scaled to `2^S`.
    pub r: Vec<i64>,
    /// Values after the table.
    pub y: Vec<i64>,
}

/// What a sample gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The input block and the hidden blocks.
    pub blocks: Vec<Cells>,
    /// All outputs, valid elements.
    pub outputs: Vec<i64>,
}

/// The terms of a constraint as nests of loops.
struct Sum {
    bits: u8,
    part_bits: usize,
    /// For each part of the box its nests.
    parts: Vec<Vec<Step>>,
}

struct Step {
    nest: Nest,
    source: Option<u16>,
    /// Coefficient of kind 2; `None` where weights are read.
    coef: Option<i64>,
}

impl Network {
    /// Prepares a program.
    ///
    /// # Errors
    /// [`Error::Argument`] if the weights do not fit the number of chunks in the header, or exceed `2^61`.
    pub fn new(program: Program, weights: Vec<i64>) -> Result<Network> {
        let chunk = 1 << program.header.c;
        if weights.len().div_ceil(chunk) != usize::from(program.header.chunks_f) {
            let (count, chunks) = (weights.len(), program.header.chunks_f);
            let reason = format!("{count} weights are not {chunks} chunks of {chunk}, as the program's header says");
            return Err(Error::Argument { reason });
        }
        if let Some(index) = weights.iter().position(|weight| weight.unsigned_abs() >= WEIGHT_BOUND) {
            return Err(Error::Argument { reason: format!("weight {index} has a magnitude of 2^61 or more") });
        }
        // Tiles may lie in the padding of the last chunk, whose weights are 0.
        let mut padded = weights;
        padded.resize(usize::from(program.header.chunks_f) * chunk, 0);
        let sums = program.constraints().map(|constraint| Sum::new(&constraint, &padded)).collect();
        let input = positions(&program.input.dims);
        let outputs = program.outputs.iter().map(|output| positions(&output.dims)).collect();
        Ok(Network { program, weights: padded, sums, input, outputs })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// F, padded to whole chunks.
    pub fn weights(&self) -> &[i64] {
        &self.weights
    }

    /// Multiplications for one sample.
    pub fn work(&self) -> usize {
        let steps = self.sums.iter().flat_map(|sum| sum.parts.iter().flatten());
        steps.map(|step| step.nest.work()).sum()
    }

    /// The outputs of many samples, one after the other.
    ///
    /// # Errors
    /// [`Error::Argument`] if the length is no multiple of the input's, [`Error::InputOutOfRange`] with the index in
    /// the whole list.
    pub fn forward(&self, samples: &[i64]) -> Result<Vec<i64>> {
        let count = elements(&self.program.input.dims);
        if samples.len() % count != 0 {
            let reason = format!("{} values are not a whole number of inputs of {count} elements", samples.len());
            return Err(Error::Argument { reason });
        }
        let outputs = samples.par_chunks(count).enumerate().map(|(number, sample)| {
            self.run(sample).map(|run| run.outputs).map_err(|error| match error {
                Error::InputOutOfRange { index, value } => {
                    Error::InputOutOfRange { index: number * count + index, value }
                }
                other => other,
            })
        });
        Ok(outputs.collect::<Result<Vec<_>>>()?.concat())
    }

    /// All integers of one sample.
    ///
    /// # Errors
    /// [`Error::InputOutOfRange`]; [`Error::Argument`] if the length is wrong, or the program breaks its static bounds.
    pub fn run(&self, input: &[i64]) -> Result<Run> {
        let program = &self.program;
        check_input(program, input)?;
        let mut first = Cells::zeros(program.input.bits);
        for (place, value) in self.input.iter().zip(input) {
            first.q[*place] = *value;
            first.y[*place] = *value;
        }
        let mut blocks = vec![first];
        let mut outputs = Vec::new();
        for (number, (constraint, sum)) in program.constraints().zip(&self.sums).enumerate() {
            let z = sum.run(&blocks, &self.weights);
            match constraint.hidden {
                Some(hidden) => blocks.push(self.requantised(&z, hidden.shift, hidden.table, number + 1)?),
                None => {
                    let valid = self.outputs[number - program.hidden.len()].iter().map(|place| z[*place]);
                    outputs.extend(valid);
                }
            }
        }
        match outputs.iter().position(|value| value.unsigned_abs() >= OUTPUT_LIMIT as u64) {
            Some(index) => Err(beyond_bounds(&format!("output {index}"))),
            None => Ok(Run { blocks, outputs }),
        }
    }

    fn requantised(&self, z: &[i64], shift: u8, table: u8, block: usize) -> Result<Cells> {
        let (table, s) = (&self.program.tables[usize::from(table)], self.program.header.s);
        let half = if shift > 0 { 1_i64 << (shift - 1) } else { 0 };
        let (scale, middle, mask) = (s - shift, 1_i64 << (s - 1), (1_i64 << s) - 1);
        let q: Vec<i64> = z.iter().map(|z| z.wrapping_add(half) >> shift).collect();
        let r = z.iter().map(|z| (z << scale).wrapping_add(middle) & mask).collect();
        if q.iter().any(|q| !(-table.half()..table.half()).contains(q)) {
            return Err(beyond_bounds(&format!("block {block}")));
        }
        let stored = &self.weights[table.f_off as usize..];
        let y = |q: &i64| match table.kind {
            TableKind::Stored => stored[(q + table.half()) as usize],
            _ => table.y(*q),
        };
        Ok(Cells { y: q.iter().map(y).collect(), q, r })
    }
}

fn beyond_bounds(place: &str) -> Error {
    Error::Argument { reason: format!("a value of {place} is outside its static bounds: the program is not sound") }
}

impl Cells {
    fn zeros(bits: u8) -> Cells {
        let zeros = vec![0; 1 << bits];
        Cells { q: zeros.clone(), r: zeros.clone(), y: zeros }
    }
}

impl Sum {
    fn new(constraint: &Constraint<'_>, weights: &[i64]) -> Sum {
        let bits = usize::from(constraint.bits);
        let whole = vec![steps(constraint.terms, weights, constraint.bits, Part { start: 0, bits })];
        let work: usize = whole[0].iter().map(|step| step.nest.work()).sum();
        if work < PARALLEL || bits < PARTS {
            return Sum { bits: constraint.bits, part_bits: bits, parts: whole };
        }
        let part_bits = bits - PARTS;
        let starts = (0..1_usize << PARTS).map(|part| part << part_bits);
        let parts = starts.map(|start| Part { start, bits: part_bits });
        let parts = parts.map(|part| steps(constraint.terms, weights, constraint.bits, part)).collect();
        Sum { bits: constraint.bits, part_bits, parts }
    }

    fn run(&self, blocks: &[Cells], weights: &[i64]) -> Vec<i64> {
        let mut z = vec![0; 1 << self.bits];
        let fill = |(z, steps): (&mut [i64], &Vec<Step>)| {
            for step in steps {
                let cells = step.source.map_or(&[1][..], |source| &blocks[usize::from(source)].y);
                match &step.coef {
                    Some(coef) => step.nest.run(z, cells, std::slice::from_ref(coef)),
                    None => step.nest.run(z, cells, weights),
                }
            }
        };
        match self.parts.as_slice() {
            [steps] => fill((&mut z, steps)),
            parts => z.par_chunks_mut(1 << self.part_bits).zip(parts).for_each(fill),
        }
        z
    }
}

fn steps(terms: &[Term], weights: &[i64], bits: u8, part: Part) -> Vec<Step> {
    let of = |term: &Term| -> Vec<Step> {
        let coef = (term.kind == TermKind::Cells).then_some(i64::from(term.coef));
        let nests: Vec<Nest> = match coef {
            Some(_) => nests(term, None, weights, bits, part),
            None => term.tiles.iter().flat_map(|tile| nests(term, Some(tile), weights, bits, part)).collect(),
        };
        nests.into_iter().map(|nest| Step { nest, source: term.source, coef }).collect()
    };
    terms.iter().flat_map(of).collect()
}
