//! The step from vectors to the graph, and to what the finished gallery promises.
//!
//! In come the coded faces; out go `graph.bin` and a [`Promise`]. The faces that the promise is
//! measured with are linked last, after the walks were measured without them.

use std::collections::HashSet;

use hnsw_rs::anndists::dist::Distance;
use hnsw_rs::prelude::Hnsw;

use super::faces::Ingested;
use super::place::{Measured, Place};
use super::promise::{Measuring, Sample};
use super::{Build, BuildError, Builder, Coded, VectorFile};
use crate::gallery::codes::{CodeFile, CodesView};
use crate::gallery::format::FileKind;
use crate::gallery::segment::{BinaryFile, Vectors};
use crate::gallery::{GalleryError, GraphInfo};
use crate::graph::{self, Graph, GraphParams};
use crate::search::{FEW, Promise};
use crate::{Cancel, Gallery, Progress};

/// What is to be linked.
pub(super) struct LinkJob<'a> {
    builder: Builder,
    vectors: Vectors<'a>,
    dims: usize,
    codes: CodesView<'a>,
    /// The slot of each place.
    slots: &'a [u32],
    /// Slots of faces that are linked after all others.
    last: &'a HashSet<u32>,
    /// What to do with the graph of the others.
    pause: &'a mut dyn FnMut(Graph) -> Result<(), BuildError>,
}

impl LinkJob<'_> {
    /// Links the faces; `None` once cancelled.
    pub(super) fn link(
        self,
        params: &GraphParams,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Option<Graph>, BuildError> {
        let Self { builder, vectors, dims, codes, last, pause, .. } = self;
        match builder {
            Builder::HnswRs => {
                graph::hnsw_rs::build(vectors, dims, params, last, pause, progress, cancel)
            }
            _ => graph::own::build((vectors, dims), codes, params, last, pause, progress, cancel),
        }
    }

    /// Takes over an index that was made elsewhere, its data ids being places; `None` where it is
    /// not of these faces.
    pub(super) fn take_over<D: Distance<f32> + Send + Sync>(
        self,
        index: &Hnsw<'_, f32, D>,
        params: &GraphParams,
    ) -> Option<Graph> {
        let faces = self.vectors.faces(self.dims) as usize;
        let slot = |id: usize| self.slots.get(id).copied();
        graph::has_ids_to(index, faces).then(|| graph::export(index, faces, slot, params))
    }
}

/// The part of the memory that codes and graph may take while plans are measured.
const HOT_PART: u64 = 4;

/// The step, described.
pub(super) struct Linking<'a> {
    pub(super) build: &'a Build,
    pub(super) place: &'a Place,
    pub(super) ingested: Ingested,
    pub(super) coded: &'a Coded,
}

impl Linking<'_> {
    /// Links the faces and measures the gallery. `holds_out` says whether `link` can link some of
    /// them last.
    pub(super) fn run(
        &self,
        link: &dyn Fn(LinkJob<'_>) -> Result<Option<Graph>, BuildError>,
        holds_out: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Measured, BuildError> {
        let linked = self.build.builder != Builder::None;
        let measured = self.ingested.counts.enrolled > FEW as u64;
        let mut sample = None;
        if measured {
            let gallery = self.provisional(None)?;
            let mut drawn = Sample::draw(&gallery, self.build.params.seed(), holds_out)?;
            drawn.find_exact(&gallery, progress, cancel)?;
            sample = Some(drawn);
        }
        let mut measuring = sample
            .as_ref()
            .map(|sample| Measuring::new(sample, self.ingested.counts.enrolled, cancel));
        if let (Some(measuring), false) = (&mut measuring, linked) {
            measuring.run(&self.provisional(None)?, progress)?;
        }
        let mut info = None;
        if linked {
            let last = sample.as_ref().map(Sample::held_out).unwrap_or_default();
            let mut pause = |graph: Graph| {
                let info = self.store(graph, &last, progress, cancel)?;
                match &mut measuring {
                    Some(measuring) => measuring.run(&self.provisional(Some(info))?, progress),
                    None => Ok(()),
                }
            };
            let (file, dims) = (self.vectors()?, self.ingested.dims);
            let codes = self.codes()?;
            let (vectors, slots) = (file.vectors(), codes.slots());
            let job = LinkJob {
                builder: self.build.builder,
                vectors,
                dims,
                codes: codes.view(self.ingested.counts.enrolled as u32)?,
                slots,
                last: &last,
                pause: &mut pause,
            };
            let graph = match link(job)? {
                Some(graph) => graph,
                None if cancel.is_cancelled() => return Err(BuildError::Cancelled),
                None => {
                    return Err(BuildError::OtherIndex { faces: self.ingested.counts.enrolled });
                }
            };
            let stored = self.store(graph, &HashSet::new(), progress, cancel)?;
            if last.is_empty()
                && let Some(measuring) = &mut measuring
            {
                measuring.run(&self.provisional(Some(stored.clone()))?, progress)?;
            }
            info = Some(stored);
        }
        let promise: Option<Promise> = measuring.map(Measuring::promise);
        Ok(Measured { graph: info, promise })
    }

    /// The vectors by slot.
    fn vectors(&self) -> Result<VectorFile, BuildError> {
        let (segment, name) = (self.place.segment(), FileKind::Vectors.file_name());
        let file = VectorFile::open(&segment, name, self.build.vectors, self.ingested)?;
        file.read_scattered();
        Ok(file)
    }

    fn codes(&self) -> Result<CodeFile, BuildError> {
        let (faces, dims) = (self.ingested.counts.enrolled, self.ingested.dims);
        let file = BinaryFile::open(&self.place.segment(), FileKind::Codes, faces, dims)?;
        Ok(CodeFile::open(file, faces, dims)?)
    }

    /// The gallery as far as it is built; nobody else takes the folder for one.
    fn provisional(&self, graph: Option<GraphInfo>) -> Result<Gallery, BuildError> {
        let measured = Measured { graph, promise: None };
        let catalogue = self.build.catalogue(self.ingested, self.coded.clone(), measured);
        // Measuring is faster with codes and graph in memory, where that is a small part of it.
        let resident = self.hot_bytes()? <= self.build.memory / HOT_PART;
        Ok(Gallery::of(self.place.folder(), catalogue, resident)?)
    }

    /// Bytes of codes and graph.
    fn hot_bytes(&self) -> Result<u64, BuildError> {
        let mut bytes = 0;
        for kind in [FileKind::Codes, FileKind::Graph] {
            let path = self.place.segment().join(kind.file_name());
            match std::fs::metadata(&path) {
                Ok(file) => bytes += file.len(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(GalleryError::io("read", &path, error).into()),
            }
        }
        Ok(bytes)
    }

    /// Makes every face reachable, but for those left out, and writes the graph.
    fn store(
        &self,
        mut graph: Graph,
        left_out: &HashSet<u32>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<GraphInfo, BuildError> {
        let (segment, dims) = (self.place.segment(), self.ingested.dims);
        let file = self.vectors()?;
        if self.build.builder == Builder::Own {
            progress.begin("links", None);
            graph::lift(&mut graph, left_out, cancel).ok_or(BuildError::Cancelled)?;
            progress.end();
        }
        let reached = graph::link_in(&mut graph, left_out, file.vectors(), dims, progress, cancel)
            .ok_or(BuildError::Cancelled)?;
        graph::store(&graph, &segment, dims)?;
        let params = &self.build.params;
        Ok(GraphInfo {
            builder: self.build.builder.to_string(),
            m: params.m(),
            ef_construction: params.ef_construction(),
            seed: params.seed(),
            upper_layers: graph.upper.len(),
            unreachable_before: reached.before,
            unreachable_after: reached.after,
        })
    }
}
