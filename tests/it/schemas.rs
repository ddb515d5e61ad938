//! The JSON Schemas and `docs/policy.md` against what the program reads. The judge of schemas is a validator of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use trueup::config::{self, Overrides};
use trueup::init::TEMPLATES;
use trueup::review::approval;
use trueup_core::policy::{Policy, VARIABLES};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn schema(name: &str) -> Value {
    serde_json::from_str(&read(&format!("schemas/{name}.schema.json"))).expect("JSON")
}

/// What a schema says of a TOML text: nothing, or what is wrong.
fn verdict(name: &str, text: &str) -> Result<(), String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", schema(name)).expect("a schema");
    let index = compiler.compile("schema.json", &mut schemas).expect("a schema");
    let value: Value = toml::from_str::<toml::Table>(text).map(|table| json!(table)).expect("TOML");
    schemas.validate(&value, index).map_err(|error| format!("{error:#}"))
}

fn policy_error(text: &str) -> Option<String> {
    let problems = Policy::read(&[("a.toml".to_owned(), text.to_owned())]).err()?;
    Some(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn config_error(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trueup.toml");
    fs::write(&file, text).expect("written");
    let overrides = Overrides { file: Some(file), ..Overrides::default() };
    config::load(&overrides, folder.path(), &|_| None).err().map(|error| error.to_string())
}

/// What stands in backticks behind `expected` in a message of the reader: the keys or words that it knows.
fn known(message: &str) -> BTreeSet<String> {
    let (_, known) = message.split_once("expected ").unwrap_or_else(|| panic!("{message}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn keys(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let properties = schema.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("no {pointer}"));
    properties.keys().cloned().collect()
}

const CLASS: &str = "[[class]]\nname = 'a'\nlane = 'auto'\n";
const SOURCE: &str = "[source]\nrepo = '.'\n";
const TARGET: &str = "[[target]]\nname = 'a'\nkind = 'snapshot'\nlive = 'l'\npaths = ['m']\n";

/// The reader names all keys that it knows when it meets another one: the schema has these and no other.
#[test]
fn the_schemas_have_the_keys_that_are_read_and_no_other() {
    let policy = schema("policy");
    let class = "/properties/class/items/properties";
    for (text, pointer) in [
        ("zzz = 1".to_owned(), "/properties".to_owned()),
        (format!("{CLASS}zzz = 1"), class.to_owned()),
        (format!("{CLASS}match = {{ zzz = 1 }}"), "/definitions/match/properties".to_owned()),
        (format!("{CLASS}limits = {{ zzz = 1 }}"), format!("{class}/limits/properties")),
        (format!("{CLASS}verify = {{ zzz = 1 }}"), format!("{class}/verify/properties")),
        ("[[ignore]]\nzzz = 1".to_owned(), "/properties/ignore/items/properties".to_owned()),
        ("[[known-writer]]\nzzz = 1".to_owned(), "/properties/known-writer/items/properties".to_owned()),
        ("[[freeze]]\nzzz = 1".to_owned(), "/properties/freeze/items/properties".to_owned()),
        ("[[case]]\nzzz = 1".to_owned(), "/properties/case/items/properties".to_owned()),
        ("[[case]]\nobject = { zzz = 1 }".to_owned(), "/properties/case/items/properties/object/properties".to_owned()),
        ("[limits]\nzzz = 1".to_owned(), "/properties/limits/properties".to_owned()),
    ] {
        let message = policy_error(&text).expect("a mistake");
        assert!(message.contains("unknown field `zzz`"), "{message}");
        let mut read = known(&message);
        let mut written = keys(&policy, &pointer);
        // With one key, serde names it without a list.
        read.remove("zzz");
        written.remove("zzz");
        assert_eq!(written, read, "{pointer}");
    }
    let trueup = schema("trueup");
    for (text, pointer) in [
        (format!("zzz = 1\n{SOURCE}{TARGET}"), "/properties"),
        (format!("{SOURCE}zzz = 1\n{TARGET}"), "/properties/source/properties"),
        (format!("{SOURCE}[policy]\nzzz = 1\n{TARGET}"), "/properties/policy/properties"),
        (format!("{SOURCE}[review]\nzzz = 1\n{TARGET}"), "/properties/review/properties"),
        (
            format!("{SOURCE}[review]\nforge = 'github'\nrepo = 'a/b'\napp = {{ zzz = 1 }}\n{TARGET}"),
            "/properties/review/properties/app/properties",
        ),
        (format!("{SOURCE}[run]\nzzz = 1\n{TARGET}"), "/properties/run/properties"),
        (format!("{SOURCE}[render]\nzzz = 1\n{TARGET}"), "/properties/render/properties"),
        (format!("{SOURCE}[render.helm]\nzzz = 1\n{TARGET}"), "/properties/render/properties/helm/properties"),
        (format!("{SOURCE}{TARGET}zzz = 1"), "/properties/target/items/properties"),
    ] {
        assert_eq!(keys(&trueup, pointer), known(&config_error(&text).expect("a mistake")), "{pointer}");
    }
}

#[test]
fn the_schemas_have_the_words_that_are_read_and_no_other() {
    let policy = schema("policy");
    let words = |schema: &Value, pointer: &str| -> BTreeSet<String> {
        let list = schema.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}"));
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let class = "/properties/class/items/properties";
    for (text, pointer) in [
        ("[[class]]\nname = 'a'\nlane = 'zzz'".to_owned(), format!("{class}/lane/enum")),
        (format!("{CLASS}stage = 'zzz'"), format!("{class}/stage/enum")),
        (format!("{CLASS}ownership = 'zzz'"), format!("{class}/ownership/enum")),
        (format!("{CLASS}review = 'zzz'"), format!("{class}/review/enum")),
        (format!("{CLASS}approval = 'zzz'"), format!("{class}/approval/enum")),
        (format!("{CLASS}match = {{ change = 'zzz' }}"), "/definitions/match/properties/change/oneOf/0/enum".to_owned()),
        (format!("{CLASS}match = {{ category = 'zzz' }}"), "/definitions/match/properties/category/enum".to_owned()),
        (format!("{CLASS}match = {{ direction = 'zzz' }}"), "/definitions/match/properties/direction/enum".to_owned()),
        ("[[case]]\nlane = 'zzz'".to_owned(), "/properties/case/items/properties/lane/enum".to_owned()),
        ("[[case]]\nstage = 'zzz'".to_owned(), "/properties/case/items/properties/stage/enum".to_owned()),
        ("[[case]]\nchange = 'zzz'".to_owned(), "/properties/case/items/properties/change/enum".to_owned()),
        ("[[case]]\ndecision = 'zzz'".to_owned(), "/properties/case/items/properties/decision/enum".to_owned()),
    ] {
        assert_eq!(words(&policy, &pointer), known(&policy_error(&text).expect("a mistake")), "{pointer}");
    }
    let trueup = schema("trueup");
    for (text, pointer) in [
        (format!("{SOURCE}[review]\nforge = 'zzz'\n{TARGET}"), "/properties/review/properties/forge/enum"),
        (format!("{SOURCE}[[target]]\nname = 'a'\nkind = 'zzz'"), "/properties/target/items/properties/kind/enum"),
        (format!("{SOURCE}{TARGET}secrets = 'zzz'"), "/properties/target/items/properties/secrets/enum"),
    ] {
        assert_eq!(words(&trueup, pointer), known(&config_error(&text).expect("a mistake")), "{pointer}");
    }
}

#[test]
fn schema_and_reader_agree_on_files_that_are_right_and_on_files_that_are_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(folder.join("policies")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(fs::read_dir(folder.join("testdata/scenarios")).unwrap().map(|entry| entry.unwrap().path().join("policy.toml")));
    files.push(folder.join("src/demo/policies/drift.toml"));
    let files: Vec<_> = files.into_iter().filter(|path| path.is_file()).collect();
    assert!(files.len() > 20, "only {} policies", files.len());
    for file in files {
        verdict("policy", &fs::read_to_string(&file).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    verdict("trueup", &read("src/demo/trueup.toml")).expect("a configuration");
    for wrong in [
        "zzz = 1",
        "[[class]]\nname = 'a'",
        "[[class]]\nlane = 'auto'",
        "[[class]]\nname = 'a'\nlane = 'atuo'",
        "[[class]]\nname = 'a'\nlane = 'auto'\nfallback = 'yes'",
        "[[class]]\nname = 'a'\nlane = 'auto'\nverify = { window = '1h' }",
        "[[class]]\nname = 'a'\nlane = 'auto'\nlimits = { writes_per_hour = -1 }",
        "[[class]]\nname = 'a'\nlane = 'auto'\nmatch = { kind = [] }",
        "[[class]]\nname = 'a'\nlane = 'auto'\nmatch = { kind = 7 }",
        "[[class]]\nname = 'a'\nlane = 'auto'\nmatch = { path = '' }",
        "[[class]]\nname = 'a'\nlane = 'auto'\nmatch = { labels = { a = 1 } }",
        "[[ignore]]\nname = 'a'",
        "[[ignore]]\nname = 'a'\nmatch = {}",
        "[limits]\nnamespace_share = 101",
        "[[freeze]]\nname = 'a'\nfrom = '22:00'",
        "[[freeze]]\nname = 'a'\nfrom = 'Friday'\nuntil = 'Monday'\nzone = 'UTC'",
        "[[class]]\nname = 'a'\nlane = 'auto'\nmatch = { tier = 0 }",
        "[[class]]\nname = 'a'\nlane = 'auto'\nmatch = { tier = [] }",
        "[[case]]\nname = 'a'\nlane = 'auto'",
    ] {
        assert!(verdict("policy", wrong).is_err() && policy_error(wrong).is_some(), "{wrong}");
    }
    for wrong in [
        SOURCE.to_owned(),
        TARGET.to_owned(),
        format!("{SOURCE}[run]\nevery = '5'\n{TARGET}"),
        format!("{SOURCE}[review]\nforge = 'local'\nrepo = 'a/b'\n{TARGET}"),
        format!("{SOURCE}[review]\nforge = 'local'\napp = {{ id = 1 }}\n{TARGET}"),
        format!("{SOURCE}[review]\nforge = 'github'\nrepo = 'a/b'\napp = {{ id = 0 }}\n{TARGET}"),
        format!("{SOURCE}[review]\nforge = 'github'\nrepo = 'a/b'\napp = {{ key = 'k' }}\n{TARGET}"),
        format!("{SOURCE}{TARGET}state = 's'"),
        format!("{SOURCE}[[target]]\nname = 'a'\nkind = 'snapshot'\npaths = ['m']"),
        format!("{SOURCE}[[target]]\nname = 'a b'\nkind = 'kubernetes'\npaths = ['m']"),
    ] {
        assert!(verdict("trueup", &wrong).is_err() && config_error(&wrong).is_some(), "{wrong}");
    }
}

const APPROVAL: &str = "schema = 'trueup.approval/v1'\nplace = 'p-0123456789abcdef'\ntarget = 'prod'\npath = 'data.a'\ndesired = \
    'v1:0000000000000000000000000000000000000000000000000000000000000000'\nlive = \
    'v1:1111111111111111111111111111111111111111111111111111111111111111'\nexpires = '2027-01-31T12:00:00.5+01:00'\n[object]\n\
    apiVersion = 'v1'\nkind = 'ConfigMap'\nnamespace = 'shop'\nname = 'a'\n";

fn approval_error(text: &str) -> Option<String> {
    approval::read(".trueup/approvals/p-0123456789abcdef.toml", text.as_bytes()).err().map(|error| error.to_string())
}

#[test]
fn the_schema_of_approvals_is_what_is_written_and_read() {
    let schema = schema("approval");
    for (text, pointer) in [
        (format!("zzz = 1\n{APPROVAL}"), "/properties"),
        (APPROVAL.replace("kind =", "zzz = 1\nkind ="), "/properties/object/properties"),
    ] {
        let error = approval_error(&text).expect("a mistake");
        let (_, listed) = error.split_once("expected one of ").unwrap_or_else(|| panic!("{error}"));
        let (listed, _) = listed.split_once("; ").expect("advice");
        let read: BTreeSet<String> = listed.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert_eq!(keys(&schema, pointer), read, "{pointer}");
    }
    let read = approval::read(".trueup/approvals/p-0123456789abcdef.toml", APPROVAL.as_bytes()).expect("an approval");
    let (file, written) = approval::write(&read).expect("TOML");
    assert_eq!(file, ".trueup/approvals/p-0123456789abcdef.toml");
    assert_eq!((verdict("approval", APPROVAL), verdict("approval", &written)), (Ok(()), Ok(())));
    for line in APPROVAL.lines().filter(|line| !line.starts_with("namespace")) {
        let less = APPROVAL.replace(&format!("{line}\n"), "");
        assert!(verdict("approval", &less).is_err() && approval_error(&less).is_some(), "without {line}");
    }
    for (was, is) in [
        ("approval/v1", "approval/v2"),
        ("'p-0", "'q-0"),
        ("T12:00", " 12:00"),
        ("+01:00", ""),
        ("v1:0", "v1:g"),
        ("'data.a'", "''"),
        ("'v1'", "1"),
    ] {
        let wrong = APPROVAL.replacen(was, is, 1);
        assert!(verdict("approval", &wrong).is_err() && approval_error(&wrong).is_some(), "{is}");
    }
}

/// Taplo and the TOML extension of VS Code go by the first line.
#[test]
fn files_that_trueup_ships_name_their_schema() {
    for (path, text) in
        TEMPLATES.iter().filter(|(path, _)| Path::new(path).extension().is_some_and(|extension| extension == "toml"))
    {
        let name = if *path == "trueup.toml" { "trueup" } else { "policy" };
        let id = schema(name)["$id"].as_str().expect("an id").to_owned();
        assert_eq!(text.lines().next(), Some(format!("#:schema {id}").as_str()), "{path}");
        verdict(name, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_eq!(text.lines().next(), Some("#:schema ../schemas/policy.schema.json"));
    }
}

/// What a known writer needs.
const WRITER: &str = "manager = 'a'\nkind = 'Thing'\npath = 'spec.a'\nreason = 'by right'";

/// What a freeze and a case need.
const FREEZE: &str = "name = 'a'\nfrom = 'Fri 18:00'\nuntil = 'Mon 07:00'\nzone = 'UTC'";
const CASE: &str = "name = 'a'\nobject = { apiVersion = 'v1', kind = 'ConfigMap', name = 'a' }\npath = 'data.a'\ndesired = 'x'\n\
    live = 'y'\nlane = 'auto'\nstage = 'auto'\ndecision = 'correct'";

/// An entry of a table with all that it needs, one key of it as in the example.
fn with_example(table: &str, needed: &str, key: &str, example: &str) -> String {
    let others = needed.lines().filter(|line| !line.starts_with(&format!("{key} =")));
    format!("[[{table}]]\n{}\n{example}\n", others.collect::<Vec<_>>().join("\n"))
}

/// Every key of a table: its path, as the page has it.
fn all_keys(schema: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (table, pointer) in [
        ("class", "/properties/class/items/properties"),
        ("ignore", "/properties/ignore/items/properties"),
        ("known-writer", "/properties/known-writer/items/properties"),
        ("match", "/definitions/match/properties"),
        ("class.limits", "/properties/class/items/properties/limits/properties"),
        ("class.verify", "/properties/class/items/properties/verify/properties"),
        ("limits", "/properties/limits/properties"),
        ("freeze", "/properties/freeze/items/properties"),
        ("case", "/properties/case/items/properties"),
    ] {
        keys.extend(self::keys(schema, pointer).into_iter().map(|key| format!("{table}.{key}")));
    }
    keys
}

#[test]
fn the_page_of_policies_has_every_key_with_an_example_that_reads() {
    let page = read("docs/policy.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let named: BTreeSet<String> =
        rows.iter().filter(|row| row[0].contains('.')).map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(named, all_keys(&schema("policy")));
    for row in rows.iter().filter(|row| row[0].contains('.')) {
        let (key, example) = (row[0].trim_matches('`'), row[1].trim_matches('`').replace("\\|", "|"));
        let text = match key.rsplit_once('.').expect("a table and a key") {
            ("match", _) => format!("{CLASS}match = {{ {example} }}\n"),
            ("class.limits", _) => format!("{CLASS}limits = {{ {example} }}\n"),
            ("class.verify", _) => format!("{CLASS}verify = {{ {example} }}\n"),
            ("limits", _) => format!("[limits]\n{example}\n"),
            ("freeze", key) => with_example("freeze", FREEZE, key, &example),
            ("case", key) => with_example("case", CASE, key, &example),
            ("ignore", "match") => format!("[[ignore]]\nname = 'a'\n{example}\n"),
            ("ignore", "name") => format!("[[ignore]]\n{example}\nmatch = {{ kind = 'Pod' }}\n"),
            ("ignore", _) => format!("[[ignore]]\nname = 'a'\nmatch = {{ kind = 'Pod' }}\n{example}\n"),
            ("known-writer", key) => with_example("known-writer", WRITER, key, &example),
            ("class", "name") => format!("[[class]]\n{example}\nlane = 'auto'\n"),
            ("class", "lane") => format!("[[class]]\nname = 'a'\n{example}\n"),
            (_, _) => format!("{CLASS}{example}\n"),
        };
        assert_eq!(policy_error(&text), None, "{key}: {text}");
        verdict("policy", &text).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    let variables: Vec<&str> = rows.iter().filter(|row| !row[0].contains('.')).map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(variables, VARIABLES.map(|(name, _)| name), "the variables of conditions, in order");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<&str> = blocks.collect();
    assert!(blocks.len() >= 2, "whole examples");
    for block in blocks {
        assert_eq!(policy_error(block), None, "{block}");
        verdict("policy", block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}
