//! Integers at the edges: sums that wrap on their way, saturation in two blocks.

mod common;

use ark_bn254::Fr;
use common::encode::code;
use zkinfer_ashlar::infer::Network;
use zkinfer_ashlar::program::{
    Axis, AxisKind, Bits, Dim, Header, Hidden, Input, Key, Mode, Output, Program, Span, Table, TableKind, Term,
    TermKind, Tile,
};
use zkinfer_ashlar::prove::{make_key, prove};
use zkinfer_ashlar::setup::Setup;

fn table(kind: TableKind, k: u8, b: u8, off: u32) -> Table {
    Table { kind, k, b, off, f_off: 0 }
}

fn axis(kind: AxisKind, o: u8, i: u8, w: u8) -> Axis {
    let range = |bits| Bits { first: 0, bits };
    Axis { kind, o: range(o), i: range(i), w, k: 0, g: 0, bound: 0 }
}

fn cells(source: u16, coef: i32, bits: u8) -> Term {
    let axes = if bits > 0 { vec![axis(AxisKind::Eq, bits, bits, 0)] } else { Vec::new() };
    Term { kind: TermKind::Cells, source: Some(source), coef, axes, tiles: Vec::new() }
}

fn header(program: &Program, c: u8, n: u8, nt: u8, weights: usize) -> Header {
    let chunks = weights.div_ceil(1 << c);
    let longest = ((3_usize << n) + (1 << nt)).max(chunks << c);
    let nb = (longest.next_power_of_two().trailing_zeros() as u8).max(c);
    let (tables, hidden) = (program.tables.len() as u8, program.hidden.len() as u16);
    Header { c, n, nt, nb, tables, hidden, chunks_f: chunks as u16, ..program.header }
}

fn outputs(program: &Program, weights: Vec<i64>, input: &[i64]) -> Vec<i64> {
    let setup = Setup::insecure(Fr::from(987_654_321), 12).expect("a setup");
    let code = code(program);
    let network = Network::new(Program::from_code(&code).expect("a program"), weights).expect("a network");
    let key = Key::from_bytes(&make_key(&code, &network, &setup).expect("a key")).expect("a key");
    let proved = prove(&key, &network, input, &[9; 32], &setup).expect("a proof");
    assert_eq!(network.forward(input), Ok(proved.outputs.clone()));
    proved.outputs
}

/// An input of `2^bits` cells of signed `b + 1` bits, a range table of `2^s` rows, and nothing else.
fn start(bits: u8, b: u8, s: u8, tables: Vec<Table>) -> Program {
    let header = Header {
        profile: 1,
        mode: Mode::Public,
        n: 1,
        nt: 1,
        nb: 4,
        c: 4,
        s,
        tables: 0,
        hidden: 0,
        outputs: 1,
        chunks_f: 0,
        program_words: 0,
    };
    let dims = vec![Dim { size: 1 << bits, bits }];
    let tables = [vec![table(TableKind::Range, s, 0, 0), table(TableKind::ClampS, b + 1, b, 0)], tables].concat();
    Program { header, input: Input { bits, table: 1, off: 0, dims }, tables, hidden: Vec::new(), outputs: Vec::new() }
}

/// Rows of the tables from 0, the largest first.
fn lay_out(tables: &mut [Table]) -> u8 {
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(tables[*at].k));
    let end = order.into_iter().fold(0_u32, |end, at| {
        tables[at].off = end;
        end + (1 << tables[at].k)
    });
    end.next_power_of_two().trailing_zeros() as u8
}

#[test]
fn partial_sum_wraps() {
    // Ten biases of almost 2^60, then the same with the other sign: the sum passes 2^63 on its way.
    let large = (1_i64 << 60) - 1;
    let weights: Vec<i64> = (0..20).map(|k| if k < 10 { large } else { -large }).collect();
    let bias = |off: u32| Term {
        kind: TermKind::Bias,
        source: None,
        coef: 1,
        axes: Vec::new(),
        tiles: vec![Tile { off, spans: Vec::new() }],
    };
    let terms: Vec<Term> = (0..20).map(bias).chain([cells(0, 3, 1)]).collect();
    let mut program = start(1, 4, 1, Vec::new());
    let hidden = Hidden { bits: 1, table: 1, shift: 1, off: 2, terms: terms.clone() };
    let last = [terms, vec![cells(1, 100, 1)]].concat();
    program.hidden = vec![hidden];
    program.outputs = vec![Output { bits: 1, dims: vec![Dim { size: 2, bits: 1 }], terms: last }];
    let nt = lay_out(&mut program.tables);
    program.header = header(&program, 5, 2, nt, weights.len());
    // q = round(3 x / 2), half up: -10.5 becomes -10.
    assert_eq!(outputs(&program, weights, &[-7, 6]), [-21 - 1000, 18 + 900]);
}

/// Blocks A and B of section 1.5 with `s`, `b`, `d`, or one block whose table is large enough.
fn saturated(s: u8, b: u8, d: Option<u8>, kind: TableKind) -> (Program, Vec<i64>) {
    // z = 2^6 x + weight, one for each of 16 cells of an input of 9 bits.
    let product = |coef| cells(0, coef, 4);
    let tile = Tile { off: 0, spans: vec![Span { start: 0, bits: 4 }] };
    let weights = Term {
        kind: TermKind::Bias,
        source: None,
        coef: 1,
        axes: vec![axis(AxisKind::Eq, 4, 0, 4)],
        tiles: vec![tile],
    };
    let terms = vec![product(64), weights];
    let (tables, hidden) = match d {
        None => (vec![table(kind, 14, b, 0)], vec![Hidden { bits: 4, table: 2, shift: s, off: 16, terms }]),
        Some(d) => {
            let width = b - d + 1;
            let more = [terms.clone(), vec![cells(1, -(1 << (s + d)), 4)]].concat();
            let tables = vec![table(TableKind::Excess, 14 - d, width, 0), table(kind, b + 3, b, 0)];
            let first = Hidden { bits: 4, table: 2, shift: s + d, off: 16, terms };
            (tables, vec![first, Hidden { bits: 4, table: 3, shift: s, off: 32, terms: more }])
        }
    };
    let last = hidden.len() as u16;
    let mut program = start(4, 8, s + d.unwrap_or(0), tables);
    program.hidden = hidden;
    let dims = vec![Dim { size: 16, bits: 4 }];
    program.outputs = vec![Output { bits: 4, dims, terms: vec![cells(last, 1, 4)] }];
    let nt = lay_out(&mut program.tables);
    program.header = header(&program, 12, 6, nt, 16);
    (program, (0..16).map(|k| 37 * k - 300).collect())
}

#[test]
fn excess_pair_gives_the_values_of_one_large_table() {
    let input: Vec<i64> = [-256, -255, -130, -65, -64, -33, -17, -1, 0, 1, 16, 33, 64, 129, 254, 255].to_vec();
    for (s, b, d) in [(2, 5, 1), (2, 5, 4), (3, 4, 2), (2, 7, 3)] {
        for kind in [TableKind::ClampU, TableKind::ClampS] {
            let (one, weights) = saturated(s, b, None, kind);
            let (pair, _) = saturated(s, b, Some(d), kind);
            let expected = outputs(&one, weights.clone(), &input);
            assert_eq!(outputs(&pair, weights, &input), expected, "s = {s}, b = {b}, d = {d}");
        }
    }
}
