//! Rules W1 to W9: each broken once, and nothing else is refused.

mod common;

use common::encode::{code, header_word, records};
use common::{vector, vectors};
use zkinfer_ashlar::Error;
use zkinfer_ashlar::program::{Axis, AxisKind, Bits, Dim, Key, Program, Span, Table, TableKind, Term, TermKind, Tile};

fn base(name: &str) -> Program {
    vector(name).loaded().program
}

/// The rule that refuses the program, if one does.
fn refusal(code: &[u8]) -> Option<&'static str> {
    match Program::from_code(code) {
        Ok(_) => None,
        Err(Error::MalformedKey { rule, .. }) => Some(rule),
        Err(other) => panic!("another error: {other}"),
    }
}

/// The rule that refuses what `change` makes of a vector's program.
fn broken(name: &str, change: impl FnOnce(&mut Program)) -> Option<&'static str> {
    let mut program = base(name);
    change(&mut program);
    refusal(&code(&program))
}

const NONE: Bits = Bits { first: 0, bits: 0 };

fn bits(first: u8, bits: u8) -> Bits {
    Bits { first, bits }
}

fn axis(kind: AxisKind) -> Axis {
    Axis { kind, o: NONE, i: NONE, w: 0, k: 0, g: 0, bound: 0 }
}

#[test]
fn programs_of_vectors_survive_a_round_trip() {
    for vector in vectors() {
        let program = vector.loaded().program;
        let code = code(&program);
        assert_eq!(code[..32], vector.key[..32], "{}", vector.name);
        assert!(vector.key.ends_with(&code[32..]), "{}", vector.name);
        assert_eq!(Program::from_code(&code), Ok(program), "{}", vector.name);
    }
}

/// W1: the header's numbers.
#[test]
fn header_numbers_out_of_range() {
    type Change = fn(&mut Program);
    let changes: [(&str, Change); 13] = [
        ("n = 0", |p| p.header.n = 0),
        ("n = 25", |p| p.header.n = 25),
        ("n = 255", |p| p.header.n = 255),
        ("nT = 0", |p| p.header.nt = 0),
        ("nT = 25", |p| p.header.nt = 25),
        ("S = 0", |p| p.header.s = 0),
        ("S = 17", |p| p.header.s = 17),
        ("c = 3", |p| p.header.c = 3),
        ("c = 25", |p| p.header.c = 25),
        ("nB = 29", |p| p.header.nb = 29),
        ("nB < c", |p| p.header.nb = p.header.c - 1),
        ("nB = 0", |p| p.header.nb = 0),
        ("nB = 255", |p| p.header.nb = 255),
    ];
    for (what, change) in changes {
        assert_eq!(broken("mlp_public_1", change), Some("W1"), "{what}");
    }
}

/// W1: one more and one less of everything that the header counts.
#[test]
fn count_beyond_end() {
    for name in ["mlp_public_1", "cnn_public_1", "wide_public_1"] {
        for delta in [-1, 1] {
            let by = |count: u16| count.wrapping_add_signed(delta);
            let hidden = broken(name, |p| p.header.hidden = by(p.header.hidden));
            let outputs = broken(name, |p| p.header.outputs = by(p.header.outputs));
            let tables = broken(name, |p| p.header.tables = by(p.header.tables.into()) as u8);
            for refused in [hidden, outputs, tables] {
                assert!(refused.is_some(), "{name} {delta}");
            }
        }
    }
    assert_eq!(broken("mlp_public_1", |p| p.header.outputs = u16::MAX), Some("W1"));
    assert_eq!(broken("mlp_public_1", |p| p.header.outputs = 0), Some("W1"));
}

#[test]
fn words_do_not_agree_with_the_header() {
    let good = code(&base("mlp_public_1"));
    assert_eq!(refusal(&good), None);
    assert_eq!(refusal(&good[..good.len() - 32]), Some("W1"));
    assert_eq!(refusal(&good[..good.len() - 1]), Some("W1"));
    assert_eq!(refusal(&good[..32]), Some("W1"));
    assert_eq!(refusal(&[]), Some("W1"));
    assert_eq!(refusal(&vec![0; 32 * 768]), Some("W1"));
    let mut magic = good.clone();
    magic[15] = b'2';
    assert_eq!(refusal(&magic), Some("W1"));
}

/// A program followed by one more word of zeros, and padding that is not zero.
#[test]
fn padding_32_bytes() {
    let program = base("mlp_public_1");
    let mut records = records(&program);
    let used = records.iter().rposition(|byte| *byte != 0).expect("a record") + 1;
    assert!(used < records.len(), "the vector has padding");
    let header = |words: usize| {
        let mut header = program.header;
        header.program_words = words as u16;
        header_word(&header)
    };
    let longer = [records.clone(), vec![0; 32]].concat();
    assert_eq!(refusal(&[header(longer.len() / 32), longer].concat()), Some("W1"));
    *records.last_mut().expect("a byte") = 1;
    assert_eq!(refusal(&[header(records.len() / 32), records].concat()), Some("W1"));
}

#[test]
fn unknown_profiles_and_modes() {
    let good = code(&base("mlp_public_1"));
    for (at, value) in [(16, 0), (16, 2), (16, 3), (17, 3), (17, 255)] {
        let mut changed = good.clone();
        changed[at] = value;
        assert_eq!(refusal(&changed), Some("W2"), "byte {at} is {value}");
    }
}

/// W2: the least nB, from c on.
#[test]
fn least_nb() {
    for vector in vectors() {
        assert_eq!(broken(&vector.name, |p| p.header.nb += 1), Some("W2"), "{}", vector.name);
        if vector.loaded().program.header.nb > vector.loaded().program.header.c {
            assert_eq!(broken(&vector.name, |p| p.header.nb -= 1), Some("W2"), "{}", vector.name);
        }
    }
    // F alone makes nB large: 2^8 in chunks of 2^6, P has 176.
    assert_eq!(broken("mlp_public_1", |p| p.header.chunks_f = 4), None);
    assert_eq!(broken("mlp_public_1", |p| p.header.chunks_f = 5), Some("W2"));
    assert_eq!(broken("mlp_public_1", |p| p.header.chunks_f = u16::MAX), Some("W2"));
    // c alone makes it large.
    assert_eq!(broken("mlp_public_1", |p| (p.header.c, p.header.nb) = (9, 9)), None);
}

/// W3: places.
#[test]
fn places_that_overlap_or_do_not_fit() {
    type Change = fn(&mut Program);
    let changes: [(&str, &str, Change); 13] = [
        ("block not aligned", "mlp_public_1", |p| p.hidden[0].off = 9),
        ("block beyond the cells", "mlp_public_1", |p| p.hidden[0].off = 16),
        ("block far beyond", "mlp_public_1", |p| p.hidden[0].off = u32::MAX - 3),
        ("blocks overlap", "mlp_public_1", |p| p.hidden[0].off = 4),
        ("input not aligned", "mlp_public_1", |p| p.input.off = 4),
        ("table not aligned", "mlp_public_1", |p| p.tables[0].off = 84),
        ("table beyond the rows", "mlp_public_1", |p| p.tables[0].off = 128),
        ("tables overlap", "mlp_public_1", |p| p.tables[0].off = 72),
        ("tile not aligned", "mlp_public_1", |p| p.hidden[0].terms[0].tiles[0].off = 16),
        ("tile beyond F", "mlp_public_1", |p| p.hidden[0].terms[0].tiles[0].off = 64),
        ("tiles overlap", "mlp_public_1", |p| p.outputs[0].terms[0].tiles[0].off = 16),
        ("stored column beyond F", "cnn_public_1", |p| p.tables[2].f_off = 256),
        ("stored column over a tile", "cnn_public_1", |p| p.tables[2].f_off = 64),
    ];
    for (what, name, change) in changes {
        assert_eq!(broken(name, change), Some("W3"), "{what}");
    }
}

#[test]
fn stored_columns_overlap() {
    let with_column = |f_off: u32| {
        broken("cnn_public_1", |p| {
            p.tables.push(Table { off: 256, f_off, ..p.tables[2] });
            (p.header.nt, p.header.tables, p.hidden[0].table) = (9, 4, 3);
        })
    };
    assert_eq!(with_column(192), None);
    assert_eq!(with_column(0), Some("W3"));
}

/// The program of `mlp` with a second block that has the terms of the first and shares its weights.
fn pair(change: impl FnOnce(&mut Program)) -> Option<&'static str> {
    broken("mlp_public_1", |p| {
        let mut second = p.hidden[0].clone();
        second.off = 12;
        p.hidden.push(second);
        p.header.hidden = 2;
        change(p);
    })
}

#[test]
fn shared_tiles() {
    assert_eq!(pair(|_| ()), None);
}

#[test]
fn tiles_overlap_unequal() {
    let narrower = |p: &mut Program| {
        // Half of the tile, at the same place: the list differs.
        p.hidden[1].terms[0].tiles =
            vec![Tile { off: 0, spans: vec![Span { start: 0, bits: 1 }, Span { start: 0, bits: 3 }] }];
    };
    assert_eq!(pair(narrower), Some("W3"));
    let one_more = |p: &mut Program| {
        let half = |off, start| Tile { off, spans: vec![Span { start, bits: 1 }, Span { start: 0, bits: 3 }] };
        p.hidden[0].terms[0].tiles = vec![half(0, 0), half(16, 2)];
        p.hidden[1].terms[0].tiles = vec![half(0, 0)];
    };
    assert_eq!(pair(one_more), Some("W3"));
    let other_start = |p: &mut Program| {
        let half = |start| Tile { off: 0, spans: vec![Span { start, bits: 1 }, Span { start: 0, bits: 3 }] };
        p.hidden[0].terms[0].tiles = vec![half(0)];
        p.hidden[1].terms[0].tiles = vec![half(2)];
    };
    assert_eq!(pair(other_start), Some("W3"));
    let other_kind = |p: &mut Program| {
        p.hidden[1].terms[1].tiles[0].off = 60;
        p.hidden[1].terms[1].axes[0].o = bits(0, 2);
        p.hidden[0].terms[0].axes.truncate(1);
        p.hidden[0].terms[0].axes.push(Axis { i: bits(0, 3), ..axis(AxisKind::Free) });
        p.hidden[0].terms[0].tiles = vec![Tile { off: 0, spans: vec![Span { start: 0, bits: 2 }] }];
        p.hidden[1].terms[0] = p.hidden[0].terms[0].clone();
        p.hidden[1].terms[1].tiles = p.hidden[0].terms[0].tiles.clone();
    };
    assert_eq!(pair(other_kind), Some("W3"));
    let same_constraint = |p: &mut Program| {
        let term = p.hidden[1].terms[0].clone();
        p.hidden[1].terms.push(term);
    };
    assert_eq!(pair(same_constraint), Some("W3"));
}

/// W4: dimensions and boxes.
#[test]
fn dims_that_do_not_fill_their_box() {
    type Change = fn(&mut Program);
    let dim = |size, bits| Dim { size, bits };
    let changes: [(&str, Change); 11] = [
        ("size 0", |p| p.input.dims[0].size = 0),
        ("size above the box", |p| p.input.dims[0].size = 9),
        ("size of a smaller box", |p| p.input.dims[0].size = 4),
        ("no dimension", |p| p.input.dims.clear()),
        ("nine dimensions", |p| p.input.dims.extend([Dim { size: 1, bits: 0 }; 8])),
        ("bits do not add up", |p| p.input.dims.push(Dim { size: 2, bits: 1 })),
        ("size 0 of an output", |p| p.outputs[0].dims[0].size = 0),
        ("no dimension of an output", |p| p.outputs[0].dims.clear()),
        ("box of 25 bits", |p| (p.input.bits, p.input.dims[0]) = (25, Dim { size: 1 << 25, bits: 25 })),
        ("output of 25 bits", |p| (p.outputs[0].bits, p.outputs[0].dims[0]) = (25, Dim { size: 1 << 25, bits: 25 })),
        ("hidden box of 25 bits", |p| p.hidden[0].bits = 25),
    ];
    for (what, change) in changes {
        assert_eq!(broken("mlp_public_1", change), Some("W4"), "{what}");
    }
    assert_eq!(broken("mlp_public_1", |p| p.input.dims.extend([dim(1, 0); 7])), None, "eight dimensions");
    let mut batch = code(&base("mlp_public_1"));
    batch[32 + 3] = 1;
    assert_eq!(refusal(&batch), Some("W4"), "log2 batch");
}

#[test]
fn box_of_2_255() {
    for bits in [32, 64, 255] {
        assert_eq!(broken("mlp_public_1", |p| p.input.bits = bits), Some("W4"), "input, {bits} bits");
        assert_eq!(broken("mlp_public_1", |p| p.hidden[0].bits = bits), Some("W4"), "hidden, {bits} bits");
        assert_eq!(broken("mlp_public_1", |p| p.outputs[0].bits = bits), Some("W4"), "output, {bits} bits");
        let dims = |p: &mut Program| p.outputs[0].dims = vec![Dim { size: u32::MAX, bits }];
        assert_eq!(broken("mlp_public_1", dims), Some("W4"), "dimension, {bits} bits");
        let tile = |p: &mut Program| p.hidden[0].terms[0].tiles[0].spans[0].bits = bits;
        assert_eq!(broken("mlp_public_1", tile), Some("W8"), "span, {bits} bits");
    }
}

/// W5: tables.
#[test]
fn tables_out_of_order_or_range() {
    type Change = fn(&mut Program);
    let changes: [(&str, Change); 12] = [
        ("no range table", |p| p.tables[0].kind = TableKind::ClampU),
        ("k of the range table is not S", |p| p.tables[0].k = 2),
        ("a second range table", |p| (p.tables[2].kind, p.tables[2].b) = (TableKind::Range, 0)),
        ("k = 0", |p| p.tables[2].k = 0),
        ("k = 17", |p| p.tables[2].k = 17),
        ("k = 255", |p| p.tables[2].k = 255),
        ("b = k", |p| p.tables[2].b = p.tables[2].k),
        ("table 1 is no clamp", |p| (p.tables[1].kind, p.input.table) = (TableKind::Excess, 2)),
        ("input without a clamp", |p| (p.tables[2].kind, p.input.table) = (TableKind::Excess, 2)),
        ("input with the range table", |p| p.input.table = 0),
        ("block with the range table", |p| p.hidden[0].table = 0),
        ("block with a table that is not there", |p| p.hidden[0].table = 3),
    ];
    for (what, change) in changes {
        assert_eq!(broken("mlp_public_1", change), Some("W5"), "{what}");
    }
    let mut kind = code(&base("mlp_public_1"));
    kind[32 + 8 + 5] = 5;
    assert_eq!(refusal(&kind), Some("W5"), "kind 5");
}

/// W6.
#[test]
fn shift_and_source() {
    assert_eq!(broken("mlp_public_1", |p| p.hidden[0].shift = 4), Some("W6"));
    assert_eq!(broken("mlp_public_1", |p| p.hidden[0].shift = 255), Some("W6"));
    for source in [1, 2, 0xfffe, 0xffff] {
        assert_eq!(broken("mlp_public_1", |p| p.hidden[0].terms[0].source = Some(source)), Some("W6"), "{source}");
    }
    for source in [2, 0xffff] {
        assert_eq!(broken("mlp_public_1", |p| p.outputs[0].terms[0].source = Some(source)), Some("W6"), "{source}");
    }
    assert_eq!(broken("mlp_public_1", |p| p.hidden[0].shift = 0), None);
}

/// W7: what a term covers, on the residual block of `cnn`: EQ on five bits, and EQ on four.
#[test]
fn ranges_of_a_term() {
    type Change = fn(&mut Term);
    let eq = |o: Bits, i: Bits| Axis { o, i, ..axis(AxisKind::Eq) };
    let of = |change: &dyn Fn(&mut Term)| broken("cnn_public_1", |p| change(&mut p.hidden[1].terms[0]));
    assert_eq!(of(&|t| t.axes = vec![eq(bits(0, 2), bits(3, 2)), eq(bits(2, 3), bits(0, 3))]), None);
    let cases: [(&str, Change); 5] = [
        ("i is not covered", |t| t.axes[0] = Axis { o: bits(0, 4), i: bits(0, 4), ..axis(AxisKind::Eq) }),
        ("no axes", |t| t.axes.clear()),
        ("o ends outside", |t| t.axes[0].o = bits(1, 5)),
        ("i ends outside", |t| t.axes[0].i = bits(1, 5)),
        ("o far outside", |t| t.axes[0].o = bits(255, 5)),
    ];
    for (what, change) in cases {
        assert_eq!(of(&change), Some("W7"), "{what}");
    }
    let overlap_o = of(&|t| t.axes = vec![eq(bits(0, 2), bits(3, 2)), eq(bits(1, 3), bits(0, 3))]);
    let overlap_i = of(&|t| t.axes = vec![eq(bits(0, 2), bits(2, 2)), eq(bits(2, 3), bits(0, 3))]);
    let twice = of(&|t| t.axes.push(Axis { i: bits(0, 1), ..axis(AxisKind::Free) }));
    assert_eq!([overlap_o, overlap_i, twice], [Some("W7"); 3]);
    let mut kind = code(&base("cnn_public_1"));
    let at = kind.windows(4).rposition(|bytes| bytes == [3, 1, 0xff, 0xff]).expect("the last bias");
    kind[at] = 4;
    assert_eq!(refusal(&kind), Some("W7"), "term kind 4");
}

/// What becomes of the residual term of `cnn` whose last bits are related by `changed`.
fn axis_case(changed: Axis) -> Option<&'static str> {
    broken("cnn_public_1", |p| {
        let rest = Axis { o: bits(0, 3), i: bits(0, 3), ..axis(AxisKind::Eq) };
        p.hidden[1].terms[0].axes = vec![rest, changed];
    })
}

/// Each rule of W7 and W9 on each kind of axis; the axis relates bits 3 and 4 of o and i.
#[test]
fn axis_fields() {
    let (o, i) = (bits(3, 2), bits(3, 2));
    let eq = Axis { o, i, ..axis(AxisKind::Eq) };
    let walk = Axis { o, i, bound: 3, ..axis(AxisKind::Walk) };
    let free = Axis { i, ..axis(AxisKind::Free) };
    let fix = Axis { i, g: 3, ..axis(AxisKind::Fix) };
    for good in [
        eq,
        walk,
        Axis { g: 127, k: 4, bound: 4, ..walk },
        Axis { g: -127, bound: 1, ..walk },
        Axis { o: NONE, bound: 1, ..walk },
        free,
        fix,
        Axis { g: 0, ..fix },
    ] {
        assert_eq!(axis_case(good), None, "{good:?}");
    }
    let refused = [
        ("W9", Axis { k: 1, ..eq }),
        ("W9", Axis { g: 1, ..eq }),
        ("W9", Axis { bound: 1, ..eq }),
        ("W7", Axis { w: 2, ..eq }),
        ("W7", Axis { o: NONE, ..eq }),
        ("W7", Axis { o: bits(3, 1), ..eq }),
        ("W9", Axis { o: bits(3, 0), ..walk }),
        ("W7", Axis { k: 5, ..walk }),
        ("W7", Axis { g: 128, ..walk }),
        ("W7", Axis { g: -128, ..walk }),
        ("W7", Axis { g: i32::MIN, ..walk }),
        ("W7", Axis { bound: 0, ..walk }),
        ("W7", Axis { bound: 5, ..walk }),
        ("W7", Axis { bound: u32::MAX, ..walk }),
        ("W7", Axis { o: NONE, bound: 2, ..walk }),
        ("W7", Axis { w: 2, ..walk }),
        ("W7", Axis { o, ..free }),
        ("W7", Axis { w: 2, ..free }),
        ("W9", Axis { k: 1, ..free }),
        ("W9", Axis { g: 1, ..free }),
        ("W9", Axis { bound: 1, ..free }),
        ("W7", Axis { o, ..fix }),
        ("W7", Axis { w: 2, ..fix }),
        ("W7", Axis { g: 4, ..fix }),
        ("W7", Axis { g: -1, ..fix }),
        ("W9", Axis { k: 1, ..fix }),
        ("W9", Axis { bound: 1, ..fix }),
    ];
    for (rule, bad) in refused {
        assert_eq!(axis_case(bad), Some(rule), "{bad:?}");
    }
    for empty in [axis(AxisKind::Eq), axis(AxisKind::Free), axis(AxisKind::Fix), axis(AxisKind::Mask)] {
        let case = broken("cnn_public_1", |p| p.hidden[1].terms[0].axes.push(empty));
        assert_eq!(case, Some("W7"), "{empty:?}");
    }
    let nothing = Axis { bound: 1, ..axis(AxisKind::Walk) };
    assert_eq!(broken("cnn_public_1", |p| p.hidden[1].terms[0].axes.push(nothing)), None, "WALK without bits");
}

/// The masks of the bias of `cnn`, and its weights.
#[test]
fn mask_and_bias_fields() {
    type Change = fn(&mut Term);
    let of = |change: Change| broken("cnn_public_1", |p| change(&mut p.hidden[0].terms[1]));
    let cases: [(&str, &str, Change); 11] = [
        ("W7", "bound 0", |t| t.axes[1].bound = 0),
        ("W7", "bound of the whole range", |t| t.axes[1].bound = 4),
        ("W7", "MASK with w", |t| t.axes[1].w = 2),
        ("W7", "MASK with i", |t| t.axes[1].i = bits(0, 2)),
        ("W9", "MASK with k", |t| t.axes[1].k = 1),
        ("W9", "MASK with g", |t| t.axes[1].g = 1),
        ("W9", "absent i with a first bit", |t| t.axes[1].i = bits(1, 0)),
        ("W7", "EQ of a bias with i", |t| t.axes[0].i = bits(0, 1)),
        ("W7", "WALK in a bias", |t| {
            t.axes[1] = Axis { o: bits(2, 2), bound: 3, ..axis(AxisKind::Walk) };
            t.axes.swap(1, 2);
        }),
        ("W9", "coef of a bias", |t| t.coef = 2),
        ("W7", "EQ of o alone", |t| (t.axes[1].kind, t.axes[1].bound) = (AxisKind::Eq, 0)),
    ];
    for (rule, what, change) in cases {
        assert_eq!(of(change), Some(rule), "{what}");
    }
    let mut source = code(&base("cnn_public_1"));
    let at = source.windows(4).rposition(|bytes| bytes == [3, 1, 0xff, 0xff]).expect("the last bias");
    source[at + 3] = 0xfe;
    assert_eq!(refusal(&source), Some("W9"), "a bias with a source");
}

/// Weights of the convolution of `cnn`: EQ, WALK, WALK.
#[test]
fn walk_with_weights() {
    type Change = fn(&mut Term);
    let of = |change: Change| broken("cnn_public_1", |p| change(&mut p.hidden[0].terms[0]));
    let cases: [(&str, &str, Change); 5] = [
        ("W7", "g above 0", |t| t.axes[1].g = 1),
        ("W7", "8 bits of w", |t| (t.axes[1].w, t.tiles[0].spans[1].bits) = (8, 8)),
        ("W8", "an axis behind WALK", |t| t.axes.swap(0, 1)),
        ("W8", "WALK is cut", |t| t.tiles[0].spans[1].bits = 1),
        ("W9", "coef of weights", |t| t.coef = -1),
    ];
    for (rule, what, change) in cases {
        assert_eq!(of(change), Some(rule), "{what}");
    }
    assert_eq!(of(|t| t.axes[1].g = 0), None);
    // The tile has 1 + 7 + 2 bits: a multiple of 2^10, in chunks of 2^7.
    let seven_bits = |chunks: u16| {
        broken("cnn_public_1", |p| {
            (p.header.chunks_f, p.header.nb) = (chunks, 11);
            let term = &mut p.hidden[0].terms[0];
            (term.axes[1].w, term.tiles[0].spans[1].bits, term.tiles[0].off) = (7, 7, 1024);
        })
    };
    assert_eq!([seven_bits(15), seven_bits(16)], [Some("W3"), None]);
}

/// W8: spans, on the first layer of `mlp`.
#[test]
fn spans_outside_their_axis() {
    type Change = fn(&mut Term);
    let of = |change: Change| broken("mlp_public_1", |p| change(&mut p.hidden[0].terms[0]));
    let cases: [(&str, Change); 6] = [
        ("no tile", |t| t.tiles.clear()),
        ("start not a multiple", |t| t.tiles[0].spans[0] = Span { start: 1, bits: 1 }),
        ("span ends outside", |t| t.tiles[0].spans[0] = Span { start: 4, bits: 1 }),
        ("start far outside", |t| t.tiles[0].spans[0] = Span { start: 0xffff_fffc, bits: 2 }),
        ("more bits than the axis", |t| t.tiles[0].spans[0] = Span { start: 0, bits: 3 }),
        ("start outside a whole axis", |t| t.tiles[0].spans[1] = Span { start: 8, bits: 3 }),
    ];
    for (what, change) in cases {
        assert_eq!(of(change), Some("W8"), "{what}");
    }
    let halves = of(|t| {
        let half = |off, start| Tile { off, spans: vec![Span { start, bits: 1 }, Span { start: 0, bits: 3 }] };
        t.tiles = vec![half(16, 0), half(0, 2)];
    });
    assert_eq!(halves, None);
    let descending = of(|t| {
        let half = |off, start| Tile { off, spans: vec![Span { start, bits: 1 }, Span { start: 0, bits: 3 }] };
        t.tiles = vec![half(16, 2), half(0, 0)];
    });
    assert_eq!(descending, None);
}

#[test]
fn tile_spans_overlap() {
    let spans = |first: (u32, u8), second: (u32, u8)| {
        broken("mlp_public_1", |p| {
            p.header.chunks_f = 2;
            let tile = |off, (start, bits)| Tile { off, spans: vec![Span { start, bits }, Span { start: 0, bits: 3 }] };
            p.hidden[0].terms[0].tiles = vec![tile(64, first), tile(96, second)];
        })
    };
    assert_eq!(spans((0, 1), (2, 1)), None);
    assert_eq!(spans((0, 1), (0, 1)), Some("W8"));
    assert_eq!(spans((0, 1), (1, 0)), Some("W8"));
    assert_eq!(spans((0, 2), (3, 0)), Some("W8"));
}

/// W9: canonical.
#[test]
fn what_is_not_canonical() {
    type Change = fn(&mut Program);
    let cases: [(&str, Change); 8] = [
        ("coef 0", |p| p.hidden[1].terms[0].coef = 0),
        ("no terms in a block", |p| p.hidden[1].terms.clear()),
        ("no terms in an output", |p| p.outputs[0].terms.clear()),
        ("a table without users", |p| p.hidden[1].table = 1),
        ("b of a stored table", |p| p.tables[2].b = 1),
        ("b of the range table", |p| p.tables[0].b = 1),
        ("place in F of a clamp", |p| p.tables[1].f_off = 64),
        ("place in F of the range table", |p| p.tables[0].f_off = 8),
    ];
    for (what, change) in cases {
        assert_eq!(broken("cnn_public_1", change), Some("W9"), "{what}");
    }
    assert_eq!(broken("cnn_public_1", |p| p.hidden[1].terms[0].coef = i32::MIN), None);
}

/// W9: bytes that 4.1 reserves.
#[test]
fn reserved_bytes() {
    let program = base("mlp_public_1");
    let good = code(&program);
    let table = 32 + 8 + 5;
    let hidden = table + 12 * program.tables.len();
    let first_axis = hidden + 8 + 8;
    let output = good.windows(4).rposition(|bytes| bytes == [2, 2, 1, 0]).expect("the output's record");
    for (what, at) in [("table", table + 3), ("axis", first_axis + 7), ("output", output + 3)] {
        let mut changed = good.clone();
        changed[at] = 1;
        assert_eq!(refusal(&changed), Some("W9"), "{what}");
    }
    let mut axis = good.clone();
    axis[first_axis] = 6;
    assert_eq!(refusal(&axis), Some("W7"), "axis kind 6");
}

#[test]
fn key_point_off_curve() {
    let vector = vector("mlp_public_1");
    let refused = |at: usize, change: &dyn Fn(&mut [u8])| {
        let mut key = vector.key.clone();
        change(&mut key[at..]);
        matches!(Key::from_bytes(&key), Err(Error::MalformedKey { rule: "W1", .. }))
    };
    let (tau, weights) = (32, 160);
    assert!(refused(tau, &|bytes| bytes[31] ^= 1), "tau G2 off the curve");
    assert!(refused(tau, &|bytes| bytes[..128].fill(0)), "tau G2 at infinity");
    assert!(refused(tau, &|bytes| bytes[0] = 0xff), "tau G2 not below p");
    assert!(refused(tau, &|bytes| bytes[..128].copy_from_slice(&outside_the_subgroup())), "outside the subgroup");
    assert!(refused(weights, &|bytes| bytes[63] ^= 1), "C_F off the curve");
    assert!(refused(weights, &|bytes| bytes[..32].fill(0)), "C_F with one zero coordinate");
    assert!(refused(weights, &|bytes| bytes[0] = 0xff), "C_F not below p");
    let mut infinity = vector.key.clone();
    infinity[weights..weights + 64].fill(0);
    assert!(Key::from_bytes(&infinity).is_ok(), "weights may all be 0");
}

/// A point of the twist that is not in the group of order r.
fn outside_the_subgroup() -> Vec<u8> {
    use ark_bn254::{Fq2, G2Affine};
    use zkinfer_ashlar::curve::field_to_bytes;
    let points = (0u64..).filter_map(|x| G2Affine::get_point_from_x_unchecked(Fq2::from(x), false));
    let point = points.into_iter().find(|point| !point.is_in_correct_subgroup_assuming_on_curve()).expect("most are");
    [point.x.c1, point.x.c0, point.y.c1, point.y.c0].iter().flat_map(field_to_bytes).collect()
}

#[test]
fn two_tables_one_tag() {
    // The tag is the index, so two tables cannot share one; two tables of one kind and width are two tags.
    let refused = broken("mlp_public_1", |p| {
        p.tables.push(Table { off: 96, ..p.tables[1] });
        p.header.tables = 4;
    });
    assert_eq!(refused, Some("W9"));
}

#[test]
fn key_is_no_list_of_words() {
    let vector = vector("mlp_public_1");
    for length in [0, 31, 32, 128, vector.key.len() - 32, vector.key.len() - 1] {
        let refused = Key::from_bytes(&vector.key[..length]);
        assert!(matches!(refused, Err(Error::MalformedKey { rule: "W1", .. })), "{length} bytes");
    }
    let longer = [vector.key.clone(), vec![0; 32]].concat();
    assert!(matches!(Key::from_bytes(&longer), Err(Error::MalformedKey { rule: "W1", .. })));
}

#[test]
fn weights_of_a_term_without_axes() {
    // A single weight, broadcast: the tile has no spans.
    let single = |tiles: Vec<Tile>| {
        broken("mlp_public_1", |p| {
            p.header.chunks_f = 2;
            let bias = Term { kind: TermKind::Bias, source: None, coef: 1, axes: vec![], tiles };
            p.hidden[0].terms.push(bias);
        })
    };
    let tile = |off| Tile { off, spans: vec![] };
    assert_eq!(single(vec![tile(127)]), None);
    assert_eq!(single(vec![tile(126), tile(127)]), Some("W8"));
    assert_eq!(single(vec![tile(128)]), Some("W3"));
}
