//! Networks of the usual kinds with random weights: multilayer perceptrons, LeNet-5, residual networks.
//!
//! Layers are laid out as the compiler lays them out; shifts are chosen so that no input can leave a table.

use zkinfer_ashlar::program::{
    Axis, AxisKind, Bits, Dim, Header, Hidden, Input, Mode, Output, Program, Span, Table, TableKind, Term, TermKind,
    Tile,
};

use super::random::Random;

/// Width of activations.
const WIDTH: u8 = 8;
/// log2 of the rows of the table of activations.
const ROWS: u8 = 12;
/// Largest weight.
const WEIGHT: i64 = 127;

/// A program with weights and an input.
pub struct Built {
    pub program: Program,
    pub weights: Vec<i64>,
    pub input: Vec<i64>,
}

/// A map of `channels` times `2^bits` times `2^bits` places. After `pool`, windows of 2 times 2 count as one place.
#[derive(Clone, Copy)]
pub struct Map {
    pub block: u16,
    pub channels: usize,
    pub bits: u8,
    pub pooled: bool,
}

/// A network that grows layer by layer.
pub struct Builder {
    random: Random,
    dims: Vec<Dim>,
    hidden: Vec<Hidden>,
    tiles: Vec<(usize, Vec<i64>)>,
}

pub fn bits_for(size: usize) -> u8 {
    size.next_power_of_two().trailing_zeros() as u8
}

fn range(first: u8, bits: u8) -> Bits {
    if bits == 0 { Bits::default() } else { Bits { first, bits } }
}

fn axis(kind: AxisKind) -> Axis {
    Axis { kind, o: Bits::default(), i: Bits::default(), w: 0, k: 0, g: 0, bound: 0 }
}

/// Powers of two that a size is cut into, largest first.
fn cut(size: usize) -> Vec<Span> {
    let parts = (0..usize::BITS).rev().filter(|bit| size >> bit & 1 == 1);
    let mut start = 0;
    let span = |bit: u32| {
        let span = Span { start, bits: bit as u8 };
        start += 1 << bit;
        span
    };
    parts.map(span).collect()
}

impl Builder {
    /// An input of these sizes, of unsigned 8 bits.
    pub fn new(seed: u64, sizes: &[usize]) -> Builder {
        let dims = sizes.iter().map(|size| Dim { size: *size as u32, bits: bits_for(*size) }).collect();
        Builder { random: Random::new(seed), dims, hidden: Vec::new(), tiles: Vec::new() }
    }

    /// The input as a map; its sizes are those of channels, rows and columns.
    pub fn map(&self) -> Map {
        Map { block: 0, channels: self.dims[0].size as usize, bits: self.dims[1].bits, pooled: false }
    }

    fn bits(&self, block: u16) -> u8 {
        match usize::from(block).checked_sub(1) {
            Some(at) => self.hidden[at].bits,
            None => self.dims.iter().map(|dim| dim.bits).sum(),
        }
    }

    /// Random weights where `valid` says so; the tile's number stands for its place until the end.
    fn tile(&mut self, spans: Vec<Span>, valid: impl Fn(usize) -> bool) -> Tile {
        let size = 1 << spans.iter().map(|span| span.bits).sum::<u8>();
        let mut weight = |at| if valid(at) { self.random.between(-WEIGHT, WEIGHT) } else { 0 };
        self.tiles.push((size, (0..size).map(&mut weight).collect()));
        Tile { off: self.tiles.len() as u32 - 1, spans }
    }

    fn bias(&mut self, first: u8, size: usize) -> Term {
        let bits = bits_for(size);
        let o = range(first, bits);
        let axes = if bits > 0 { vec![Axis { o, w: bits, ..axis(AxisKind::Eq) }] } else { Vec::new() };
        let spans = if bits > 0 { vec![Span { start: 0, bits }] } else { Vec::new() };
        let tiles = vec![self.tile(spans, |at| at < size)];
        Term { kind: TermKind::Bias, source: None, coef: 1, axes, tiles }
    }

    /// A layer of all inputs times weights, the axes cut into powers of two if `tiled`, and a bias.
    fn product(&mut self, source: u16, inputs: usize, outputs: usize, tiled: bool) -> Vec<Term> {
        let (rows, columns) = (bits_for(outputs), self.bits(source));
        let spans = |size: usize, bits: u8| if tiled { cut(size) } else { vec![Span { start: 0, bits }] };
        let mut axes = vec![Axis { o: range(0, rows), w: rows, ..axis(AxisKind::Eq) }];
        axes.push(Axis { i: range(0, columns), w: columns, ..axis(AxisKind::Eq) });
        axes.retain(|axis| axis.w > 0);
        let mut tiles = Vec::new();
        for row in spans(outputs, rows) {
            for column in spans(inputs, columns) {
                let width = 1 << column.bits;
                let (first_row, first_column) = (row.start as usize, column.start as usize);
                let valid = |at: usize| first_row + at / width < outputs && first_column + at % width < inputs;
                let spans = [(rows, row), (columns, column)].into_iter().filter(|(bits, _)| *bits > 0);
                tiles.push(self.tile(spans.map(|(_, span)| span).collect(), valid));
            }
        }
        let product = Term { kind: TermKind::Weights, source: Some(source), coef: 1, axes, tiles };
        vec![product, self.bias(0, outputs)]
    }

    /// Adds a block whose sums have at most `terms` products of a weight and an activation.
    fn push(&mut self, bits: u8, terms: Vec<Term>, products: usize) -> u16 {
        let bound = (products as i64 + 2) * WEIGHT * (1 << WIDTH);
        let shift = (64 - bound.leading_zeros() as u8).saturating_sub(ROWS - 1);
        self.hidden.push(Hidden { bits, table: 1, shift, off: 0, terms });
        self.hidden.len() as u16
    }

    /// A dense layer with ReLU.
    pub fn dense(&mut self, source: u16, inputs: usize, outputs: usize, tiled: bool) -> u16 {
        let terms = self.product(source, inputs, outputs, tiled);
        self.push(bits_for(outputs), terms, inputs)
    }

    /// A dense layer with ReLU on a map.
    pub fn flattened(&mut self, map: Map, size: usize, outputs: usize) -> u16 {
        let (rows, channels) = (bits_for(outputs), bits_for(map.channels));
        let low = u8::from(map.pooled);
        let places = map.bits - low;
        let mut axes = vec![Axis { o: range(0, rows), w: rows, ..axis(AxisKind::Eq) }];
        axes.push(Axis { i: range(2 * map.bits, channels), w: channels, ..axis(AxisKind::Eq) });
        axes.push(Axis { i: range(map.bits + low, places), w: places, ..axis(AxisKind::Eq) });
        axes.push(Axis { i: range(low, places), w: places, ..axis(AxisKind::Eq) });
        axes.retain(|axis| axis.w > 0);
        let spans = axes.iter().map(|axis| Span { start: 0, bits: axis.w }).collect();
        axes.extend(pools(map));
        let valid = |at: usize| {
            let (x, y) = (at & ((1 << places) - 1), at >> places & ((1 << places) - 1));
            let c = at >> (2 * places) & ((1 << channels) - 1);
            x < size && y < size && c < map.channels && at >> (2 * places + channels) < outputs
        };
        let tiles = vec![self.tile(spans, valid)];
        let product = Term { kind: TermKind::Weights, source: Some(map.block), coef: 1, axes, tiles };
        let terms = vec![product, self.bias(0, outputs)];
        self.push(rows, terms, (map.channels * size * size) << (2 * low))
    }

    /// A convolution with ReLU; with `residual`, a map of the same shape is added.
    pub fn conv(&mut self, map: Map, channels: usize, kernel: usize, layout: (u8, i32), residual: Option<u16>) -> Map {
        let (stride, padding) = layout;
        let low = u8::from(map.pooled);
        let (wide, inputs, taps) = (bits_for(channels), bits_for(map.channels), bits_for(kernel));
        let bits = map.bits - low - stride;
        let mut axes = vec![Axis { o: range(2 * bits, wide), w: wide, ..axis(AxisKind::Eq) }];
        axes.push(Axis { i: range(2 * map.bits, inputs), w: inputs, ..axis(AxisKind::Eq) });
        axes.retain(|axis| axis.w > 0);
        axes.extend(pools(map));
        for (o, i) in [(bits, map.bits + low), (0, low)] {
            let walk = Axis { o: range(o, bits), i: range(i, map.bits - low), w: taps, ..axis(AxisKind::Walk) };
            axes.push(Axis { k: stride, g: -padding, bound: 1 << bits, ..walk });
        }
        let weighted = axes.iter().filter(|axis| axis.w > 0);
        let spans = weighted.map(|axis| Span { start: 0, bits: axis.w }).collect();
        let valid = |at: usize| {
            let (x, y) = (at & ((1 << taps) - 1), at >> taps & ((1 << taps) - 1));
            let c = at >> (2 * taps) & ((1 << inputs) - 1);
            x < kernel && y < kernel && c < map.channels && at >> (2 * taps + inputs) < channels
        };
        let tiles = vec![self.tile(spans, valid)];
        let mut terms = vec![Term { kind: TermKind::Weights, source: Some(map.block), coef: 1, axes, tiles }];
        let all = range(0, 2 * bits + wide);
        terms.extend(residual.map(|source| Term {
            kind: TermKind::Cells,
            source: Some(source),
            coef: 64,
            axes: vec![Axis { o: all, i: all, ..axis(AxisKind::Eq) }],
            tiles: Vec::new(),
        }));
        terms.push(self.bias(2 * bits, channels));
        let products = (map.channels * kernel * kernel) << (2 * low);
        let block = self.push(2 * bits + wide, terms, products);
        Map { block, channels, bits, pooled: false }
    }

    /// Sums of whole maps.
    pub fn global_pool(&mut self, map: Map) -> u16 {
        let channels = bits_for(map.channels);
        let sum = Term {
            kind: TermKind::Cells,
            source: Some(map.block),
            coef: 1,
            axes: vec![
                Axis { o: range(0, channels), i: range(2 * map.bits, channels), ..axis(AxisKind::Eq) },
                Axis { i: range(0, 2 * map.bits), ..axis(AxisKind::Free) },
            ],
            tiles: Vec::new(),
        };
        self.push(channels, vec![sum], 1 << (2 * map.bits))
    }

    /// Ends with a linear layer.
    pub fn finish(mut self, source: u16, inputs: usize, outputs: usize, mode: Mode, c: u8) -> Built {
        let terms = self.product(source, inputs, outputs, false);
        let bits = bits_for(outputs);
        let output = Output { bits, dims: vec![Dim { size: outputs as u32, bits }], terms };
        let count = self.dims.iter().map(|dim| dim.size as usize).product::<usize>();
        let input = (0..count).map(|_| self.random.between(0, (1 << WIDTH) - 1)).collect();
        let mut hidden = self.hidden;
        let input_bits = self.dims.iter().map(|dim| dim.bits).sum();

        let sizes: Vec<usize> =
            [input_bits].into_iter().chain(hidden.iter().map(|of| of.bits)).map(|b| 1 << b).collect();
        let (places, cells) = lay_out(&sizes);
        hidden.iter_mut().zip(&places[1..]).for_each(|(of, place)| of.off = *place as u32);
        let (places, length) = lay_out(&self.tiles.iter().map(|tile| tile.0).collect::<Vec<_>>());
        let mut weights = vec![0; length];
        for ((_, values), place) in self.tiles.iter().zip(&places) {
            weights[*place..place + values.len()].copy_from_slice(values);
        }
        let mut outputs = vec![output];
        let of_hidden = hidden.iter_mut().flat_map(|of| &mut of.terms);
        for term in of_hidden.chain(outputs.iter_mut().flat_map(|of| &mut of.terms)) {
            term.tiles.iter_mut().for_each(|tile| tile.off = places[tile.off as usize] as u32);
        }
        let s = hidden.iter().map(|of| of.shift).max().unwrap_or(1).max(1);
        let (k, off) = (ROWS, if s > ROWS { 1 << s } else { 0 });
        let table = Table { kind: TableKind::ClampU, k, b: WIDTH, off, f_off: 0 };
        let range = Table { kind: TableKind::Range, k: s, b: 0, off: if off == 0 { 1 << k } else { 0 }, f_off: 0 };
        // The larger table comes first; equal ones in their order.
        let tables = if s == ROWS {
            vec![Table { off: 0, ..range }, Table { off: 1 << s, ..table }]
        } else {
            vec![range, table]
        };
        let (n, nt) = (bits_for(cells).max(1), bits_for((1 << s) + (1 << k)));
        let chunks = length.div_ceil(1 << c);
        let longest = ((3 << n) + (1 << nt)).max(chunks << c);
        let header = Header {
            profile: 1,
            mode,
            n,
            nt,
            nb: bits_for(longest).max(c),
            c,
            s,
            tables: 2,
            hidden: hidden.len() as u16,
            outputs: 1,
            chunks_f: chunks as u16,
            program_words: 0,
        };
        let record = Input { bits: input_bits, table: 1, off: 0, dims: self.dims };
        let mut program = Program { header, input: record, tables, hidden, outputs };
        program.input.off = lay_out(&sizes).0[0] as u32;
        Built { program, weights, input }
    }
}

/// FREE on the low bit of both spatial axes.
fn pools(map: Map) -> Vec<Axis> {
    let places = if map.pooled { vec![map.bits, 0] } else { Vec::new() };
    places.into_iter().map(|first| Axis { i: range(first, 1), ..axis(AxisKind::Free) }).collect()
}

/// Places of boxes, the largest first, and the end.
fn lay_out(sizes: &[usize]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(sizes[*at]));
    let mut places = vec![0; sizes.len()];
    let end = order.iter().fold(0, |end, at| {
        places[*at] = end;
        end + sizes[*at]
    });
    (places, end)
}

/// A multilayer perceptron.
pub fn perceptron(sizes: &[usize], tiled: bool, mode: Mode, c: u8) -> Built {
    let mut builder = Builder::new(1, &sizes[..1]);
    let last = sizes.len() - 2;
    let layers = sizes.windows(2).take(last);
    let block = layers.fold(0, |source, pair| builder.dense(source, pair[0], pair[1], tiled));
    builder.finish(block, sizes[last], sizes[last + 1], mode, c)
}

/// LeNet-5 on 32 times 32 places.
pub fn lenet(mode: Mode, c: u8) -> Built {
    let mut builder = Builder::new(2, &[1, 32, 32]);
    let input = builder.map();
    let first = builder.conv(input, 6, 5, (0, 0), None);
    let second = builder.conv(Map { pooled: true, ..first }, 16, 5, (0, 0), None);
    let third = builder.flattened(Map { pooled: true, ..second }, 5, 120);
    let fourth = builder.dense(third, 120, 84, false);
    builder.finish(fourth, 84, 10, mode, c)
}

/// A residual network of 20 layers on three channels of 32 times 32 places.
pub fn residual(mode: Mode, c: u8) -> Built {
    let mut builder = Builder::new(3, &[3, 32, 32]);
    let mut map = builder.map();
    map = builder.conv(map, 16, 3, (0, 1), None);
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        for part in 0..3 {
            let stride = u8::from(stage > 0 && part == 0);
            let middle = builder.conv(map, channels, 3, (stride, 1), None);
            let shortcut = (stride == 0).then_some(map.block);
            map = builder.conv(middle, channels, 3, (0, 1), shortcut);
        }
    }
    let pooled = builder.global_pool(map);
    builder.finish(pooled, 64, 10, mode, c)
}
