//! Writes small valid files of every format into `fuzz/corpus/TARGET`, to begin fuzzing with.

use std::error::Error;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampSecondArray, UInt64Array,
};
use image::{DynamicImage, ImageFormat};
use lookalike_fuzz::sample::{self, Variant};
use npyz::WriterBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use safetensors::{Dtype, tensor::TensorView};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

type Any<T> = Result<T, Box<dyn Error>>;

const ROWS: [[f32; 3]; 2] = [[1.0, -2.5, 0.5], [4.0, -7.5, 8.0]];
const COMPRESSIONS: [fn() -> Compression; 3] = [
    || Compression::UNCOMPRESSED,
    || Compression::SNAPPY,
    || Compression::ZSTD(ZstdLevel::default()),
];

fn main() -> Any<()> {
    filter()?;
    embeddings()?;
    manifest()?;
    images()?;
    attributes()
}

fn put(target: &str, name: &str, parts: &[&[u8]]) -> Any<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), parts.concat())?)
}

fn filter() -> Any<()> {
    for (i, text) in
        ["a=1", "\"taken on\" <= 2024-01-01", "b != 'it''s'", "c >= -1.5e3"].into_iter().enumerate()
    {
        put("filter", &format!("{i}"), &[text.as_bytes()])?;
    }
    Ok(())
}

fn embeddings() -> Any<()> {
    let flat = ROWS.as_flattened();
    let bytes: Vec<u8> = flat.iter().flat_map(|v| v.to_le_bytes()).collect();
    let npy = npy(flat)?;
    put("embeddings", "npy", &[&[0], &npy])?;
    for (name, method) in
        [("stored", CompressionMethod::Stored), ("deflated", CompressionMethod::Deflated)]
    {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("embedding.npy", SimpleFileOptions::default().compression_method(method))?;
        zip.write_all(&npy)?;
        put("embeddings", &format!("npz-{name}"), &[&[1], &zip.finish()?.into_inner()])?;
    }
    let prefixed: Vec<u8> =
        bytes.chunks(12).flat_map(|row| [&3_i32.to_le_bytes()[..], row].concat()).collect();
    put("embeddings", "fvecs", &[&[2], &prefixed])?;
    put("embeddings", "fbin", &[&[3], &2_u32.to_le_bytes(), &3_u32.to_le_bytes(), &bytes])?;
    let tensor = TensorView::new(Dtype::F32, vec![2, 3], &bytes)?;
    let tensors = safetensors::serialize([("embedding", tensor)], None)?;
    put("embeddings", "safetensors", &[&[4], &tensors])?;
    let mut lists = ListBuilder::new(Float32Builder::new());
    for row in ROWS {
        lists.values().append_slice(&row);
        lists.append(true);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    for (i, compression) in COMPRESSIONS.into_iter().enumerate() {
        let file = parquet(&[("embedding", lists.clone())], compression())?;
        put("embeddings", &format!("parquet-{i}"), &[&[5], &file])?;
    }
    put("embeddings", "json-arrays", &[&[6], b"[1, -2.5e0, 0.5]\n\n[4, null]\n[4, -7.5, 8]\n"])?;
    put(
        "embeddings",
        "json-objects",
        &[&[0x86], b"{\"a\": [1], \"embedding\": [1, 2]}\n{\"embedding\": []}\n"],
    )
}

fn npy(flat: &[f32]) -> Any<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let mut writer = npyz::WriteOptions::<f32>::new()
        .default_dtype()
        .shape(&[2, 3])
        .writer(&mut out)
        .begin_nd()?;
    writer.extend(flat.iter().copied())?;
    writer.finish()?;
    Ok(out.into_inner())
}

fn parquet(columns: &[(&str, ArrayRef)], compression: Compression) -> Any<Vec<u8>> {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned())?;
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(out)
}

fn manifest() -> Any<()> {
    put("manifest", "csv", &[&[0], sample::manifest(4).as_bytes()])?;
    let quoted = "row,subject,\"a \"\"b\"\"\"\n1,\"x\ny\",\n\n0,,z\n";
    put("manifest", "csv-quoted", &[&[0], quoted.as_bytes()])?;
    let json = r#"{"image": "a.jpg", "subject": null, "box_left": 1, "live": true, "age": 3, "score": 0.5, "taken": "2024-02-29"}
{"row": 1, "key": "k", "note": "\u00e9", "score": 1}
"#;
    put("manifest", "json", &[&[1], json.as_bytes()])?;
    let columns: [(&str, ArrayRef); 7] = [
        ("image", Arc::new(StringArray::from(vec!["a.jpg", "b.jpg"]))),
        ("row", Arc::new(UInt64Array::from(vec![1, 0]))),
        ("live", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("age", Arc::new(Int64Array::from(vec![Some(3), None]))),
        ("score", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
        ("taken", Arc::new(Date32Array::from(vec![19000, 20000]))),
        ("at", Arc::new(TimestampSecondArray::from(vec![0, 1_700_000_000]))),
    ];
    for (i, compression) in COMPRESSIONS.into_iter().enumerate() {
        let file = parquet(&columns[..if i == 0 { 7 } else { 3 }], compression())?;
        put("manifest", &format!("parquet-{i}"), &[&[2], &file])?;
    }
    Ok(())
}

fn images() -> Any<()> {
    let picture = DynamicImage::from(image::RgbImage::from_fn(24, 16, |x, y| {
        image::Rgb([(x * 10) as u8, (y * 15) as u8, (x * y) as u8])
    }));
    let clear = DynamicImage::from(picture.to_rgba8());
    let boxes: [[f32; 4]; 2] = [[f32::NAN; 4], [2.0, 3.0, 12.5, 11.0]];
    for (i, edges) in boxes.into_iter().enumerate() {
        let edges: Vec<u8> = edges.into_iter().flat_map(f32::to_le_bytes).collect();
        for (format, picture) in [
            (ImageFormat::Jpeg, &picture),
            (ImageFormat::Png, &clear),
            (ImageFormat::WebP, &clear),
            (ImageFormat::Gif, &clear),
            (ImageFormat::Bmp, &picture),
            (ImageFormat::Tiff, &clear),
        ] {
            let mut out = Cursor::new(Vec::new());
            picture.write_to(&mut out, format)?;
            let name = format!("{}-{i}", format.extensions_str()[0]);
            put("image", &name, &[&edges, out.get_ref()])?;
            if format == ImageFormat::Jpeg {
                let turned = turned(out.get_ref());
                put("image", &format!("turned-{i}"), &[&edges, &turned])?;
            }
        }
    }
    Ok(())
}

/// A JPEG with an EXIF segment that says it lies on its side.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat()
}

fn attributes() -> Any<()> {
    let gallery = sample::gallery(Variant::Scanned, sample::FEW);
    let bytes = fs::read(gallery.join("segments/0001/attributes.arrow"))?;
    put("attributes", "sample", &[&bytes])
}
