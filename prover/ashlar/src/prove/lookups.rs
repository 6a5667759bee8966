//! Rows and their helpers (identities I_1, I_2, I_T of section 6.2), and the commitments to H.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::Zero;
use rayon::prelude::*;

use super::witness::Witness;
use crate::error::{Error, Result};
use crate::infer::Network;
use crate::msm::msm_full;
use crate::points::{Bases, Point, grouped_sums};
use crate::program::TableKind;
use crate::setup::Powers;
use crate::shape::Shape;
use crate::small::scaled;

/// What each row of the tables means for a lookup. Rows of no table have fingerprint 0.
pub(crate) struct Rows {
    /// `beta - fingerprint`.
    pub gaps: Vec<Fr>,
    /// Its inverse where the row is looked up, else 0.
    pub inverses: Vec<Fr>,
    /// First column; 0 for RANGE, which holds R and not q.
    pub q: Vec<i32>,
    /// Second column.
    pub y: Vec<i32>,
}

impl Rows {
    /// The rows under the challenges alpha and beta.
    ///
    /// # Errors
    /// [`Error::Argument`] if beta is the fingerprint of a row that is looked up, which hardly ever happens.
    pub fn new(network: &Network, shape: &Shape, witness: &Witness, alpha: Fr, beta: Fr) -> Result<Rows> {
        let count = 1 << shape.nt;
        let (mut gaps, mut q, mut y) = (vec![beta; count], vec![0; count], vec![0; count]);
        for (tag, table) in network.program().tables.iter().enumerate() {
            let tag = alpha * alpha * Fr::from(tag as u64);
            for t in 0..table.rows() {
                let row = table.off as usize + t;
                if table.kind == TableKind::Range {
                    gaps[row] = beta - Fr::from(t as u64);
                    continue;
                }
                let first = t as i64 - table.half();
                let second = match table.kind {
                    TableKind::Stored => network.weights()[table.f_off as usize + t],
                    _ => table.y(first),
                };
                (q[row], y[row]) = (first as i32, second as i32);
                gaps[row] = beta - Fr::from(first) - scaled(&alpha, second) - tag;
            }
        }
        let used = witness.multiplicities(shape).iter().zip(&gaps);
        let mut inverses: Vec<Fr> = used.map(|(m, gap)| if *m == 0 { Fr::zero() } else { *gap }).collect();
        let poles = witness.multiplicities(shape).iter().zip(&inverses).any(|(m, gap)| *m != 0 && gap.is_zero());
        if poles {
            return Err(unlucky());
        }
        invert(&mut inverses);
        Ok(Rows { gaps, inverses, q, y })
    }
}

/// A challenge for which the protocol has no proof, which has a probability below `2^-228`.
pub(crate) fn unlucky() -> Error {
    Error::Argument { reason: "a challenge is one of the few that have no proof; take another context".into() }
}

/// Inverts all elements but 0, with one inversion for each thread's share.
fn invert(elements: &mut [Fr]) {
    elements.par_chunks_mut(1 << 12).for_each(ark_ff::fields::batch_inversion);
}

/// The vector H: the helpers of cells, and of rows.
pub(crate) fn helpers(shape: &Shape, witness: &Witness, rows: &Rows) -> Vec<Fr> {
    let mut h = vec![Fr::zero(); shape.h_len];
    for (off, lookups) in [(shape.h[0], &witness.value_rows), (shape.h[1], &witness.range_rows)] {
        let target = h[off..].par_iter_mut().zip(lookups);
        target.for_each(|(helper, row)| *helper = rows.inverses[*row as usize]);
    }
    let target = h[shape.h[2]..].par_iter_mut().zip(witness.multiplicities(shape)).zip(&rows.inverses);
    target.for_each(|((helper, m), inverse)| *helper = scaled(inverse, i64::from(*m)));
    h
}

/// A chunk of H as combination of few points: those of cells that look up the same row are added first, which needs no
/// challenge.
pub(crate) struct GroupedChunk {
    points: Vec<Point>,
    /// For each point its row and a factor.
    parts: Vec<(u32, i32)>,
}

impl GroupedChunk {
    /// Groups all chunks.
    pub fn all(shape: &Shape, witness: &Witness, powers: &Powers<'_>) -> Vec<GroupedChunk> {
        let chunks = shape.h_len.div_ceil(1 << shape.c);
        (0..chunks).map(|number| GroupedChunk::new(shape, witness, powers, number << shape.c)).collect()
    }

    fn new(shape: &Shape, witness: &Witness, powers: &Powers<'_>, start: usize) -> GroupedChunk {
        let size = 1 << shape.c;
        let none = 1 << shape.nt;
        let mut groups = vec![none; size.min(shape.h_len - start)];
        for (off, lookups) in [(shape.h[0], &witness.value_rows), (shape.h[1], &witness.range_rows)] {
            for (place, row) in part(off, lookups, start, size) {
                groups[place] = *row;
            }
        }
        let sums = grouped_sums(powers, &groups, none as usize + 1);
        let used = sums.iter().take(none as usize).enumerate().filter(|(_, point)| !point.is_infinity());
        let (mut parts, mut points): (Vec<_>, Vec<_>) = used.map(|(row, point)| ((row as u32, 1), *point)).unzip();
        let multiplicities = witness.multiplicities(shape);
        for (place, m) in part(shape.h[2], multiplicities, start, size).filter(|(_, m)| **m != 0) {
            parts.push(((start + place - shape.h[2]) as u32, *m));
            points.push(powers.point(place));
        }
        GroupedChunk { points, parts }
    }

    /// The commitment.
    pub fn commitment(&self, rows: &Rows) -> G1Affine {
        let scalar = |(row, factor): &(u32, i32)| match factor {
            1 => rows.inverses[*row as usize],
            _ => scaled(&rows.inverses[*row as usize], i64::from(*factor)),
        };
        let scalars: Vec<Fr> = self.parts.iter().map(scalar).collect();
        let sum: G1Projective = msm_full(self.points.as_slice(), &scalars);
        sum.into_affine()
    }
}

/// The part of a block at `off` that lies in the chunk at `start`, with places in the chunk.
fn part<T>(off: usize, block: &[T], start: usize, size: usize) -> impl Iterator<Item = (usize, &T)> {
    let (first, last) = (off.max(start), (off + block.len()).min(start + size));
    let values = if first < last { &block[first - off..last - off] } else { &[] };
    values.iter().enumerate().map(move |(k, value)| (first - start + k, value))
}
