//! Real manifests with changes that nobody would make, each compared with what `kubectl` reads in the same bytes.
//!
//! `TRUEUP_MUTATIONS` says how many (`scripts/fuzz yaml-oracle`), `TRUEUP_SEED` which, `TRUEUP_INPUTS` names a folder of
//! further files that are compared as they are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use trueup_core::facts::Problem;
use trueup_kubernetes::manifest;

use super::corpus::{collect, folder};
use super::fixture;
use super::oracle::{ask, print_labelled};

/// Without `TRUEUP_MUTATIONS`: enough to see that the comparison works.
const DEFAULT: usize = 160;

/// Files that one `kubectl` reads.
const BATCH: usize = 40;

/// What `kubectl` reads and we refuse on purpose.
const STRICTER: [(&str, &str); 6] = [
    ("duplicate-key", "kubectl silently takes the last"),
    ("behind-document-end", "kubectl drops what follows `...`"),
    ("unrendered-template", "no server takes such a name or text"),
    ("generate-name", "it can be created, but not compared"),
    ("long-paths", "no server takes such an object"),
    ("too-deep", "no server needs such an object"),
];

/// Pieces of YAML and JSON that mean something at some places.
const PIECES: [&str; 64] = [
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    " ",
    "  ",
    "- ",
    "-",
    "? ",
    ": ",
    ":",
    "#",
    " #",
    "&a ",
    "*a",
    "<<: *a\n",
    "!",
    "!!str ",
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!null ",
    "!!binary ",
    "!!timestamp ",
    "!x ",
    "---\n",
    "--- ",
    "...\n",
    "%YAML 1.1\n",
    "|",
    "|-\n",
    "|+\n",
    "|2\n",
    ">\n",
    ">-\n",
    "'",
    "''",
    "\"",
    "\\",
    "\\/",
    "\\u00e9",
    "\\x41",
    "\\ud83d",
    "[",
    "]",
    "{",
    "}",
    ",",
    "[]",
    "{}",
    "~",
    "null",
    "yes",
    "No",
    "0644",
    "0o17",
    "0x1F",
    "1_000",
    "1e3",
    "-.inf",
    "12:30:45",
    "2024-01-02",
    "\u{feff}",
    "\u{85}",
];

#[test]
fn changed_manifests_read_as_kubectl_reads_them() {
    let Some(corpus) = folder() else { return };
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().expect(name));
    let mut paths = Vec::new();
    collect(&corpus.join("manifests"), &mut paths);
    paths.sort();
    paths.extend(["scalars.yaml", "structure.yaml", "list.yaml", "stream.json", "windows.yaml"].map(fixture));
    let originals: Vec<String> = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let originals: Vec<&String> = originals.iter().filter(|text| text.len() < 8192).collect();
    assert!(originals.len() > 200, "the corpus has 340 files");
    let folder = tempfile::tempdir().expect("a folder");
    let mut choice = Choice(number("TRUEUP_SEED", 1) as u64);
    let mut files = Vec::new();
    for index in 0..number("TRUEUP_MUTATIONS", DEFAULT) {
        let mut text = originals[choice.below(originals.len())].clone();
        for _ in 0..=choice.below(3) {
            change(&mut text, &mut choice);
        }
        files.push(folder.path().join(format!("{index:06}.yaml")));
        std::fs::write(&files[index], text).expect("a file");
    }
    if let Some(inputs) = std::env::var_os("TRUEUP_INPUTS") {
        for (index, entry) in std::fs::read_dir(inputs).expect("TRUEUP_INPUTS").enumerate() {
            files.push(folder.path().join(format!("input-{index:06}.yaml")));
            std::fs::copy(entry.expect("an entry").path(), files.last().expect("a file")).expect("a copy");
        }
    }
    let wrong = compare(files);
    assert!(wrong.is_empty(), "{} files are read otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

/// Choices by a seed (xorshift).
struct Choice(u64);

impl Choice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("53 bits") % limit.max(1)
    }
}

/// One change: pieces put in, text taken out, lines moved, repeated or indented otherwise, a value replaced.
fn change(text: &mut String, choice: &mut Choice) {
    let floor = |text: &str, at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = floor(text, choice.below(text.len() + 1));
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let line = choice.below(lines.len());
    let moved = match choice.below(8) {
        0..3 => {
            let end = floor(text, start + choice.below(4)).max(start);
            text.replace_range(start..end, PIECES[choice.below(PIECES.len())]);
            return;
        }
        3 | 4 => {
            // A value of its line.
            let Some(colon) = lines.get(line).and_then(|line| line.find(": ")) else { return };
            let key_end = lines[..line].iter().map(|line| line.len()).sum::<usize>() + colon + 2;
            let end = key_end + lines[line].trim_end().len().saturating_sub(colon + 2);
            text.replace_range(key_end..end.max(key_end), PIECES[choice.below(PIECES.len())]);
            return;
        }
        5 => lines.iter().enumerate().filter(|(at, _)| *at != line).map(|(_, line)| *line).collect(),
        6 => {
            let Some(repeated) = lines.get(line).copied() else { return };
            lines.insert(choice.below(lines.len()), repeated);
            lines.concat()
        }
        _ => {
            let Some(indented) = lines.get(line) else { return };
            let other = if choice.below(2) == 0 { format!(" {indented}") } else { indented.replacen(' ', "", 1) };
            let mut all: Vec<String> = lines.iter().map(ToString::to_string).collect();
            all[line] = other;
            all.concat()
        }
    };
    *text = moved;
}

struct Read {
    path: PathBuf,
    printed: String,
    problems: Vec<Problem>,
}

fn read(path: PathBuf) -> Read {
    let bytes = std::fs::read(&path).expect("a file");
    let (objects, problems) = manifest::read("m.yaml", &bytes);
    Read { path, printed: print_labelled(&objects), problems }
}

/// What is read otherwise, in words.
fn compare(files: Vec<PathBuf>) -> Vec<String> {
    let files: Vec<Read> = files.into_iter().map(read).collect();
    let (clean, refused): (Vec<&Read>, Vec<&Read>) = files.iter().partition(|file| file.problems.is_empty());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for batch in clean.chunks(BATCH).chain(refused.chunks(BATCH)) {
        let (printed, complaints) = answer(batch);
        let is_refused = |file: &&Read| complaints.contains(&file.path.display().to_string());
        let ours: String = batch.iter().filter(|file| !is_refused(file)).map(|file| file.printed.as_str()).collect();
        let alike = printed == ours && batch.iter().all(|file| file.problems.is_empty() != is_refused(&file));
        if alike {
            *counts.entry(if batch[0].problems.is_empty() { "equal" } else { "refused by both" }).or_default() += batch.len();
            continue;
        }
        for file in batch {
            match judge(file) {
                Ok(verdict) => *counts.entry(verdict).or_default() += 1,
                Err(difference) => wrong.push(difference),
            }
        }
    }
    eprintln!("{} changed manifests: {counts:?}", files.len());
    wrong
}

/// What `kubectl` prints of several files, and its complaints. It goes on behind a file that it refuses.
fn answer(batch: &[&Read]) -> (String, String) {
    let paths: Vec<&Path> = batch.iter().map(|file| file.path.as_path()).collect();
    let answer = ask(&paths);
    (answer.printed, answer.refusal.unwrap_or_default())
}

fn judge(file: &Read) -> Result<&'static str, String> {
    let (printed, refusal) = answer(&[file]);
    let stricter = file.problems.iter().all(|problem| STRICTER.iter().any(|(code, _)| *code == problem.code));
    let what = match (refusal.is_empty(), file.problems.first()) {
        (true, None) if printed == file.printed => return Ok("equal"),
        (false, Some(_)) => return Ok("refused by both"),
        (true, Some(_)) if stricter => return Ok("refused by us on purpose"),
        (true, None) => format!("other bytes: we print\n{}\nand kubectl\n{printed}", file.printed),
        (false, None) => format!("we read what kubectl refuses: {refusal}"),
        (true, Some(problem)) => format!("kubectl reads it, but {problem}"),
    };
    let mut difference = String::new();
    let bytes = std::fs::read(&file.path).expect("a file");
    writeln!(difference, "{what}\nthe file:\n{}\n", String::from_utf8_lossy(&bytes)).expect("a String");
    Err(difference)
}
