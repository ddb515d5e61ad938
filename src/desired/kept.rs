//! What was read of each blob: lines of a file in the state folder that grows at its end, and a map in memory.
//!
//! The file's first line names the reader; with another one the file begins anew. Each other line is a blob's id, the size
//! of its content, a digest of the rest, and the objects as JSON. A line that is not whole is no line.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trueup_core::facts::Desired;
use trueup_core::seen::hex;
use trueup_kubernetes::manifest::kept::{keep, reader, restore};

use super::Lasting;

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
    memory: HashMap<String, Remembered>,
    readings: u64,
    /// How many files the last reading parsed.
    pub(super) parsed: usize,
}

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    lines: HashMap<String, Line>,
}

#[derive(Debug, Clone)]
struct Line {
    size: usize,
    text: Range<usize>,
}

#[derive(Debug)]
struct Remembered {
    size: usize,
    objects: Arc<Vec<Desired>>,
    wanted: u64,
}

/// What is kept of one blob.
pub(super) enum Known<'a> {
    Text(usize, &'a [u8]),
    Objects(usize, &'a Arc<Vec<Desired>>),
}

impl Known<'_> {
    pub(super) fn size(&self) -> usize {
        let (Self::Text(size, _) | Self::Objects(size, _)) = self;
        *size
    }

    /// The objects as those of this file.
    pub(super) fn objects(&self, file: &str) -> Option<Vec<Desired>> {
        match self {
            Self::Text(_, text) => restore(file, text),
            Self::Objects(_, objects) => {
                let mut objects = objects.to_vec();
                for object in objects.iter_mut().filter(|object| object.origin.file != file) {
                    file.clone_into(&mut object.origin.file);
                }
                Some(objects)
            }
        }
    }
}

impl Kept {
    pub(super) fn at(file: PathBuf, lasting: Lasting) -> Self {
        Self { file, lasting, disk: None, memory: HashMap::new(), readings: 0, parsed: 0 }
    }

    /// A reading begins.
    pub(super) fn begin(&mut self) {
        self.readings += 1;
        if self.readings == 1 {
            self.disk = Some(load(&self.file));
        }
    }

    /// The size of a blob's content, if what it declares is known.
    pub(super) fn size_of(&self, blob: &str) -> Option<usize> {
        self.known(blob).map(|known| known.size())
    }

    pub(super) fn known(&self, blob: &str) -> Option<Known<'_>> {
        if let Some(remembered) = self.memory.get(blob) {
            return Some(Known::Objects(remembered.size, &remembered.objects));
        }
        let disk = self.disk.as_ref()?;
        let line = disk.lines.get(blob)?;
        Some(Known::Text(line.size, disk.bytes.get(line.text.clone())?))
    }

    /// Whether [`Kept::end`] is to be told of this blob.
    pub(super) fn wants(&mut self, blob: &str, parsed: bool) -> bool {
        if let Some(remembered) = self.memory.get_mut(blob) {
            remembered.wanted = self.readings;
            return parsed;
        }
        parsed || self.lasting == Lasting::Rounds
    }

    /// A reading ends, with these blobs, the sizes of their content and what they declare.
    pub(super) fn end(&mut self, read: Vec<(String, usize, Vec<Desired>)>) {
        let new = read.iter().filter(|(blob, ..)| self.known(blob).is_none());
        let lines: String = new.filter_map(|(blob, size, objects)| line(blob, *size, objects)).collect();
        // Without the file, everything is read anew: that is slow, and as true.
        if let Err(error) = append(&self.file, &lines) {
            tracing::debug!(%error, file = %self.file.display(), "what was read is not kept");
        }
        if self.lasting == Lasting::OneRound {
            return;
        }
        let wanted = self.readings;
        self.memory.retain(|_, remembered| remembered.wanted + FORGOTTEN > wanted);
        for (blob, size, objects) in read {
            self.memory.insert(blob, Remembered { size, objects: Arc::new(objects), wanted });
        }
        self.disk = self.disk.take().filter(|disk| !disk.lines.keys().all(|blob| self.memory.contains_key(blob)));
    }
}

fn head() -> String {
    format!("trueup.manifests/v1 {}\n", reader())
}

fn digest(blob: &str, size: &str, text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{blob} {size} {text}").as_bytes());
    hex(&digest.as_ref()[..8])
}

fn line(blob: &str, size: usize, objects: &[Desired]) -> Option<String> {
    let text = keep(objects)?;
    Some(format!("{blob} {size} {} {text}\n", digest(blob, &size.to_string(), &text)))
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
        let whole = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        if let Some((blob, size, text)) = whole.and_then(checked) {
            let end = start + line.len() - 1;
            lines.insert(blob.to_owned(), Line { size, text: end - text.len()..end });
        }
        start += line.len();
    }
    Disk { bytes, lines }
}

/// Blob, size and text of a whole line.
fn checked(line: &str) -> Option<(&str, usize, &str)> {
    let mut parts = line.splitn(4, ' ');
    let (blob, size, told, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (digest(blob, size, text) == told).then_some((blob, size.parse().ok()?, text))
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
