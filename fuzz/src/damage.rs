//! Changes to a gallery's files that get past its checksums.
//!
//! Without making checksums right again, a fuzzer would meet nothing but "the checksum does not
//! match": the header's checksum of a changed binary file is always renewed, and that of
//! `gallery.json`; the checksums in `gallery.json` itself are where [`Damage::resealed`] asks.

use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use lookalike::gallery::format::{HEADER_BLOCK, MAGIC};
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

/// Where a binary file's header keeps its length and its checksum, and where its table begins.
const AT_LENGTH: usize = 16;
const AT_CHECKSUM: usize = 56;
const AT_TABLE: usize = 64;
/// Bytes at the beginning of a header that hold anything.
const USED_HEADER: usize = 384;

const CATALOGUE: &str = "gallery.json";
const CHECKSUM: &str = "gallery.json.b3";

/// What is done to a gallery.
#[derive(Arbitrary, Debug)]
pub struct Damage<'a> {
    changes: Vec<Change<'a>>,
    /// Whether the header's length of a file follows the file's.
    lengths_follow: bool,
    /// Whether `gallery.json` vouches for the changed files, so that all but their content fits.
    resealed: bool,
}

/// One change; files are counted around, places in them too.
#[derive(Arbitrary, Debug)]
struct Change<'a> {
    file: u8,
    at: u16,
    what: What<'a>,
}

#[derive(Arbitrary, Debug)]
enum What<'a> {
    Byte(u8),
    Short(u32),
    Long(u64),
    /// Adds to the number that is there.
    More(i8),
    Bytes(&'a [u8]),
    Cut,
    Grow(u16),
    Replace(&'a [u8]),
    Remove,
}

/// A gallery that is damaged and mended again and again.
pub struct Patient {
    pub folder: PathBuf,
    sound: Vec<(PathBuf, Vec<u8>)>,
}

impl Patient {
    pub fn new(folder: PathBuf) -> Self {
        let sound = crate::sample::files(&folder);
        Self { folder, sound }
    }

    /// Shows the damaged gallery to `examine`, told whether `verify` must find a fault.
    pub fn examine(&self, damage: &Damage<'_>, examine: impl FnOnce(&Path, bool)) {
        let mut files: Vec<Option<Vec<u8>>> =
            self.sound.iter().map(|(_, bytes)| Some(bytes.clone())).collect();
        for change in &damage.changes {
            let at = change.file as usize % files.len();
            change.apply(&mut files[at]);
        }
        for ((path, sound), bytes) in self.sound.iter().zip(&mut files) {
            let Some(bytes) = bytes.as_mut().filter(|bytes| *bytes != sound) else { continue };
            if path.extension().is_some_and(|e| e == "bin") {
                mend_header(bytes, damage.lengths_follow);
            }
        }
        let changed = |i: &usize| files[*i].as_ref() != Some(&self.sound[*i].1);
        let must_be_found = !damage.resealed
            && (0..files.len()).any(|i| changed(&i))
            && ![CATALOGUE, CHECKSUM].into_iter().any(|name| changed(&self.place(name)));
        self.mend_catalogue(&mut files, damage.resealed);

        let changed: Vec<usize> =
            (0..files.len()).filter(|&i| files[i].as_ref() != Some(&self.sound[i].1)).collect();
        for &i in &changed {
            let path = self.folder.join(&self.sound[i].0);
            match &files[i] {
                Some(bytes) => fs::write(path, bytes).expect("a changed file"),
                None => fs::remove_file(path).expect("a removed file"),
            }
        }
        examine(&self.folder, must_be_found);
        for i in changed {
            let (path, bytes) = &self.sound[i];
            fs::write(self.folder.join(path), bytes).expect("a mended file");
        }
    }

    fn place(&self, name: &str) -> usize {
        self.sound.iter().position(|(path, _)| path == Path::new(name)).expect("a gallery's file")
    }

    fn mend_catalogue(&self, files: &mut [Option<Vec<u8>>], reseal: bool) {
        let (json, checksum) = (self.place(CATALOGUE), self.place(CHECKSUM));
        if reseal && let Some(bytes) = &files[json] {
            if let Ok(mut catalogue) = serde_json::from_slice::<Value>(bytes) {
                self.seal(&mut catalogue, files);
                files[json] = Some(serde_json::to_vec(&catalogue).expect("JSON"));
            }
        }
        if let Some(bytes) = &files[json]
            && *bytes != self.sound[json].1
            && files[checksum].as_ref() == Some(&self.sound[checksum].1)
        {
            let line = format!("{}  {CATALOGUE}\n", blake3::hash(bytes).to_hex());
            files[checksum] = Some(line.into_bytes());
        }
    }

    /// Gives every file that `gallery.json` lists the length and the hash it has.
    fn seal(&self, catalogue: &mut Value, files: &[Option<Vec<u8>>]) {
        let seal = |list: Option<&mut Value>, folder: &Path| {
            let list = list.and_then(Value::as_array_mut).into_iter().flatten();
            for info in list.filter_map(Value::as_object_mut) {
                let path = folder.join(info.get("name").and_then(Value::as_str).unwrap_or(""));
                let at = self.sound.iter().position(|(found, _)| *found == path);
                if let Some(bytes) = at.and_then(|at| files[at].as_ref()) {
                    info.insert("bytes".into(), bytes.len().into());
                    info.insert("blake3".into(), blake3::hash(bytes).to_hex().as_str().into());
                }
            }
        };
        seal(catalogue.get_mut("files"), Path::new(""));
        let segments = catalogue.get_mut("segments").and_then(Value::as_array_mut);
        for segment in segments.into_iter().flatten() {
            seal(segment.get_mut("files"), Path::new("segments/0001"));
        }
    }
}

impl Change<'_> {
    fn apply(&self, file: &mut Option<Vec<u8>>) {
        if let What::Replace(new) = self.what {
            *file = Some(new.to_vec());
            return;
        }
        if let What::Remove = self.what {
            *file = None;
            return;
        }
        let Some(bytes) = file.as_mut().filter(|bytes| !bytes.is_empty()) else { return };
        let at = self.at(bytes);
        let word = at & !3;
        match self.what {
            What::Byte(byte) => bytes[at] = byte,
            What::Short(number) => put(bytes, word, &number.to_le_bytes()),
            What::Long(number) => put(bytes, at & !7, &number.to_le_bytes()),
            What::More(more) => {
                if let Some(found) = bytes.get_mut(word..).and_then(|b| b.first_chunk_mut()) {
                    let number = u32::from_le_bytes(*found).wrapping_add_signed(more.into());
                    *found = number.to_le_bytes();
                }
            }
            What::Bytes(new) => put(bytes, at, new),
            What::Cut => bytes.truncate(at),
            What::Grow(by) => bytes.resize(bytes.len() + usize::from(by), 0),
            What::Replace(_) | What::Remove => {}
        }
    }

    /// A place in the file: a quarter of all in what a header uses, if it has one.
    fn at(&self, bytes: &[u8]) -> usize {
        let at = usize::from(self.at);
        if !bytes.starts_with(&MAGIC) || bytes.len() <= HEADER_BLOCK {
            at % bytes.len()
        } else if at < 0x4000 {
            at % USED_HEADER
        } else {
            HEADER_BLOCK + (at - 0x4000) % (bytes.len() - HEADER_BLOCK)
        }
    }
}

/// Writes as much of `new` as fits from `at` on.
fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    let end = bytes.len().min(at + new.len());
    bytes[at..end].copy_from_slice(&new[..end - at]);
}

fn mend_header(bytes: &mut [u8], lengths_follow: bool) {
    if bytes.len() < HEADER_BLOCK {
        return;
    }
    if lengths_follow {
        let length = bytes.len() as u64;
        put(bytes, AT_LENGTH, &length.to_le_bytes());
    }
    let mut hash = Xxh3::new();
    hash.update(&bytes[..AT_CHECKSUM]);
    hash.update(&bytes[AT_TABLE..HEADER_BLOCK]);
    let checksum = hash.digest().to_le_bytes();
    put(bytes, AT_CHECKSUM, &checksum);
}
