//! Axes of terms as vectors over cells or weights: what a kernel of section 3 is the extension of.

use ark_bn254::Fr;
use ark_ff::{One, Zero};

use crate::mle::eq_table;
use crate::program::{Axis, AxisKind};

/// Indices that an axis relates; 0 where a range is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Related {
    /// Output cell.
    pub o: usize,
    /// Source cell.
    pub i: usize,
    /// Weight.
    pub w: usize,
}

/// Everything that an axis relates.
pub(crate) fn related(axis: &Axis) -> Vec<Related> {
    let (o_size, i_size) = (1_usize << axis.o.bits, 1_usize << axis.i.bits);
    let present = |bits: u8, v: usize| if bits > 0 { v } else { 0 };
    match axis.kind {
        AxisKind::Eq | AxisKind::Free => {
            let all =
                |v: usize| Related { o: present(axis.o.bits, v), i: present(axis.i.bits, v), w: present(axis.w, v) };
            (0..o_size.max(i_size)).map(all).collect()
        }
        AxisKind::Mask => (0..axis.bound as usize).map(|o| Related { o, i: 0, w: 0 }).collect(),
        AxisKind::Fix => vec![Related { o: 0, i: axis.g as usize, w: 0 }],
        AxisKind::Walk => {
            let pairs = (0..o_size.min(axis.bound as usize)).flat_map(|o| (0..1_usize << axis.w).map(move |w| (o, w)));
            let source = |(o, w): (usize, usize)| {
                let i = ((o << axis.k) + w) as i64 + i64::from(axis.g);
                (0..i_size as i64).contains(&i).then_some(Related { o, i: i as usize, w })
            };
            pairs.filter_map(source).collect()
        }
    }
}

/// Weights of output cells along the axis: `eq(tau, .)`, or 1 if it has none.
pub(crate) fn of_outputs(axis: &Axis, tau: &[Fr]) -> Vec<Fr> {
    eq_table(&tau[axis.o.range()], 1 << axis.o.bits)
}

/// Sum over what is related of `outputs[o] sources[i]`, for each weight; `sources` is `eq(rho, .)`.
pub(crate) fn over_weights(axis: &Axis, tau: &[Fr], rho: &[Fr]) -> Vec<Fr> {
    let outputs = of_outputs(axis, tau);
    let sources = eq_table(&rho[axis.i.range()], 1 << axis.i.bits);
    let mut vector = vec![Fr::zero(); 1 << axis.w];
    for Related { o, i, w } in related(axis) {
        vector[w] += match (axis.o.bits, axis.i.bits) {
            (0, 0) => Fr::one(),
            (0, _) => sources[i],
            (_, 0) => outputs[o],
            _ => outputs[o] * sources[i],
        };
    }
    vector
}

/// Sum over what is related of `outputs[o]`, for each source cell, or each weight.
pub(crate) fn over(axis: &Axis, tau: &[Fr], size: usize, index: impl Fn(&Related) -> usize) -> Vec<Fr> {
    let outputs = of_outputs(axis, tau);
    let mut vector = vec![Fr::zero(); size];
    for related in related(axis) {
        vector[index(&related)] += outputs[related.o];
    }
    vector
}

/// Offsets and coefficients of all combinations of indices of several axes; the last axis varies fastest.
pub(crate) fn combinations(axes: &[Vec<(usize, Fr)>]) -> Vec<(usize, Fr)> {
    axes.iter().fold(vec![(0, Fr::one())], |all, axis| {
        let with = |(offset, coefficient): &(usize, Fr)| {
            let (offset, coefficient) = (*offset, *coefficient);
            axis.iter().map(move |(step, factor)| (offset + step, coefficient * factor))
        };
        all.iter().flat_map(with).collect()
    })
}
