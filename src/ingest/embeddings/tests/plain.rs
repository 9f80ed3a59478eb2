//! `.fvecs`, `.fbin` and `.safetensors`.

use ::safetensors::Dtype;
use ::safetensors::tensor::TensorView;
use half::{bf16, f16};

use super::*;

pub(super) fn fvecs(rows: &[Vec<f32>]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        out.extend((row.len() as i32).to_le_bytes());
        out.extend(row.iter().flat_map(|v| v.to_le_bytes()));
    }
    out
}

pub(super) fn fbin(rows: &[Vec<f32>]) -> Vec<u8> {
    let mut out = (rows.len() as u32).to_le_bytes().to_vec();
    out.extend((rows[0].len() as u32).to_le_bytes());
    out.extend(rows.concat().iter().flat_map(|v| v.to_le_bytes()));
    out
}

pub(super) fn tensors(tensors: &[(&str, &[Vec<f32>], Dtype)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, rows, dtype)| {
            let numbers = rows.concat();
            let numbers = numbers.iter();
            match dtype {
                Dtype::F16 => numbers.flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
                Dtype::BF16 => numbers.flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
                Dtype::F32 | Dtype::I32 => numbers.flat_map(|v| v.to_le_bytes()).collect(),
                Dtype::F64 => numbers.flat_map(|&v| f64::from(v).to_le_bytes()).collect(),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, rows, dtype), bytes)| {
        let shape = vec![rows.len(), rows[0].len()];
        (*name, TensorView::new(*dtype, shape, bytes).unwrap())
    });
    ::safetensors::serialize(views, None).unwrap()
}

proptest! {
    #[test]
    fn plain_formats_read_back(rows in table()) {
        prop_assert_eq!(rows_of("a.fvecs", &fvecs(&rows), None), rows.clone());
        prop_assert_eq!(rows_of("a.fbin", &fbin(&rows), None), rows.clone());
    }

    #[test]
    fn safetensors_read_back(rows in table()) {
        for dtype in [Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64] {
            let bytes = tensors(&[("faces", &rows, dtype)]);
            prop_assert_eq!(rows_of("a.safetensors", &bytes, None), rows.clone());
        }
    }
}

#[test]
fn a_row_of_another_length_is_a_fault_of_that_row() {
    let mut bytes = fvecs(&small());
    bytes[12..16].copy_from_slice(&5_i32.to_le_bytes());
    bytes[24..28].copy_from_slice(&(-1_i32).to_le_bytes());
    let rows = read_all(&open("a.fvecs", &bytes, None).unwrap());
    assert_eq!(rows[0], Ok(vec![1.0, -2.5]));
    let other = RowFault::WrongDims { expected: 2, got: 5 };
    assert_eq!(rows[1], Err(other));
    assert!(matches!(rows[2], Err(RowFault::Unreadable { .. })));
}

#[test]
fn fbin_says_both_lengths() {
    let mut bytes = fbin(&small());
    bytes.pop();
    let fault = open("a.fbin", &bytes, None).unwrap_err();
    assert!(matches!(fault, EmbeddingsError::Length { expected: 32, got: 31, .. }));
    let empty = [0_u32.to_le_bytes(), 128_u32.to_le_bytes()].concat();
    let e = open("a.fbin", &empty, None).unwrap();
    assert_eq!((e.rows(), e.dims()), (0, 128));
    let huge = [u32::MAX.to_le_bytes(), 8192_u32.to_le_bytes()].concat();
    assert!(open("a.fbin", &huge, None).is_err());
}

#[test]
fn the_tensor_is_chosen_by_name() {
    let (rows, single) = (small(), vec![vec![9.0, 9.0]]);
    let two = tensors(&[("a", &rows, Dtype::F32), ("b", &single, Dtype::F32)]);
    assert_eq!(rows_of("a.safetensors", &two, Some("b")), single);
    assert!(matches!(
        open("a.safetensors", &two, None).unwrap_err(),
        EmbeddingsError::ManyArrays { names, .. } if names.len() == 2
    ));
    assert!(matches!(
        open("a.safetensors", &two, Some("c")).unwrap_err(),
        EmbeddingsError::NoSuchArray { .. }
    ));
    // A table of other numbers beside the only one of floats is in nobody's way.
    let ids = tensors(&[("a", &rows, Dtype::F32), ("ids", &single, Dtype::I32)]);
    assert_eq!(rows_of("a.safetensors", &ids, None), rows);
    let fault = open("a.safetensors", &ids, Some("ids")).unwrap_err();
    assert!(fault.to_string().contains("I32"), "{fault}");
}

#[test]
fn tensors_may_not_claim_what_is_not_there() {
    for header in [
        r#"{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1,1],"data_offsets":[4,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        assert!(open("a.safetensors", &bytes, None).is_err(), "{header}");
    }
    assert!(open("a.safetensors", &[0xff; 16], None).is_err());
}
