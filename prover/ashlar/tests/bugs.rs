//! Classes of bugs that were seen elsewhere (section 12.4), a named test each.

mod common;

use ark_bn254::Fr;
use common::encode::code;
use common::mutate::messages;
use common::slow::Slow;
use common::slow::lies::Lie;
use common::{Vector, integers, scalar, vector, vectors};
use zkinfer_ashlar::group::Bn254;
use zkinfer_ashlar::infer::Network;
use zkinfer_ashlar::program::{
    Axis, AxisKind, Bits, Dim, Header, Hidden, Input, Key, Mode, Output, Program, Table, TableKind, Term, TermKind,
};
use zkinfer_ashlar::prove::{make_key, prove};
use zkinfer_ashlar::setup::Setup;
use zkinfer_ashlar::shape::Shape;
use zkinfer_ashlar::statement::encode;
use zkinfer_ashlar::transcript::Transcript;
use zkinfer_ashlar::{Statement, verify};

const TAU: u64 = 0x1234_5678_9abc;
const CONTEXT: [u8; 32] = [0xa5; 32];

fn program_of(name: &str) -> (Program, Vec<i64>, Vec<i64>) {
    let vector = vector(name);
    (vector.loaded().program, integers(&vector.json["weights"]), vector.input)
}

/// Keys, proves and verifies with real points. Returns key, outputs and proof.
fn end_to_end(program: &Program, weights: &[i64], input: &[i64]) -> (Key, Vec<i64>, Vec<u8>) {
    let setup = Setup::insecure(Fr::from(TAU), program.header.c.into()).expect("a setup");
    let code = code(program);
    let network = Network::new(Program::from_code(&code).expect("well formed"), weights.to_vec()).expect("a network");
    let key = Key::from_bytes(&make_key(&code, &network, &setup).expect("a key")).expect("well formed");
    let proved = prove(&key, &network, input, &CONTEXT, &setup).expect("a proof");
    let statement = Statement { context: &CONTEXT, inputs: &proved.inputs, outputs: &proved.outputs };
    assert_eq!(verify(&key, &statement, &proved.proof), Ok(()));
    (key, proved.outputs, proved.proof)
}

/// The same, and the slow prover makes the same proof.
fn by_both_provers(program: &Program, weights: &[i64], input: &[i64]) -> Vec<i64> {
    let (key, outputs, proof) = end_to_end(program, weights, input);
    let tau_g2 = Setup::insecure(Fr::from(TAU), 4).expect("a setup").tau_g2_bytes();
    let slow = Slow::<Bn254>::new(program.clone(), weights.to_vec(), Fr::from(TAU), &tau_g2);
    assert_eq!(slow.view().digest, &key.digest);
    let proved = slow.prove(input, &CONTEXT, Lie::None).expect("no challenge is 0");
    assert_eq!(proved.outputs, outputs);
    assert_eq!(proved.proof, proof);
    outputs
}

/// Challenges alpha, beta, gamma, t, delta, zeta, delta', z of a transcript without the message of this number.
fn challenges_without(vector: &Vector, skipped: usize) -> Vec<Fr> {
    let key = vector.loaded();
    let shape = Shape::new(&key.program);
    let mut transcript = Transcript::<Fr>::new(&key.digest, &encode(&vector.context, &vector.inputs, &vector.outputs));
    let mut seen = Vec::new();
    for message in messages(&shape).iter().filter(|message| message.number < 10) {
        let bytes = &vector.proof[32 * message.first..32 * (message.first + message.words)];
        let challenge = if message.number == skipped { transcript.draw() } else { transcript.absorb(bytes) };
        let draws = [0, 1, shape.taus + 1].get(message.number).copied().unwrap_or(0);
        let last = (0..draws).map(|_| transcript.draw()).last();
        match message.number {
            1 | 2 => seen.extend([challenge, last.expect("a challenge")]),
            5 | 7 | 8 | 9 => seen.push(challenge),
            _ => {}
        }
    }
    seen
}

/// A verifier that skips a message disagrees with every vector.
#[test]
fn absorb_removed() {
    for vector in vectors() {
        let fields = ["alpha", "beta", "gamma", "t", "delta", "zeta", "delta2", "z"];
        let expected: Vec<Fr> = fields.iter().map(|field| scalar(&vector.json["seen"][field])).collect();
        assert_eq!(challenges_without(&vector, 0), expected, "{}: none skipped", vector.name);
        for skipped in 1..10 {
            assert_ne!(challenges_without(&vector, skipped), expected, "{}: {skipped} skipped", vector.name);
        }
    }
}

/// Lookups at rows of no table: they have the fingerprint of `(0, 0, 0)`, and nothing else can be looked up there.
#[test]
fn fingerprint_of_unused_row() {
    let (program, weights, input) = program_of("mlp_public_1");
    let tau_g2 = Setup::insecure(Fr::from(TAU), 4).expect("a setup").tau_g2_bytes();
    let slow = Slow::<Bn254>::new(program, weights, Fr::from(TAU), &tau_g2);
    let verdict = |lie| slow.verify(&slow.prove(&input, &CONTEXT, lie).expect("a proof"));
    assert!(verdict(Lie::MultiplicityMovedToUnusedRow).is_ok());
    assert!(verdict(Lie::MultiplicityOnUnusedRow).is_err());
}

/// The lemma of section 1.5, for every integer around all edges.
#[test]
fn excess_pair() {
    let round = |z: i64, s: u32| if s == 0 { z } else { (z + (1 << (s - 1))) >> s };
    for (b, s, d) in (2..=5u32).flat_map(|b| (0..=3u32).flat_map(move |s| (1..b).map(move |d| (b, s, d)))) {
        let table = |kind, b: u32| Table { kind, k: 16, b: b as u8, off: 0, f_off: 0 };
        let excess = table(TableKind::Excess, b - d + 1);
        for z in -(1i64 << (s + b + 4))..=1 << (s + b + 4) {
            let y_a = excess.y(round(z, s + d));
            let (q, q_b) = (round(z, s), round(z - (y_a << (s + d)), s));
            for clamp in [table(TableKind::ClampU, b), table(TableKind::ClampS, b)] {
                assert_eq!(clamp.y(q_b), clamp.y(q), "b = {b}, s = {s}, d = {d}, z = {z}");
            }
            assert!(q_b.abs() <= (1 << (b + 1)) + (1 << (d - 1)), "b = {b}, s = {s}, d = {d}, z = {z}");
            assert!((z - (y_a << (s + d))).abs() <= 1 << (s + b + 2), "b = {b}, s = {s}, d = {d}, z = {z}");
        }
    }
}

/// `mlp` with the hidden layer at shift 2 and a clamp of 2 bits: as one block, or saturated in two that share weights.
fn saturated(in_two_blocks: bool) -> Program {
    let (mut program, ..) = program_of("mlp_public_1");
    let table = |kind, k, b, off| Table { kind, k, b, off, f_off: 0 };
    let (range, input) = (Table { off: 240, ..program.tables[0] }, Table { off: 224, ..program.tables[1] });
    (program.hidden[0].shift, program.header.nt, program.header.nb) = (2, 8, 9);
    if !in_two_blocks {
        program.tables = vec![range, input, table(TableKind::ClampU, 7, 2, 0)];
        return program;
    }
    program.tables = vec![range, input, table(TableKind::Excess, 7, 2, 0), table(TableKind::ClampU, 5, 2, 128)];
    let mut first = program.hidden[0].clone();
    (first.shift, first.table) = (3, 2);
    let second = &mut program.hidden[0];
    (second.table, second.off) = (3, 12);
    let whole = Bits { first: 0, bits: 2 };
    let same = Axis { kind: AxisKind::Eq, o: whole, i: whole, w: 0, k: 0, g: 0, bound: 0 };
    second.terms.push(Term { kind: TermKind::Cells, source: Some(1), coef: -8, axes: vec![same], tiles: Vec::new() });
    program.hidden.insert(0, first);
    program.outputs[0].terms[0].source = Some(2);
    (program.header.hidden, program.header.tables) = (2, 4);
    program
}

#[test]
fn shared_tiles() {
    let (_, weights, _) = program_of("mlp_public_1");
    for input in [[7, -8, 3, 0, -1, 5], [7; 6], [-8; 6], [0; 6], [7, 7, 7, -8, -8, -8]] {
        let outputs = by_both_provers(&saturated(false), &weights, &input);
        assert_eq!(by_both_provers(&saturated(true), &weights, &input), outputs, "{input:?}");
    }
}

/// All shifts from 0 to S, with sums of both signs; rounding is half up.
#[test]
fn shift_zero_and_shift_equals_s() {
    let (_, weights, input) = program_of("mlp_public_1");
    for shift in 0..=3 {
        let mut program = program_of("mlp_public_1").0;
        program.hidden[0].shift = shift;
        program.tables[2] = Table { kind: TableKind::ClampS, k: 10, b: 9, off: 0, f_off: 0 };
        (program.tables[1].off, program.tables[0].off) = (1024, 1040);
        (program.header.nt, program.header.nb) = (11, 12);
        by_both_provers(&program, &weights, &input);
        let network = Network::new(program, weights.clone()).expect("a network");
        let run = network.run(&input).expect("in range");
        let z: Vec<i64> = (0..4).map(|o| weights[48 + o] + dot(&weights[8 * o..8 * o + 6], &input)).collect();
        assert!(z.iter().any(|z| *z < 0) && z.iter().any(|z| *z > 0), "{z:?}");
        let expected: Vec<i64> = z.iter().map(|z| floor_of_negative(*z, shift)).collect();
        assert_eq!(run.blocks[1].q, expected, "shift {shift}");
    }
}

fn dot(one: &[i64], other: &[i64]) -> i64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// `floor(z / 2^shift + 1/2)`, without a shift of a negative number.
fn floor_of_negative(z: i64, shift: u8) -> i64 {
    (2 * z + (1 << shift)).div_euclid(2 << shift)
}

/// The input's table need not be table 1: its cells have a tag of their own.
#[test]
fn tag_of_the_input() {
    for name in ["mlp_public_1", "mlp_committed_1", "mlp_private_1"] {
        let (mut program, weights, input) = program_of(name);
        program.tables.swap(1, 2);
        (program.input.table, program.hidden[0].table) = (2, 1);
        let outputs = by_both_provers(&program, &weights, &input);
        assert_eq!(outputs, vector(name).outputs, "{name}");
    }
}

/// Weights or inputs that are all 0: commitments at infinity.
#[test]
fn negated_infinity() {
    for name in ["mlp_public_1", "mlp_committed_1", "mlp_private_1", "wide_public_1"] {
        let (program, weights, input) = program_of(name);
        let (key, outputs, _) = end_to_end(&program, &vec![0; weights.len()], &input);
        assert!(key.weights.iter().all(|point| *point == ark_bn254::G1Affine::identity()), "{name}");
        assert!(outputs.iter().all(|output| *output == 0), "{name}");
        by_both_provers(&program, &weights, &vec![0; input.len()]);
    }
}

/// Sums of 2^11 cells, 127 times with a large coefficient and as often with its negative: partial sums pass 2^63, the
/// last one does not.
#[test]
fn partial_sum_wraps() {
    let i = Bits { first: 0, bits: 11 };
    let all = Axis { kind: AxisKind::Free, o: Bits::default(), i, w: 0, k: 0, g: 0, bound: 0 };
    let term = |coef| Term { kind: TermKind::Cells, source: Some(0), coef, axes: vec![all], tiles: Vec::new() };
    let large =
        |count: usize| [i32::MAX, -i32::MAX].into_iter().flat_map(|coef| vec![term(coef); count]).collect::<Vec<_>>();
    let range = Table { kind: TableKind::Range, k: 1, b: 0, off: 1 << 16, f_off: 0 };
    let clamp = Table { kind: TableKind::ClampU, k: 16, b: 15, off: 0, f_off: 0 };
    let program = Program {
        header: Header {
            profile: 1,
            mode: Mode::Private,
            n: 12,
            nt: 17,
            nb: 18,
            c: 13,
            s: 1,
            tables: 2,
            hidden: 1,
            outputs: 1,
            chunks_f: 0,
            program_words: 0,
        },
        input: Input { bits: 11, table: 1, off: 0, dims: vec![Dim { size: 1 << 11, bits: 11 }] },
        tables: vec![range, clamp],
        hidden: vec![Hidden { bits: 0, table: 1, shift: 1, off: 1 << 11, terms: large(127) }],
        outputs: vec![Output {
            bits: 0,
            dims: vec![Dim { size: 1, bits: 0 }],
            terms: [large(127), vec![term(3)]].concat(),
        }],
    };
    let input = vec![(1 << 15) - 1; 1 << 11];
    let (_, outputs, _) = end_to_end(&program, &[], &input);
    assert_eq!(outputs, [(3 * ((1 << 15) - 1)) << 11]);
}
