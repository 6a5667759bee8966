//! Terms as nests of loops over cells and weights, for inference (sections 1.3 and 11.1).

use crate::program::{Axis, AxisKind, Bits, Term, Tile};

/// A loop: `count` steps that move the places of output cell, source cell and weight by their strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    /// Steps.
    pub count: usize,
    /// Stride of the output cell.
    pub o: usize,
    /// Stride of the source cell.
    pub i: usize,
    /// Stride of the weight.
    pub w: usize,
}

/// A nest of loops, outermost first, and the places where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nest {
    /// The loops.
    pub loops: Vec<Loop>,
    /// First output cell.
    pub o: usize,
    /// First source cell.
    pub i: usize,
    /// First weight.
    pub w: usize,
}

/// The part of an output box that a nest may write to: `2^bits` cells from `start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// First cell, a multiple of `2^bits`.
    pub start: usize,
    /// log2 of the cells.
    pub bits: usize,
}

impl Part {
    /// The indices of a range of bits that occur in this part: `first..last`.
    fn indices(self, o: Bits) -> (usize, usize) {
        let (first, bits) = (usize::from(o.first), usize::from(o.bits));
        let low = self.start >> first & ((1 << bits) - 1);
        (low, low + (1 << bits.min(self.bits.saturating_sub(first))))
    }
}

/// The nests of a term in one tile, or in no tile for kind 2, as far as they write to `part` of a box of `bits`.
///
/// Places of output cells are relative to the part. Weights that are 0 at the end of every axis are left out.
pub(crate) fn nests(term: &Term, tile: Option<&Tile>, weights: &[i64], bits: u8, part: Part) -> Vec<Nest> {
    let extents = tile.map_or_else(Vec::new, |tile| extents(tile, weights));
    let mut spans = extents.iter().zip(tile.map_or(&[][..], |tile| &tile.spans));
    let mut below: usize = tile.map_or(0, |tile| tile.bits() as usize);
    let mut nests = vec![Nest { loops: Vec::new(), o: 0, i: 0, w: tile.map_or(0, |tile| tile.off as usize) }];
    for axis in &term.axes {
        let mut weight = Weight { start: 0, count: 1, stride: 0 };
        if let Some((count, span)) = (axis.w > 0).then(|| spans.next()).flatten() {
            below -= usize::from(span.bits);
            weight = Weight { start: span.start as usize, count: *count, stride: 1 << below };
        }
        let choices = choices(axis, &weight, part);
        nests = nests.iter().flat_map(|nest| choices.iter().map(|choice| nest.with(choice))).collect();
    }
    for gap in gaps(term, bits) {
        let (low, high) = part.indices(gap);
        let choice =
            Choice { step: Loop { count: high - low, o: 1 << gap.first, i: 0, w: 0 }, o: low << gap.first, i: 0, w: 0 };
        nests = nests.iter().map(|nest| nest.with(&choice)).collect();
    }
    nests.retain(|nest| nest.loops.iter().all(|step| step.count > 0));
    nests.iter().map(|nest| nest.relative_to(part).ordered()).collect()
}

/// The indices of the weight tensor along an axis in a tile.
struct Weight {
    start: usize,
    count: usize,
    stride: usize,
}

/// A loop of an axis and where it starts.
struct Choice {
    step: Loop,
    o: usize,
    i: usize,
    w: usize,
}

/// The loops of an axis of which each is one way to meet it: one, but for WALK one for each weight.
fn choices(axis: &Axis, weight: &Weight, part: Part) -> Vec<Choice> {
    let (o, i) = (Strided::new(axis.o), Strided::new(axis.i));
    let indices = part.indices(axis.o);
    match axis.kind {
        AxisKind::Walk => (0..weight.count).map(|d| walk(axis, weight, d, indices)).collect(),
        AxisKind::Fix => {
            vec![Choice { step: Loop { count: 1, o: 0, i: 0, w: 0 }, o: 0, i: axis.g as usize * i.stride, w: 0 }]
        }
        AxisKind::Eq | AxisKind::Mask | AxisKind::Free => {
            let (mut low, mut high) = match axis.kind {
                AxisKind::Mask => (0, axis.bound as usize),
                _ if weight.stride > 0 => (weight.start, weight.start + weight.count),
                _ => (0, o.size.max(i.size)),
            };
            if axis.o.bits > 0 {
                (low, high) = (low.max(indices.0), high.min(indices.1));
            }
            let step = Loop { count: high.saturating_sub(low), o: o.stride, i: i.stride, w: weight.stride };
            let w = low.saturating_sub(weight.start) * weight.stride;
            vec![Choice { step, o: low * o.stride, i: low * i.stride, w }]
        }
    }
}

/// `i = 2^k o + d + g` for one `d`, as far as `i` lies in its range and `o` below the bound.
fn walk(axis: &Axis, weight: &Weight, d: usize, (first, last): (usize, usize)) -> Choice {
    let (o, i) = (Strided::new(axis.o), Strided::new(axis.i));
    let shift = (weight.start + d) as i64 + i64::from(axis.g);
    let stride = 1_i64 << axis.k;
    let low = (-shift).max(0).div_euclid(stride) + i64::from((-shift).max(0).rem_euclid(stride) > 0);
    let high = (i.size as i64 - 1 - shift).div_euclid(stride) + 1;
    let (low, high) = (low.max(first as i64), high.min(last as i64).min(i64::from(axis.bound)));
    let count = (high - low).max(0) as usize;
    let source = if count > 0 { (stride * low + shift) as usize } else { 0 };
    Choice {
        step: Loop { count, o: o.stride, i: i.stride << axis.k, w: 0 },
        o: low.max(0) as usize * o.stride,
        i: source * i.stride,
        w: d * weight.stride,
    }
}

/// A range of bits: how many indices it has, and how far apart they are; one index if it is absent.
struct Strided {
    size: usize,
    stride: usize,
}

impl Strided {
    fn new(range: Bits) -> Strided {
        Strided { size: 1 << range.bits, stride: if range.bits > 0 { 1 << range.first } else { 0 } }
    }
}

/// Bits of the output cell that no axis names: the term is broadcast along them.
fn gaps(term: &Term, bits: u8) -> Vec<Bits> {
    let mut named: Vec<Bits> = term.axes.iter().map(|axis| axis.o).filter(|o| o.bits > 0).collect();
    named.push(Bits { first: bits, bits: 0 });
    named.sort_by_key(|o| o.first);
    let mut at = 0;
    let mut gaps = Vec::new();
    for o in named {
        if o.first > at {
            gaps.push(Bits { first: at, bits: o.first - at });
        }
        at = o.first + o.bits;
    }
    gaps
}

/// For each axis with weights, one more than the largest index in the tile that has a weight other than 0.
pub(crate) fn extents(tile: &Tile, weights: &[i64]) -> Vec<usize> {
    let mut extents = vec![0; tile.spans.len()];
    let off = tile.off as usize;
    for (mut at, _) in weights[off..].iter().take(1 << tile.bits()).enumerate().filter(|(_, weight)| **weight != 0) {
        for (extent, span) in extents.iter_mut().zip(&tile.spans).rev() {
            *extent = (*extent).max((at & ((1 << span.bits) - 1)) + 1);
            at >>= span.bits;
        }
    }
    extents
}

impl Nest {
    fn with(&self, choice: &Choice) -> Nest {
        let mut nest = self.clone();
        nest.loops.push(choice.step);
        nest.o += choice.o;
        nest.i += choice.i;
        nest.w += choice.w;
        nest
    }

    fn relative_to(&self, part: Part) -> Nest {
        let mut nest = self.clone();
        nest.o = nest.o.saturating_sub(part.start);
        nest
    }

    /// The same loops, the one with the shortest strides innermost, neighbours joined where they are one loop.
    fn ordered(mut self) -> Nest {
        self.loops.retain(|step| step.count > 1);
        self.loops.sort_by_key(|step| std::cmp::Reverse((step.o + step.i + step.w, step.o)));
        let mut joined: Vec<Loop> = Vec::new();
        for step in self.loops.into_iter().rev() {
            match joined.last_mut() {
                Some(inner) if inner.then(step) => inner.count *= step.count,
                _ => joined.push(step),
            }
        }
        joined.reverse();
        Nest { loops: joined, ..self }
    }

    /// Multiplications.
    pub fn work(&self) -> usize {
        self.loops.iter().map(|step| step.count).product()
    }

    /// Adds products of weights and cells to `z`, modulo `2^64`.
    pub fn run(&self, z: &mut [i64], cells: &[i64], weights: &[i64]) {
        run(&self.loops, z, self.o, &cells[self.i..], &weights[self.w..]);
    }
}

impl Loop {
    /// Whether `outer` goes on where this loop ends.
    fn then(&self, outer: Loop) -> bool {
        (outer.o, outer.i, outer.w) == (self.o * self.count, self.i * self.count, self.w * self.count)
    }
}

fn run(loops: &[Loop], z: &mut [i64], o: usize, cells: &[i64], weights: &[i64]) {
    match loops {
        [] => z[o] = z[o].wrapping_add(weights[0].wrapping_mul(cells[0])),
        [step] => innermost(*step, z, o, cells, weights),
        [step, rest @ ..] => {
            for k in 0..step.count {
                run(rest, z, o + k * step.o, &cells[k * step.i..], &weights[k * step.w..]);
            }
        }
    }
}

fn innermost(step: Loop, z: &mut [i64], o: usize, cells: &[i64], weights: &[i64]) {
    let count = step.count;
    match (step.o, step.i, step.w) {
        (0, 1, 1) => {
            let products =
                cells[..count].iter().zip(&weights[..count]).map(|(cell, weight)| cell.wrapping_mul(*weight));
            z[o] = products.fold(z[o], i64::wrapping_add);
        }
        (1, 1, 0) => {
            let weight = weights[0];
            for (z, cell) in z[o..o + count].iter_mut().zip(cells) {
                *z = z.wrapping_add(weight.wrapping_mul(*cell));
            }
        }
        (0, i, w) => {
            let products = (0..count).map(|k| cells[k * i].wrapping_mul(weights[k * w]));
            z[o] = products.fold(z[o], i64::wrapping_add);
        }
        (out, i, w) => {
            for k in 0..count {
                let product = weights[k * w].wrapping_mul(cells[k * i]);
                z[o + k * out] = z[o + k * out].wrapping_add(product);
            }
        }
    }
}
