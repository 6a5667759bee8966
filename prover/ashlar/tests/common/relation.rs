//! The relations of section 1.3 by their definition, cell by cell.

use zkinfer_ashlar::program::{Axis, AxisKind, Bits, Term, Tile};

fn part(index: u64, range: Bits) -> i64 {
    (index >> range.first & ((1 << range.bits) - 1)) as i64
}

/// Whether an axis relates output cell `o`, source cell `i` and weight index `w`.
pub fn holds(axis: &Axis, o: u64, i: u64, w: i64) -> bool {
    let (out, source) = (part(o, axis.o), part(i, axis.i));
    match axis.kind {
        AxisKind::Eq => {
            let indices = [(axis.o.bits, out), (axis.i.bits, source), (axis.w, w)];
            let mut present = indices.iter().filter(|(bits, _)| *bits > 0).map(|(_, index)| *index);
            let first = present.next().expect("an index");
            present.all(|index| index == first)
        }
        AxisKind::Walk => source == (out << axis.k) + w + i64::from(axis.g) && out < i64::from(axis.bound),
        AxisKind::Mask => out < i64::from(axis.bound),
        AxisKind::Free => true,
        AxisKind::Fix => source == i64::from(axis.g),
    }
}

/// The indices of weight `place` of a tile, one for each axis of the term, 0 where it has no weights.
fn indices(term: &Term, tile: &Tile, place: u64) -> Vec<i64> {
    let (mut spans, mut place) = (tile.spans.iter().rev(), place);
    let mut index = |axis: &Axis| {
        if axis.w == 0 {
            return 0;
        }
        let span = spans.next().expect("a span for each axis with weights");
        let value = place & ((1 << span.bits) - 1);
        place >>= span.bits;
        i64::from(span.start) + value as i64
    };
    let mut list: Vec<i64> = term.axes.iter().rev().map(&mut index).collect();
    list.reverse();
    list
}

/// Whether the term relates `o` and `i`, and the weight at `place` of `tile` if it has tiles.
pub fn related(term: &Term, tile: Option<(&Tile, u64)>, o: u64, i: u64) -> bool {
    let weights = tile.map_or_else(|| vec![0; term.axes.len()], |(tile, place)| indices(term, tile, place));
    term.axes.iter().zip(weights).all(|(axis, w)| holds(axis, o, i, w))
}

/// The value that a term adds to cell `o`: the definition, exact.
pub fn value(term: &Term, source: &[i64], weights: &[i64], o: u64) -> i128 {
    let cells: &[i64] = if term.source.is_none() { &[1] } else { source };
    let mut total = 0;
    for (i, cell) in cells.iter().enumerate().filter(|(_, cell)| **cell != 0) {
        if term.tiles.is_empty() && related(term, None, o, i as u64) {
            total += i128::from(term.coef) * i128::from(*cell);
        }
        for tile in &term.tiles {
            for place in 0..1u64 << tile.bits() {
                if related(term, Some((tile, place)), o, i as u64) {
                    total += i128::from(weights[tile.off as usize + place as usize]) * i128::from(*cell);
                }
            }
        }
    }
    total
}
