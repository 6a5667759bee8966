//! The prover makes the proofs of the vectors, byte for byte.

mod common;

use common::{Vector, bytes, vector, vectors};
use zkinfer_ashlar::Error;
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

fn network(vector: &Vector) -> Network {
    Network::new(vector.loaded().program, weights(vector)).expect("a network")
}

#[test]
fn input_outside_its_table_is_refused_with_its_index() {
    let of = vector("mlp_public_1");
    let (network, setup) = (network(&of), setup());
    for (value, index) in [(8, 2), (-9, 0), (i64::MIN, 5), (i64::MAX, 5)] {
        let mut input = of.input.clone();
        input[index] = value;
        let refused = Err(Error::InputOutOfRange { index, value });
        assert_eq!(prove(&of.loaded(), &network, &input, &of.context, &setup), refused);
        assert_eq!(network.run(&input).map(|run| run.outputs), Err(Error::InputOutOfRange { index, value }));
        let samples = [of.input.as_slice(), &input].concat();
        let in_all = Error::InputOutOfRange { index: of.input.len() + index, value };
        assert_eq!(network.forward(&samples), Err(in_all));
    }
}

#[test]
fn samples_one_after_the_other_give_their_outputs() {
    let of = vector("cnn_public_1");
    let network = network(&of);
    let zeros = vec![0; of.input.len()];
    let samples = [of.input.as_slice(), &zeros, &of.input].concat();
    let alone = network.forward(&zeros).expect("outputs");
    assert_eq!(network.forward(&samples), Ok([of.outputs.as_slice(), &alone, &of.outputs].concat()));
    assert_eq!(network.forward(&[]), Ok(Vec::new()));
    assert!(matches!(network.forward(&samples[1..]), Err(Error::Argument { .. })));
}

#[test]
fn arguments_of_wrong_length_are_refused() {
    let of = vector("mlp_private_1");
    let (key, network, setup) = (of.loaded(), network(&of), setup());
    for context in [&of.context[1..], &[of.context.as_slice(), &[0]].concat()] {
        assert!(matches!(prove(&key, &network, &of.input, context, &setup), Err(Error::Argument { .. })));
    }
    assert!(matches!(prove(&key, &network, &of.input[1..], &of.context, &setup), Err(Error::Argument { .. })));
    let program = key.program;
    let chunk = 1 << program.header.c;
    let more = vec![0; usize::from(program.header.chunks_f) * chunk + 1];
    assert!(matches!(Network::new(program.clone(), more), Err(Error::Argument { .. })));
    assert!(matches!(Network::new(program.clone(), Vec::new()), Err(Error::Argument { .. })));
    assert!(matches!(Network::new(program, vec![1 << 61; chunk]), Err(Error::Argument { .. })));
}

#[test]
fn weights_that_the_key_does_not_commit_to_give_no_proof() {
    let of = vector("mlp_public_1");
    let mut other = weights(&of);
    other[0] += 1;
    let network = Network::new(of.loaded().program, other).expect("a network");
    let refused = prove(&of.loaded(), &network, &of.input, &of.context, &setup());
    assert!(matches!(refused, Err(Error::ProofRejected { step: 15, .. })), "{refused:?}");
}

#[test]
fn setups_that_do_not_fit_are_refused() {
    let of = vector("cnn_public_1");
    let network = network(&of);
    let tau = zkinfer_ashlar::curve::field_from_bytes(&bytes(&TAU.into())).expect("tau is below r");
    let small = Setup::insecure(tau, 6).expect("a setup");
    let other = Setup::insecure(ark_bn254::Fr::from(5), 7).expect("a setup");
    for setup in [small, other] {
        let refused = prove(&of.loaded(), &network, &of.input, &of.context, &setup);
        assert!(matches!(refused, Err(Error::Setup { .. })), "{refused:?}");
    }
    let missing = Setup::open(std::path::Path::new("tests/no such file"));
    assert!(matches!(missing, Err(Error::Setup { .. })));
    for length in [0, 3, 4, 300, 4 + 256 + 256] {
        assert!(matches!(Setup::from_bytes(vec![1; length]), Err(Error::Setup { .. })), "{length} bytes");
    }
}
