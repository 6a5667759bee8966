//! Parsers: whatever the bytes are, there is an answer and no panic.

mod common;

use std::sync::LazyLock;

use common::encode::code;
use common::{Vector, vectors};
use proptest::prelude::*;
use zkinfer_ashlar::group::Bn254;
use zkinfer_ashlar::program::{Key, Program};
use zkinfer_ashlar::proof::Proof;
use zkinfer_ashlar::shape::Shape;
use zkinfer_ashlar::statement::Layout;
use zkinfer_ashlar::{Statement, verify};

static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(vectors);

/// What a verifier does with a key that it could read, up to the first refusal.
fn exercise(program: &Program) {
    let shape = Shape::new(program);
    assert!(shape.nb <= 28 && shape.rounds_a <= 24);
    let layout = Layout::new(program);
    // Only programs whose statement is small: a verifier checks lengths before it looks at the statement.
    if layout.outputs > 1 << 16 || layout.inputs > 1 << 16 {
        return;
    }
    let key = Key { program: program.clone(), ..VECTORS[0].loaded() };
    let (inputs, outputs) = (vec![1; layout.inputs * layout.input_width], vec![1; layout.outputs]);
    let statement = Statement { context: &[7; 32], inputs: &inputs, outputs: &outputs };
    assert!(verify(&key, &statement, &vec![0; 32 * shape.proof_words()]).is_err());
}

/// Bytes of a vector's code with some of them replaced.
fn changed_code() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), 0u8..9, Just(255)]);
    (0..VECTORS.len(), prop::collection::vec(change, 1..4)).prop_map(|(at, changes)| {
        let mut bytes = code(&VECTORS[at].loaded().program);
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn key_from_random_bytes_has_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Key::from_bytes(&bytes).is_err());
        prop_assert!(Program::from_code(&bytes).is_err());
    }

    #[test]
    fn program_with_random_records_has_an_answer(records in prop::collection::vec(any::<u8>(), 0..20 * 32), at in 0usize..8) {
        let mut bytes = VECTORS[at].key[..32].to_vec();
        bytes.extend(records);
        bytes.truncate(bytes.len() / 32 * 32);
        let words = (bytes.len() / 32 - 1) as u16;
        bytes[30..32].copy_from_slice(&words.to_be_bytes());
        if let Ok(program) = Program::from_code(&bytes) {
            exercise(&program);
        }
    }

    #[test]
    fn changed_program_is_refused_or_usable(bytes in changed_code()) {
        if let Ok(program) = Program::from_code(&bytes) {
            prop_assert_eq!(code(&program), bytes, "one byte string for one program");
            exercise(&program);
        }
    }

    #[test]
    fn proof_from_random_bytes_has_an_answer(words in prop::collection::vec(any::<[u8; 32]>(), 0..90), at in 0usize..8) {
        let shape = Shape::new(&VECTORS[at].loaded().program);
        let mut bytes = words.concat();
        let read = Proof::<Bn254>::from_bytes(&shape, &bytes);
        prop_assert!(read.is_err());
        bytes.resize(32 * shape.proof_words(), 0);
        let _ = Proof::<Bn254>::from_bytes(&shape, &bytes);
    }
}
