//! The building blocks in `tests/vectors/ashlar/parts`: kernels, tables, transcripts and programs.

mod common;

use ark_bn254::Fr;
use common::encode::{header_word, records};
use common::{bytes, entries, scalar, scalars, vector};
use serde_json::Value;
use zkinfer_ashlar::keccak::keccak256;
use zkinfer_ashlar::kernels;
use zkinfer_ashlar::program::{
    Axis, AxisKind, Bits, Dim, Header, Hidden, Input, Mode, Output, Program, Span, Table, TableKind, Term, TermKind,
    Tile,
};
use zkinfer_ashlar::tables::{first_column, y_column};
use zkinfer_ashlar::transcript::Transcript;

/// A number in the type that the field has.
fn number<T: TryFrom<i64>>(value: &Value) -> T {
    let number = value.as_i64().expect("an integer");
    T::try_from(number).unwrap_or_else(|_| panic!("{number} does not fit"))
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().expect("a list").iter().map(read).collect()
}

fn axis_kind(value: &Value) -> AxisKind {
    [AxisKind::Eq, AxisKind::Walk, AxisKind::Mask, AxisKind::Free, AxisKind::Fix][number::<usize>(value) - 1]
}

fn table_kind(value: &Value) -> TableKind {
    [TableKind::Range, TableKind::ClampU, TableKind::ClampS, TableKind::Stored, TableKind::Excess]
        [number::<usize>(value)]
}

#[test]
fn axes_have_the_values_of_the_vectors() {
    let entries = entries("parts/kernels.json");
    assert!(entries.len() > 100);
    for (at, entry) in entries.iter().enumerate() {
        let [o, i, w] = ["o", "i", "w"].map(|field| scalars(&entry[field]));
        let bits = |point: &[Fr]| Bits { first: 0, bits: point.len() as u8 };
        let axis = Axis {
            kind: axis_kind(&entry["kind"]),
            o: bits(&o),
            i: bits(&i),
            w: w.len() as u8,
            k: number(&entry["k"]),
            g: number(&entry["g"]),
            bound: number(&entry["bound"]),
        };
        assert_eq!(kernels::axis(&axis, &o, &i, &w), scalar(&entry["value"]), "entry {at}: {axis:?}");
    }
}

#[test]
fn tables_have_the_values_of_the_vectors() {
    let entries = entries("parts/tables.json");
    assert!(entries.len() > 50);
    for entry in &entries {
        let kind = table_kind(&entry["kind"]);
        let table = Table { kind, k: number(&entry["k"]), b: number(&entry["b"]), off: 0, f_off: 0 };
        let x = scalars(&entry["x"]);
        assert_eq!(first_column(&table, &x), scalar(&entry["input"]), "{table:?}");
        assert_eq!(y_column(&table, &x), scalar(&entry["output"]), "{table:?}");
    }
}

#[test]
fn transcripts_have_the_challenges_of_the_vectors() {
    for entry in entries("parts/transcripts.json") {
        let seed = bytes(&entry["seed"]);
        let (digest, statement) = seed.split_at(32);
        let mut transcript = Transcript::<Fr>::new(digest.try_into().expect("32 bytes"), statement);
        for (at, step) in entry["steps"].as_array().expect("a list").iter().enumerate() {
            let message = &step["message"];
            let challenge = if message.is_null() { transcript.draw() } else { transcript.absorb(&bytes(message)) };
            assert_eq!(challenge, scalar(&step["challenge"]), "{}, step {at}", entry["vector"]);
        }
    }
}

/// Programs written as records are those that the parser reads from the keys, and have the bytes that it reads.
#[test]
fn programs_are_the_records_of_the_vectors() {
    for entry in entries("parts/keys.json") {
        let key = vector(entry["vector"].as_str().expect("a name"));
        let program = program(&entry);
        assert_eq!(key.loaded().program, program, "{}", key.name);
        let written = records(&program);
        assert_eq!(written, bytes(&entry["bytes"]), "{}", key.name);
        assert!(key.key.ends_with(&written) && key.key.starts_with(&header_word(&program.header)), "{}", key.name);
        assert_eq!(keccak256(&[&written])[..], bytes(&entry["programDigest"]), "{}", key.name);
    }
}

fn program(entry: &Value) -> Program {
    let (header, program) = (&entry["header"], &entry["program"]);
    let mut blocks = program["blocks"].as_array().expect("a list").iter();
    let input = blocks.next().expect("block 0");
    Program {
        header: Header {
            profile: number(&header["profile"]),
            mode: [Mode::Public, Mode::Hashed, Mode::Private][number::<usize>(&header["mode"])],
            n: number(&header["n"]),
            nt: number(&header["nt"]),
            nb: number(&header["nb"]),
            c: number(&header["c"]),
            s: number(&header["s"]),
            tables: number(&header["tables"]),
            hidden: number(&header["hidden"]),
            outputs: number(&header["outputs"]),
            chunks_f: number(&header["chunks"]),
            program_words: number(&header["words"]),
        },
        input: Input {
            bits: number(&input["bits"]),
            table: number(&input["table"]),
            off: number(&input["offset"]),
            dims: list(&input["dims"], dim),
        },
        tables: list(&program["tables"], table),
        hidden: blocks.map(hidden).collect(),
        outputs: list(&program["outputs"], output),
    }
}

fn dim(value: &Value) -> Dim {
    Dim { size: number(&value["size"]), bits: number(&value["bits"]) }
}

fn table(value: &Value) -> Table {
    Table {
        kind: table_kind(&value["kind"]),
        k: number(&value["k"]),
        b: number(&value["b"]),
        off: number(&value["offset"]),
        f_off: number(&value["column"]),
    }
}

fn hidden(value: &Value) -> Hidden {
    Hidden {
        bits: number(&value["bits"]),
        table: number(&value["table"]),
        shift: number(&value["shift"]),
        off: number(&value["offset"]),
        terms: list(&value["terms"], term),
    }
}

fn output(value: &Value) -> Output {
    Output { bits: number(&value["bits"]), dims: list(&value["dims"], dim), terms: list(&value["terms"], term) }
}

fn term(value: &Value) -> Term {
    let source = number(&value["source"]);
    Term {
        kind: [TermKind::Weights, TermKind::Cells, TermKind::Bias][number::<usize>(&value["kind"]) - 1],
        source: (source != u16::MAX).then_some(source),
        coef: number(&value["coef"]),
        axes: list(&value["axes"], axis),
        tiles: list(&value["tiles"], tile),
    }
}

fn axis(value: &Value) -> Axis {
    let bits = |range: &Value| Bits { first: number(&range["first"]), bits: number(&range["bits"]) };
    Axis {
        kind: axis_kind(&value["kind"]),
        o: bits(&value["o"]),
        i: bits(&value["i"]),
        w: number(&value["w"]),
        k: number(&value["k"]),
        g: number(&value["g"]),
        bound: number(&value["bound"]),
    }
}

fn tile(value: &Value) -> Tile {
    let span = |span: &Value| Span { start: number(&span[0]), bits: number(&span[1]) };
    Tile { off: number(&value["offset"]), spans: list(&value["spans"], span) }
}
