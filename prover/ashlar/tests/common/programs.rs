//! Random programs with every kind of axis, term and table, and an input on which they keep their tables' bounds.
//!
//! Values come from the definition of section 1.3, cell by cell, so each program is its own reference for inference.

use zkinfer_ashlar::program::{
    Axis, AxisKind, Bits, Dim, Header, Hidden, Input, Mode, Output, Program, Span, Table, TableKind, Term, TermKind,
    Tile, elements, positions,
};

use super::random::Random;
use super::relation;

/// A program with weights and a sample.
pub struct Sample {
    pub program: Program,
    pub weights: Vec<i64>,
    pub input: Vec<i64>,
    /// `y` of each block.
    pub blocks: Vec<Vec<i64>>,
    pub outputs: Vec<i64>,
}

/// What is wanted of a program; everything else is random.
#[derive(Clone, Copy)]
pub struct Wish {
    pub mode: Mode,
    /// Bits that are added to n and nT beyond what is needed.
    pub spare: (u8, u8),
    /// log2 of the chunk size.
    pub c: u8,
}

struct Maker {
    random: Random,
    weights: Vec<i64>,
    blocks: Vec<Vec<i64>>,
    sizes: Vec<u8>,
}

fn bits_for(size: u64) -> u8 {
    (64 - (size - 1).leading_zeros()) as u8
}

fn axis(kind: AxisKind) -> Axis {
    let none = Bits { first: 0, bits: 0 };
    Axis { kind, o: none, i: none, w: 0, k: 0, g: 0, bound: 0 }
}

impl Maker {
    fn one_in(&mut self, chances: u64) -> bool {
        self.random.below(chances) == 0
    }

    fn dims(&mut self, most_bits: u8) -> Vec<Dim> {
        let mut left = most_bits;
        let rank = 1 + self.random.below(3);
        let dim = |_| {
            let size = 1 + self.random.below(1 << left.min(3));
            left -= bits_for(size);
            Dim { size: size as u32, bits: bits_for(size) }
        };
        (0..rank).map(dim).collect()
    }

    /// Takes a range of output bits, if there are as many above `next`.
    fn take(next: &mut u8, all: u8, bits: u8) -> Bits {
        if bits == 0 || *next + bits > all {
            return Bits::default();
        }
        *next += bits;
        Bits { first: *next - bits, bits }
    }

    fn term(&mut self, box_bits: u8) -> Term {
        let kind = match self.random.below(5) {
            0 | 1 => TermKind::Weights,
            2 | 3 => TermKind::Cells,
            _ => TermKind::Bias,
        };
        let source = (kind != TermKind::Bias).then(|| self.random.below(self.sizes.len() as u64) as u16);
        let mut next = self.random.below(2).min(box_bits.into()) as u8;
        let mut axes = Vec::new();
        let mut walks = Vec::new();
        if let Some(source) = source {
            let bits = self.sizes[usize::from(source)];
            let mut first = 0;
            while first < bits {
                let count = 1 + self.random.below(u64::from(bits - first).min(3)) as u8;
                let made = self.axis(kind, Bits { first, bits: count }, &mut next, box_bits);
                (if made.kind == AxisKind::Walk { &mut walks } else { &mut axes }).push(made);
                first += count;
            }
        }
        while next < box_bits {
            let bits = 1 + self.random.below(u64::from(box_bits - next)) as u8;
            let o = Self::take(&mut next, box_bits, bits);
            match self.random.below(3) {
                0 if kind != TermKind::Cells => axes.push(Axis { o, w: o.bits, ..axis(AxisKind::Eq) }),
                1 => {
                    let bound = 1 + self.random.below((1 << o.bits) - 1) as u32;
                    axes.push(Axis { o, bound, ..axis(AxisKind::Mask) });
                }
                _ => {}
            }
        }
        if source.is_some() && self.one_in(6) {
            walks.push(self.walk(kind, Bits::default(), Bits::default()));
        }
        if self.one_in(2) {
            axes.reverse();
        }
        axes.append(&mut walks);
        let coef = if kind == TermKind::Cells { [1, -1, 3, -8][self.random.below(4) as usize] } else { 1 };
        let tiles = if kind == TermKind::Cells { Vec::new() } else { self.tiles(&axes, kind) };
        Term { kind, source, coef, axes, tiles }
    }

    /// An axis for a range of source bits.
    fn axis(&mut self, kind: TermKind, i: Bits, next: &mut u8, box_bits: u8) -> Axis {
        let weights = kind == TermKind::Weights;
        let choice = self.random.below(7);
        let wanted = if choice == 2 { self.random.below(4) as u8 } else { i.bits };
        let o = if choice < 4 { Self::take(next, box_bits, wanted) } else { Bits::default() };
        match choice {
            2 => self.walk(kind, o, i),
            3 if weights && o.bits > 0 => Axis { o, i, w: i.bits, ..axis(AxisKind::Eq) },
            4 if weights => Axis { i, w: i.bits, ..axis(AxisKind::Eq) },
            5 => Axis { i, g: self.random.below(1 << i.bits) as i32, ..axis(AxisKind::Fix) },
            _ if o.bits > 0 => Axis { o, i, ..axis(AxisKind::Eq) },
            _ => Axis { i, ..axis(AxisKind::Free) },
        }
    }

    fn walk(&mut self, kind: TermKind, o: Bits, i: Bits) -> Axis {
        let w = if kind == TermKind::Weights { self.random.below(4) as u8 } else { 0 };
        let g = self.random.between(-4, if w > 0 { 0 } else { 4 }) as i32;
        let bound = 1 + self.random.below(1 << o.bits) as u32;
        Axis { o, i, w, k: self.random.below(3) as u8, g, bound, ..axis(AxisKind::Walk) }
    }

    /// Tiles with random weights: each axis but WALK may be cut in two, and one half left out.
    fn tiles(&mut self, axes: &[Axis], kind: TermKind) -> Vec<Tile> {
        let mut all = vec![Vec::new()];
        for axis in axes.iter().filter(|axis| axis.w > 0) {
            let whole = vec![Span { start: 0, bits: axis.w }];
            let half = |at: u32| Span { start: at << (axis.w - 1), bits: axis.w - 1 };
            let spans = match self.random.below(5) {
                0 if axis.kind != AxisKind::Walk => vec![half(0), half(1)],
                1 if axis.kind != AxisKind::Walk => vec![half(1)],
                _ => whole,
            };
            let with =
                |tile: &Vec<Span>| spans.iter().map(|span| [tile.as_slice(), &[*span]].concat()).collect::<Vec<_>>();
            all = all.iter().flat_map(with).collect();
        }
        let large = if kind == TermKind::Bias { 40 } else { 3 };
        let place = |spans: Vec<Span>| {
            let size = 1_usize << spans.iter().map(|span| span.bits).sum::<u8>();
            let off = self.weights.len().next_multiple_of(size);
            self.weights.resize(off, 0);
            let zero = self.one_in(10);
            for _ in 0..size {
                let weight = self.random.between(-large, large);
                let absent = zero || self.one_in(4);
                self.weights.push(if absent { 0 } else { weight });
            }
            Tile { off: off as u32, spans }
        };
        all.into_iter().map(place).collect()
    }

    fn sums(&self, terms: &[Term], bits: u8) -> Vec<i64> {
        let source = |term: &Term| term.source.map_or(&[][..], |source| &self.blocks[usize::from(source)]);
        let cell =
            |o: u64| terms.iter().map(|term| relation::value(term, source(term), &self.weights, o)).sum::<i128>();
        (0..1 << bits).map(|o| i64::try_from(cell(o)).expect("a small sum")).collect()
    }

    /// Terms of a hidden block; at times those of the block before, whose weights it then shares, and one more.
    fn hidden_terms(&mut self, before: Option<&Hidden>) -> (u8, Vec<Term>) {
        if let Some(before) = before.filter(|_| self.one_in(4)) {
            let whole = Bits { first: 0, bits: before.bits };
            let axes =
                if before.bits > 0 { vec![Axis { o: whole, i: whole, ..axis(AxisKind::Eq) }] } else { Vec::new() };
            let source = Some(self.sizes.len() as u16 - 1);
            let more = Term { kind: TermKind::Cells, source, coef: -2, axes, tiles: Vec::new() };
            return (before.bits, [before.terms.as_slice(), &[more]].concat());
        }
        let bits = self.random.below(6) as u8;
        (bits, (0..1 + self.random.below(3)).map(|_| self.term(bits)).collect())
    }

    /// An output and its box. Padding cells have to be 0: where they are not, sizes become powers of two.
    fn output(&mut self) -> (Output, Vec<i64>) {
        let mut dims = self.dims(7);
        let bits: u8 = dims.iter().map(|dim| dim.bits).sum();
        let terms: Vec<Term> = (0..1 + self.random.below(2)).map(|_| self.term(bits)).collect();
        let z = self.sums(&terms, bits);
        let valid = positions(&dims).into_iter().filter(|place| z[*place] != 0).count();
        if valid < z.iter().filter(|z| **z != 0).count() {
            dims.iter_mut().for_each(|dim| dim.size = 1 << dim.bits);
        }
        (Output { bits, dims, terms }, z)
    }

    /// A table that holds all `q`, and what it makes of them. Its place is found later.
    fn table(&mut self, q: &[i64]) -> (Table, Vec<i64>) {
        let least = |k: &u8| q.iter().all(|q| (-(1_i64 << (k - 1))..1 << (k - 1)).contains(q));
        let k = (1..=16).find(least).expect("a small q") + self.random.below(2) as u8;
        let b = self.random.below(k.into()) as u8;
        let kinds = [TableKind::ClampU, TableKind::ClampS, TableKind::Excess, TableKind::Stored];
        let kind = kinds[self.random.below(4) as usize];
        if kind == TableKind::Stored && k <= 8 {
            let values: Vec<i64> = (0..1 << k).map(|_| self.random.between(-90, 90)).collect();
            let off = self.weights.len().next_multiple_of(values.len());
            self.weights.resize(off, 0);
            self.weights.extend(&values);
            let table = Table { kind, k, b: 0, off: 0, f_off: off as u32 };
            return (table, q.iter().map(|q| values[(q + table.half()) as usize]).collect());
        }
        let kind = if kind == TableKind::Stored { TableKind::ClampS } else { kind };
        let table = Table { kind, k, b, off: 0, f_off: 0 };
        (table, q.iter().map(|q| table.y(*q)).collect())
    }
}

/// Places of boxes: the largest first. Returns the end.
fn lay_out(sizes: &[u8]) -> (Vec<u32>, u32) {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(sizes[*at]));
    let mut places = vec![0; sizes.len()];
    let end = order.iter().fold(0, |end, at| {
        places[*at] = end;
        end + (1 << sizes[*at])
    });
    (places, end)
}

/// A program as wished, from a seed.
pub fn sample(seed: u64, wish: Wish) -> Sample {
    let mut maker = Maker { random: Random::new(seed), weights: Vec::new(), blocks: Vec::new(), sizes: Vec::new() };
    let dims = maker.dims(if seed % 7 == 0 { 0 } else { 5 });
    let bits: u8 = dims.iter().map(|dim| dim.bits).sum();
    let b = 1 + maker.random.below(5) as u8;
    let signed = maker.one_in(2);
    let kind = if signed { TableKind::ClampS } else { TableKind::ClampU };
    let mut tables = vec![
        Table { kind: TableKind::Range, k: 1, b: 0, off: 0, f_off: 0 },
        Table { kind, k: b + 1, b, off: 0, f_off: 0 },
    ];
    let (low, high) = tables[1].image();
    let input: Vec<i64> = (0..elements(&dims)).map(|_| maker.random.between(low, high)).collect();
    let mut cells = vec![0; 1 << bits];
    positions(&dims).into_iter().zip(&input).for_each(|(place, value)| cells[place] = *value);
    maker.blocks.push(cells);
    maker.sizes.push(bits);

    let mut hidden = Vec::new();
    for _ in 0..maker.random.below(5) {
        let (bits, terms) = maker.hidden_terms(hidden.last());
        let z = maker.sums(&terms, bits);
        let largest = z.iter().map(|z| z.unsigned_abs()).max().unwrap_or(0);
        let shift = (maker.random.below(4) as u32).max((64 - largest.leading_zeros()).saturating_sub(9)) as u8;
        let half = if shift > 0 { 1 << (shift - 1) } else { 0 };
        let (table, y) = maker.table(&z.iter().map(|z| (z + half) >> shift).collect::<Vec<_>>());
        maker.blocks.push(y);
        maker.sizes.push(bits);
        hidden.push(Hidden { bits, table: tables.len() as u8, shift, off: 0, terms });
        tables.push(table);
    }
    let mut outputs = Vec::new();
    let mut values = Vec::new();
    for _ in 0..1 + maker.random.below(2) {
        let (output, z) = maker.output();
        values.extend(positions(&output.dims).into_iter().map(|place| z[place]));
        outputs.push(output);
    }

    let s = hidden.iter().map(|hidden| hidden.shift).max().unwrap_or(1).max(1);
    tables[0].k = s;
    let (places, end) = lay_out(&maker.sizes);
    let n = bits_for(end.into()).max(1) + wish.spare.0;
    hidden.iter_mut().zip(&places[1..]).for_each(|(hidden, off)| hidden.off = *off);
    let (rows, end) = lay_out(&tables.iter().map(|table| table.k).collect::<Vec<_>>());
    let nt = bits_for(end.into()).max(1) + wish.spare.1;
    tables.iter_mut().zip(rows).for_each(|(table, off)| table.off = off);
    let chunks = maker.weights.len().div_ceil(1 << wish.c);
    let x_len = if wish.mode == Mode::Hashed { 1 << bits } else { 0 };
    let longest = [(3 << n) + (1 << nt), chunks << wish.c, x_len].into_iter().max().unwrap_or(1);
    let header = Header {
        profile: 1,
        mode: wish.mode,
        n,
        nt,
        nb: bits_for(longest as u64).max(wish.c),
        c: wish.c,
        s,
        tables: tables.len() as u8,
        hidden: hidden.len() as u16,
        outputs: outputs.len() as u16,
        chunks_f: chunks as u16,
        program_words: 0,
    };
    let input_record = Input { bits, table: 1, off: places[0], dims };
    let program = Program { header, input: input_record, tables, hidden, outputs };
    let Maker { weights, blocks, .. } = maker;
    Sample { program, weights, input, blocks, outputs: values }
}
