//! The contact sheet of a search, filled answer by answer.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use lookalike::Gallery;

use super::Failure;
use super::answers::{Answer, Found};
use super::page::Page;
use super::sheet::{Sheet, SheetHead, SheetMatch, SheetProbe};
use super::threshold::LeastSimilarity;

/// A contact sheet being written.
pub(crate) struct OpenSheet {
    sheet: Sheet<BufWriter<File>>,
    page: Page,
}

impl OpenSheet {
    pub(super) fn begin(
        path: &Path,
        head: &str,
        gallery: &Gallery,
        threshold: &LeastSimilarity,
    ) -> Result<Self, Failure> {
        let note = Some(head.to_owned());
        Self::create(path, "Contact sheet", gallery, threshold.similarity, note)
    }

    pub(crate) fn create(
        path: &Path,
        title: &str,
        gallery: &Gallery,
        threshold: Option<f32>,
        note: Option<String>,
    ) -> Result<Self, Failure> {
        let name = gallery.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let head = SheetHead {
            title: title.to_owned(),
            gallery: name,
            faces: gallery.len(),
            note,
            threshold,
        };
        let (page, out) = Page::create(path)?;
        let sheet = Sheet::begin(out, &head).map_err(|e| page.failed(e))?;
        Ok(Self { sheet, page })
    }

    pub(crate) fn add(&mut self, answer: Answer) -> Result<(), Failure> {
        let matches = answer
            .found
            .into_iter()
            .zip(answer.thumbnails)
            .map(|(Found { face, similarity, rank, subject_similarity }, thumbnail)| SheetMatch {
                rank,
                face_id: face.face_id.0,
                similarity,
                subject_similarity,
                subject: face.subject,
                source: face.source,
                image: (!face.image.is_empty()).then_some(face.image),
                thumbnail,
            })
            .collect();
        let probe = SheetProbe {
            name: answer.probe.name,
            caption: answer.probe.caption,
            thumbnail: answer.probe.thumbnail.as_deref(),
            more_thumbnails: &answer.probe.more_thumbnails,
            fused: answer.probe.rows.len(),
            error: answer.error,
            matches,
        };
        self.sheet.probe(&probe).map_err(|e| self.page.failed(e))
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        let out = self.sheet.finish().map_err(|e| self.page.failed(e))?;
        self.page.finish(out)
    }
}
