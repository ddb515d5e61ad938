//! What was read of each blob: lines of a file in the state folder that grows at its end, and a map in memory.
//!
//! The file's first line names the reader; with another one the file begins anew. Each other line is a blob's id, the size
//! of its content, a digest of the rest, and the objects as JSON. A line that is not whole is no line.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use git2::Oid;
use trueup_core::facts::{Desired, Problem};
use trueup_core::seen::hex;
use trueup_core::shared::Shared;
use trueup_kubernetes::manifest::kept::{keep, reader, restore};

use super::{Lasting, Walked};
use crate::source::Trees;

/// A larger file begins anew.
const LARGEST: u64 = 256 << 20;

/// What was not wanted for this many readings is forgotten.
const FORGOTTEN: u64 = 32;

/// All that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    file: PathBuf,
    lasting: Lasting,
    /// As the file was when it was first needed.
    disk: Option<Disk>,
    /// By blob; of one content that stands in several files, each.
    memory: HashMap<Oid, Vec<Remembered>>,
    /// Folders that were read before.
    pub(super) trees: Trees,
    readings: u64,
    /// Lines to add to the file.
    lines: String,
}

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    /// The line of each blob, without its end.
    lines: HashMap<Oid, Range<usize>>,
}

/// What the file tells of one blob, if it is whole.
pub(super) struct Line<'a> {
    blob: &'a str,
    size: &'a str,
    told: &'a str,
    text: &'a str,
}

/// What one file declares.
#[derive(Debug)]
pub(super) struct Remembered {
    file: String,
    pub(super) size: usize,
    pub(super) objects: Vec<Shared<Desired>>,
    /// What is wrong with its objects.
    pub(super) notes: Vec<Problem>,
    wanted: u64,
}

/// What is known of one blob in one file.
pub(super) enum Known<'a> {
    /// It is in memory.
    Objects,
    /// It is in memory as another file's.
    Renamed(&'a Remembered),
    /// It is on disk.
    Text(Line<'a>),
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(line).ok()?.splitn(4, ' ');
        Some(Self { blob: parts.next()?, size: parts.next()?, told: parts.next()?, text: parts.next()? })
    }

    /// The size of the blob's content.
    pub(super) fn size(&self) -> Option<usize> {
        self.size.parse().ok()
    }

    /// The objects; `None` where the line is not as it was written.
    pub(super) fn objects(&self, file: &str) -> Option<Vec<Desired>> {
        let is_whole = digest(self.blob, self.size, self.text) == self.told;
        is_whole.then(|| restore(file, self.text.as_bytes())).flatten()
    }
}

impl Remembered {
    /// The objects as those of this file.
    pub(super) fn renamed(&self, file: &str) -> Vec<Desired> {
        let renamed = |object: &Shared<Desired>| {
            let mut object = Desired::clone(object);
            file.clone_into(&mut object.origin.file);
            object
        };
        self.objects.iter().map(renamed).collect()
    }
}

impl Kept {
    pub(super) fn at(file: PathBuf, lasting: Lasting) -> Self {
        let (memory, trees) = (HashMap::new(), Trees::default());
        Self { file, lasting, disk: None, memory, trees, readings: 0, lines: String::new() }
    }

    /// A reading begins. The folders that were read before are lent to it.
    pub(super) fn begin(&mut self) -> Trees {
        self.readings += 1;
        if self.readings == 1 {
            self.disk = Some(load(&self.file));
        }
        let mut trees = std::mem::take(&mut self.trees);
        trees.begin();
        trees
    }

    /// The size of a blob's content, if what it declares is known.
    pub(super) fn size_of(&self, blob: Oid) -> Option<usize> {
        let remembered = self.memory.get(&blob).and_then(|files| files.first()).map(|remembered| remembered.size);
        remembered.or_else(|| self.line_of(blob)?.size())
    }

    pub(super) fn known(&self, blob: Oid, file: &str) -> Option<Known<'_>> {
        match self.memory.get(&blob).map(Vec::as_slice) {
            Some(files) if files.iter().any(|remembered| remembered.file == file) => Some(Known::Objects),
            Some([other, ..]) => Some(Known::Renamed(other)),
            Some([]) | None => self.line_of(blob).map(Known::Text),
        }
    }

    fn line_of(&self, blob: Oid) -> Option<Line<'_>> {
        let disk = self.disk.as_ref()?;
        Line::read(disk.bytes.get(disk.lines.get(&blob)?.clone())?)
    }

    /// What is remembered of a file, which is wanted.
    pub(super) fn wanted(&mut self, blob: Option<Oid>, file: &str) -> Option<&Remembered> {
        let readings = self.readings;
        let remembered = self.memory.get_mut(&blob?)?.iter_mut().find(|remembered| remembered.file == file)?;
        remembered.wanted = readings;
        Some(remembered)
    }

    /// Keeps what a file declares.
    pub(super) fn keep(&mut self, blob: Option<Oid>, file: &str, walked: Walked) {
        let Some(blob) = blob else { return };
        // What was parsed had no line, or one that is not whole.
        if !self.memory.contains_key(&blob) && (walked.parsed || self.line_of(blob).is_none()) {
            self.lines.extend(line(blob, walked.size, &walked.objects));
        }
        if self.lasting == Lasting::Rounds {
            let Walked { objects, notes, size, .. } = walked;
            let remembered = Remembered { file: file.to_owned(), size, objects, notes, wanted: self.readings };
            self.memory.entry(blob).or_default().push(remembered);
        }
    }

    /// A reading ends: what is new in it goes to the file, and what was not wanted for long is forgotten.
    pub(super) fn end(&mut self) {
        // Without the file, everything is read anew: that is slow, and as true.
        if let Err(error) = append(&self.file, &std::mem::take(&mut self.lines)) {
            tracing::debug!(%error, file = %self.file.display(), "what was read is not kept");
        }
        let readings = self.readings;
        self.memory.retain(|_, files| {
            files.retain(|remembered| remembered.wanted + FORGOTTEN > readings);
            !files.is_empty()
        });
        self.disk = self.disk.take().filter(|disk| !disk.lines.keys().all(|blob| self.memory.contains_key(blob)));
    }
}

fn head() -> String {
    format!("trueup.manifests/v1 {}\n", reader())
}

fn digest(blob: &str, size: &str, text: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [blob, " ", size, " ", text] {
        context.update(part.as_bytes());
    }
    hex(&context.finish().as_ref()[..8])
}

fn line(blob: Oid, size: usize, objects: &[Shared<Desired>]) -> Option<String> {
    let text = keep(objects)?;
    Some(format!("{blob} {size} {} {text}\n", digest(&blob.to_string(), &size.to_string(), &text)))
}

fn load(file: &Path) -> Disk {
    let Ok(bytes) = fs::read(file) else { return Disk::default() };
    let head = head();
    if !bytes.starts_with(head.as_bytes()) {
        return Disk::default();
    }
    let mut lines = HashMap::new();
    let mut start = head.len();
    for line in bytes[start..].split_inclusive(|byte| *byte == b'\n') {
        // Whether it is whole is looked at where it is wanted, by many threads at once.
        let blob = line.split(|byte| *byte == b' ').next().and_then(|blob| std::str::from_utf8(blob).ok());
        if let Some((blob, whole)) = blob.and_then(|blob| Oid::from_str(blob).ok()).zip(line.strip_suffix(b"\n")) {
            lines.insert(blob, start..start + whole.len());
        }
        start += line.len();
    }
    Disk { bytes, lines }
}

/// Adds lines at the end of the file, in one write; a file of another reader, or one that has grown too large, begins anew.
fn append(file: &Path, lines: &str) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let head = head();
    if !goes_on(file, &head)? {
        let part = file.with_extension(format!("{}.part", std::process::id()));
        fs::write(&part, format!("{head}{lines}"))?;
        return fs::rename(part, file);
    }
    // A line that broke off ends here.
    File::options().append(true).open(file)?.write_all(format!("\n{lines}").as_bytes())
}

fn goes_on(file: &Path, head: &str) -> io::Result<bool> {
    use io::Read;
    let mut found = Vec::new();
    match File::open(file) {
        Ok(file) if file.metadata()?.len() > LARGEST => return Ok(false),
        Ok(file) => file.take(head.len() as u64).read_to_end(&mut found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(found == head.as_bytes())
}
