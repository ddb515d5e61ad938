//! The documents say what is so: ARCHITECTURE.md's folders, arrows, functions and tests, README.md's configuration and
//! variables, and the rules that a simple scan can hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trueup::config::{self, Overrides};
use trueup_core::policy::Policy;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn tracked() -> Vec<String> {
    output("git", &["ls-files"]).lines().map(str::to_owned).collect()
}

/// The part of a document below a heading, up to the next one.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, after) = document.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    after.split("\n## ").next().unwrap_or_default()
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The first cells of a section's tables, but for headers and rules.
fn first_cells(section: &str) -> impl Iterator<Item = &str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter(|row| row.starts_with('`')).filter_map(|row| quoted(row).next())
}

/// The texts of a document's fenced blocks of one language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if line == opening {
                blocks.push(block.join("\n") + "\n");
            }
        }
    }
    blocks
}

/// The Rust files of the program and its crates that go into the build.
fn production_files() -> Vec<(String, String)> {
    let is_source = |path: &String| {
        let in_source = path.starts_with("src/") || (path.starts_with("reconcilers/") && path.contains("/src/"));
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        is_rust(path) && in_source && !is_test && root().join(path).exists()
    };
    let files: Vec<String> = tracked().into_iter().filter(is_source).collect();
    assert!(files.len() > 80, "only {} files found", files.len());
    files.into_iter().map(|path| (production(&read(&path)), path)).map(|(text, path)| (path, text)).collect()
}

/// A file's text up to its tests.
fn production(text: &str) -> String {
    let (before, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((text, ""));
    before.to_owned()
}

#[test]
fn the_picture_of_crates_is_cargos() {
    let document = read("ARCHITECTURE.md");
    let pictures = blocks(section(&document, "The crates"), "text");
    let mut drawn = BTreeSet::new();
    for line in pictures.iter().flat_map(|picture| picture.lines()) {
        let crates: Vec<&str> = line.split("──▶").map(str::trim).collect();
        drawn.extend(crates.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
    }
    let metadata = output(env!("CARGO"), &["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut real = BTreeSet::new();
    for package in packages {
        let uses = package["dependencies"].as_array().expect("dependencies").iter().filter_map(|used| used["name"].as_str());
        let from = package["name"].as_str().expect("a name");
        // The tests use the program itself with its failpoints: no arrow between two.
        real.extend(uses.filter(|used| names.contains(used) && *used != from).map(|used| (from.to_owned(), used.to_owned())));
    }
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(drawn, real);
}

/// What can stop the program is in its tests alone.
#[test]
fn only_the_tests_are_built_with_failpoints() {
    let features = |edges: &str| {
        let arguments =
            ["tree", "--locked", "--offline", "--package", "trueup", "--depth", "0", "--format", "{f}", "--edges", edges];
        // The first line is the package's own.
        output(env!("CARGO"), &arguments).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(features("normal,build"), "", "a build of the program");
    assert_eq!(features("normal,build,dev"), "failpoints", "a build of the tests");
}

#[test]
fn the_map_names_every_folder_and_only_what_is_there() {
    let document = read("ARCHITECTURE.md");
    let named: BTreeSet<&str> = first_cells(section(&document, "The map")).collect();
    assert!(named.len() > 15, "{named:?}");
    for path in &named {
        assert!(root().join(path).exists(), "`{path}` is on the map, and is not there");
    }
    let tracked = tracked();
    let top: BTreeSet<&str> = tracked.iter().filter_map(|path| path.split_once('/')).map(|(folder, _)| folder).collect();
    for folder in top {
        let is_named = named.iter().any(|path| path.split('/').next() == Some(folder));
        assert!(is_named, "`{folder}/` is not on the map");
    }
}

#[test]
fn tests_and_functions_that_the_architecture_names_exist() {
    let document = read("ARCHITECTURE.md");
    let sources = tracked().into_iter().filter(|path| is_rust(path) && root().join(path).exists());
    let sources: Vec<String> = sources.map(|path| read(&path)).collect();
    let defined =
        |name: &str| sources.iter().any(|text| text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<")));
    let mut tests = 0;
    for name in quoted(section(&document, "What must hold, and what holds it")) {
        let is_test =
            name.matches('_').count() >= 1 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_test {
            assert!(defined(name), "no test `{name}`");
            tests += 1;
        }
    }
    assert!(tests > 50, "only {tests} tests are named");
    let functions = quoted(section(&document, "The straight line")).filter(|name| name.contains("::"));
    let functions: Vec<&str> = functions.filter_map(|name| name.rsplit("::").next()).collect();
    assert!(functions.len() > 10, "{functions:?}");
    for name in functions {
        assert!(defined(name), "no function `{name}`");
    }
}

/// Each row of the project's list that can be shown on a real API server, on the stand-in of the forge, or on a disk.
#[test]
fn each_fault_is_shown_by_a_test() {
    let document = read("ARCHITECTURE.md");
    let is_row = |line: &&str| line.strip_prefix("| F").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let rows = section(&document, "What must hold, and what holds it").lines().filter(is_row);
    let mut named = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, words, tests] = cells[..] else { panic!("{row}") };
        assert!(!words.is_empty() && quoted(tests).next().is_some(), "{row}");
        named.push(number.to_owned());
    }
    let rows = [1..=5, 12..=12, 15..=20, 41..=47, 60..=60].into_iter().flatten().map(|number| format!("F{number:02}"));
    assert_eq!(named, rows.collect::<Vec<_>>());
}

#[test]
fn scripts_that_the_documents_name_exist() {
    let mut named = BTreeSet::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(document);
        for (at, _) in text.match_indices("scripts/") {
            let end = text[at..].find(|c: char| !c.is_ascii_alphanumeric() && !"/-._".contains(c)).unwrap_or(text.len() - at);
            named.insert(text[at..at + end].trim_end_matches(['.', '/']).to_owned());
        }
    }
    assert!(named.len() > 5, "{named:?}");
    for path in named {
        assert!(root().join(&path).exists(), "`{path}` is not there");
    }
}

#[test]
fn the_configuration_in_the_readme_is_read() {
    let (mut configurations, mut policies, mut expectations) = (0, 0, 0);
    for block in blocks(&read("README.md"), "toml") {
        if block.contains("[[target]]") || block.starts_with("[ledger]") {
            // A part stands beside what every configuration has.
            let block = if block.contains("[[target]]") { block } else { format!("{}\n{block}", crate::cli::SNAPSHOT) };
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("trueup.toml");
            fs::write(&file, &block).expect("written");
            let overrides = Overrides { file: Some(file), ..Overrides::default() };
            config::load(&overrides, folder.path(), &|_| None).unwrap_or_else(|error| panic!("{error}\n{block}"));
            configurations += 1;
        } else if block.contains("[[class]]") || block.contains("[[known-writer]]") {
            Policy::read(&[("README.md".to_owned(), block.clone())]).unwrap_or_else(|problems| panic!("{problems:?}\n{block}"));
            policies += 1;
        } else {
            let (read, problems) = trueup_terraform::expect::read("README.md", &block);
            assert!(problems.is_empty() && !read.is_empty(), "{problems:?}\n{block}");
            expectations += 1;
        }
    }
    assert_eq!((configurations, policies, expectations), (3, 3, 1));
}

#[test]
fn the_readme_names_every_variable_that_the_program_reads_and_no_other() {
    let variables = |text: &str| -> BTreeSet<String> {
        let starts = text.match_indices("TRUEUP_").map(|(at, _)| at);
        let end = |at: usize| text[at..].find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(text.len() - at);
        starts.map(|at| text[at..at + end(at)].to_owned()).filter(|name| !name.ends_with('_')).collect()
    };
    let readme = read("README.md");
    let told = variables(section(&readme, "Configuration"));
    let read: BTreeSet<String> = production_files().iter().flat_map(|(_, text)| variables(text)).collect();
    assert_eq!(told, read);
    let mut tests = String::new();
    for path in tracked().into_iter().filter(|path| path.starts_with("scripts/") || path.contains("tests/it/")) {
        tests.push_str(&fs::read_to_string(root().join(path)).unwrap_or_default());
    }
    for name in variables(section(&readme, "Tests")) {
        assert!(tests.contains(&name), "no test and no script reads {name}");
    }
}

#[test]
fn the_straight_line_stays_on_one_screen() {
    let text = read("src/round.rs");
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    assert!(lines <= 120, "src/round.rs has {lines} lines of code");
}

#[test]
fn no_file_is_long() {
    let mut lengths: Vec<(usize, String)> =
        production_files().into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    lengths.sort();
    let (longest, path) = &lengths[lengths.len() - 1];
    assert!(*longest <= 700, "{path} has {longest} lines");
    let (median, _) = lengths[lengths.len() / 2];
    assert!(median <= 200, "the median is {median} lines");
}

#[test]
fn production_code_does_not_give_up() {
    for (path, text) in production_files() {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for end in [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "dbg!("] {
                assert!(!code.contains(end), "{path}:{}: {end}", number + 1);
            }
        }
    }
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let documents = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"];
    for path in documents.map(PathBuf::from) {
        let text = fs::read_to_string(root().join(&path)).expect("a document");
        for place in ["/tmp/", "/root/", "/work/"] {
            assert!(!text.contains(place), "{}: {place}", path.display());
        }
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}
