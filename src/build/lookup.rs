//! Sorted indexes made on disk: in come pairs in any order, out go the sections of a lookup.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::BuildError;
use crate::gallery::format::Section;
use crate::gallery::map::ScratchMapping;
use crate::gallery::write::BinaryWriter;

/// Pairs of a number to be found by and a place, in a file without a name that may outgrow memory.
pub(super) struct Pairs {
    out: BufWriter<File>,
    count: u64,
    sorted: bool,
    last: [u64; 2],
    scratch: PathBuf,
}

impl Pairs {
    pub(super) fn new(scratch: &Path) -> Result<Self, BuildError> {
        let file = tempfile::tempfile_in(scratch)
            .map_err(|source| BuildError::io("create a scratch file in", scratch, source))?;
        Ok(Self {
            out: BufWriter::new(file),
            count: 0,
            sorted: true,
            last: [0, 0],
            scratch: scratch.to_owned(),
        })
    }

    pub(super) fn push(&mut self, number: u64, place: u32) -> Result<(), BuildError> {
        let pair = [number, u64::from(place)];
        self.sorted &= self.last <= pair;
        self.last = pair;
        self.count += 1;
        self.out
            .write_all(bytemuck::cast_slice(&pair))
            .map_err(|source| BuildError::io("write a scratch file in", &self.scratch, source))
    }

    /// Writes the sorted numbers as one section (where asked for) and their places as another.
    pub(super) fn store(
        mut self,
        out: &mut BinaryWriter,
        numbers: Option<Section>,
        places: Section,
    ) -> Result<(), BuildError> {
        let failed = |source| BuildError::io("read a scratch file in", &self.scratch, source);
        self.out.flush().map_err(failed)?;
        // An empty file cannot be mapped.
        let mut map = None;
        if self.count > 0 {
            map = Some(ScratchMapping::of(self.out.get_ref()).map_err(failed)?);
        }
        let mut none = [];
        let pairs: &mut [[u64; 2]] = match &mut map {
            Some(map) => bytemuck::try_cast_slice_mut(map).unwrap_or(&mut none),
            None => &mut none,
        };
        if !self.sorted {
            pairs.sort_unstable();
        }
        if let Some(section) = numbers {
            out.section(section)?;
            for pair in pairs.iter() {
                out.write(&[pair[0]])?;
            }
        }
        out.section(places)?;
        for pair in pairs.iter() {
            out.write(&[pair[1] as u32])?;
        }
        Ok(())
    }
}

/// Numbers in the order they came, in a file without a name.
pub(super) struct Numbers {
    out: BufWriter<File>,
    scratch: PathBuf,
}

impl Numbers {
    pub(super) fn new(scratch: &Path) -> Result<Self, BuildError> {
        let file = tempfile::tempfile_in(scratch)
            .map_err(|source| BuildError::io("create a scratch file in", scratch, source))?;
        Ok(Self { out: BufWriter::new(file), scratch: scratch.to_owned() })
    }

    pub(super) fn push(&mut self, number: u64) -> Result<(), BuildError> {
        self.write(&number.to_le_bytes())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.out
            .write_all(bytes)
            .map_err(|source| BuildError::io("write a scratch file in", &self.scratch, source))
    }

    /// Writes them as a section.
    pub(super) fn store(
        mut self,
        out: &mut BinaryWriter,
        section: Section,
    ) -> Result<(), BuildError> {
        let failed = |source| BuildError::io("read a scratch file in", &self.scratch, source);
        out.section(section)?;
        self.out.flush().map_err(failed)?;
        let mut file = self.out.get_ref();
        file.rewind().map_err(failed)?;
        let mut buffer = vec![0_u8; 1 << 16];
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                return Ok(());
            }
            out.write(&buffer[..read])?;
        }
    }
}
