//! Inference against the definition, and proofs, for programs with all axes, tables, modes and orders of blocks.

mod common;

use common::encode::code;
use common::programs::{Sample, Wish, sample};
use zkinfer_ashlar::infer::Network;
use zkinfer_ashlar::program::{Key, Mode, Program};
use zkinfer_ashlar::prove::{Proved, make_key, prove};
use zkinfer_ashlar::setup::Setup;
use zkinfer_ashlar::{Error, Statement, verify};

const MODES: [Mode; 3] = [Mode::Public, Mode::Hashed, Mode::Private];

fn wish(seed: u64) -> Wish {
    let spare = ((seed / 3 % 4) as u8, (seed / 5 % 3) as u8);
    Wish { mode: MODES[seed as usize % 3], spare, c: 4 + (seed % 6) as u8 }
}

fn loaded(of: &Sample) -> (Vec<u8>, Network) {
    let code = code(&of.program);
    let program = Program::from_code(&code).expect("a well-formed program");
    (code, Network::new(program, of.weights.clone()).expect("a network"))
}

fn setup() -> Setup {
    Setup::insecure(ark_bn254::Fr::from(0x5eed_0123_4567_89ab_u64), 10).expect("a small setup")
}

fn check_inference(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let of = sample(seed, wish(seed));
        let (_, network) = loaded(&of);
        let run = network.run(&of.input).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for (number, (block, y)) in run.blocks.iter().zip(&of.blocks).enumerate() {
            assert_eq!(block.y, *y, "seed {seed}, block {number}");
        }
        assert_eq!(run.outputs, of.outputs, "seed {seed}");
    }
}

fn proved(seed: u64, wish: Wish, setup: &Setup) -> (Key, Proved) {
    let of = sample(seed, wish);
    let (code, network) = loaded(&of);
    let key = make_key(&code, &network, setup).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let key = Key::from_bytes(&key).expect("a key");
    let proved =
        prove(&key, &network, &of.input, &[7; 32], setup).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(proved.outputs, of.outputs, "seed {seed}");
    (key, proved)
}

#[test]
fn inference_random_programs_equals_definition() {
    check_inference(0..2000);
}

#[test]
#[ignore = "takes a minute"]
fn inference_many_random_programs_equals_definition() {
    check_inference(2000..100_000);
}

#[test]
fn proofs_of_random_programs_are_accepted() {
    let setup = setup();
    for seed in 0..60 {
        proved(seed, wish(seed), &setup);
    }
}

#[test]
#[ignore = "takes minutes"]
fn proofs_of_many_random_programs_are_accepted() {
    let setup = setup();
    for seed in 60..3000 {
        proved(seed, wish(seed), &setup);
    }
}

#[test]
fn another_output_is_refused() {
    let setup = setup();
    for seed in 0..12 {
        let (key, proved) = proved(seed, wish(seed), &setup);
        for place in 0..proved.outputs.len() {
            let mut outputs = proved.outputs.clone();
            outputs[place] += 1;
            let statement = Statement { context: &[7; 32], inputs: &proved.inputs, outputs: &outputs };
            let refused = verify(&key, &statement, &proved.proof);
            assert!(matches!(refused, Err(Error::ProofRejected { .. })), "seed {seed}, output {place}");
        }
    }
}

#[test]
fn threads_do_not_change_a_proof() {
    let setup = setup();
    for seed in 0..6 {
        let in_pool = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| proved(seed, wish(seed), &setup).1.proof)
        };
        let alone = in_pool(1);
        assert_eq!(in_pool(2), alone, "seed {seed}");
        assert_eq!(in_pool(4), alone, "seed {seed}");
    }
}
