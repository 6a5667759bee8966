//! What a sample's integers become: the vector P, and the row that each cell looks up (sections 6.1 and 6.3).

use crate::infer::{Cells, Network};
use crate::program::Program;
use crate::shape::Shape;

/// The committed integers and the lookups of a sample.
pub(crate) struct Witness {
    /// P: the blocks Q, R, Y and m.
    pub p: Vec<i32>,
    /// Row of `(q, y, tag)` for each cell.
    pub value_rows: Vec<u32>,
    /// Row of `(R, 0, 0)` for each cell.
    pub range_rows: Vec<u32>,
}

impl Witness {
    /// Lays out the blocks of a sample and counts lookups.
    pub fn new(network: &Network, shape: &Shape, blocks: &[Cells]) -> Witness {
        let program = network.program();
        let cells = 1 << shape.n;
        let mut p = vec![0; shape.p_len];
        // A cell of no block holds (0, 0, 0) and has tag 1.
        let mut value_rows = vec![row(program, 1, 0); cells];
        let mut range_rows = vec![row(program, 0, 0); cells];
        for (number, block) in blocks.iter().enumerate() {
            let (_, off) = program.block(number as u16);
            let table = number.checked_sub(1).map_or(program.input.table, |at| program.hidden[at].table);
            for (cell, ((q, r), y)) in block.q.iter().zip(&block.r).zip(&block.y).enumerate() {
                let cell = off as usize + cell;
                for (column, value) in shape.p.iter().zip([q, r, y]) {
                    p[column + cell] = *value as i32;
                }
                value_rows[cell] = row(program, table, *q);
                range_rows[cell] = row(program, 0, *r);
            }
        }
        for row in value_rows.iter().chain(&range_rows) {
            p[shape.p[3] + *row as usize] += 1;
        }
        Witness { p, value_rows, range_rows }
    }

    /// How often each row is looked up.
    pub fn multiplicities(&self, shape: &Shape) -> &[i32] {
        &self.p[shape.p[3]..][..1 << shape.nt]
    }
}

/// Number of the row of a table whose first column is `first`.
fn row(program: &Program, table: u8, first: i64) -> u32 {
    let of = &program.tables[usize::from(table)];
    let half = if table == 0 { 0 } else { of.half() };
    of.off + (first + half) as u32
}
