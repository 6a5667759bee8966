//! The prover makes the proofs of the vectors, byte for byte.

mod common;

use common::{Vector, bytes, vectors};
use zkinfer_ashlar::infer::Network;
use zkinfer_ashlar::program::Program;
use zkinfer_ashlar::prove::{commit_input, make_key, prove};
use zkinfer_ashlar::setup::Setup;

/// Tau of the ceremony insecure-dev, which the vectors use.
const TAU: &str = "0x0d82b04453f51bfefae4c4781d52ba14772e93c5770d932eef85e3eb40022f00";

fn setup() -> Setup {
    let tau = zkinfer_ashlar::curve::field_from_bytes(&bytes(&TAU.into())).expect("tau is below r");
    Setup::insecure(tau, 12).expect("a setup of 2^12 powers")
}

fn weights(vector: &Vector) -> Vec<i64> {
    common::integers(&vector.json["weights"])
}

/// Header and program of a vector's key.
fn code(vector: &Vector) -> Vec<u8> {
    let chunks = usize::from(vector.loaded().program.header.chunks_f);
    [&vector.key[..32], &vector.key[160 + 64 * chunks..]].concat()
}

#[test]
fn proofs_of_vectors_are_reproduced() {
    let setup = setup();
    for vector in vectors() {
        let key = vector.loaded();
        let network = Network::new(key.program.clone(), weights(&vector)).expect("a network");
        let proved = prove(&key, &network, &vector.input, &vector.context, &setup)
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(proved.outputs, vector.outputs, "{}", vector.name);
        assert_eq!(proved.inputs, vector.inputs, "{}", vector.name);
        assert_eq!(proved.proof, vector.proof, "{}", vector.name);
    }
}

#[test]
fn blocks_of_vectors_are_reproduced() {
    for vector in vectors() {
        let network = Network::new(vector.loaded().program, weights(&vector)).expect("a network");
        let run = network.run(&vector.input).expect("an input in range");
        for (number, block) in run.blocks.iter().enumerate() {
            let (_, off) = network.program().block(number as u16);
            for (name, values) in [("q", &block.q), ("r", &block.r), ("y", &block.y)] {
                let expected = &common::integers(&vector.json[name])[off as usize..][..values.len()];
                assert_eq!(values, expected, "{}: {name} of block {number}", vector.name);
            }
        }
    }
}

#[test]
fn keys_of_vectors_are_rebuilt() {
    let setup = setup();
    for vector in vectors() {
        let code = code(&vector);
        let network = Network::new(Program::from_code(&code).expect("a program"), weights(&vector)).expect("a network");
        assert_eq!(make_key(&code, &network, &setup).expect("a key"), vector.key, "{}", vector.name);
    }
}

#[test]
fn input_digests_of_vectors_are_recomputed() {
    let setup = setup();
    for vector in vectors().into_iter().filter(|vector| vector.json["mode"] == "committed") {
        let digest = commit_input(&vector.loaded().program, &vector.input, &setup).expect("a digest");
        assert_eq!(digest[..], vector.inputs, "{}", vector.name);
    }
}
