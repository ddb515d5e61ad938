//! Real manifests with changes that nobody would make, each compared with what `kubectl` reads in the same bytes.
//!
//! `TRUEUP_MUTATIONS` says how many (`scripts/fuzz yaml-oracle`), `TRUEUP_SEED` which, `TRUEUP_INPUTS` names a folder of
//! further files that are compared as they are.

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

/// What `kubectl label` may read and we refuse on purpose: the code, a part of the message, and why. Each is a problem at its
/// place, and none of it is found in the real manifests.
const STRICTER: [(&str, &str, &str); 16] = [
    ("duplicate-key", "", "kubectl silently takes the last"),
    ("behind-document-end", "", "kubectl silently drops what follows `...`"),
    ("unrendered-template", "", "no server takes such a name"),
    ("generate-name", "", "it can be created, but not compared"),
    ("no-name", "", "it can be labelled, but not applied"),
    ("not-an-object", "", "it can be labelled, but not applied"),
    ("bad-namespace", "", "it can be labelled, but not applied"),
    ("bad-metadata", "", "kubectl lets it pass for kinds that it does not know, and servers refuse it"),
    ("long-paths", "", "no server takes such an object"),
    ("too-deep", "", "no server needs such an object"),
    ("yaml-syntax", "U+0085", "a line break in YAML 1.1, a letter in YAML 1.2"),
    ("yaml-syntax", "a BOM must not appear inside", "it cannot be seen in an editor"),
    ("yaml-syntax", "invalid indentation in multiline quoted scalar", "YAML 1.2: text may not go on left of its key"),
    (
        "yaml-syntax",
        "did not find expected <document start>",
        "kubectl silently drops what stands further left than the first key",
    ),
    ("yaml-syntax", "end marker before directive", "`%` begins a directive; kubectl silently drops what follows"),
    ("yaml-syntax", "while scanning a tag", "`!!a!b` is no tag in YAML 1.2"),
];

/// Whether `kubectl` may read this as it likes.
fn is_refused_on_purpose(file: &Read) -> bool {
    let is_known =
        |problem: &Problem| STRICTER.iter().any(|(code, part, _)| problem.code == *code && problem.message.contains(part));
    !file.problems.is_empty() && file.problems.iter().all(is_known)
}

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
    let (on_purpose, others): (Vec<&Read>, Vec<&Read>) = files.iter().partition(|file| is_refused_on_purpose(file));
    let (clean, refused): (Vec<&Read>, Vec<&Read>) = others.into_iter().partition(|file| file.problems.is_empty());
    let mut wrong = Vec::new();
    clean.chunks(BATCH).chain(refused.chunks(BATCH)).for_each(|batch| judge(batch, &mut wrong));
    eprintln!(
        "{} changed manifests: {} read, {} refused by both, {} by us on purpose; {} of them otherwise than by kubectl",
        files.len(),
        clean.len(),
        refused.len(),
        on_purpose.len(),
        wrong.len()
    );
    wrong
}

/// Many files in one process, halves of them where the answer is not ours.
fn judge(batch: &[&Read], wrong: &mut Vec<String>) {
    let (printed, complaints) = answer(batch);
    let is_refused = |file: &Read| complaints.contains(&file.path.display().to_string());
    let ours: String = batch.iter().filter(|file| !is_refused(file)).map(|file| file.printed.as_str()).collect();
    let alike = batch.iter().all(|file| file.problems.is_empty() != is_refused(file));
    match batch {
        // What both refuse may have had good documents before its fault.
        _ if alike && (ours == printed || batch.iter().all(|file| is_refused(file))) => {}
        [file] => wrong.push(difference(file, &printed, &complaints)),
        _ => {
            let (first, second) = batch.split_at(batch.len() / 2);
            judge(first, wrong);
            judge(second, wrong);
        }
    }
}

/// What `kubectl` prints of several files, and its complaints. It goes on behind a file that it refuses.
fn answer(batch: &[&Read]) -> (String, String) {
    let paths: Vec<&Path> = batch.iter().map(|file| file.path.as_path()).collect();
    let answer = ask(&paths);
    (answer.printed, answer.refusal.unwrap_or_default())
}

fn difference(file: &Read, printed: &str, refusal: &str) -> String {
    let what = match (refusal.is_empty(), file.problems.first()) {
        (_, Some(problem)) => format!("kubectl reads it, but {problem}"),
        (false, None) => format!("we read what kubectl refuses: {refusal}"),
        (true, None) => format!("other bytes: we print\n{}\nand kubectl\n{printed}", file.printed),
    };
    let bytes = std::fs::read(&file.path).expect("a file");
    format!("{what}\nthe file:\n{}\n", String::from_utf8_lossy(&bytes))
}
