//! The bad vectors of `tests/vectors/ashlar/bad`: each refused by its step and its rule.

use std::collections::BTreeSet;

mod common;

use common::{Vector, bytes, changed, entries, vector};
use serde_json::Value;
use zkinfer_ashlar::Error;
use zkinfer_ashlar::program::Key;

/// The vector that an entry is about, with the entry's changes.
fn mutant(entry: &Value) -> Vector {
    let mut vector = vector(entry["vector"].as_str().expect("a name"));
    for (field, data) in [("key", &mut vector.key), ("proof", &mut vector.proof)] {
        *data = changed(data, &entry[field]);
    }
    for (field, data) in [("context", &mut vector.context), ("inputs", &mut vector.inputs)] {
        if let Some(value) = entry.get(field) {
            *data = bytes(value);
        }
    }
    if let Some(outputs) = entry.get("outputs") {
        // What does not fit 64 bits is out of range, as for the Python module.
        let output = |value: &Value| value.as_str().expect("a string").parse().unwrap_or(i64::MIN);
        vector.outputs = outputs.as_array().expect("a list").iter().map(output).collect();
    }
    vector
}

/// Refuses an entry whose step or rule is another than it says; the number of entries.
fn check(file: &str) -> usize {
    let entries = entries(&format!("bad/{file}.json"));
    for entry in &entries {
        let about = format!("{file}: {}, {}", entry["vector"], entry["test"]);
        let (step, rule) = match mutant(entry).verify() {
            Ok(()) => (Value::Null, Value::Null),
            Err(Error::MalformedKey { rule, .. }) => (1.into(), rule.into()),
            Err(Error::ProofRejected { step, .. }) => (step.into(), Value::Null),
            Err(other) => panic!("{about}: {other}"),
        };
        assert_eq!((&step, &rule), (&entry["reject"], &entry["rule"]), "{about}");
    }
    entries.len()
}

#[test]
fn bad_keys_are_refused_by_their_rule() {
    assert!(check("keys") > 100);
}

#[test]
fn bad_statements_are_refused_by_their_step() {
    assert!(check("statements") > 50);
}

#[test]
fn bad_proofs_are_refused_by_their_step() {
    assert!(check("proofs") > 1000);
}

/// One of them, of coefficients that no cell has, is harmless and accepted.
#[test]
fn lies_are_refused_by_their_step() {
    assert!(check("lies") > 40);
    let entries = entries("bad/lies.json").into_iter();
    let accepted: BTreeSet<String> =
        entries.filter(|entry| entry["reject"].is_null()).map(|entry| entry["test"].to_string()).collect();
    assert_eq!(accepted, BTreeSet::from(["\"high_coefficients\"".to_owned()]));
}

#[test]
fn keys_at_the_limits_are_read() {
    let entries = entries("parts/limits.json");
    assert!(entries.len() > 10);
    for entry in &entries {
        let key = Key::from_bytes(&mutant(entry).key).unwrap_or_else(|error| panic!("{}: {error}", entry["test"]));
        assert_eq!(key.digest[..], bytes(&entry["vkDigest"]), "{}", entry["test"]);
    }
}
