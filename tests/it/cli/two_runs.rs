//! One scenario run twice, with other secret bytes the second time: once masks and ids are numbered by their first appearance,
//! all that the program says and keeps is the same, and no secret is in it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trueup::ledger::Ledger;

use super::{SNAPSHOT, World, config_map, live_config_map};
use crate::world::value_by_hand;

/// The secret bytes of a run. Which of them are equal is the same in every run.
struct Secrets {
    password: &'static str,
    changed: &'static str,
    token: &'static str,
    number: &'static str,
}

const FIRST: Secrets =
    Secrets { password: "alpha-5eb63bbb", changed: "beta-e01eeed0", token: "gamma-93f0d1c2", number: "73951846" };
const SECOND: Secrets =
    Secrets { password: "a much longer one: 9f86d081 {x} %s", changed: "z", token: "Qx7\u{e4}_$(HOME)-884c7d65", number: "5" };

impl Secrets {
    /// All forms in which they could leak. What is too short to be told from other text is left to the comparison of both runs.
    fn forms(&self) -> Vec<String> {
        let all = [self.password, self.changed, self.token, self.number];
        let forms = all.into_iter().flat_map(|secret| {
            let json = serde_json::json!(secret).to_string();
            [secret.to_owned(), STANDARD.encode(secret), json.trim_matches('"').to_owned()]
        });
        forms.filter(|form| form.len() >= 8).collect()
    }
}

const CLASSES: &str = r#"
[[class]]
name = "image-change"
match = { path = "spec.template.spec.containers[*].image" }
lane = "review"

[[class]]
name = "everything"
match = { change = ["changed", "removed", "undeclared"] }
lane = "auto"
stage = "auto"
fallback = true

"#;

fn policy() -> String {
    format!("{CLASSES}{}", value_by_hand("everything"))
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().concat()
}

fn quoted(text: &str) -> String {
    serde_json::json!(text).to_string()
}

/// A Secret that differs, with copies of it in annotations, one of them cut off.
fn login(world: &World, secrets: &Secrets) {
    let Secrets { password, changed, token, .. } = secrets;
    let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\n  namespace: shop\n";
    let declared = format!("stringData:\n  password: {}\n  same: {}\n", quoted(password), quoted(token));
    world.write("manifests/login.yaml", format!("{head}{declared}"));
    let copy = serde_json::json!({"stringData": {"password": password}}).to_string();
    let annotations = [
        ("kubectl.kubernetes.io/last-applied-configuration", copy.trim_end_matches('}').to_owned()),
        ("kapp.k14s.io/original", copy.clone()),
        ("note", format!("was {changed}")),
    ];
    let annotations = joined(annotations.iter().map(|(name, text)| format!("    {name}: {}\n", quoted(text))));
    let data = [("password", changed), ("same", token), ("added", token)];
    let data = joined(data.iter().map(|(key, text)| format!("  {key}: {}\n", STANDARD.encode(text))));
    world.write("live/login.yaml", format!("{head}  annotations:\n{annotations}data:\n{data}"));
}

/// A Secret that no server takes: a number where a text has to be.
fn invalid(world: &World, secrets: &Secrets) {
    let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: pin\n  namespace: shop\n";
    world.write("manifests/pin.yaml", format!("{head}stringData:\n  pin: {}\n", secrets.number));
    world.write("live/pin.yaml", format!("{head}data:\n  pin: {}\n", STANDARD.encode(secrets.changed)));
}

/// A Deployment with secrets in its variables, right beside the image that someone changed.
fn web(world: &World, secrets: &Secrets) {
    let Secrets { password, changed, token, .. } = secrets;
    let deployment = |annotations: &str, replicas: u8, password: &str, image: &str, more: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n{annotations}spec:\n  replicas: {replicas}\n  \
             selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n    spec:\n      containers:\n      \
             - name: app\n        env:\n        - name: API_TOKEN\n          value: {}\n        - name: DB_PASSWORD\n          value: {}\n{more}        \
             image: registry.example/web:{image}\n",
            quoted(token),
            quoted(password),
        )
    };
    world.write("manifests/web.yaml", deployment("", 2, password, "1.4.2", ""));
    let copy =
        format!("  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: {}\n", quoted(&format!("{{{token}")));
    let more = format!("        - name: SESSION_KEY\n          value: {}\n", quoted(changed));
    world.write("live/web.yaml", deployment(&copy, 4, changed, "1.4.3-hot", &more));
}

fn world(secrets: &Secrets) -> World {
    let world = World::empty();
    world.write("trueup.toml", format!("{SNAPSHOT}secrets = \"digest\"\n"));
    world.write("policies/drift.toml", policy());
    world.write(".gitignore", "live/\n");
    world.write("manifests/settings.yaml", config_map("settings", "info"));
    world.write("live/settings.yaml", live_config_map("settings", "debug"));
    login(&world, secrets);
    invalid(&world, secrets);
    web(&world, secrets);
    world.commit();
    world
}

const PASSWORD: &str = "containers[name=app].env[name=DB_PASSWORD].value";

/// Every command that shows or does something, in an order in which each has something to say.
const COMMANDS: [&[&str]; 25] = [
    &["check"],
    &["render"],
    &["render", "-o", "json"],
    &["diff"],
    &["diff", "-o", "json"],
    &["diff", "--all-paths", "Secret/login"],
    &["diff", "--all-paths", "Secret/login", "-o", "json"],
    &["diff", "--all-paths", "Secret/pin"],
    &["diff", "--all-paths", "Deployment/web"],
    &["diff", "--all-paths", "Deployment/web", "-o", "json"],
    &["explain", "Secret/login"],
    &["explain", "Secret/login", "data.password"],
    &["explain", "Secret/login", "data.same"],
    &["explain", "Secret/login", "metadata.annotations"],
    &["explain", "Secret/pin"],
    &["explain", "Deployment/web"],
    &["explain", "Deployment/web", PASSWORD],
    &["explain", "Deployment/web", "containers[name=app].env[name=API_TOKEN].value"],
    &["explain", "Deployment/web", "metadata.annotations"],
    &["sync", "--dry-run", "-o", "json"],
    &["sync"],
    &["sync", "-o", "json"],
    &["runs", "-o", "json"],
    &["doctor"],
    &["audit", "verify"],
];

/// All that the program says, with its logs at their finest, and all that it leaves in its state folder.
fn transcript(secrets: &Secrets) -> Vec<(String, String)> {
    let world = world(secrets);
    let mut said = Vec::new();
    for arguments in COMMANDS {
        let output = world.command(arguments).env("TRUEUP_LOG", "trace").env("TRUEUP_KEY", "0".repeat(64)).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&world.folder().display().to_string(), "[REPO]");
        let (code, stdout, stderr) = (output.status.code(), text(&output.stdout), text(&output.stderr));
        said.push((arguments.join(" "), format!("exit {code:?}\n{stdout}\n{stderr}").replace(&world.name(), "[NAME]")));
    }
    let records = ledger(&world.state().join("ledger.sqlite")).replace(&world.name(), "[NAME]");
    said.push(("the ledger".to_owned(), records));
    let mut kept = BTreeMap::new();
    files(&world.state(), &mut kept);
    for form in secrets.forms() {
        for (file, bytes) in &kept {
            assert!(!bytes.windows(form.len()).any(|window| window == form.as_bytes()), "{form} is in {file}");
        }
        for (command, text) in &said {
            assert!(!text.contains(&form), "{form} is in `{command}`:\n{text}");
        }
    }
    let patches = kept.into_iter().filter(|(name, _)| Path::new(name).extension().is_some_and(|extension| extension == "patch"));
    said.extend(patches.map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())));
    said
}

fn ledger(path: &Path) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let entries = runtime.block_on(async { Ledger::open_to_read(path).await.unwrap().entries(0).await.unwrap() });
    assert!(!entries.is_empty());
    joined(entries.iter().map(|record| format!("{:?}\n", record.entry)))
}

fn files(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, found);
        } else {
            found.insert(entry.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&entry).unwrap());
        }
    }
}

/// Masks, ids and digests by their number; times and durations by their name.
#[derive(Default)]
struct Numbers(BTreeMap<String, usize>);

impl Numbers {
    fn numbered(&mut self, text: &str) -> String {
        let mut out = String::new();
        let is_word = |character: char| character.is_ascii_alphanumeric();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
            let (word, behind) = rest.split_at(length);
            rest = behind;
            if let Some(time) = time(word, behind) {
                out.push_str("TIME");
                rest = &behind[time..];
            } else if out.ends_with("took_us=") {
                out.push_str("TIME");
            } else if is_id(word) {
                let next = self.0.len();
                out.push('#');
                out.push_str(&self.0.entry(word.to_owned()).or_insert(next).to_string());
            } else {
                out.push_str(word);
            }
        }
        out
    }
}

/// `2026-11-21T02:14:07.123Z` or `0.17 s`: how much of what is behind the first word belongs to it.
fn time(word: &str, behind: &str) -> Option<usize> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if word.len() == 4 && digits(word) && behind.starts_with('-') {
        let end = behind.find('Z')?;
        let is_time =
            end <= 32 && behind[..end].chars().all(|c| c.is_ascii_digit() || "-T:.".contains(c)) && behind[..end].contains('T');
        return is_time.then_some(end + 1);
    }
    let seconds = behind.strip_prefix('.')?;
    let end = seconds.find(" s")?;
    (digits(word) && digits(&seconds[..end])).then_some(end + 3)
}

/// Keyed digests, Git's object names, ULIDs.
fn is_id(word: &str) -> bool {
    let hex = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let ulid = word.len() == 26 && word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (hex && [7, 16, 40, 64].contains(&word.len())) || ulid
}

#[test]
fn other_secret_bytes_change_nothing_that_is_said_or_kept() {
    let (first, second) = (transcript(&FIRST), transcript(&SECOND));
    let names = |said: &[(String, String)]| said.len();
    assert_eq!(names(&first), names(&second));
    let (mut ours, mut theirs) = (Numbers::default(), Numbers::default());
    for ((command, one), (_, other)) in first.iter().zip(&second) {
        let (one, other) = (ours.numbered(one), theirs.numbered(other));
        let differs = one.lines().zip(other.lines()).find(|(a, b)| a != b);
        assert_eq!(one, other, "`{command}` tells the two runs apart: {differs:#?}");
    }
    proves_something(&first);
}

/// The scenario has what it is about: masks in every form, a correction beside secrets, a proposal whose patch would show one.
fn proves_something(said: &[(String, String)]) {
    let of = |command: &str| said.iter().find(|(name, _)| name == command).map(|(_, text)| text.as_str()).unwrap();
    let report = of("diff -o json");
    for path in
        ["data.password", "data.added", "data.pin", "spec.replicas", "env[name=DB_PASSWORD].value", "env[name=SESSION_KEY]"]
    {
        assert!(report.contains(path), "{path} is found:\n{report}");
    }
    assert!(of("render").contains("k1:") && of("explain Secret/login data.same").contains("k1:"));
    let synced = of("sync -o json");
    assert!(of("sync").contains("patch") && of("the ledger").contains("spec.replicas"), "{synced}");
    assert!(of("the ledger").contains("PullRequest") && of("sync").contains("trueup/p-"), "{}", of("sync"));
}

#[test]
fn a_mistake_beside_a_secret_does_not_repeat_it() {
    let world = World::empty();
    world.write("trueup.toml", format!("{SNAPSHOT}secrets = \"digest\"\n"));
    world.write("policies/drift.toml", policy());
    world.write(".gitignore", "live/\n");
    let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\nstringData:\n";
    let canary = "canary-5eb63bbb";
    for (name, wrong) in [
        ("tag", format!("  password: !!int {canary}\n")),
        ("float", format!("  password: !!float {canary}\n")),
        ("list", format!("  password: [{canary}\n")),
        ("separator", format!("--- {canary}\n")),
        ("alias", format!("  password: *{canary} x\n  {canary}\n")),
        ("quote", format!("  password: \"{canary}\\/\"\n")),
        ("binary", format!("  password: !!binary {canary}\n")),
        ("template", format!("  password: {{{{ {canary} }}}}\n")),
    ] {
        world.write(&format!("manifests/{name}.yaml"), format!("{head}{wrong}"));
    }
    world.write("live/login.yaml", format!("{head}  password: !!int {canary}\n"));
    world.commit();
    for arguments in [&["check"][..], &["diff"], &["diff", "-o", "json"], &["render"], &["sync"], &["explain", "Secret/login"]] {
        let output = world.command(arguments).env("TRUEUP_LOG", "trace").output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let leaks: Vec<&str> = text.lines().filter(|line| line.contains(canary)).collect();
        // The anchor's name and a file's own path are no values.
        assert!(leaks.iter().all(|line| line.contains("anchor")), "{arguments:?}: {leaks:#?}");
    }
}
