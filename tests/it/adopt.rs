//! Adoption on real manifests: generated drifts in every file of the corpus, each edit judged by kubectl's reading of the file
//! before and after it.
//!
//! `TRUEUP_ADOPTED=all` does so in all files; else it is some of them, which `TRUEUP_SEED` says.

mod drifts;
mod oracle;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use trueup::review::{Adopted, Adoption, adopt};
use trueup_core::facts::Desired;
use trueup_core::path::Path;
use trueup_kubernetes::manifest;

use drifts::{Draw, Kind, Planted};

/// Larger files get fewer drifts: each edit reads its file several times.
const LARGE: usize = 30_000;

/// Files of a run that is not told to take them all.
const SAMPLE: usize = 60;

/// One file of the corpus.
struct Source {
    path: PathBuf,
    text: String,
    objects: Vec<Desired>,
    broken: bool,
}

/// A file after an edit, and what its objects then are.
struct After {
    source: usize,
    text: String,
    objects: Vec<Value>,
}

/// What came of one kind of drift.
#[derive(Default)]
struct Row {
    tried: u32,
    exact: u32,
    refused: BTreeMap<String, (u32, String)>,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<Kind, Row>,
    comments_named: usize,
    afters: Vec<After>,
    files: usize,
}

#[test]
fn drifts_in_real_manifests_are_adopted_exactly_or_refused() {
    let Some(kubectl) = crate::deploy::kubectl() else { return };
    let Some(corpus) = std::env::var_os("TRUEUP_CORPUS").map(PathBuf::from) else {
        return crate::deploy::did_not_run("`TRUEUP_CORPUS` names no folder of real manifests");
    };
    let files = files(&corpus.join("manifests"));
    assert!(files.len() >= 340, "the corpus has 340 files, not {}", files.len());
    let sources: Vec<Source> = sample(files).into_iter().filter_map(Source::read).collect();
    let mut table = Table::default();
    for (index, source) in sources.iter().enumerate() {
        one_file(&mut table, index, source);
    }
    let judged = oracle::judge(&kubectl, &sources, &table.afters);
    table.print(&sources, judged);
    let with_objects = sources.iter().filter(|source| !source.objects.is_empty()).count();
    assert!(
        table.files * 4 >= with_objects * 3,
        "of {with_objects} files with objects, drifts were planted in {} only",
        table.files
    );
    let (tried, exact) = table.sums();
    assert!(exact * 5 >= tried * 4, "{} of {tried} drifts are refused: more than one in five", tried - exact);
}

/// All YAML files below a folder, in order.
fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if path.is_dir() {
            found.extend(files(&path));
        } else if is_yaml {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Those of this run, in order.
fn sample(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    if std::env::var("TRUEUP_ADOPTED").as_deref() == Ok("all") {
        return files;
    }
    let seed = std::env::var("TRUEUP_SEED").unwrap_or_default();
    files.sort_by_cached_key(|file| Draw::of(&file.to_string_lossy(), &seed).next());
    files.truncate(SAMPLE);
    files.sort();
    files
}

impl Source {
    /// `None` where the file is not UTF-8, which no edit is made of.
    fn read(path: PathBuf) -> Option<Self> {
        let text = String::from_utf8(std::fs::read(&path).unwrap()).ok()?;
        let (objects, problems) = manifest::read(&path.to_string_lossy(), text.as_bytes());
        Some(Self { path, text, objects, broken: !problems.is_empty() })
    }
}

/// Each drift alone, then all that could be adopted in one edit of the file.
fn one_file(table: &mut Table, index: usize, source: &Source) {
    let mut draw = Draw::of(&source.path.to_string_lossy(), &source.text);
    let objects = source.objects.len().min(if source.text.len() > LARGE { 1 } else { 3 });
    let mut together: Vec<Planted> = Vec::new();
    let mut planted_any = false;
    for object in 0..objects {
        let kinds = if source.text.len() > LARGE { &Kind::ALL[..1] } else { &Kind::ALL[..] };
        for kind in kinds.iter().copied() {
            let Some(planted) = drifts::plant(&source.objects, object, kind, &mut draw) else { continue };
            planted_any = true;
            let row = table.rows.entry(kind).or_default();
            row.tried += 1;
            match adopt_all(source, &[&planted]) {
                Ok(adopted) => {
                    row.exact += 1;
                    assert_lawful(source, &planted, &adopted);
                    table.comments_named += adopted.comments.len();
                    table.afters.push(after(index, source, &[&planted], adopted));
                    if together.iter().all(|other| !other.touches(&planted)) {
                        together.push(planted);
                    }
                }
                Err(reason) => {
                    let kind = reason.split('`').step_by(2).collect::<Vec<_>>().join("…");
                    let first = format!("{} {}", source.objects[object].origin, planted.drift.path);
                    row.refused.entry(kind).or_insert((0, first)).0 += 1;
                }
            }
        }
    }
    table.files += usize::from(planted_any);
    if together.len() > 1 {
        let together: Vec<&Planted> = together.iter().collect();
        let row = table.rows.entry(Kind::Together).or_default();
        row.tried += 1;
        match adopt_all(source, &together) {
            Ok(adopted) => {
                row.exact += 1;
                table.afters.push(after(index, source, &together, adopted));
            }
            Err(reason) => panic!("{}: each alone could be adopted, and not together: {reason}", source.path.display()),
        }
    }
}

fn adopt_all(source: &Source, planted: &[&Planted]) -> Result<Adopted, String> {
    let adoptions: Vec<Adoption<'_>> = planted
        .iter()
        .map(|planted| Adoption { desired: &source.objects[planted.object], drift: &planted.drift, live: &planted.live })
        .collect();
    adopt(&source.path.to_string_lossy(), source.text.as_bytes(), &adoptions).map_err(|refused| refused.reason)
}

/// What the objects are to be: the planted changes, made in JSON and not by the code under test.
fn after(index: usize, source: &Source, planted: &[&Planted], adopted: Adopted) -> After {
    let mut objects: Vec<Value> = source.objects.iter().map(|object| object.value.clone()).collect();
    let mut ordered: Vec<&&Planted> = planted.iter().collect();
    ordered.sort_by(|one, other| other.drift.path.cmp(&one.drift.path));
    for planted in ordered {
        drifts::put(&mut objects[planted.object], &planted.drift.path, planted.value.as_ref()).unwrap();
    }
    After { source: index, text: String::from_utf8(adopted.bytes).unwrap(), objects }
}

/// What is not in the edited value's own lines is byte for byte as before, and no comment went without being named.
fn assert_lawful(source: &Source, planted: &Planted, adopted: &Adopted) {
    let (before, after) = (source.text.as_str(), str::from_utf8(&adopted.bytes).unwrap());
    let name = format!("{} {}", source.path.display(), planted.drift.path);
    let position = |path: &Path| {
        let object = &source.objects[planted.object];
        object.positions.get(&path.pointer_in(&object.value)?)
    };
    let head = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
    let rest = before.len().min(after.len()) - head;
    let tail = before.bytes().rev().zip(after.bytes().rev()).take(rest).take_while(|(one, other)| one == other).count();
    // A key that comes or goes changes the lines of what is around it; a value only its own.
    let around = if matches!(planted.kind, Kind::Value | Kind::Text) { position(&planted.drift.path) } else { None };
    if let Some(own) = around {
        let end = before[own.end..].find('\n').map_or(before.len(), |newline| own.end + newline);
        assert!(own.start <= head && before.len() - tail <= end, "{name}: bytes beside the value changed");
    }
    let lines =
        |text: &str| text.lines().map(str::trim).filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let mut left = lines(after);
    left.extend(adopted.comments.iter().map(|comment| comment.trim().to_owned()));
    for line in lines(before) {
        match left.iter().position(|left| *left == line) {
            Some(at) => drop(left.remove(at)),
            // A line of a text that went is no comment.
            None => assert!(planted.went_with(&source.objects, &line), "{name}: `{line}` is gone in silence"),
        }
    }
}

impl Table {
    /// How many drifts were tried, and how many of them adopted exactly.
    fn sums(&self) -> (u32, u32) {
        self.rows.values().fold((0, 0), |(tried, exact), row| (tried + row.tried, exact + row.exact))
    }

    fn print(&self, sources: &[Source], judged: u32) {
        let broken = sources.iter().filter(|source| source.broken).count();
        let with_objects = sources.iter().filter(|source| !source.objects.is_empty()).count();
        println!(
            "{} files, {with_objects} with objects ({broken} with problems), drifts planted in {}",
            sources.len(),
            self.files
        );
        println!("{:<44} {:>6} {:>7} {:>8}", "drift", "tried", "exact", "refused");
        for (kind, row) in &self.rows {
            println!("{:<44} {:>6} {:>7} {:>8}", kind.name(), row.tried, row.exact, row.tried - row.exact);
            for (reason, (count, first)) in &row.refused {
                println!("    {count} × {reason} (first: {first})");
            }
        }
        let (tried, exact) = self.sums();
        println!("{:<44} {tried:>6} {exact:>7} {:>8}", "all", tried - exact);
        println!("{judged} edited files read by kubectl: each differs from what it was in the intended path alone");
        println!("comments lost in silence: 0; named, as they stood in or behind what went: {}", self.comments_named);
    }
}
