//! Programs and keys as bytes (section 4): the counterpart of the parser, for tests that make programs.

use zkinfer_ashlar::program::{Axis, AxisKind, Dim, Header, Mode, Program, Table, TableKind, Term, TermKind};

/// A header word followed by the program. The header's count of words is made right.
pub fn code(program: &Program) -> Vec<u8> {
    let records = records(program);
    let header = Header { program_words: (records.len() / 32) as u16, ..program.header };
    [header_word(&header), records].concat()
}

/// Word 0.
pub fn header_word(header: &Header) -> Vec<u8> {
    let mode = match header.mode {
        Mode::Public => 0,
        Mode::Hashed => 1,
        Mode::Private => 2,
    };
    let small = [header.profile, mode, header.n, header.nt, header.nb, header.c, header.s, header.tables];
    let counts = [header.hidden, header.outputs, header.chunks_f, header.program_words];
    let counts = counts.iter().flat_map(|count| count.to_be_bytes());
    zkinfer_ashlar::MAGIC.iter().copied().chain(small).chain(counts).collect()
}

/// The records, padded to words.
pub fn records(program: &Program) -> Vec<u8> {
    let input = &program.input;
    let mut out = vec![input.bits, input.table, input.dims.len() as u8, 0];
    out.extend(input.off.to_be_bytes());
    dims(&mut out, &input.dims);
    program.tables.iter().for_each(|of| table(&mut out, of));
    for hidden in &program.hidden {
        out.extend([hidden.bits, hidden.table, hidden.shift, hidden.terms.len() as u8]);
        out.extend(hidden.off.to_be_bytes());
        hidden.terms.iter().for_each(|of| term(&mut out, of));
    }
    for output in &program.outputs {
        out.extend([output.bits, output.terms.len() as u8, output.dims.len() as u8, 0]);
        dims(&mut out, &output.dims);
        output.terms.iter().for_each(|of| term(&mut out, of));
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out
}

fn dims(out: &mut Vec<u8>, dims: &[Dim]) {
    for dim in dims {
        out.extend(dim.size.to_be_bytes());
        out.push(dim.bits);
    }
}

fn table(out: &mut Vec<u8>, table: &Table) {
    let kind = match table.kind {
        TableKind::Range => 0,
        TableKind::ClampU => 1,
        TableKind::ClampS => 2,
        TableKind::Stored => 3,
        TableKind::Excess => 4,
    };
    out.extend([kind, table.k, table.b, 0]);
    out.extend(table.off.to_be_bytes());
    out.extend(table.f_off.to_be_bytes());
}

fn term(out: &mut Vec<u8>, term: &Term) {
    let kind = match term.kind {
        TermKind::Weights => 1,
        TermKind::Cells => 2,
        TermKind::Bias => 3,
    };
    out.extend([kind, term.axes.len() as u8]);
    out.extend(term.source.unwrap_or(u16::MAX).to_be_bytes());
    out.extend(term.coef.to_be_bytes());
    term.axes.iter().for_each(|of| axis(out, of));
    if term.kind == TermKind::Cells {
        return;
    }
    out.extend((term.tiles.len() as u16).to_be_bytes());
    for tile in &term.tiles {
        out.extend(tile.off.to_be_bytes());
        for span in &tile.spans {
            out.extend(span.start.to_be_bytes());
            out.push(span.bits);
        }
    }
}

fn axis(out: &mut Vec<u8>, axis: &Axis) {
    let kind = match axis.kind {
        AxisKind::Eq => 1,
        AxisKind::Walk => 2,
        AxisKind::Mask => 3,
        AxisKind::Free => 4,
        AxisKind::Fix => 5,
    };
    out.extend([kind, axis.o.first, axis.o.bits, axis.i.first, axis.i.bits, axis.w, axis.k, 0]);
    out.extend(axis.g.to_be_bytes());
    out.extend(axis.bound.to_be_bytes());
}
