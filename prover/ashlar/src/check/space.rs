//! Where blocks, tables and weights lie (rule W3).

use crate::error::{Result, malformed};
use crate::program::{Program, Term};

/// `2^bits` places from `off`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    off: u64,
    bits: u32,
}

impl Place {
    fn new(off: u32, bits: u32) -> Place {
        Place { off: off.into(), bits }
    }

    /// Aligned, and ends by `end`.
    fn check(self, end: u64, what: &str) -> Result<Place> {
        // A tile of many axes may name more bits than fit an integer.
        let size = 1u64.checked_shl(self.bits).filter(|size| *size <= end);
        if size.is_some_and(|size| self.off % size == 0 && self.off + size <= end) {
            return Ok(self);
        }
        Err(malformed(
            "W3",
            format!("{what} at {} with {} bits is not aligned, or ends beyond {end}", self.off, self.bits),
        ))
    }

    fn end(self) -> u64 {
        self.off + (1 << self.bits)
    }
}

/// Blocks and tables are disjoint, aligned and inside.
pub(super) fn check(program: &Program) -> Result<()> {
    let cells = 1u64 << program.header.n;
    let input = (program.input.off, program.input.bits);
    let hidden = program.hidden.iter().map(|block| (block.off, block.bits));
    let blocks = std::iter::once(input).chain(hidden).map(|(off, bits)| Place::new(off, bits.into()));
    disjoint(blocks.map(|place| place.check(cells, "a block")).collect::<Result<_>>()?, "blocks")?;
    let rows = 1u64 << program.header.nt;
    let tables = program.tables.iter().map(|table| Place::new(table.off, table.k.into()).check(rows, "a table"));
    disjoint(tables.collect::<Result<_>>()?, "tables")
}

fn disjoint(mut places: Vec<Place>, what: &str) -> Result<()> {
    places.sort_unstable();
    if places.windows(2).any(|pair| pair[1].off < pair[0].end()) {
        return Err(malformed("W3", format!("two {what} overlap")));
    }
    Ok(())
}

/// What lies at a place of F.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Column,
    Tile { constraint: usize, term: &'a Term },
}

/// Tiles and stored columns are aligned and inside; two of them are disjoint, or equal tiles of terms that share all.
pub(super) fn tiles(program: &Program) -> Result<()> {
    let end = u64::from(program.header.chunks_f) << program.header.c;
    let mut places = Vec::new();
    for table in program.stored_tables() {
        let place = Place::new(table.f_off, table.k.into()).check(end, "a stored column")?;
        places.push((place, Owner::Column));
    }
    for constraint in program.constraints() {
        for term in constraint.terms {
            for tile in &term.tiles {
                let place = Place::new(tile.off, tile.bits()).check(end, "a tile")?;
                places.push((place, Owner::Tile { constraint: constraint.index, term }));
            }
        }
    }
    // Stable: equal tiles stay in the order of their constraints.
    places.sort_by_key(|(place, _)| *place);
    for pair in places.windows(2) {
        let [(first, left), (second, right)] = pair else { unreachable!("windows of two") };
        if second.off < first.end() && !(first == second && may_share(*left, *right)) {
            return Err(malformed(
                "W3",
                format!("what lies at {} in F overlaps, and is not shared as a whole", second.off),
            ));
        }
    }
    Ok(())
}

fn may_share(left: Owner<'_>, right: Owner<'_>) -> bool {
    let (Owner::Tile { constraint: one, term: a }, Owner::Tile { constraint: other, term: b }) = (left, right) else {
        return false;
    };
    let weighted = |term: &Term| term.axes.iter().filter(|axis| axis.w > 0).count();
    one != other && a.kind == b.kind && weighted(a) == weighted(b) && a.tiles == b.tiles
}
