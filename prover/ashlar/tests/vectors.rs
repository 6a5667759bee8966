//! The good vectors: accepted, with every value that they hold.

mod common;

use common::{bytes, scalar, scalars, vectors};
use zkinfer_ashlar::curve::g1_to_bytes;
use zkinfer_ashlar::program::Key;
use zkinfer_ashlar::statement::{Layout, check_input, decode_input, encode_input};
use zkinfer_ashlar::verify::trace;

#[test]
fn good_vectors_are_accepted() {
    for vector in vectors() {
        vector.verify().unwrap_or_else(|error| panic!("{}: {error}", vector.name));
    }
}

#[test]
fn traces_hold_the_values_of_the_vectors() {
    for vector in vectors() {
        let (name, seen) = (&vector.name, &vector.json["seen"]);
        let key = vector.loaded();
        let (trace, _) = trace(&key.view(), &vector.statement(), &vector.proof).expect("accepted");
        let challenges = &trace.challenges;
        let values = [
            ("alpha", challenges.alpha),
            ("beta", challenges.beta),
            ("gamma", challenges.gamma),
            ("t", challenges.t),
            ("delta", trace.delta),
            ("zeta", trace.zeta),
            ("delta2", trace.delta_prime),
            ("z", trace.z),
            ("claim", *trace.claims_b.last().expect("a claim")),
            ("s1", trace.s1),
            ("lz", trace.lz),
        ];
        for (field, value) in values {
            assert_eq!(value, scalar(&seen[field]), "{name}: {field}");
        }
        for (field, value) in [("tau", &challenges.tau), ("rho", &trace.rho), ("sigma", &trace.sigma)] {
            assert_eq!(*value, scalars(&seen[field]), "{name}: {field}");
        }
        for (field, value) in ["F", "X", "P", "H"].iter().zip(trace.kernels) {
            assert_eq!(value, scalar(&seen["kw"][field]), "{name}: K_{field}");
        }
        assert_eq!(g1_to_bytes(&trace.pairing_point)[..], bytes(&vector.json["pairingPoint"]), "{name}");
    }
}

#[test]
fn digests_are_those_of_the_vectors() {
    for vector in vectors() {
        assert_eq!(vector.loaded().digest[..], bytes(&vector.json["vkDigest"]), "{}", vector.name);
    }
}

#[test]
fn layouts_are_those_of_the_vectors() {
    for vector in vectors() {
        let Key { program, .. } = vector.loaded();
        let layout = Layout::new(&program);
        let wanted = &vector.json["layout"];
        let number = |field: &str| wanted[field].as_u64().expect("a number") as usize;
        assert_eq!(usize::from(layout.visibility), number("visibility"), "{}", vector.name);
        assert_eq!(layout.input_width, number("inputWidth"), "{}", vector.name);
        assert_eq!(layout.inputs, number("inputs"), "{}", vector.name);
        assert_eq!(layout.outputs, number("outputs"), "{}", vector.name);
    }
}

#[test]
fn inputs_survive_their_encoding() {
    for vector in vectors() {
        let Key { program, .. } = vector.loaded();
        check_input(&program, &vector.input).expect("in range");
        let encoded = encode_input(&program, &vector.input);
        assert_eq!(decode_input(&program, &encoded), vector.input, "{}", vector.name);
        if vector.json["mode"] == "public" {
            assert_eq!(encoded, vector.inputs, "{}", vector.name);
        }
    }
}
