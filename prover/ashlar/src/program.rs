//! Programs and keys as values (sections 1 and 4).
//!
//! Whoever holds a [`Program`] from [`Program::from_code`] or a [`Key`] from [`Key::from_bytes`] may rely on all rules
//! of well-formedness: offsets fit, sources exist, sizes are bounded.

use ark_bn254::{G1Affine, G2Affine};

/// How a verifier learns the input (header byte 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The integers are in the statement.
    Public,
    /// The statement holds the digest of a commitment to the input box.
    Hashed,
    /// The statement says nothing about the input.
    Private,
}

/// Word 0 of a key (section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1: plain. Profile 2 (hiding) is refused by this version.
    pub profile: u8,
    /// Input mode.
    pub mode: Mode,
    /// log2 of the number of cells.
    pub n: u8,
    /// log2 of the number of rows of all tables.
    pub nt: u8,
    /// Variables of the committed polynomials.
    pub nb: u8,
    /// log2 of the size of a chunk.
    pub c: u8,
    /// The largest shift, at least 1.
    pub s: u8,
    /// Number of tables.
    pub tables: u8,
    /// Number of hidden blocks.
    pub hidden: u16,
    /// Number of outputs.
    pub outputs: u16,
    /// Number of chunks of F.
    pub chunks_f: u16,
    /// Words of 32 bytes in the program.
    pub program_words: u16,
}

/// A program: header and records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Word 0.
    pub header: Header,
    /// Block 0.
    pub input: Input,
    /// Table 0 is RANGE. The tag of a table is its index.
    pub tables: Vec<Table>,
    /// Hidden blocks; the first one is block 1.
    pub hidden: Vec<Hidden>,
    /// Outputs.
    pub outputs: Vec<Output>,
}

/// A verifying key: a program, the setup's `tau G2`, and commitments to the chunks of F.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The program.
    pub program: Program,
    /// `[tau]_2`.
    pub tau_g2: G2Affine,
    /// Commitments to the chunks of F.
    pub weights: Vec<G1Affine>,
    /// `vkDigest`: Keccak-256 of all words.
    pub digest: [u8; 32],
}

/// A dimension of an input or output: `size` elements in a box of `bits` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dim {
    /// Valid elements.
    pub size: u32,
    /// `ceil(log2 size)`.
    pub bits: u8,
}

/// The input block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// log2 of the cells of the box.
    pub bits: u8,
    /// Index of its table, a clamp.
    pub table: u8,
    /// First cell.
    pub off: u32,
    /// Dimensions, outermost first.
    pub dims: Vec<Dim>,
}

/// What a table's rows hold (section 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// 0: `t`, 0.
    Range,
    /// 1: ReLU with saturation.
    ClampU,
    /// 2: saturation.
    ClampS,
    /// 3: values committed with the weights.
    Stored,
    /// 4: what ClampS takes away.
    Excess,
}

/// A table of `2^k` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Kind.
    pub kind: TableKind,
    /// log2 of its rows.
    pub k: u8,
    /// Width of a clamp, 0 for RANGE and STORED.
    pub b: u8,
    /// First row.
    pub off: u32,
    /// First element of F with the y column, 0 unless STORED.
    pub f_off: u32,
}

/// A hidden block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// log2 of the cells of the box.
    pub bits: u8,
    /// Index of its table.
    pub table: u8,
    /// Shift of the requantisation.
    pub shift: u8,
    /// First cell.
    pub off: u32,
    /// What is summed.
    pub terms: Vec<Term>,
}

/// An output: exact integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// log2 of the cells of the box.
    pub bits: u8,
    /// Dimensions, outermost first.
    pub dims: Vec<Dim>,
    /// What is summed.
    pub terms: Vec<Term>,
}

/// Kind of a term (section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// 1: weights times cells.
    Weights,
    /// 2: cells times a coefficient.
    Cells,
    /// 3: weights alone.
    Bias,
}

/// A term of a hidden block or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Kind.
    pub kind: TermKind,
    /// Index of the source block, `None` for kind 3.
    pub source: Option<u16>,
    /// Coefficient, 1 unless kind 2.
    pub coef: i32,
    /// The relation, a conjunction.
    pub axes: Vec<Axis>,
    /// Where the weights lie in F, for kinds 1 and 3.
    pub tiles: Vec<Tile>,
}

/// Kind of an axis (section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisKind {
    /// 1: all indices present are equal.
    Eq,
    /// 2: `i = 2^k o + d + g` and `o < bound`.
    Walk,
    /// 3: `o < bound`.
    Mask,
    /// 4: always.
    Free,
    /// 5: `i` is the constant.
    Fix,
}

/// A range of bits of an index; absent if it has no bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    /// Lowest bit.
    pub first: u8,
    /// Number of bits.
    pub bits: u8,
}

/// An axis of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Kind.
    pub kind: AxisKind,
    /// Bits of the output cell.
    pub o: Bits,
    /// Bits of the source cell.
    pub i: Bits,
    /// Bits of the axis of the weight tensor.
    pub w: u8,
    /// log2 of the stride of WALK.
    pub k: u8,
    /// `g` of WALK, or the constant of FIX.
    pub g: i32,
    /// Bound of WALK and MASK.
    pub bound: u32,
}

/// A part of an axis with weights: `2^bits` places from `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First place, a multiple of `2^bits`.
    pub start: u32,
    /// log2 of the places.
    pub bits: u8,
}

/// A box of weights in F.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// First element of F.
    pub off: u32,
    /// One span for each axis with weights, in the order of axes; the last one has the lowest bits.
    pub spans: Vec<Span>,
}

impl Bits {
    /// One bit beyond the last.
    pub fn end(self) -> usize {
        usize::from(self.first) + usize::from(self.bits)
    }

    /// The range as indices of coordinates.
    pub fn range(self) -> std::ops::Range<usize> {
        usize::from(self.first)..self.end()
    }
}

impl Tile {
    /// log2 of the number of weights.
    pub fn bits(&self) -> u32 {
        self.spans.iter().map(|span| u32::from(span.bits)).sum()
    }
}

/// A constraint of section 6.2: a hidden block or an output.
#[derive(Clone, Copy, Debug)]
pub struct Constraint<'a> {
    /// Its number.
    pub index: usize,
    /// The hidden block; `None` for an output.
    pub hidden: Option<&'a Hidden>,
    /// log2 of the cells of the box.
    pub bits: u8,
    /// What is summed.
    pub terms: &'a [Term],
    /// log2 of the factor `u` of the terms: `S - shift`, or 0 for outputs.
    pub scale: u8,
}

impl Program {
    /// Bits and first cell of block `index`: 0 is the input.
    pub fn block(&self, index: u16) -> (u8, u32) {
        match usize::from(index).checked_sub(1) {
            None => (self.input.bits, self.input.off),
            Some(at) => (self.hidden[at].bits, self.hidden[at].off),
        }
    }

    /// All constraints in order: hidden blocks, then outputs.
    pub fn constraints(&self) -> impl Iterator<Item = Constraint<'_>> {
        let hidden = self.hidden.iter().map(|block| {
            let scale = self.header.s - block.shift;
            (Some(block), block.bits, block.terms.as_slice(), scale)
        });
        let outputs = self.outputs.iter().map(|output| (None, output.bits, output.terms.as_slice(), 0));
        let numbered = hidden.chain(outputs).enumerate();
        numbered.map(|(index, (hidden, bits, terms, scale))| Constraint { index, hidden, bits, terms, scale })
    }

    /// The stored tables.
    pub fn stored_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| table.kind == TableKind::Stored)
    }
}

/// Number of valid elements of a box with these dimensions.
pub fn elements(dims: &[Dim]) -> usize {
    dims.iter().map(|dim| dim.size as usize).product()
}

/// Positions in the box of the valid elements, row-major.
pub fn positions(dims: &[Dim]) -> Vec<usize> {
    dims.iter().fold(vec![0], |outer, dim| {
        let places = |at: &usize| (0..dim.size as usize).map(|v| (at << dim.bits) + v).collect::<Vec<_>>();
        outer.iter().flat_map(places).collect()
    })
}
