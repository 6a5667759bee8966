//! Sums of terms as functions of the source's cells, and of the weights (sections 6.2, 6.3 and 11.2).

use ark_bn254::Fr;
use ark_ff::{One, Zero};
use rayon::prelude::*;

use super::axis::{combinations, of_outputs, over, over_weights, related};
use crate::evaluate::{Challenges, powers_of};
use crate::infer::WEIGHT_BOUND;
use crate::mle::block;
use crate::nest::extents;
use crate::program::{Axis, AxisKind, Constraint, Program, Span, Term, TermKind, Tile, positions};
use crate::shape::Shape;
use crate::small::{Wide, dot, offset};

/// Cells that a thread sums weights for at a time.
const STRIP: usize = 256;

/// A term with the factor `gamma^l u_l` of its constraint.
struct Scaled<'a> {
    term: &'a Term,
    factor: Fr,
}

fn scaled_terms<'a>(program: &'a Program, gammas: &[Fr], kind: TermKind) -> Vec<Scaled<'a>> {
    let of = |(constraint, gamma): (Constraint<'a>, &Fr)| {
        let factor = *gamma * Fr::from(1_u64 << constraint.scale);
        constraint.terms.iter().map(move |term| Scaled { term, factor })
    };
    program.constraints().zip(gammas).flat_map(of).filter(|scaled| scaled.term.kind == kind).collect()
}

/// `V + Lin` on all cells: the sum of all terms with a source, as a linear function of the cells.
pub(crate) fn cell_kernel(program: &Program, gammas: &[Fr], tau: &[Fr], weights: &[i64]) -> Vec<Fr> {
    let mut jobs = Vec::new();
    for Scaled { term, factor } in scaled_terms(program, gammas, TermKind::Weights) {
        jobs.extend(term.tiles.iter().map(|tile| (term, factor, Some(tile))));
    }
    for Scaled { term, factor } in scaled_terms(program, gammas, TermKind::Cells) {
        jobs.push((term, factor * Fr::from(term.coef), None));
    }
    let sums: Vec<(u32, Vec<Fr>)> = jobs
        .into_par_iter()
        .map(|(term, factor, tile)| {
            let (bits, first) = program.block(term.source.unwrap_or(0));
            let mut cells = vec![Fr::zero(); 1 << bits];
            add_sources(&mut cells, term, tile, factor, tau, weights);
            (first, cells)
        })
        .collect();
    let mut total = vec![Fr::zero(); 1 << program.header.n];
    for (first, cells) in sums {
        total[first as usize..].iter_mut().zip(&cells).for_each(|(total, cell)| *total += cell);
    }
    total
}

/// An axis with weights in a tile.
struct Weighted<'a> {
    axis: &'a Axis,
    start: usize,
    /// Indices with weights.
    count: usize,
    stride: usize,
}

fn weighted<'a>(term: &'a Term, tile: &Tile, weights: &[i64]) -> Vec<Weighted<'a>> {
    let mut below = tile.bits() as usize;
    let axes = term.axes.iter().filter(|axis| axis.w > 0);
    let of = |((axis, span), count): ((&'a Axis, &Span), usize)| {
        below -= usize::from(span.bits);
        Weighted { axis, start: span.start as usize, count, stride: 1 << below }
    };
    axes.zip(&tile.spans).zip(extents(tile, weights)).map(of).collect()
}

/// Adds what a term takes from each cell of its source.
fn add_sources(cells: &mut [Fr], term: &Term, tile: Option<&Tile>, factor: Fr, tau: &[Fr], weights: &[i64]) {
    let weighted = tile.map_or_else(Vec::new, |tile| weighted(term, tile, weights));
    if weighted.iter().any(|axis| axis.count == 0) {
        return;
    }
    let (both, alone): (Vec<_>, Vec<_>) = weighted.into_iter().partition(|weighted| weighted.axis.i.bits > 0);
    let mut factor = factor;
    let mut unweighted = Vec::new();
    for axis in term.axes.iter().filter(|axis| axis.w == 0) {
        let vector = over(axis, tau, 1 << axis.i.bits, |related| related.i);
        match axis.i.bits {
            0 => factor *= vector[0],
            _ => unweighted.push(places(axis, &vector)),
        }
    }
    let mut values = match tile {
        Some(tile) => folded_weights(&both, &alone, tile, factor, tau, weights),
        None => vec![factor],
    };
    let mut sizes: Vec<usize> = both.iter().map(|weighted| weighted.count).collect();
    let mut axes = Vec::new();
    for (number, weighted) in both.iter().enumerate().rev() {
        values = spread(&values, &sizes, number, weighted, tau);
        let (start, size) = match weighted.axis.kind {
            AxisKind::Walk => (0, 1 << weighted.axis.i.bits),
            _ => (weighted.start, weighted.count),
        };
        sizes[number] = size;
        axes.push((start..start + size).map(|i| (i << weighted.axis.i.first, Fr::one())).collect());
    }
    axes.reverse();
    let copies = combinations(&unweighted);
    for ((place, _), value) in combinations(&axes).iter().zip(&values) {
        for (offset, coefficient) in &copies {
            cells[place + offset] += if coefficient.is_one() { *value } else { *value * coefficient };
        }
    }
}

/// Places of source cells with a coefficient other than 0.
fn places(axis: &Axis, vector: &[Fr]) -> Vec<(usize, Fr)> {
    let some = vector.iter().enumerate().filter(|(_, value)| !value.is_zero());
    some.map(|(i, value)| (i << axis.i.first, *value)).collect()
}

/// Weights summed over the axes that no source cell is related to, times `factor`; the other axes in order.
fn folded_weights(
    both: &[Weighted<'_>],
    alone: &[Weighted<'_>],
    tile: &Tile,
    factor: Fr,
    tau: &[Fr],
    weights: &[i64],
) -> Vec<Fr> {
    let vector = |weighted: &Weighted<'_>| -> Vec<(usize, Fr)> {
        let vector = over(weighted.axis, tau, 1 << weighted.axis.w, |related| related.w);
        (0..weighted.count).map(|k| (k * weighted.stride, vector[weighted.start + k])).collect()
    };
    let mut rows = combinations(&alone.iter().map(vector).collect::<Vec<_>>());
    rows.iter_mut().for_each(|(_, coefficient)| *coefficient *= factor);
    let steps = |weighted: &Weighted<'_>| (0..weighted.count).map(|k| (k * weighted.stride, Fr::one())).collect();
    let columns = combinations(&both.iter().map(steps).collect::<Vec<_>>());
    let weights = &weights[tile.off as usize..][..1 << tile.bits()];
    let bound = weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0);
    let total = rows.iter().map(|(_, coefficient)| coefficient).sum::<Fr>() * Fr::from(bound);
    let strips = columns.par_chunks(STRIP).map(|strip| {
        let mut sums = vec![Wide::default(); strip.len()];
        for (row, coefficient) in &rows {
            for (sum, (column, _)) in sums.iter_mut().zip(strip) {
                sum.add(coefficient, offset(weights[row + column], bound));
            }
        }
        sums.into_iter().map(|sum| sum.reduced() - total).collect::<Vec<_>>()
    });
    strips.collect::<Vec<_>>().concat()
}

/// From indices of weights to indices of source cells along one axis, whose relation weights them by `eq(tau, o)`.
fn spread(values: &[Fr], sizes: &[usize], number: usize, weighted: &Weighted<'_>, tau: &[Fr]) -> Vec<Fr> {
    let axis = weighted.axis;
    let (size, inner) = (sizes[number], sizes[number + 1..].iter().product::<usize>());
    let outputs = of_outputs(axis, tau);
    if axis.kind != AxisKind::Walk {
        if axis.o.bits == 0 {
            return values.to_vec();
        }
        let weight = |(at, value): (usize, &Fr)| *value * outputs[weighted.start + at / inner % size];
        return values.iter().enumerate().map(weight).collect();
    }
    let mut result = vec![Fr::zero(); (values.len() / size) << axis.i.bits];
    let related: Vec<_> = related(axis).into_iter().filter(|related| related.w < size).collect();
    for (from, to) in values.chunks(size * inner).zip(result.chunks_mut(inner << axis.i.bits)) {
        for related in &related {
            let coefficient = outputs[related.o];
            let target = &mut to[related.i * inner..][..inner];
            for (target, value) in target.iter_mut().zip(&from[related.w * inner..]) {
                *target += *value * coefficient;
            }
        }
    }
    result
}

/// The coefficients of the weights of one tile: all products of a head and a tail, heads first.
struct TileKernel {
    off: usize,
    heads: Vec<Fr>,
    tails: Vec<Fr>,
}

/// `K_V` (kind 1) or `K_b` (kind 3) as vectors over the tiles, with `rho` for the source cells.
fn tile_kernels(program: &Program, gammas: &[Fr], kind: TermKind, tau: &[Fr], rho: &[Fr]) -> Vec<TileKernel> {
    let terms = scaled_terms(program, gammas, kind);
    let kernels = terms.par_iter().flat_map_iter(|Scaled { term, factor }| {
        let mut factor = *factor;
        let source = term.source.map(|source| program.block(source));
        let local = source.map_or(&[][..], |(bits, _)| &rho[..bits.into()]);
        if let Some((bits, off)) = source {
            factor *= block(off.into(), bits.into(), &rho[..program.header.n.into()]);
        }
        let mut vectors = Vec::new();
        for axis in &term.axes {
            let vector = over_weights(axis, tau, local);
            if axis.w > 0 {
                vectors.push(vector);
            } else {
                factor *= vector[0];
            }
        }
        term.tiles.iter().map(move |tile| TileKernel::new(tile, &vectors, factor))
    });
    kernels.collect()
}

impl TileKernel {
    /// The product of one vector for each axis, restricted to the tile's spans.
    fn new(tile: &Tile, vectors: &[Vec<Fr>], factor: Fr) -> TileKernel {
        let (mut heads, mut tails) = (vec![factor], vec![Fr::one()]);
        let parts = vectors.iter().zip(&tile.spans).map(|(all, span)| &all[span.start as usize..][..1 << span.bits]);
        let parts: Vec<&[Fr]> = parts.collect();
        let mut first_tail = parts.len();
        while first_tail > 0 && tails.len() < STRIP {
            first_tail -= 1;
            tails = outer(parts[first_tail], &tails);
        }
        for part in &parts[..first_tail] {
            heads = outer(&heads, part);
        }
        TileKernel { off: tile.off as usize, heads, tails }
    }

    fn size(&self) -> usize {
        self.heads.len() * self.tails.len()
    }
}

/// All products of two elements, those with the first element of `a` first.
fn outer(a: &[Fr], b: &[Fr]) -> Vec<Fr> {
    a.iter().flat_map(|a| b.iter().map(move |b| *a * b)).collect()
}

/// `K_V`, as long as F.
pub(crate) fn weight_kernel(program: &Program, gammas: &[Fr], tau: &[Fr], rho: &[Fr], length: usize) -> Vec<Fr> {
    let mut total = vec![Fr::zero(); length];
    add_tiles(&mut total, tile_kernels(program, gammas, TermKind::Weights, tau, rho), Fr::one());
    total
}

/// `K_b`, as far as it is not 0.
pub(crate) struct BiasKernel(Vec<TileKernel>);

impl BiasKernel {
    /// The kernel of all terms of kind 3.
    pub fn new(program: &Program, gammas: &[Fr], tau: &[Fr]) -> BiasKernel {
        BiasKernel(tile_kernels(program, gammas, TermKind::Bias, tau, &[]))
    }

    /// `b*`: the sum of weights times the kernel.
    pub fn sum(&self, weights: &[i64]) -> Fr {
        let dot = |tile: &TileKernel| dot(&outer(&tile.heads, &tile.tails), &weights[tile.off..], WEIGHT_BOUND);
        self.0.iter().map(dot).sum()
    }

    /// Adds `factor` times the kernel.
    pub fn add_to(self, total: &mut [Fr], factor: Fr) {
        add_tiles(total, self.0, factor);
    }
}

/// Adds `factor` times all tiles, which are disjoint or equal.
fn add_tiles(total: &mut [Fr], mut tiles: Vec<TileKernel>, factor: Fr) {
    tiles.sort_by_key(|tile| tile.off);
    let (mut rest, mut end) = (total, 0);
    let mut jobs = Vec::new();
    for equal in tiles.chunk_by(|a, b| a.off == b.off) {
        let (target, behind) = rest[equal[0].off - end..].split_at_mut(equal[0].size());
        end = equal[0].off + equal[0].size();
        rest = behind;
        jobs.push((target, equal));
    }
    jobs.into_par_iter().for_each(|(target, equal)| {
        for tile in equal {
            let rows = target.par_chunks_mut(tile.tails.len()).zip(&tile.heads);
            rows.for_each(|(row, head)| {
                let head = *head * factor;
                row.iter_mut().zip(&tile.tails).for_each(|(total, tail)| *total += head * tail);
            });
        }
    });
}

/// `In` on the input box, and its part `Same` (section 6.2), where there are such identities.
pub(crate) fn input_kernel(
    program: &Program,
    shape: &Shape,
    gammas: &[Fr],
    challenges: &Challenges<Fr>,
) -> (Vec<Fr>, Vec<Fr>) {
    let size = 1_usize << program.input.bits;
    let powers: Vec<Fr> = powers_of(challenges.t, size);
    let scaled = |factor: Fr| powers.iter().map(|power| *power * factor).collect::<Vec<_>>();
    let same = if shape.given { scaled(gammas[shape.constraints]) } else { vec![Fr::zero(); size] };
    if !shape.padded {
        return (same.clone(), same);
    }
    let mut padding = scaled(gammas[shape.constraints + 1]);
    for place in positions(&program.input.dims) {
        padding[place] = Fr::zero();
    }
    (same.iter().zip(&padding).map(|(same, padding)| *same + padding).collect(), same)
}
