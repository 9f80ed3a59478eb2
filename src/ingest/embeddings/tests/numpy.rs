//! `.npy` and `.npz`.

use std::io::{Cursor, Write};

use half::f16;
use npyz::{DType, NpyHeader, Order, TypeStr, WriterBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// The file that npyz writes of `rows` as `dtype`, in an order.
pub(super) fn npy(rows: &[Vec<f32>], dtype: &str, order: Order) -> Vec<u8> {
    let (n, d) = (rows.len(), rows.first().map_or(4, Vec::len));
    let flat: Vec<f32> = match order {
        Order::C => rows.concat(),
        Order::Fortran => (0..d).flat_map(|c| rows.iter().map(move |r| r[c])).collect(),
    };
    let mut out = Cursor::new(Vec::new());
    macro_rules! write {
        ($kind:ty, $from:expr) => {{
            let mut writer = npyz::WriteOptions::<$kind>::new()
                .dtype(DType::Plain(dtype.parse::<TypeStr>().unwrap()))
                .shape(&[n as u64, d as u64])
                .order(order)
                .writer(&mut out)
                .begin_nd()
                .unwrap();
            writer.extend(flat.into_iter().map($from)).unwrap();
            writer.finish().unwrap();
        }};
    }
    match &dtype[1..] {
        "f2" => write!(f16, f16::from_f32),
        "f4" => write!(f32, |v| v),
        "f8" => write!(f64, f64::from),
        "i4" => write!(i32, |v| v as i32),
        other => panic!("{other}"),
    }
    out.into_inner()
}

/// A file of `version` with `header` as its text.
fn by_hand(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    if version == 1 {
        out.extend((header.len() as u16).to_le_bytes());
    } else {
        out.extend((header.len() as u32).to_le_bytes());
    }
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

pub(super) fn npz(arrays: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

proptest! {
    #[test]
    fn npy_reads_back(
        rows in table(),
        dtype in prop::sample::select(vec!["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]),
        fortran: bool,
    ) {
        let order = if fortran { Order::Fortran } else { Order::C };
        let bytes = npy(&rows, dtype, order);
        prop_assert_eq!(rows_of("a.npy", &bytes, None), rows.clone());
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let archive = npz(&[("other", b"no array".to_vec()), ("faces", bytes.clone())], method);
            prop_assert_eq!(rows_of("a.npz", &archive, Some("faces")), rows.clone());
            prop_assert_eq!(rows_of("a.npz", &archive, Some("faces.npy")), rows.clone());
        }
    }
}

#[test]
fn every_version_reads_and_npyz_agrees() {
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n";
    for version in 1..=3 {
        let bytes = by_hand(version, header, &data);
        assert!(NpyHeader::from_reader(&bytes[..]).is_ok());
        assert_eq!(rows_of("a.npy", &bytes, None), [[1.0, 2.0], [3.0, 4.0]], "version {version}");
    }
}

#[test]
fn unusual_headers_read() {
    let data: Vec<u8> = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    for header in [
        "{'shape':(1,2),'fortran_order':False,'descr':'<f4'}",
        "{\"descr\": \"<f4\", \"fortran_order\": True, \"shape\": (1L, 2L,)}   \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
    ] {
        let bytes = by_hand(1, header, &data);
        assert_eq!(rows_of("a.npy", &bytes, None), [[1.0, 2.0]], "{header}");
    }
}

#[test]
fn no_rows_are_allowed() {
    let e = open("a.npy", &npy(&[], "<f4", Order::C), None).unwrap();
    assert_eq!((e.rows(), e.dims(), e.format()), (0, 4, "npy"));
}

#[test]
fn faults_of_headers_are_named() {
    let fault = |version, header: &str, data: &[u8]| {
        open("a.npy", &by_hand(version, header, data), None).unwrap_err()
    };
    let shaped =
        |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    assert!(matches!(
        fault(1, &shaped("(1, 2, 3)"), &[0; 24]),
        EmbeddingsError::Shape { got, .. } if got == [1, 2, 3]
    ));
    assert!(matches!(fault(1, &shaped("()"), &[0; 4]), EmbeddingsError::Shape { .. }));
    assert!(matches!(fault(1, &shaped("(5, 0)"), &[]), EmbeddingsError::Dims { got: 0, .. }));
    assert!(matches!(fault(1, &shaped("(1, 8193)"), &[]), EmbeddingsError::Dims { got: 8193, .. }));
    let long = fault(1, &shaped("(2, 2)"), &[0; 17]);
    assert!(matches!(
        long,
        EmbeddingsError::Length { expected, got, .. } if got == expected + 1
    ));
    for huge in ["(18446744073709551615, 8192)", "(4611686018427387904, 4)"] {
        for order in ["False", "True"] {
            let header = shaped(huge).replace("False", order);
            assert!(matches!(fault(1, &header, &[0; 16]), EmbeddingsError::Length { .. }));
        }
    }
    for bad in ["(99999999999999999999, 2)", "(-1, 2)", "[1, 2]", "(1, 2", "(1 2)"] {
        assert!(matches!(fault(2, &shaped(bad), &[]), EmbeddingsError::Header { .. }));
    }
    assert!(matches!(fault(4, &shaped("(1, 1)"), &[0; 4]), EmbeddingsError::Header { .. }));
    for (descr, named) in [
        ("'<i4'", "<i4"),
        ("'|O'", "|O"),
        ("'|f4'", "|f4"),
        ("''", "type ;"),
        ("[('a', '<f4'), ('b', '<f4', (2,))]", "('b', '<f4', (2,))"),
    ] {
        let header = shaped("(1, 1)").replace("'<f4'", descr);
        let fault = fault(1, &header, &[0; 4]);
        assert!(matches!(fault, EmbeddingsError::NotFloat { .. }), "{descr}");
        assert!(fault.to_string().contains(named), "{fault}");
    }
    let mut endless = by_hand(2, &shaped("(1, 1)"), &[]);
    endless[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(open("a.npy", &endless, None).is_err());
    assert!(open("a.npy", &by_hand(2, &"(".repeat(60_000), &[]), None).is_err());
}

#[test]
fn the_array_of_an_archive_is_chosen_by_name() {
    let bytes = npy(&small(), "<f4", Order::C);
    let method = CompressionMethod::Deflated;
    let one = npz(&[("only", bytes.clone())], method);
    assert_eq!(rows_of("a.npz", &one, None), small());
    let two = npz(&[("a", bytes.clone()), ("b", bytes)], method);
    let many = open("a.npz", &two, None).unwrap_err();
    assert!(many.to_string().ends_with("name one of them: a, b"), "{many}");
    assert!(matches!(
        open("a.npz", &two, Some("c")).unwrap_err(),
        EmbeddingsError::NoSuchArray { names, .. } if names == ["a", "b"]
    ));
    assert!(matches!(
        open("a.npz", &npz(&[], method), None).unwrap_err(),
        EmbeddingsError::NoArray { .. }
    ));
}

#[test]
fn archives_may_not_hold_more_or_less_than_the_header_says() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        for (len, more) in [(16_usize, 1_usize), (16, 1_000_000), (15, 0)] {
            let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n";
            let array = by_hand(1, header, &vec![0; len + more]);
            let fault = open("a.npz", &npz(&[("a", array)], method), None).unwrap_err();
            assert!(matches!(fault, EmbeddingsError::Length { .. }), "{fault}");
            assert!(fault.to_string().contains("a.npz[a]"), "{fault}");
        }
    }
}
