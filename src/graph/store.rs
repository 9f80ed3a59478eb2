//! Writing a graph as a gallery's file.

use std::path::Path;

use super::Graph;
use crate::gallery::GalleryError;
use crate::gallery::format::{FileKind, Section};
use crate::gallery::write::BinaryWriter;

/// Writes `graph.bin` into a segment's folder.
pub(crate) fn store(graph: &Graph, folder: &Path, dims: usize) -> Result<(), GalleryError> {
    let path = folder.join(FileKind::Graph.file_name());
    let mut out = BinaryWriter::create(&path, FileKind::Graph)?;
    out.section(Section::GraphParams)?;
    out.write(&[graph.degree as u32, graph.upper_degree as u32, graph.entry, 0])?;
    out.section(Section::UpperSizes)?;
    let sizes: Vec<u32> = graph.upper.iter().map(|layer| layer.len() as u32).collect();
    out.write(&sizes)?;
    out.section(Section::UpperSlots)?;
    out.write(&graph.slots)?;
    out.section(Section::UpperDown)?;
    out.write(&graph.down)?;
    out.section(Section::UpperLinks)?;
    out.write(&graph.links)?;
    out.section(Section::Layer0)?;
    out.write(&graph.layer0)?;
    out.finish(graph.faces() as u64, dims)
}
