//! Sumcheck A: all constraints and all lookups at once (sections 6.3 and 11.2).
//!
//! Cells, rows and the committed input are sums over cubes of their own sizes.

use ark_bn254::Fr;
use ark_ff::{Field, Zero};
use rayon::prelude::*;

use super::cube::{Cube, InputCube, STRIP, Sums, folded, summed};
use super::lookups::{Rows, unlucky};
use super::witness::Witness;
use crate::error::Result;
use crate::evaluate::{Challenges, Evaluations};
use crate::mle::eq_table;
use crate::shape::Shape;
use crate::small::scaled;

/// What sumcheck A is about.
pub(crate) struct Columns<'a> {
    /// Sizes.
    pub shape: &'a Shape,
    /// The largest shift, `S`.
    pub s: u8,
    /// P and the lookups.
    pub witness: &'a Witness,
    /// Rows.
    pub rows: &'a Rows,
    /// `E` on all cells.
    pub constraints: Vec<Fr>,
    /// `In - V - Lin` on all cells.
    pub cells: Vec<Fr>,
    /// First cell of the input box.
    pub input: usize,
    /// `Same` on the input box; in mode 1, else nothing.
    pub same: Vec<Fr>,
    /// X; in mode 1, else nothing.
    pub x: &'a [i32],
}

/// Columns of a cell.
const U: usize = 0; // 2^S q + R
const Y: usize = 1;
const D1: usize = 2; // beta - fingerprint
const D2: usize = 3; // gamma (beta - R)
const H1: usize = 4;
const H2: usize = 5;
const E: usize = 6;
const K: usize = 7; // In - V - Lin
type Cell = [Fr; 8];

/// Columns of a row: `beta - T`, g, m.
type Row = [Fr; 3];

/// The sumcheck in progress.
pub(crate) struct SumcheckA<'a> {
    columns: Columns<'a>,
    challenges: &'a Challenges<Fr>,
    gammas: [Fr; 4],
    cells: Cube<8>,
    rows: Cube<3>,
    input: InputCube,
    /// `eq(tau, .)` on the variables below the current one.
    eq: Vec<Fr>,
    values: CellValues,
}

/// Elements that many cells share, by row.
struct CellValues {
    /// `2^S q`.
    u: Vec<Fr>,
    y: Vec<Fr>,
    /// `gamma (beta - R)`, and R, by row of the range table.
    d2: Vec<Fr>,
    r: Vec<Fr>,
}

impl<'a> SumcheckA<'a> {
    /// Prepares the sum with value `claim`; `gammas` are the powers of gamma from `L + 2` on.
    pub fn new(mut columns: Columns<'a>, challenges: &'a Challenges<Fr>, gammas: [Fr; 4], claim: Fr) -> SumcheckA<'a> {
        let shape = columns.shape;
        let rows = columns.rows;
        let by_row =
            |of: &(dyn Fn(usize) -> Fr + Sync)| (0..1_usize << shape.nt).into_par_iter().map(of).collect::<Vec<_>>();
        let s = columns.s;
        let values = CellValues {
            u: by_row(&|row| Fr::from(i64::from(rows.q[row]) << s)),
            y: by_row(&|row| Fr::from(rows.y[row])),
            d2: by_row(&|row| challenges.gamma * rows.gaps[row]),
            r: by_row(&|row| challenges.beta - rows.gaps[row]),
        };
        let input = InputCube::new(columns.input, std::mem::take(&mut columns.same), columns.x);
        let g: Fr = (0..1 << shape.nt).map(|row| row_columns(&columns, row)[1]).sum();
        let lookups = gammas[1] + gammas[2];
        let of_rows = -gammas[0] * g;
        let cells = Cube::new(shape.n, lookups, claim - lookups - of_rows - input.claim);
        let eq = eq_table(&challenges.tau[..shape.rounds_a - 1], 1 << (shape.rounds_a - 1));
        let rows = Cube::new(shape.nt, Fr::zero(), of_rows);
        SumcheckA { columns, challenges, gammas, cells, rows, input, eq, values }
    }

    /// Runs all rounds; `challenge` takes `c0, c2, c3` and gives the value of the variable. Returns rho.
    ///
    /// # Errors
    /// If a challenge is one of the few that have no proof.
    pub fn run(&mut self, mut challenge: impl FnMut([Fr; 3]) -> Fr) -> Result<Vec<Fr>> {
        let shape = self.columns.shape;
        let mut rho = vec![Fr::zero(); shape.rounds_a];
        for j in (0..shape.rounds_a).rev() {
            let tau = self.challenges.tau[j];
            let cells = if j < shape.n { self.cells.cubic(tau, self.cell_sums(j))? } else { self.cells.above() };
            let rows = if j < shape.nt { self.rows.cubic(tau, self.row_sums(j))? } else { self.rows.above() };
            let input = self.input.quadratic(j);
            let x = challenge([cells[0] + rows[0] + input[0], cells[2] + rows[2] + input[2], cells[3] + rows[3]]);
            rho[j] = x;
            self.bind(j, tau, x);
        }
        Ok(rho)
    }

    /// The columns at rho. `v` and `y_stored` are left at 0.
    pub fn evaluations(&self) -> Result<Evaluations<Fr>> {
        let (cell, row) = (self.cells.table[0], self.rows.table[0]);
        let r = self.challenges.beta - cell[D2] * self.challenges.gamma.inverse().ok_or_else(unlucky)?;
        let power = Fr::from(1_u64 << self.columns.s).inverse().ok_or_else(unlucky)?;
        Ok(Evaluations {
            q: (cell[U] - r) * power,
            r,
            y: cell[Y],
            h1: cell[H1],
            h2: cell[H2],
            g: row[1],
            m: row[2],
            v: Fr::zero(),
            x: self.input.value(),
            y_stored: Fr::zero(),
        })
    }

    fn bind(&mut self, j: usize, tau: Fr, x: Fr) {
        let shape = self.columns.shape;
        if j < shape.n {
            self.cells.bind(tau, x);
            if j + 1 == shape.n {
                let cells = folded(1 << j, x, |index| self.cell(index));
                self.cells.table = cells;
                (self.columns.constraints, self.columns.cells) = (Vec::new(), Vec::new());
            } else {
                self.cells.fold(x);
            }
        } else {
            self.cells.bind_above(x);
        }
        if j < shape.nt {
            self.rows.bind(tau, x);
            if j + 1 == shape.nt {
                let rows = folded(1 << j, x, |index| row_columns(&self.columns, index));
                self.rows.table = rows;
            } else {
                self.rows.fold(x);
            }
        } else {
            self.rows.bind_above(x);
        }
        self.input.bind(j, x);
        if j > 0 {
            let half = 1 << (j - 1);
            let (low, high) = self.eq.split_at_mut(half);
            low.par_iter_mut().with_min_len(STRIP).zip(high).for_each(|(low, high)| *low += *high);
            self.eq.truncate(half);
        }
    }

    /// Cell `index` before the first round.
    fn cell(&self, index: usize) -> Cell {
        let value = self.columns.witness.value_rows[index] as usize;
        let range = self.columns.witness.range_rows[index] as usize;
        [
            self.values.u[value] + self.values.r[range],
            self.values.y[value],
            self.columns.rows.gaps[value],
            self.values.d2[range],
            self.columns.rows.inverses[value],
            self.columns.rows.inverses[range],
            self.columns.constraints[index],
            self.columns.cells[index],
        ]
    }

    fn cell_sums(&self, j: usize) -> Sums {
        let half = 1 << j;
        let sums = if j + 1 == self.cells.bits {
            summed(half, |index| self.cell_pair(index, self.cell(index), self.cell(index + half)))
        } else {
            let table = &self.cells.table;
            summed(half, |index| self.cell_pair(index, table[index], table[index + half]))
        };
        let [_, first, _, _] = self.gammas;
        let [lookups, lookups_top, helpers, other_top] = sums;
        // What `cell_pair` left out: the factor of the lookups, and the linear part at 0.
        [first * lookups, first * lookups_top, helpers, other_top]
    }

    /// A pair's part of the round's sums; lookups without the factor `gamma^(L+3)`.
    fn cell_pair(&self, index: usize, low: Cell, high: Cell) -> Sums {
        let difference: Cell = std::array::from_fn(|k| high[k] - low[k]);
        let lookups = |cell: &Cell| Fr::sum_of_products(&[cell[H1], cell[H2]], &[cell[D1], cell[D2]]);
        let sums = |cell: &Cell| Fr::sum_of_products(&[cell[E], cell[K]], &[cell[U], cell[Y]]);
        let eq = self.eq[index];
        let helpers = self.gammas[0] * (low[H1] + low[H2]);
        [eq * lookups(&low), eq * lookups(&difference), sums(&low) + helpers, sums(&difference)]
    }

    fn row_sums(&self, j: usize) -> Sums {
        let half = 1 << j;
        let sums = if j + 1 == self.rows.bits {
            let row = |index: usize| row_columns(&self.columns, index);
            summed(half, |index| self.row_pair(index, row(index), row(index + half)))
        } else {
            let table = &self.rows.table;
            summed(half, |index| self.row_pair(index, table[index], table[index + half]))
        };
        let [helpers, _, _, last] = self.gammas;
        [last * sums[0], last * sums[1], -helpers * sums[2], Fr::zero()]
    }

    /// A pair's part of the round's sums without the factors of both parts.
    fn row_pair(&self, index: usize, low: Row, high: Row) -> Sums {
        let eq = self.eq[index];
        let top = (high[0] - low[0]) * (high[1] - low[1]);
        [eq * (low[0] * low[1] - low[2]), eq * top, low[1], Fr::zero()]
    }
}

/// Row `index` before the first round.
fn row_columns(columns: &Columns<'_>, index: usize) -> Row {
    let m = columns.witness.multiplicities(columns.shape)[index];
    let helper = scaled(&columns.rows.inverses[index], i64::from(m));
    [columns.rows.gaps[index], helper, Fr::from(m)]
}
