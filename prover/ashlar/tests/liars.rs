//! Provers that lie (section 12.3), with real points: refused, each in the step that has to refuse it.

use std::collections::BTreeSet;

mod common;

use ark_bn254::Fr;
use common::slow::lies::{Lie, harmless, refused, step};
use common::slow::{Proved, Slow};
use common::{Vector, bytes, integers, ordinary, scalar};
use zkinfer_ashlar::Error;
use zkinfer_ashlar::group::Bn254;
use zkinfer_ashlar::program::Key;
use zkinfer_ashlar::verify;

/// Tau of the setup of the vectors: it is public.
fn tau() -> Fr {
    scalar(&"0x0d82b04453f51bfefae4c4781d52ba14772e93c5770d932eef85e3eb40022f00".into())
}

fn slow(vector: &Vector) -> Slow<Bn254> {
    Slow::new(vector.loaded().program, integers(&vector.json["weights"]), tau(), &vector.key[32..160])
}

fn context(vector: &Vector) -> [u8; 32] {
    vector.context.clone().try_into().expect("32 bytes")
}

/// The step that refuses a proof. The pairing and the equation in the exponent have to say the same.
fn refusal(slow: &Slow<Bn254>, key: &Key, proved: &Proved) -> Option<u8> {
    let by_pairing = verify(key, &proved.statement(), &proved.proof);
    let step = |result: &zkinfer_ashlar::Result<()>| match result {
        Ok(()) => None,
        Err(Error::ProofRejected { step, .. }) => Some(*step),
        Err(other) => panic!("another error: {other}"),
    };
    assert_eq!(step(&by_pairing), step(&slow.verify(proved)));
    step(&by_pairing)
}

#[test]
fn honest_proofs_are_those_of_the_vectors() {
    for vector in ordinary() {
        let slow = slow(&vector);
        assert_eq!(slow.key(), vector.key, "{}", vector.name);
        let proved = slow.prove(&vector.input, &context(&vector), Lie::None).expect("no challenge is 0");
        assert_eq!(proved.inputs, vector.inputs, "{}", vector.name);
        assert_eq!(proved.outputs, vector.outputs, "{}", vector.name);
        assert_eq!(bytes(&vector.json["proof"]), proved.proof, "{}", vector.name);
    }
}

#[test]
fn every_lie_is_refused() {
    let (mut tried, mut told) = (BTreeSet::new(), BTreeSet::new());
    for vector in ordinary() {
        let (slow, key) = (slow(&vector), vector.loaded());
        for lie in refused(&key.program) {
            tried.insert(format!("{lie:?}"));
            // A program may give no occasion for a lie: one without weights, say, for another weight.
            let Some(proved) = slow.prove(&vector.input, &context(&vector), lie) else { continue };
            assert_eq!(refusal(&slow, &key, &proved), Some(step(lie)), "{}: {lie:?}", vector.name);
            told.insert(format!("{lie:?}"));
        }
    }
    assert_eq!(tried, told, "every lie was told about some program");
}

#[test]
fn high_coefficients_are_harmless() {
    for vector in ordinary() {
        let (slow, key) = (slow(&vector), vector.loaded());
        for lie in harmless(&key.program) {
            let Some(proved) = slow.prove(&vector.input, &context(&vector), lie) else { continue };
            assert_eq!(refusal(&slow, &key, &proved), None, "{}: {lie:?}", vector.name);
            assert_eq!(proved.outputs, vector.outputs, "{}: {lie:?}", vector.name);
        }
    }
}

#[test]
fn digest_with_more_coefficients() {
    for vector in ordinary().into_iter().filter(|vector| vector.json["mode"] == "committed") {
        let (slow, key) = (slow(&vector), vector.loaded());
        let proved = slow.prove(&vector.input, &context(&vector), Lie::DigestWithMoreCoefficients).expect("a proof");
        assert_ne!(proved.inputs, vector.inputs, "another digest of the same input");
        assert_eq!(refusal(&slow, &key, &proved), None, "{}", vector.name);
        // Recomputing the digest accepts one of them only.
        let mixed = Proved { inputs: vector.inputs.clone(), ..proved };
        assert_eq!(refusal(&slow, &key, &mixed), Some(5), "{}", vector.name);
    }
}

#[test]
fn proof_of_another_context_or_key_is_refused() {
    let all = ordinary();
    for (one, other) in all.iter().zip(all.iter().skip(1)) {
        let (key, mixed) = (one.loaded(), Vector { key: one.key.clone(), ..other.clone() });
        assert!(verify(&key, &mixed.statement(), &mixed.proof).is_err(), "{} for {}", other.name, one.name);
    }
}
