//! Step 2: what Git declares. Files are read once for each content: what was read before is kept, on disk and, in a program
//! that goes on, in memory. What is rendered goes through its program first.

mod kept;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use trueup_core::facts::{Desired, Problem};
use trueup_kubernetes::manifest;

use crate::config::{ManifestPath, RenderSettings};
use crate::render::{self, Record, Rendered};
use crate::source::{self, CommitId, Found, Pinned, SourceFile};
use crate::state::StateFolder;
use kept::{Kept, Known};

/// Fewer files than this are not worth a thread.
const SHARE: usize = 64;

/// What Git declares for one target.
#[derive(Debug, Default)]
pub struct Declared {
    /// The objects.
    pub objects: Vec<Desired>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// What was rendered, path by path.
    pub rendered: Vec<Record>,
}

/// What was read before. Clones share it.
#[derive(Debug, Clone)]
pub struct Readings {
    programs: RenderSettings,
    /// Where private folders to render from come and go.
    workshop: PathBuf,
    kept: Arc<Mutex<Kept>>,
    renders: Arc<Mutex<Renders>>,
}

/// What the programs made, by commit and path.
type Renders = BTreeMap<(CommitId, ManifestPath), Arc<Rendered>>;

impl Readings {
    /// Those of this state folder. With `lasting`, they stay in memory for the next round, too.
    #[must_use]
    pub fn of(state: &StateFolder, programs: RenderSettings, lasting: Lasting) -> Self {
        let kept = Kept::at(state.path().join("cache").join("manifests"), lasting);
        let workshop = state.path().join("render");
        Self { programs, workshop, kept: Arc::new(Mutex::new(kept)), renders: Arc::default() }
    }
}

/// Whether there is a next round in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// One round, and the process ends.
    OneRound,
    /// Rounds follow each other.
    Rounds,
}

/// Reads what is declared under some paths at the pinned commit. Blocks.
#[must_use]
pub fn read(readings: &Readings, pinned: &Pinned, paths: &[ManifestPath]) -> Declared {
    let is_plain = |path: &&ManifestPath| path.rendering.is_none();
    let plain: Vec<String> = paths.iter().filter(is_plain).map(|path| path.path.clone()).collect();
    let mut declared = if plain.is_empty() { Declared::default() } else { read_files(readings, pinned, &plain) };
    for path in paths.iter().filter(|path| path.rendering.is_some()) {
        match render_path(readings, pinned, path) {
            Ok(rendered) => {
                declared.objects.extend(rendered.objects.iter().cloned());
                declared.problems.extend(rendered.problems.iter().cloned());
                declared.rendered.push(rendered.record.clone());
            }
            Err(problem) => declared.problems.push(problem),
        }
    }
    declared
}

/// One file's way to its objects.
enum Way<'a> {
    /// It is read.
    Parse(&'a SourceFile),
    /// It was read before.
    Restore(&'a str, Known<'a>),
}

fn read_files(readings: &Readings, pinned: &Pinned, paths: &[String]) -> Declared {
    let begun = Instant::now();
    let mut kept = readings.kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.begin();
    let (found, problems) = source::files_but(pinned, paths, &|blob| kept.size_of(blob));
    let ways: Vec<Way<'_>> = found.iter().filter_map(|found| way(found, &kept)).collect();
    let results = in_parallel(&ways, |way| walked(pinned, way));
    let parsed = results.iter().filter(|result| result.parsed).count();
    drop(ways);
    kept.parsed = parsed;
    let mut declared = Declared { problems, ..Declared::default() };
    let mut read = Vec::new();
    for (found, result) in found.iter().zip(results) {
        let (Found::Known { blob, .. } | Found::Read(SourceFile { blob, .. })) = found;
        if result.problems.is_empty() && kept.wants(blob, result.parsed) {
            read.push((blob.clone(), result.size, result.objects.clone()));
        }
        declared.objects.extend(result.objects);
        declared.problems.extend(result.problems);
    }
    kept.end(read);
    let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(files = found.len(), parsed, took_us, "manifests read");
    declared
}

fn way<'a>(found: &'a Found, kept: &'a Kept) -> Option<Way<'a>> {
    match found {
        Found::Known { path, blob } => kept.known(blob).map(|known| Way::Restore(path, known)),
        Found::Read(file) => Some(kept.known(&file.blob).map_or(Way::Parse(file), |known| Way::Restore(&file.path, known))),
    }
}

/// What came of one file.
struct Walked {
    objects: Vec<Desired>,
    problems: Vec<Problem>,
    size: usize,
    parsed: bool,
}

fn walked(pinned: &Pinned, way: &Way<'_>) -> Walked {
    let parse = |path: &str, bytes: &[u8]| {
        let (objects, problems) = manifest::read(path, bytes);
        Walked { objects, problems, size: bytes.len(), parsed: true }
    };
    match way {
        Way::Parse(file) => parse(&file.path, &file.bytes),
        Way::Restore(path, known) => match known.objects(path) {
            Some(objects) => Walked { objects, problems: Vec::new(), size: known.size(), parsed: false },
            // What was kept is of no use: the file itself is.
            None => match source::read(pinned, path) {
                Ok(bytes) => parse(path, &bytes.unwrap_or_default()),
                Err(error) => {
                    let problem = Problem::blind("unreadable-object", error.to_string(), None);
                    Walked { objects: Vec::new(), problems: vec![problem], size: 0, parsed: true }
                }
            },
        },
    }
}

/// The results in the order of the items, each made on one of as many threads as there are processors.
fn in_parallel<T: Sync, R: Send>(items: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(SHARE);
    if items.len() <= share {
        return items.iter().map(make).collect();
    }
    std::thread::scope(|scope| {
        let make = &make;
        let parts: Vec<_> =
            items.chunks(share).map(|part| scope.spawn(move || part.iter().map(make).collect::<Vec<R>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The same commit is rendered once.
fn render_path(readings: &Readings, pinned: &Pinned, path: &ManifestPath) -> Result<Arc<Rendered>, Problem> {
    let key = (pinned.commit.clone(), path.clone());
    let mut renders = readings.renders.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(rendered) = renders.get(&key).filter(|_| pinned.is_fixed()) {
        return Ok(Arc::clone(rendered));
    }
    let rendered = Arc::new(render::render(pinned, path, &readings.programs, &readings.workshop)?);
    if pinned.is_fixed() {
        renders.retain(|(commit, _), _| *commit == pinned.commit);
        renders.insert(key, Arc::clone(&rendered));
    }
    Ok(rendered)
}

#[cfg(test)]
mod tests;
