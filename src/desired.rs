//! Step 2: what Git declares. Files are read once for each content: what was read before is kept, on disk and, in a program
//! that goes on, in memory. What is rendered goes through its program first.

mod kept;
mod problems;
pub mod twice;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use git2::Oid;
use trueup_core::facts::{Desired, Problem};
use trueup_core::shared::Shared;
use trueup_kubernetes::manifest;

use crate::config::{ManifestPath, RenderSettings};
use crate::render::{self, Bench, Record, Rendered};
use crate::source::{self, CommitId, Found, Pinned, SourceFile};
use crate::state::StateFolder;
use kept::{Kept, Known, Line, Remembered};

/// Fewer files than this are not worth a thread.
const SHARE: usize = 64;

/// What Git declares for one target.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// The objects.
    pub objects: Vec<Shared<Desired>>,
    /// What could not be read, and what is wrong with what could.
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
    lasting: Lasting,
    kept: Arc<Mutex<Kept>>,
    renders: Arc<Mutex<Renders>>,
    wholes: Arc<Mutex<Wholes>>,
}

/// What the programs made, by commit and path.
type Renders = BTreeMap<(CommitId, ManifestPath), Arc<Rendered>>;

/// What was read of a whole tree, by the paths that were asked for.
type Wholes = BTreeMap<Vec<ManifestPath>, (Oid, Declared)>;

impl Readings {
    /// Those of this state folder. With `lasting`, they stay in memory for the next round, too.
    #[must_use]
    pub fn of(state: &StateFolder, programs: RenderSettings, lasting: Lasting) -> Self {
        let kept = Arc::new(Mutex::new(Kept::at(state.path().join("cache").join("manifests"), lasting)));
        let workshop = state.path().join("render");
        Self { programs, workshop, lasting, kept, renders: Arc::default(), wholes: Arc::default() }
    }
}

impl Readings {
    /// The files of a revision in a private folder, to render a path from again and again. Blocks.
    ///
    /// # Errors
    /// The problem that blinds the target.
    pub fn bench(&self, pinned: &Pinned, path: &ManifestPath) -> Result<Bench, Problem> {
        Bench::open(pinned, path, &self.programs, &self.workshop)
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
    let begun = Instant::now();
    let (declared, parsed) = read_or_recall(readings, pinned, paths);
    let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(objects = declared.objects.len(), parsed, took_us, "manifests read");
    declared
}

/// The objects that these files declare, and what is wrong with them.
#[must_use]
pub fn objects<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> (Vec<Desired>, Vec<Problem>) {
    let mut desired = Vec::new();
    let mut problems = Vec::new();
    for (path, bytes) in files {
        let (objects, found) = manifest::read(path, bytes);
        desired.extend(objects);
        problems.extend(found);
    }
    problems.extend(twice::declared_twice(&desired));
    problems.extend(problems::in_order(desired.iter().flat_map(problems::notes).collect()));
    (desired, problems)
}

/// What is declared, and how many files were parsed for it.
fn read_or_recall(readings: &Readings, pinned: &Pinned, paths: &[ManifestPath]) -> (Declared, usize) {
    let is_plain = |path: &&ManifestPath| path.rendering.is_none();
    let plain: Vec<String> = paths.iter().filter(is_plain).map(|path| path.path.clone()).collect();
    // What a program makes also depends on the program.
    let tree = pinned.tree().filter(|_| readings.lasting == Lasting::Rounds && plain.len() == paths.len());
    let mut wholes = readings.wholes.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(tree), Some((known, declared))) = (tree, wholes.get(paths))
        && tree == *known
    {
        return (declared.clone(), 0);
    }
    wholes.remove(paths);
    let mut notes = Vec::new();
    let (mut declared, parsed) =
        if plain.is_empty() { Default::default() } else { read_files(readings, pinned, &plain, &mut notes) };
    // A problem may name the commit: those are told anew.
    let is_whole = declared.problems.is_empty();
    for path in paths.iter().filter(|path| path.rendering.is_some()) {
        match render_path(readings, pinned, path) {
            Ok(rendered) => {
                notes.extend(rendered.objects.iter().flat_map(|object| problems::notes(object)));
                declared.objects.extend(rendered.objects.iter().cloned());
                declared.problems.extend(rendered.problems.iter().cloned());
                declared.rendered.push(rendered.record.clone());
            }
            Err(problem) => declared.problems.push(problem),
        }
    }
    declared.problems.extend(twice::declared_twice(&declared.objects));
    declared.problems.extend(problems::in_order(notes));
    if let (Some(tree), true) = (tree, is_whole) {
        wholes.insert(paths.to_vec(), (tree, declared.clone()));
    }
    (declared, parsed)
}

/// One file's way to its objects, where they are not in memory.
enum Way<'a> {
    /// It is read.
    Parse(&'a SourceFile),
    /// It was read before, as this text tells.
    Restore(&'a str, Line<'a>),
    /// It was read before, and nothing of that is left.
    Again(&'a str),
    /// A file with this content was read before, under another name.
    Rename(&'a str, &'a Remembered),
}

fn read_files(readings: &Readings, pinned: &Pinned, paths: &[String], notes: &mut Vec<Problem>) -> (Declared, usize) {
    let mut kept = readings.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut trees = kept.begin();
    let (found, problems) = source::files_but(pinned, paths, &|blob| kept.size_of(blob), &mut trees);
    kept.trees = trees;
    let ways: Vec<(usize, Way<'_>)> = found.iter().enumerate().filter_map(|(at, found)| Some((at, way(found, &kept)?))).collect();
    let results = in_parallel(&ways, |(at, way)| (*at, walked(pinned, way)));
    drop(ways);
    let parsed = results.iter().filter(|(_, result)| result.parsed).count();
    let mut results = results.into_iter().peekable();
    let mut declared = Declared { problems, ..Declared::default() };
    for (at, found) in found.iter().enumerate() {
        let (blob, path) = place(found);
        let Some((_, result)) = results.next_if(|(walked, _)| *walked == at) else {
            if let Some(known) = kept.wanted(blob, path) {
                declared.objects.extend(known.objects.iter().cloned());
                notes.extend(known.notes.iter().cloned());
            }
            continue;
        };
        declared.objects.extend(result.objects.iter().cloned());
        notes.extend(result.notes.iter().cloned());
        if result.problems.is_empty() {
            kept.keep(blob, path, result);
        } else {
            declared.problems.extend(result.problems);
        }
    }
    kept.end();
    (declared, parsed)
}

/// A file's blob, where it has one, and its path.
fn place(found: &Found) -> (Option<Oid>, &str) {
    match found {
        Found::Known { path, blob } => (Some(*blob), path),
        Found::Read(file) => (Oid::from_str(&file.blob).ok(), &file.path),
    }
}

/// `None` where the file's objects are in memory.
fn way<'a>(found: &'a Found, kept: &'a Kept) -> Option<Way<'a>> {
    let (blob, path) = place(found);
    let known = blob.and_then(|blob| kept.known(blob, path));
    match (known, found) {
        (Some(Known::Objects), _) => None,
        (Some(Known::Renamed(remembered)), _) => Some(Way::Rename(path, remembered)),
        (Some(Known::Text(line)), _) => Some(Way::Restore(path, line)),
        (None, Found::Read(file)) => Some(Way::Parse(file)),
        // Only what is known is found as known; it would be missing without a word.
        (None, Found::Known { path, .. }) => Some(Way::Again(path)),
    }
}

/// What came of one file.
struct Walked {
    objects: Vec<Shared<Desired>>,
    problems: Vec<Problem>,
    /// What is wrong with its objects.
    notes: Vec<Problem>,
    size: usize,
    parsed: bool,
}

impl Walked {
    fn of(objects: Vec<Desired>, problems: Vec<Problem>, size: usize) -> Self {
        let notes = objects.iter().flat_map(problems::notes).collect();
        Self { objects: objects.into_iter().map(Shared::from).collect(), problems, notes, size, parsed: false }
    }
}

fn walked(pinned: &Pinned, way: &Way<'_>) -> Walked {
    match way {
        Way::Parse(file) => parsed(&file.path, &file.bytes),
        Way::Rename(path, remembered) => Walked::of(remembered.renamed(path), Vec::new(), remembered.size),
        Way::Restore(path, line) => match line.objects(path).zip(line.size()) {
            Some((objects, size)) => Walked::of(objects, Vec::new(), size),
            // What was kept is of no use: the file itself is.
            None => read_again(pinned, path),
        },
        Way::Again(path) => read_again(pinned, path),
    }
}

fn parsed(path: &str, bytes: &[u8]) -> Walked {
    let (objects, problems) = manifest::read(path, bytes);
    Walked { parsed: true, ..Walked::of(objects, problems, bytes.len()) }
}

fn read_again(pinned: &Pinned, path: &str) -> Walked {
    match source::read(pinned, path) {
        Ok(bytes) => parsed(path, &bytes.unwrap_or_default()),
        Err(error) => {
            let problem = Problem::blind("unreadable-object", error.to_string(), None);
            Walked { parsed: true, ..Walked::of(Vec::new(), vec![problem], 0) }
        }
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
