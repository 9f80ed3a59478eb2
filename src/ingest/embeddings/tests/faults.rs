//! Formats told apart, and names where there are none.

use super::numpy::{npy, npz};
use super::parquet::{floats, parquet, second_version};
use super::plain::{fbin, fvecs, tensors};
use super::*;

/// One small file of every format that its first bytes tell.
pub(super) fn telling() -> Vec<(&'static str, Vec<u8>)> {
    let rows = small();
    let array = npy(&rows, "<f4", npyz::Order::C);
    let stored = npz(&[("a", array.clone())], zip::CompressionMethod::Stored);
    let deflated = npz(&[("a", array.clone())], zip::CompressionMethod::Deflated);
    let columns = parquet(&[("v", floats(&rows))], ::parquet::basic::Compression::SNAPPY);
    vec![
        ("npy", array),
        ("npz", stored),
        ("npz", deflated),
        ("parquet", columns),
        ("parquet", second_version(&rows)),
        ("safetensors", tensors(&[("a", &rows, ::safetensors::Dtype::F32)])),
        ("JSON lines", b"\n [1,-2.5]\n[0.5,4]\n[-7.5,8]".to_vec()),
    ]
}

/// One small file of every format, with the ending that tells it.
pub(super) fn every() -> Vec<(&'static str, Vec<u8>)> {
    let mut files = telling();
    files.push(("fvecs", fvecs(&small())));
    files.push(("fbin", fbin(&small())));
    for (format, _) in &mut files {
        if *format == "JSON lines" {
            *format = "jsonl";
        }
    }
    files
}

#[test]
fn first_bytes_tell_the_format() {
    for (format, bytes) in telling() {
        for name in ["probe", "probe.dat"] {
            let e = open(name, &bytes, None).unwrap();
            assert_eq!(e.format(), format);
            let last = read_all(&e).pop().unwrap();
            assert_eq!(last, Ok(vec![-7.5, 8.0]), "{format}");
        }
    }
    for bytes in [&b""[..], b"hello", b"\0\0\0\0\0\0\0\0", &fvecs(&small())] {
        assert!(matches!(
            open("probe.dat", bytes, None).unwrap_err(),
            EmbeddingsError::UnknownFormat { .. }
        ));
    }
}

#[test]
fn endings_are_read_in_either_case() {
    assert_eq!(rows_of("A.FVECS", &fvecs(&small()), None), small());
}

#[test]
fn a_name_for_an_array_without_one_is_refused() {
    for (name, bytes) in [("a.fvecs", fvecs(&small())), ("a.fbin", fbin(&small()))] {
        assert!(matches!(
            open(name, &bytes, Some("x")).unwrap_err(),
            EmbeddingsError::Unnamed { .. }
        ));
    }
}

#[test]
fn what_is_no_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("none.npy")] {
        let fault = Embeddings::open(&path, None).unwrap_err();
        assert!(matches!(fault, EmbeddingsError::Read { .. }));
        assert!(fault.to_string().contains(path.to_str().unwrap()));
    }
}

#[test]
fn a_pipe_reads_like_a_file() {
    #[cfg(target_os = "linux")]
    for (_, bytes) in telling() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&bytes).unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let e = Embeddings::open(&path, None).unwrap();
        assert_eq!(read_all(&e).pop(), Some(Ok(vec![-7.5, 8.0])));
    }
}
