//! The sums over a statement against their definition, and the encodings of integers.

mod common;

use ark_ff::{PrimeField, Zero};
use common::field::F31;
use common::random::Random;
use common::vector;
use zkinfer_ashlar::Error;
use zkinfer_ashlar::mle::eq_table;
use zkinfer_ashlar::program::{Dim, Program, Table, TableKind, elements, positions};
use zkinfer_ashlar::statement::{
    Layout, check_input, decode_input, encode_input, encoding, extension, polynomial, position_powers,
};

fn shape(sizes: &[u32]) -> Vec<Dim> {
    sizes.iter().map(|size| Dim { size: *size, bits: (32 - (size - 1).leading_zeros()) as u8 }).collect()
}

fn bits(dims: &[Dim]) -> usize {
    dims.iter().map(|dim| usize::from(dim.bits)).sum()
}

fn power<F: PrimeField>(t: F, exponent: usize) -> F {
    t.pow([exponent as u64])
}

const SHAPES: [&[u32]; 8] = [&[3], &[1], &[3, 3], &[2, 3, 5], &[3, 1, 1], &[1, 1, 3], &[4, 4], &[5, 2, 1, 3]];

#[test]
fn horner_last_row() {
    let mut random = Random::new(1);
    for sizes in SHAPES {
        let dims = shape(sizes);
        let values: Vec<i64> = (0..elements(&dims)).map(|_| random.between(-9, 9)).collect();
        let t = random.scalar::<F31>();
        let expected: F31 =
            positions(&dims).iter().zip(&values).map(|(at, value)| power(t, *at) * F31::from(*value)).sum();
        assert_eq!(polynomial(&dims, &values, t), expected, "{sizes:?}");
    }
}

#[test]
fn extension_of_a_box_with_padding() {
    let mut random = Random::new(2);
    for sizes in SHAPES {
        let dims = shape(sizes);
        let values: Vec<i64> = (0..elements(&dims)).map(|_| random.between(-(1 << 59), 1 << 59)).collect();
        // tau has more coordinates than the box.
        let tau = random.point::<F31>(bits(&dims) + 2);
        let weights = eq_table(&tau[..bits(&dims)], 1 << bits(&dims));
        let expected: F31 =
            positions(&dims).iter().zip(&values).map(|(at, value)| weights[*at] * F31::from(*value)).sum();
        assert_eq!(extension(&dims, &values, &tau), expected, "{sizes:?}");
    }
}

#[test]
fn position_powers_on_all_and_on_valid_cells() {
    let mut random = Random::new(3);
    for sizes in SHAPES {
        let dims = shape(sizes);
        let (rho, t) = (random.point::<F31>(bits(&dims)), random.scalar::<F31>());
        let weights = eq_table(&rho, 1 << bits(&dims));
        let every: F31 = weights.iter().enumerate().map(|(at, weight)| *weight * power(t, at)).sum();
        let valid = positions(&dims).iter().fold(F31::zero(), |sum, at| sum + weights[*at] * power(t, *at));
        assert_eq!(position_powers(&dims, &rho, t), (every, valid), "{sizes:?}");
    }
}

/// The program of a vector whose input has a clamp of this kind and width.
fn with_input(kind: TableKind, b: u8) -> Program {
    let mut program = vector("mlp_public_1").loaded().program;
    program.tables[1] = Table { kind, b, k: b + 1, off: 0, f_off: 0 };
    program.input.table = 1;
    program
}

#[test]
fn width_of_inputs_is_the_least_that_holds_the_image() {
    let widths = [(0, 1, 1), (1, 1, 1), (7, 1, 1), (8, 1, 2), (9, 2, 2), (15, 2, 2)];
    for (b, unsigned, signed) in widths {
        assert_eq!(encoding(&with_input(TableKind::ClampU, b)), (unsigned, false), "CLAMP_U({b})");
        assert_eq!(encoding(&with_input(TableKind::ClampS, b)), (signed, true), "CLAMP_S({b})");
    }
}

#[test]
fn negative_public_input() {
    for (b, bytes) in [(3, vec![0xff, 0xf8]), (7, vec![0xff, 0x80]), (8, vec![0xff, 0xff, 0xff, 0x00])] {
        let program = with_input(TableKind::ClampS, b);
        let values = [-1, -(1 << b)];
        assert_eq!(encode_input(&program, &values), bytes, "CLAMP_S({b})");
        assert_eq!(decode_input(&program, &bytes), values, "CLAMP_S({b})");
    }
    let unsigned = with_input(TableKind::ClampU, 8);
    assert_eq!(decode_input(&unsigned, &[0xff, 0x80]), [255, 128]);
}

#[test]
fn check_input_names_the_element_out_of_range() {
    for (kind, low, high) in [(TableKind::ClampS, -8, 7), (TableKind::ClampU, 0, 7)] {
        let program = with_input(kind, 3);
        assert_eq!(check_input(&program, &[low, high, 0, 0, 0, 0]), Ok(()));
        for value in [low - 1, high + 1, i64::MIN, i64::MAX] {
            let input = [0, 0, value, 0, 0, value];
            assert_eq!(check_input(&program, &input), Err(Error::InputOutOfRange { index: 2, value }));
        }
        assert!(matches!(check_input(&program, &[0; 5]), Err(Error::Argument { .. })));
    }
}

#[test]
fn layout_of_each_mode() {
    let of = |name: &str| Layout::new(&vector(name).loaded().program);
    let layout = |visibility, input_width, inputs, outputs| Layout { visibility, input_width, inputs, outputs };
    assert_eq!(of("mlp_public_1"), layout(0, 1, 6, 3));
    assert_eq!(of("mlp_committed_1"), layout(1, 32, 1, 3));
    assert_eq!(of("mlp_private_1"), layout(2, 0, 0, 3));
    assert_eq!(of("wide_public_1"), layout(0, 1, 1, 32));
}
