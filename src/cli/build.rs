//! `lookalike build`: a gallery from embeddings, a manifest and images.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lookalike::graph::GraphParams;
use lookalike::{Build, Builder, VectorType, gallery::IngestCounts};

use super::bars::Bars;
use super::{
    Failure, cancel_on_interrupt, grouped, parse_bytes, parse_model, parse_threads,
    refuse_two_stdin,
};

/// Build a gallery from embeddings, a manifest and images
///
/// The n-th line of the manifest goes with the n-th row of the embeddings, unless it has a column
/// `row`. What is refused of the input, or worth a look, is listed in GALLERY/rejects.csv. An
/// interrupted build leaves GALLERY.building: run the same build again to go on, or delete it (delete
/// it if images were changed meanwhile: that would not be noticed).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to make the gallery in
    gallery: PathBuf,
    /// File of embeddings: .npy, .npz, .fvecs, .fbin, .safetensors, .parquet, JSON lines; - for
    /// standard input
    #[arg(long, value_name = "FILE")]
    embeddings: PathBuf,
    /// Array, tensor, column or field of the embeddings' file
    #[arg(long, value_name = "NAME")]
    array: Option<String>,
    /// Table that says what each face is: CSV, JSON lines or Parquet; known columns are image,
    /// subject, source, key, box_left, box_top, box_right, box_bottom and row
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Folder that the manifest's image paths are relative to
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Reject faces whose image cannot be read, instead of enrolling them without a thumbnail
    #[arg(long)]
    require_images: bool,
    /// End with an error at the first rejected face
    #[arg(long)]
    strict: bool,
    /// Name of the face model; probes of another named model are refused
    #[arg(long, value_name = "NAME", value_parser = parse_model)]
    model: Option<String>,
    /// Bytes of a face's code: 64, 128, 192 or 256; more say more of a face and take more memory
    #[arg(long, value_name = "N", default_value_t = 64)]
    code_bytes: usize,
    /// How to store vectors
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = ["f32", "f16"])]
    vectors: String,
    /// Who builds the graph: lookalike itself, or the crate hnsw_rs; with none, searches scan
    #[arg(long, value_name = "BUILDER", default_value = "own", value_parser = ["own", "hnsw-rs", "none"])]
    builder: String,
    /// Memory to stay below beside the graph, such as 512M or 2G; at least 64M
    #[arg(long, value_name = "BYTES", default_value = "2G", value_parser = parse_bytes)]
    memory: u64,
    /// Threads; as many as there are cores unless given. Equal input gives equal bytes
    /// on any number; with --builder hnsw-rs, on 1
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<usize>,
    /// Seed of the graph: its levels, and the order in which it takes faces
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace the gallery that is there, once the new one is finished; where that one was
    /// calibrated, so is the new one
    #[arg(long)]
    replace: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    refuse_two_stdin(&[Some(&args.embeddings), args.manifest.as_deref()])?;
    let defaults = GraphParams::default();
    let graph = GraphParams::new(defaults.m(), defaults.ef_construction(), args.seed)
        .map_err(Failure::failed)?;
    let mut build = Build::new(&args.gallery, &args.embeddings)
        .require_images(args.require_images)
        .strict(args.strict)
        .vectors(if args.vectors == "f16" { VectorType::F16 } else { VectorType::F32 })
        .code_bytes(args.code_bytes)
        .builder(args.builder.parse::<Builder>().map_err(Failure::Usage)?)
        .graph(graph)
        .memory(args.memory)
        .replace(args.replace);
    if let Some(array) = &args.array {
        build = build.array(array);
    }
    if let Some(manifest) = &args.manifest {
        build = build.manifest(manifest);
    }
    if let Some(images) = &args.images {
        build = build.images(images);
    }
    if let Some(model) = &args.model {
        build = build.model(model);
    }
    if let Some(threads) = args.threads {
        build = build.threads(threads);
    }
    let counts = build.run(&Bars::default(), &cancel_on_interrupt())?;
    report(&args.gallery, &counts)
}

/// Says what became of the input.
fn report(gallery: &Path, counts: &IngestCounts) -> Result<(), Failure> {
    let mut out = io::stderr().lock();
    let mut say = |text: String| writeln!(out, "{text}").map_err(Failure::output);
    say(format!("{}: {} faces", gallery.display(), grouped(counts.enrolled)))?;
    let listed = [
        (counts.rejected, "rejected"),
        (counts.warned, "enrolled with a warning"),
        (counts.flagged, "enrolled, flagged: the photo or embedding was there already"),
    ];
    for (count, what) in listed.iter().filter(|(count, _)| *count > 0) {
        say(format!("  {} {what}", grouped(*count)))?;
    }
    if counts.unnamed > 0 {
        say(format!(
            "  {} rows not enrolled: no manifest line names them",
            grouped(counts.unnamed)
        ))?;
    }
    if listed.iter().any(|(count, _)| *count > 0) {
        say(format!("  see {}", gallery.join("rejects.csv").display()))?;
    }
    Ok(())
}
