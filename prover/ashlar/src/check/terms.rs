//! Terms, axes and spans (rules W6 to W9).

use crate::error::{Result, malformed};
use crate::program::{Axis, AxisKind, Bits, Constraint, Program, Span, Term, TermKind};

/// Checks the terms of all constraints.
pub(super) fn check(program: &Program) -> Result<()> {
    for constraint in program.constraints() {
        if constraint.terms.is_empty() {
            return Err(malformed("W9", format!("constraint {} has no terms", constraint.index)));
        }
        for (at, term) in constraint.terms.iter().enumerate() {
            check_term(program, &constraint, term)
                .map_err(|error| error.within(&format!("constraint {}, term {at}", constraint.index)))?;
        }
    }
    Ok(())
}

fn check_term(program: &Program, constraint: &Constraint<'_>, term: &Term) -> Result<()> {
    // Blocks before this one: the input and the hidden blocks up to it, all of them for an output.
    let earlier = constraint.index.min(program.hidden.len());
    let source_bits = match term.source {
        Some(source) if usize::from(source) > earlier => return Err(malformed("W6", "the source is no earlier block")),
        Some(source) => program.block(source).0,
        None => 0,
    };
    if term.kind != TermKind::Cells && term.coef != 1 {
        return Err(malformed("W9", format!("coef is {} in a term with weights", term.coef)));
    }
    if term.coef == 0 {
        return Err(malformed("W9", "coef is 0"));
    }
    for axis in &term.axes {
        check_axis(term.kind, axis)?;
    }
    cover(term.axes.iter().map(|axis| axis.o), constraint.bits, "o")?;
    if cover(term.axes.iter().map(|axis| axis.i), source_bits, "i")? != all(source_bits) {
        return Err(malformed("W7", "the ranges of i do not cover the source"));
    }
    tiles(term)
}

fn all(bits: u8) -> u32 {
    (1 << bits) - 1
}

/// The bits that the ranges cover. They have to be disjoint and inside the box.
fn cover(ranges: impl Iterator<Item = Bits>, box_bits: u8, name: &str) -> Result<u32> {
    let mut covered = 0;
    for range in ranges {
        if range.end() > usize::from(box_bits) {
            return Err(malformed("W7", format!("a range of {name} ends outside the box of {box_bits} bits")));
        }
        let bits = all(range.bits) << range.first;
        if covered & bits != 0 {
            return Err(malformed("W7", format!("two ranges of {name} overlap")));
        }
        covered |= bits;
    }
    Ok(covered)
}

fn check_axis(kind: TermKind, axis: &Axis) -> Result<()> {
    for range in [axis.o, axis.i] {
        if range.bits == 0 && range.first != 0 {
            return Err(malformed("W9", "an absent range has a first bit"));
        }
    }
    if kind == TermKind::Cells && axis.w > 0 {
        return Err(malformed("W7", "bits of w in a term without weights"));
    }
    if kind == TermKind::Bias && axis.i.bits > 0 {
        return Err(malformed("W7", "a range of i in a term without a source"));
    }
    let zero =
        |fits: bool| if fits { Ok(()) } else { Err(malformed("W9", "a field that the axis does not use is set")) };
    match axis.kind {
        AxisKind::Eq => {
            zero(axis.k == 0 && axis.g == 0 && axis.bound == 0)?;
            equal(axis)
        }
        AxisKind::Walk => walk(kind, axis),
        AxisKind::Mask => {
            zero(axis.k == 0 && axis.g == 0)?;
            let alone = axis.i.bits == 0 && axis.w == 0 && axis.o.bits > 0;
            let bound = axis.bound >= 1 && u64::from(axis.bound) < power(axis.o.bits);
            if alone && bound {
                Ok(())
            } else {
                Err(malformed("W7", "MASK needs a range of o alone, and a bound inside"))
            }
        }
        AxisKind::Free => {
            zero(axis.k == 0 && axis.g == 0 && axis.bound == 0)?;
            source_alone(axis, "FREE")
        }
        AxisKind::Fix => {
            zero(axis.k == 0 && axis.bound == 0)?;
            source_alone(axis, "FIX")?;
            let inside = u64::try_from(axis.g).is_ok_and(|value| value < power(axis.i.bits));
            if inside { Ok(()) } else { Err(malformed("W7", format!("the constant {} of FIX does not fit", axis.g))) }
        }
    }
}

/// `2^bits`, also for bits that no box has.
fn power(bits: u8) -> u64 {
    1u64.checked_shl(bits.into()).unwrap_or(u64::MAX)
}

fn source_alone(axis: &Axis, name: &str) -> Result<()> {
    if axis.o.bits == 0 && axis.w == 0 && axis.i.bits > 0 {
        return Ok(());
    }
    Err(malformed("W7", format!("{name} needs a range of i alone")))
}

fn equal(axis: &Axis) -> Result<()> {
    let present: Vec<u8> = [axis.o.bits, axis.i.bits, axis.w].into_iter().filter(|bits| *bits > 0).collect();
    if present.len() < 2 || present.iter().any(|bits| *bits != present[0]) {
        return Err(malformed("W7", "EQ needs two or three ranges with equally many bits"));
    }
    Ok(())
}

fn walk(kind: TermKind, axis: &Axis) -> Result<()> {
    if kind == TermKind::Bias {
        return Err(malformed("W7", "WALK in a term without a source"));
    }
    if axis.k > 4 || axis.g.unsigned_abs() > 127 {
        return Err(malformed("W7", format!("WALK with k = {} and g = {}", axis.k, axis.g)));
    }
    if axis.w > 7 || axis.w > 0 && axis.g > 0 {
        return Err(malformed("W7", format!("WALK with {} bits of w and g = {}", axis.w, axis.g)));
    }
    if axis.bound == 0 || u64::from(axis.bound) > power(axis.o.bits) {
        return Err(malformed("W7", format!("the bound {} of WALK is not inside", axis.bound)));
    }
    Ok(())
}

/// W8.
fn tiles(term: &Term) -> Result<()> {
    let walks = term.axes.iter().skip_while(|axis| axis.kind != AxisKind::Walk);
    if walks.clone().any(|axis| axis.kind != AxisKind::Walk) {
        return Err(malformed("W8", "an axis stands behind WALK"));
    }
    if term.kind == TermKind::Cells {
        return Ok(());
    }
    if term.tiles.is_empty() {
        return Err(malformed("W8", "a term with weights has no tile"));
    }
    let weighted: Vec<&Axis> = term.axes.iter().filter(|axis| axis.w > 0).collect();
    for tile in &term.tiles {
        for (axis, span) in weighted.iter().zip(&tile.spans) {
            check_span(axis, span)?;
        }
    }
    for (at, tile) in term.tiles.iter().enumerate() {
        for other in &term.tiles[..at] {
            if tile.spans.iter().zip(&other.spans).all(|(a, b)| meet(a, b)) {
                return Err(malformed("W8", "two tiles share a weight"));
            }
        }
    }
    Ok(())
}

fn check_span(axis: &Axis, span: &Span) -> Result<()> {
    let (start, size) = (u64::from(span.start), power(span.bits));
    if span.bits > axis.w || start % size != 0 || start + size > power(axis.w) {
        return Err(malformed("W8", format!("a span of {} bits at {} is not inside its axis", span.bits, span.start)));
    }
    if axis.kind == AxisKind::Walk && span.bits != axis.w {
        return Err(malformed("W8", "WALK is cut"));
    }
    Ok(())
}

fn meet(a: &Span, b: &Span) -> bool {
    let end = |span: &Span| u64::from(span.start) + power(span.bits);
    u64::from(a.start) < end(b) && u64::from(b.start) < end(a)
}
