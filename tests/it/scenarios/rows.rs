//! The table of the conformance rows, `testdata/scenarios/README.md`: written by this test, compared by it otherwise.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::case::Case;
use super::{name, root, scenarios, writes};

/// `rows.toml`: the rows, and the tests that show what no folder can.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    case: String,
    expected: String,
    /// Tests by name, each a function somewhere in this repository.
    #[serde(default)]
    tests: Vec<String>,
    /// What of the row is not shown, and why.
    open: Option<String>,
    /// Why there is nothing to show.
    not_applicable: Option<String>,
}

/// How far a row is shown.
fn state(row: &Row, folders: usize) -> &'static str {
    match (&row.not_applicable, &row.open, folders + row.tests.len()) {
        (Some(_), ..) => "not applicable",
        (None, None, 1..) => "shown",
        (None, Some(_), 1..) => "in part",
        (None, _, 0) => "not shown",
    }
}

#[test]
fn the_table_of_rows_is_what_the_folders_and_tests_are() {
    let text = fs::read_to_string(root().join("rows.toml")).expect("rows.toml");
    let rows: Rows = toml::from_str(&text).unwrap_or_else(|error| panic!("rows.toml: {error}"));
    let ids: Vec<&str> = rows.row.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, (1..=70).map(|number| format!("C{number:02}")).collect::<Vec<_>>());
    let known = functions();
    for row in &rows.row {
        assert!(row.open.is_none() || row.not_applicable.is_none(), "{}", row.id);
        let unknown: Vec<_> = row.tests.iter().filter(|test| !known.contains(&format!("fn {test}("))).collect();
        assert!(unknown.is_empty(), "{}: there is no test {unknown:?}", row.id);
    }
    let cases: Vec<(String, Case)> = scenarios().iter().map(|folder| (name(folder), Case::read(folder))).collect();
    for (name, case) in &cases {
        let prefix = case.row.as_deref().map(|row| format!("{}-", row.to_lowercase()));
        let is_named =
            prefix.is_none_or(|prefix| ids.contains(&prefix[..3].to_uppercase().as_str()) && name.starts_with(&prefix));
        assert!(is_named, "{name} is not named after its row");
    }
    let readme = root().join("README.md");
    let kept = fs::read_to_string(&readme).expect("README.md");
    let (head, _) = kept.split_once("\n## Rows\n").expect("README.md has the heading `## Rows`");
    let current = format!("{head}\n## Rows\n{}", table(&rows, &cases));
    if writes() {
        fs::write(&readme, current).expect("README.md is written");
    } else {
        assert!(kept == current, "testdata/scenarios/README.md is stale: TRUEUP_SCENARIOS=write writes it");
    }
}

fn table(rows: &Rows, cases: &[(String, Case)]) -> String {
    let mut by_row: BTreeMap<&str, Vec<&(String, Case)>> = BTreeMap::new();
    for case in cases {
        by_row.entry(case.1.row.as_deref().unwrap_or_default()).or_default().push(case);
    }
    let folders = |id: &str| by_row.get(id).map_or(&[][..], Vec::as_slice);
    let count = |wanted: &str| rows.row.iter().filter(|row| state(row, folders(&row.id).len()) == wanted).count();
    let replayed = cases.iter().filter(|(_, case)| !case.steps.is_empty()).count();
    let mut text = format!(
        "\n{} rows: {} shown, {} in part, {} not shown, {} not applicable. {} folders, {replayed} of them also run on a real API server.\n\n\
         | row | case | expected | state | folders and tests |\n|---|---|---|---|---|\n",
        rows.row.len(),
        count("shown"),
        count("in part"),
        count("not shown"),
        count("not applicable"),
        cases.len(),
    );
    for row in &rows.row {
        let state = state(row, folders(&row.id).len());
        let folders = folders(&row.id).iter().map(|(name, _)| format!("`{name}`"));
        let shown: Vec<String> = folders.chain(row.tests.iter().map(|test| format!("`{test}`"))).collect();
        let open = row.open.as_ref().or(row.not_applicable.as_ref()).map(|open| format!(": {open}")).unwrap_or_default();
        writeln!(text, "| {} | {} | {} | {state}{open} | {} |", row.id, cell(&row.case), cell(&row.expected), shown.join(" "))
            .expect("writing to a String cannot fail");
    }
    text.push_str("\n## Folders\n\n| scenario | row | shows | on a server |\n|---|---|---|---|\n");
    for (name, case) in cases {
        let server = case.made.as_deref().map_or_else(|| "yes".to_owned(), |made| format!("no: {made}"));
        writeln!(text, "| `{name}` | {} | {} | {} |", case.row.as_deref().unwrap_or("–"), cell(&case.shows), cell(&server))
            .expect("writing to a String cannot fail");
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The text of all Rust files, in which a named test must be.
fn functions() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let mut open: Vec<PathBuf> = ["src", "tests", "reconcilers"].iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project").filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(&path).expect("a file that is listed"));
            }
        }
    }
    text
}
