//! Sumcheck A: all constraints and all lookups at once (sections 6.3 and 11.2).
//!
//! Cells, rows and the committed input are sums over cubes of their own sizes. A sum has two parts: one with the
//! factor `eq(tau, x)`, of which only the rest, of degree 2, is summed, and one of degree 2 without it. Both are known
//! by their values at 0 and their leading coefficients, since their claims are known.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, One, Zero};
use rayon::prelude::*;

use super::lookups::{Rows, unlucky};
use super::witness::Witness;
use crate::error::Result;
use crate::evaluate::{Challenges, Evaluations};
use crate::mle::{eq_bit, eq_table};
use crate::shape::Shape;

/// Pairs that a thread takes at a time.
const STRIP: usize = 1 << 10;

/// Coefficients of a polynomial of degree 3, the constant first.
type Cubic = [Fr; 4];

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
    /// First cell of the input box, `Same` on it, and X; in mode 1.
    pub same: Option<(usize, Vec<Fr>, Vec<i32>)>,
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

/// The sums of a round: of the part with the factor `eq`, its value at 0 and its leading coefficient; likewise of the
/// other part.
type Sums = [Fr; 4];

/// A sum over a cube whose lowest variables are those of the table, and what earlier challenges have made of it.
struct Cube<const N: usize> {
    table: Vec<[Fr; N]>,
    bits: usize,
    /// Factor that the selectors and `eq` of bound variables give to the part with `eq`.
    eq_scale: Fr,
    /// The same for the other part.
    scale: Fr,
    eq_claim: Fr,
    claim: Fr,
    /// Coefficients of the part with `eq` for this round: of the linear factor, and of the rest.
    round: Option<Round>,
}

/// A round's polynomials: the linear factor times the quadratic, and the other quadratic.
struct Round {
    line: [Fr; 2],
    rest: [Fr; 3],
    other: [Fr; 3],
}

impl<const N: usize> Cube<N> {
    fn new(bits: usize, eq_claim: Fr, claim: Fr) -> Cube<N> {
        Cube { table: Vec::new(), bits, eq_scale: Fr::ONE, scale: Fr::ONE, eq_claim, claim, round: None }
    }

    /// The round's polynomial from the sums over the table.
    fn cubic(&mut self, tau: Fr, sums: Sums) -> Result<Cubic> {
        let line = [self.eq_scale * (Fr::one() - tau), self.eq_scale * (tau.double() - Fr::one())];
        let at_one = (self.eq_claim - line[0] * sums[0]) * (line[0] + line[1]).inverse().ok_or_else(unlucky)?;
        let rest = [sums[0], at_one - sums[0] - sums[1], sums[1]];
        let (first, last) = (self.scale * sums[2], self.scale * sums[3]);
        let other = [first, self.claim - first.double() - last, last];
        let cubic = [
            line[0] * rest[0] + other[0],
            line[0] * rest[1] + line[1] * rest[0] + other[1],
            line[0] * rest[2] + line[1] * rest[1] + other[2],
            line[1] * rest[2],
        ];
        self.round = Some(Round { line, rest, other });
        Ok(cubic)
    }

    /// Binds the variable of a round that is one of the table's.
    fn bind(&mut self, tau: Fr, rho: Fr) {
        if let Some(Round { line, rest, other }) = self.round.take() {
            self.eq_claim = (line[0] + line[1] * rho) * at(&rest, rho);
            self.claim = at(&other, rho);
            self.eq_scale *= eq_bit(tau, rho);
        }
    }

    /// The polynomial of a round above the table: `(1 - X)` times the claim.
    fn above(&self) -> Cubic {
        let claim = self.eq_claim + self.claim;
        [claim, -claim, Fr::zero(), Fr::zero()]
    }

    fn bind_above(&mut self, rho: Fr) {
        let factor = Fr::one() - rho;
        for value in [&mut self.eq_claim, &mut self.claim, &mut self.eq_scale, &mut self.scale] {
            *value *= factor;
        }
    }

    fn fold(&mut self, rho: Fr) {
        self.table = folded(self.table.len() / 2, rho, |index| self.table[index]);
    }
}

/// Value of a quadratic.
fn at([c0, c1, c2]: &[Fr; 3], x: Fr) -> Fr {
    *c0 + x * (*c1 + x * c2)
}

/// The pairs `(index, index + half)` of a table, with `rho` for the variable between.
fn folded<const N: usize>(half: usize, rho: Fr, of: impl Fn(usize) -> [Fr; N] + Sync) -> Vec<[Fr; N]> {
    let pair = |index: usize| {
        let (low, high) = (of(index), of(index + half));
        std::array::from_fn(|k| low[k] + rho * (high[k] - low[k]))
    };
    (0..half).into_par_iter().with_min_len(STRIP).map(pair).collect()
}

/// Adds a sum for each pair of a table.
fn summed(half: usize, pair: impl Fn(usize) -> Sums + Sync) -> Sums {
    let strips = half.div_ceil(STRIP);
    let strip = |number: usize| {
        let indices = number * STRIP..half.min((number + 1) * STRIP);
        indices.fold([Fr::zero(); 4], |sums, index| plus(sums, pair(index)))
    };
    (0..strips).into_par_iter().map(strip).reduce(|| [Fr::zero(); 4], plus)
}

fn plus(a: Sums, b: Sums) -> Sums {
    std::array::from_fn(|k| a[k] + b[k])
}

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
    pub fn new(columns: Columns<'a>, challenges: &'a Challenges<Fr>, gammas: [Fr; 4], claim: Fr) -> SumcheckA<'a> {
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
        let input = InputCube::new(&columns);
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
    let helper = crate::small::scaled(&columns.rows.inverses[index], i64::from(m));
    [columns.rows.gaps[index], helper, Fr::from(m)]
}

/// The sum of `- Same(x) X(x)` over the input's box, in mode 1.
struct InputCube {
    off: usize,
    same: Vec<Fr>,
    x: Vec<Fr>,
    scale: Fr,
    claim: Fr,
    round: [Fr; 3],
}

impl InputCube {
    fn new(columns: &Columns<'_>) -> InputCube {
        let (off, same, x) = match &columns.same {
            Some((off, same, x)) => (*off, same.clone(), x.iter().map(|value| Fr::from(*value)).collect()),
            None => (0, Vec::new(), Vec::new()),
        };
        let claim = -inner(&same, &x);
        InputCube { off, same, x, scale: -Fr::one(), claim, round: [Fr::zero(); 3] }
    }

    fn quadratic(&mut self, j: usize) -> [Fr; 3] {
        let half = 1 << j;
        self.round = if half < self.x.len() {
            let (low, high) = (inner(&self.same[..half], &self.x[..half]), inner(&self.same[half..], &self.x[half..]));
            let cross = inner(&self.same[..half], &self.x[half..]) + inner(&self.same[half..], &self.x[..half]);
            let first = self.scale * low;
            let last = self.scale * (low + high - cross);
            [first, self.claim - first.double() - last, last]
        } else if self.off >> j & 1 == 1 {
            [Fr::zero(), self.claim, Fr::zero()]
        } else {
            [self.claim, -self.claim, Fr::zero()]
        };
        self.round
    }

    fn bind(&mut self, j: usize, rho: Fr) {
        self.claim = at(&self.round, rho);
        let half = 1 << j;
        if half < self.x.len() {
            for table in [&mut self.same, &mut self.x] {
                let (low, high) = table.split_at_mut(half);
                low.iter_mut().zip(high).for_each(|(low, high)| *low += rho * (*high - *low));
                table.truncate(half);
            }
        } else {
            self.scale *= if self.off >> j & 1 == 1 { rho } else { Fr::one() - rho };
        }
    }

    fn value(&self) -> Fr {
        self.x.first().copied().unwrap_or_default()
    }
}

fn inner(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(a, b)| *a * b).sum()
}
