//! The vectors of `tests/vectors/ashlar`, shared with the other verifiers.
#![allow(dead_code)] // each test binary uses a part

pub mod encode;
pub mod field;
pub mod mutate;
pub mod networks;
pub mod programs;
pub mod random;
pub mod relation;
pub mod slow;

use std::path::PathBuf;
use std::sync::LazyLock;

use ark_bn254::Fr;
use serde_json::Value;
use zkinfer_ashlar::curve::field_from_bytes;
use zkinfer_ashlar::program::Key;
use zkinfer_ashlar::{Result, Statement, verify};

/// A vector that holds a good proof.
#[derive(Clone)]
pub struct Vector {
    pub name: String,
    pub key: Vec<u8>,
    pub context: Vec<u8>,
    pub inputs: Vec<u8>,
    pub outputs: Vec<i64>,
    pub proof: Vec<u8>,
    pub input: Vec<i64>,
    pub json: Value,
}

impl Vector {
    pub fn statement(&self) -> Statement<'_> {
        Statement { context: &self.context, inputs: &self.inputs, outputs: &self.outputs }
    }

    pub fn loaded(&self) -> Key {
        Key::from_bytes(&self.key).expect("the key of a vector is well formed")
    }

    pub fn verify(&self) -> Result<()> {
        verify(&Key::from_bytes(&self.key)?, &self.statement(), &self.proof)
    }
}

pub fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a string").trim_start_matches("0x");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

pub fn scalar(value: &Value) -> Fr {
    field_from_bytes(&bytes(value)).expect("below r")
}

pub fn scalars(value: &Value) -> Vec<Fr> {
    value.as_array().expect("a list").iter().map(scalar).collect()
}

/// Integers, as numbers or as decimal strings.
pub fn integers(value: &Value) -> Vec<i64> {
    let integer = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok()).expect("an integer");
    value.as_array().expect("a list").iter().map(integer).collect()
}

/// The vectors of ordinary programs: weights are not all zero, so that every lie and every change has an effect.
pub fn ordinary() -> Vec<Vector> {
    const NAMES: [&str; 4] = ["cnn", "mlp", "tall", "wide"];
    let all = vectors().into_iter();
    all.filter(|vector| NAMES.iter().any(|name| vector.name.starts_with(&format!("{name}_")))).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/ashlar")
}

/// The entries of a list beside the vectors, such as `bad/keys.json`.
pub fn entries(file: &str) -> Vec<Value> {
    let text = std::fs::read(folder().join(file)).expect("readable");
    serde_json::from_slice(&text).expect("a list")
}

/// Bytes with changes, each of which puts `insert` in the place of `remove` bytes at `at`.
pub fn changed(data: &[u8], changes: &Value) -> Vec<u8> {
    let mut changed = data.to_vec();
    for change in changes.as_array().into_iter().flatten() {
        let number = |field: &str| change[field].as_u64().expect("a number") as usize;
        let (at, remove) = (number("at"), number("remove"));
        changed.splice(at..at + remove, bytes(&change["insert"]));
    }
    changed
}

/// All vectors, sorted by name.
pub fn vectors() -> Vec<Vector> {
    let files = std::fs::read_dir(folder()).expect("the folder of the vectors");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let read = |path: &PathBuf| {
        let json: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        Vector {
            name: json["name"].as_str().expect("a name").to_owned(),
            key: bytes(&json["key"]),
            context: bytes(&json["context"]),
            inputs: bytes(&json["inputs"]),
            outputs: integers(&json["outputs"]),
            proof: bytes(&json["proof"]),
            input: integers(&json["input"]),
            json,
        }
    };
    let vectors: Vec<Vector> = paths.iter().map(read).filter(|vector| vector.json["profile"] == 1).collect();
    assert!(vectors.len() >= 8, "the vectors are there");
    vectors
}

/// The vector with this name.
pub fn vector(name: &str) -> Vector {
    static ALL: LazyLock<Vec<Vector>> = LazyLock::new(vectors);
    ALL.iter().find(|vector| vector.name == name).expect("a vector of this name").clone()
}
