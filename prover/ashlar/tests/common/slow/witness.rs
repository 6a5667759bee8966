//! Cells, outputs and multiplicities, from the relations of section 1.3.

use zkinfer_ashlar::program::{Program, Table, TableKind, TermKind, positions};
use zkinfer_ashlar::shape::Shape;

use super::super::relation::related;
use super::lies::Lie;

/// A pair of an output cell with what a term multiplies.
#[derive(Clone, Copy)]
pub struct Relation {
    /// Constraint.
    pub constraint: usize,
    /// Cell of its box.
    pub o: usize,
    /// Cell of all cells; `None` for a bias.
    pub cell: Option<usize>,
    /// Element of F; `None` for kind 2.
    pub weight: Option<usize>,
    /// Coefficient of kind 2.
    pub coef: i64,
}

/// All relations of a program.
pub fn relations(program: &Program) -> Vec<Relation> {
    let mut list = Vec::new();
    for constraint in program.constraints() {
        for term in constraint.terms {
            let (bits, off) = term.source.map_or((0, 0), |source| program.block(source));
            for (o, i) in (0..1usize << constraint.bits).flat_map(|o| (0..1usize << bits).map(move |i| (o, i))) {
                let cell = term.source.map(|_| off as usize + i);
                let found = Relation { constraint: constraint.index, o, cell, weight: None, coef: term.coef.into() };
                if term.kind == TermKind::Cells && related(term, None, o as u64, i as u64) {
                    list.push(found);
                }
                for tile in &term.tiles {
                    for place in 0..1u64 << tile.bits() {
                        if related(term, Some((tile, place)), o as u64, i as u64) {
                            list.push(Relation { weight: Some(tile.off as usize + place as usize), ..found });
                        }
                    }
                }
            }
        }
    }
    list
}

/// What a prover commits to before it knows a challenge.
#[derive(Clone)]
pub struct Witness {
    pub q: Vec<i64>,
    pub r: Vec<i64>,
    pub y: Vec<i64>,
    /// The input box.
    pub x: Vec<i64>,
    pub multiplicities: Vec<i64>,
    pub outputs: Vec<i64>,
}

/// First column of a table's row `t`.
pub fn first_column(table: &Table, t: usize) -> i64 {
    if table.kind == TableKind::Range { t as i64 } else { t as i64 - table.half() }
}

/// The row of a table with this first column.
fn row(table: &Table, q: i64) -> Option<usize> {
    let t = usize::try_from(q - first_column(table, 0)).ok()?;
    (t < table.rows()).then_some(t)
}

/// `y` of the row with this first column; for one that is not there, what the table's formula says.
pub fn y_of(table: &Table, q: i64, weights: &[i64]) -> i64 {
    match (table.kind, row(table, q)) {
        (TableKind::Stored, Some(t)) => weights.get(table.f_off as usize + t).copied().unwrap_or(0),
        _ => table.y(q),
    }
}

/// Table, first cell and cells of each block.
fn blocks(program: &Program) -> Vec<(usize, usize, usize)> {
    let input = (program.input.table, program.input.off, program.input.bits);
    let hidden = program.hidden.iter().map(|block| (block.table, block.off, block.bits));
    let all = std::iter::once(input).chain(hidden);
    all.map(|(table, off, bits)| (table.into(), off as usize, 1 << bits)).collect()
}

impl Witness {
    /// Inference, with the lies about it. `None` if the program gives no occasion for the lie.
    pub fn new(program: &Program, relations: &[Relation], weights: &[i64], input: &[i64], lie: Lie) -> Option<Witness> {
        let cells = 1 << program.header.n;
        let mut witness = Witness {
            q: vec![0; cells],
            r: vec![0; cells],
            y: vec![0; cells],
            x: vec![0; 1 << program.input.bits],
            multiplicities: Vec::new(),
            outputs: Vec::new(),
        };
        for (position, value) in positions(&program.input.dims).into_iter().zip(input) {
            witness.x[position] = *value;
        }
        if lie == Lie::PaddingCellUsedAsInput {
            let valid = positions(&program.input.dims);
            let padding = (0..witness.x.len()).find(|at| !valid.contains(at))?;
            witness.x[padding] = 1;
        }
        if lie == Lie::InputOutOfRange {
            witness.x[0] = program.tables[usize::from(program.input.table)].image().1 + 1;
        }
        let first = program.input.off as usize;
        witness.q[first..first + witness.x.len()].copy_from_slice(&witness.x);
        witness.y[first..first + witness.x.len()].copy_from_slice(&witness.x);
        for constraint in program.constraints() {
            let mut z = vec![0; 1 << constraint.bits];
            for relation in relations.iter().filter(|relation| relation.constraint == constraint.index) {
                let weight = relation.weight.map_or(relation.coef, |weight| weights.get(weight).copied().unwrap_or(0));
                z[relation.o] += weight * relation.cell.map_or(1, |cell| witness.y[cell]);
            }
            match constraint.hidden {
                None => {
                    let dims = &program.outputs[constraint.index - program.hidden.len()].dims;
                    witness.outputs.extend(positions(dims).iter().map(|at| z[*at]));
                }
                Some(hidden) => {
                    let table = &program.tables[usize::from(hidden.table)];
                    for (o, z) in z.iter().enumerate() {
                        let scaled = (z << constraint.scale) + (1 << (program.header.s - 1));
                        let cell = hidden.off as usize + o;
                        witness.q[cell] = scaled >> program.header.s;
                        witness.r[cell] = scaled & ((1 << program.header.s) - 1);
                        witness.y[cell] = y_of(table, witness.q[cell], weights);
                    }
                    witness.lie_about(program, weights, constraint.index, lie)?;
                }
            }
        }
        witness.multiplicities = witness.count(program, weights);
        witness.lie_at_the_end(program, lie)?;
        Some(witness)
    }

    /// Lies about cells of the first hidden block; later blocks are computed from them.
    fn lie_about(&mut self, program: &Program, weights: &[i64], constraint: usize, lie: Lie) -> Option<()> {
        let block = &program.hidden[constraint];
        let (cell, size) = (block.off as usize, 1i64 << program.header.s);
        let table = &program.tables[usize::from(block.table)];
        if constraint > 0 {
            return Some(());
        }
        match lie {
            Lie::ActivationOffByOne => self.y[cell] += 1,
            Lie::RoundingOtherWay | Lie::RangeValueTooLarge => {
                let by = if lie == Lie::RoundingOtherWay { 1 } else { -1 };
                (self.q[cell], self.r[cell]) = (self.q[cell] + by, self.r[cell] - by * size);
                self.y[cell] = y_of(table, self.q[cell], weights);
            }
            Lie::ValueOutsideTable => {
                let by = table.rows() as i64;
                (self.q[cell], self.r[cell]) = (self.q[cell] + by, self.r[cell] - by * size);
            }
            Lie::WrongTag => {
                let others = program.tables.iter().enumerate().skip(1);
                let others = others.filter(|(tag, _)| *tag != usize::from(block.table)).map(|(_, other)| other);
                let row_of = |other: &Table, cell: usize| {
                    row(other, self.q[cell])?;
                    Some(y_of(other, self.q[cell], weights)).filter(|y| *y != self.y[cell])
                };
                let mut found = others.flat_map(|other| (cell..cell + (1 << block.bits)).map(move |at| (other, at)));
                let found = found.find_map(|(other, at)| row_of(other, at).map(|y| (at, y)));
                let (at, y) = found?;
                self.y[at] = y;
            }
            Lie::PaddingCellOfHiddenBlock => {
                // A row of the block's table, but not the value that the constraint gives to the last cell.
                let last = cell + (1 << block.bits) - 1;
                self.q[last] = if self.q[last] == 1 { 2 } else { 1 };
                self.y[last] = y_of(table, self.q[last], weights);
            }
            _ => {}
        }
        Some(())
    }

    fn lie_at_the_end(&mut self, program: &Program, lie: Lie) -> Option<()> {
        let used = |row: usize| {
            program.tables.iter().any(|table| (table.off as usize..table.off as usize + table.rows()).contains(&row))
        };
        let unused = (0..self.multiplicities.len()).find(|row| !used(*row));
        let zero_row = program.tables[0].off as usize;
        match lie {
            Lie::OutputPlusOne | Lie::BstarRepairsOutput | Lie::SRepairedAtGuess(_) | Lie::RoundsFitAWrongClaim => {
                self.outputs[0] += 1;
            }
            Lie::LastOutputPlusOne => *self.outputs.last_mut().expect("an output") += 1,
            Lie::MultiplicityOff => self.multiplicities[zero_row + 1] += 1,
            Lie::MultiplicityOnUnusedRow => self.multiplicities[unused.unwrap_or(zero_row)] += 1,
            Lie::MultiplicityMovedToUnusedRow => {
                self.multiplicities[unused?] += 1;
                self.multiplicities[zero_row] -= 1;
            }
            Lie::OtherCommittedInput => self.x[0] += if self.x[0] > 0 { -1 } else { 1 },
            _ => {}
        }
        Some(())
    }

    /// How often each row is looked up. What is no row is counted nowhere; a row of another table there.
    fn count(&self, program: &Program, weights: &[i64]) -> Vec<i64> {
        let shape = Shape::new(program);
        let mut counts = vec![0; 1 << shape.nt];
        let row_of = |table: &Table, q: i64, y: i64| {
            let t = row(table, q)?;
            (y_of(table, q, weights) == y).then(|| table.off as usize + t)
        };
        let mut table_of = vec![1; self.q.len()];
        for (table, off, size) in blocks(program) {
            table_of[off..off + size].fill(table);
        }
        for (cell, table) in table_of.iter().enumerate() {
            let others = program.tables[1..].iter();
            let found = std::iter::once(&program.tables[*table]).chain(others);
            let found = found.map(|table| row_of(table, self.q[cell], self.y[cell])).find_map(|row| row);
            if let Some(row) = found {
                counts[row] += 1;
            }
            if let Some(row) = row_of(&program.tables[0], self.r[cell], 0) {
                counts[row] += 1;
            }
        }
        counts
    }
}

/// Table of each cell: its tag.
pub fn tags(program: &Program) -> Vec<u64> {
    let mut tags = vec![1; 1 << program.header.n];
    for (table, off, size) in blocks(program) {
        tags[off..off + size].fill(table as u64);
    }
    tags
}
