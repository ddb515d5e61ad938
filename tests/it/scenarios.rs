//! The scenarios of `testdata/scenarios`: one folder a case, one checker for all.
//!
//! `TRUEUP_SCENARIOS=write` writes what is found into `expected.json` instead of comparing it: read the diff before you
//! commit it.

pub(crate) mod case;
mod explained;
mod large;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use case::Case;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trueup_core::classify::classify;
use trueup_core::decide::{self, Decision, Ground, Guards, Inputs, Terms, decide};
use trueup_core::diff::compare;
use trueup_core::difference::differences;
use trueup_core::facts::{Desired, Evidence, Matched, Observation, Pair, Problem};
use trueup_core::finding::{Difference, Finding, Lane, Stage};
use trueup_core::ignore::look_inside;
use trueup_core::object::TargetName;
use trueup_core::patch::changes_nothing;
use trueup_core::policy::{Policy, Proof};
use trueup_core::seen::DigestKey;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::observe::SecretsMode;
use trueup_kubernetes::snapshot::{self, Contents};
use trueup_kubernetes::table::Table;
use trueup_kubernetes::{manifest, normal};

/// What `target.toml` of a scenario may say, as a `[[target]]` of `trueup.toml` does.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TargetFile {
    secrets: Option<Secrets>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Secrets {
    Digest,
}

/// A scenario's folder, taken through the steps from desired state to decisions.
pub(crate) struct Judged {
    pub pairs: Vec<Pair>,
    /// One list a pair; of a Terraform state, one list for all.
    pub findings: Vec<Vec<Finding>>,
    pub problems: Vec<Problem>,
    pub decisions: Vec<Decision>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/scenarios")
}

pub(crate) fn scenarios() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root())
        .expect("testdata/scenarios")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// The files of a folder, in the order of their names; none where there is no folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn key() -> DigestKey {
    DigestKey::new(&[1; 32])
}

pub(crate) fn policy(folder: &Path) -> Policy {
    let text = fs::read_to_string(folder.join("policy.toml")).unwrap_or_default();
    let mut policy = Policy::read(&[("policy.toml".to_owned(), text)]).expect("a scenario's policy reads");
    // A scenario is about what is found and what a patch would be: its classes act as if they had cases that hold.
    policy.classes.for_each_mut(|class| class.proof = Proof::Held(1));
    policy
}

fn judge(folder: &Path) -> Judged {
    let policy = policy(folder);
    if folder.join("expect.toml").exists() { judge_state(folder, &policy) } else { judge_objects(folder, &policy) }
}

fn judge_objects(folder: &Path, policy: &Policy) -> Judged {
    let (desired, mut problems) = declared(folder);
    let rules = Rules::load().with(&policy.known_writers);
    let expecting = expecting(&rules);
    let Observation { mut pairs, problems: seen, .. } =
        snapshot::observe(Contents::of(&folder.join("live")), desired, secrets_mode(folder), &expecting);
    problems.extend(seen);
    let ground = admit(folder, &mut pairs);
    decided(pairs, problems, ground, policy)
}

/// What a scenario's `desired` declares.
pub(crate) fn declared(folder: &Path) -> (Vec<Desired>, Vec<Problem>) {
    let files = files(&folder.join("desired"));
    let files: Vec<(String, Vec<u8>)> =
        files.iter().map(|file| (format!("desired/{}", name(file)), fs::read(file).expect("a file that is listed"))).collect();
    trueup::desired::objects(files.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice())))
}

pub(crate) fn secrets_mode(folder: &Path) -> SecretsMode {
    let text = fs::read_to_string(folder.join("target.toml")).unwrap_or_default();
    let target: TargetFile = toml::from_str(&text).expect("target.toml reads");
    target.secrets.map_or(SecretsMode::Off, |Secrets::Digest| SecretsMode::Digest)
}

/// What is known of the kinds without asking a server.
pub(crate) fn expecting(rules: &Rules) -> Expecting<'_> {
    let table = Table::load();
    Expecting {
        defaulted: &|id, value| Table::load().knows(id).then(|| Table::load().expected(id, value)),
        shape: &|id| Table::load().root_shape(id),
        types: table.types(),
        rules,
    }
}

/// Steps 4 to 6.
pub(crate) fn decided(pairs: Vec<Pair>, mut problems: Vec<Problem>, ground: Ground, policy: &Policy) -> Judged {
    let (pairs, ambiguous) = trueup::desired::twice::told_apart(pairs);
    let ambiguous: Vec<_> = ambiguous.into_iter().filter(|problem| !problems.contains(problem)).collect();
    problems.extend(ambiguous);
    let table = Table::load();
    let findings: Vec<Vec<Finding>> = pairs
        .iter()
        .map(|pair| {
            let drifts = match pair {
                Pair::Matched(matched) => compare(matched, table.types(), &table.root_shape(&matched.desired.id), &key()).drifts,
                Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => Vec::new(),
            };
            let mut differences = differences(&TargetName("scenario".to_owned()), pair, drifts);
            if let Pair::Matched(matched) = pair {
                let drifts =
                    |matched: &Matched| compare(matched, table.types(), &table.root_shape(&matched.desired.id), &key()).drifts;
                look_inside(&mut differences, matched, policy, &drifts);
            }
            classified(differences, policy)
        })
        .collect();
    let cases: Vec<decide::Case<'_>> =
        pairs.iter().zip(&findings).map(|(pair, findings)| decide::Case { pair: Some(pair), findings }).collect();
    let decisions = decided_on(&cases, ground, policy);
    Judged { pairs, findings, problems, decisions }
}

/// Step 6 where nothing stands against anything.
fn decided_on(cases: &[decide::Case<'_>], ground: Ground, policy: &Policy) -> Vec<Decision> {
    let (target, guards) = (TargetName("scenario".to_owned()), Guards::none(ground));
    let now = "2026-11-21T12:00:00Z".parse().expect("a time");
    decide(&Inputs::of(cases, Terms { target: &target, requests: &[], guards: &guards, policy, now }))
}

fn classified(differences: Vec<Difference>, policy: &Policy) -> Vec<Finding> {
    differences.into_iter().map(|difference| classify(difference, policy, "scenarios", &key())).collect()
}

/// Puts the recorded answers to dry runs in the place of the table; a scenario that has some is of a cluster.
fn admit(folder: &Path, pairs: &mut [Pair]) -> Ground {
    let admitted = files(&folder.join("admitted"));
    for file in &admitted {
        let (objects, found) = manifest::read(&name(file), &fs::read(file).expect("a file that is listed"));
        assert_eq!(found, [], "{}", file.display());
        for object in objects {
            let matched = pairs.iter_mut().find_map(|pair| match pair {
                Pair::Matched(matched) if matched.desired.id.same_object(&object.id) => Some(matched),
                _ => None,
            });
            let matched = matched.unwrap_or_else(|| panic!("{}: `{}` is declared and live", file.display(), object.id));
            matched.expected.value = normal::expected(&matched.desired.id, object.value);
            matched.expected.evidence = Evidence::Baseline;
        }
    }
    if admitted.is_empty() { Ground::Snapshot } else { Ground::Cluster }
}

fn judge_state(folder: &Path, policy: &Policy) -> Judged {
    let expect = fs::read_to_string(folder.join("expect.toml")).expect("expect.toml");
    let (expectations, mut problems) = trueup_terraform::expect::read("expect.toml", &expect);
    let file = fs::File::open(folder.join("state.json")).expect("state.json");
    let state = trueup_terraform::state::read("state.json", file).expect("a state");
    let (differences, found) = trueup_terraform::check::check(&TargetName("scenario".to_owned()), &expectations, &state, &key());
    problems.extend(found);
    let findings = vec![classified(differences, policy)];
    let decisions = decided_on(&[decide::Case { pair: None, findings: &findings[0] }], Ground::State, policy);
    Judged { pairs: Vec::new(), findings, problems, decisions }
}

/// What `expected.json` holds.
fn summary(judged: &Judged) -> Value {
    let count = |is: fn(&Pair) -> bool| judged.pairs.iter().filter(|pair| is(pair)).count();
    let drifted = judged.pairs.iter().zip(&judged.findings).filter(|(_, findings)| !findings.is_empty()).count();
    let findings = judged.findings.iter().flatten().map(|finding| described(finding, &judged.decisions));
    json!({
        "objects": {
            "declared": judged.pairs.len(),
            "drifted": drifted,
            "unseen": count(|pair| matches!(pair, Pair::Unseen(..))),
            "skipped": count(|pair| matches!(pair, Pair::Skipped(..))),
        },
        "findings": findings.collect::<Vec<_>>(),
        "problems": judged.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(),
    })
}

fn described(finding: &Finding, decisions: &[Decision]) -> Value {
    let difference = &finding.difference;
    let (desired, live) = difference.values();
    let mut fields = Map::new();
    let mut field = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    };
    field("object", Some(difference.subject.to_string().into()));
    field("path", Some(difference.path().to_string().into()));
    field("change", Some(difference.change().name().into()));
    field("desired", desired.map(|seen| json!(seen)));
    field("live", live.map(|seen| json!(seen)));
    field("manager", difference.cause.manager.clone().map(Value::from));
    field("subresource", difference.cause.subresource.clone().map(Value::from));
    field("at", Some(difference.origin.to_string().into()));
    field("evidence", difference.evidence.map(|evidence| json!(evidence)));
    field("class", finding.class.clone().map(Value::from));
    field("lane", Some(finding.lane.name().into()));
    let decision = decisions.iter().find(|decision| is_about(decision, finding)).expect("every finding is decided");
    let (name, patch) = match decision {
        Decision::Leave(_) => ("leave", None),
        Decision::Correct(correction) => ("correct", Some(correction.patch.clone())),
        Decision::Propose(_) => ("propose", None),
        Decision::Escalate(_) => ("escalate", None),
        Decision::Hold(_) => ("hold", None),
    };
    field("decision", Some(name.into()));
    let doubt = finding.risk.factors.iter().find(|factor| factor.name == "maybe the same quantity");
    field("doubt", doubt.map(|factor| factor.name.clone().into()));
    field("recreate", reasons(decision).iter().find(|reason| reason.contains("recreates nothing")).cloned().map(Value::from));
    field("patch", patch);
    Value::Object(fields)
}

fn reasons(decision: &Decision) -> &[String] {
    match decision {
        Decision::Leave(settled) | Decision::Escalate(settled) | Decision::Hold(settled) => &settled.reasons,
        Decision::Propose(proposal) => &proposal.reasons,
        Decision::Correct(correction) => &correction.reasons,
    }
}

fn is_about(decision: &Decision, finding: &Finding) -> bool {
    match decision {
        Decision::Leave(settled) | Decision::Escalate(settled) | Decision::Hold(settled) => settled.finding == finding.id,
        Decision::Propose(proposal) => proposal.finding == finding.id,
        Decision::Correct(correction) => correction.corrected.iter().any(|(id, _)| *id == finding.id),
    }
}

/// What holds for every scenario, whatever it shows.
fn check_laws(folder: &Path, judged: &Judged) {
    for decision in &judged.decisions {
        let Decision::Correct(correction) = decision else { continue };
        let pair = judged.pairs.iter().find(|pair| pair.desired().id.same_object(&correction.object));
        let Some(Pair::Matched(matched)) = pair else { panic!("{}: corrects what is not there", folder.display()) };
        let mut after = matched.as_ref().clone();
        json_patch::merge(&mut after.live.value, &correction.patch);
        assert!(changes_nothing(&after.live.value, &correction.patch), "{}", folder.display());
        let table = Table::load();
        let left = compare(&after, table.types(), &table.root_shape(&after.desired.id), &key()).drifts;
        let left: Vec<String> = left.iter().map(|drift| drift.path.to_string()).collect();
        assert!(correction.paths.iter().all(|path| !left.contains(path)), "{}: {left:?} are left", folder.display());
        json_patch::merge(&mut after.live.value, &correction.inverse);
        assert_eq!(after.live.value, matched.live.value, "{}: the inverse leads back", folder.display());
    }
}

/// Whether this run writes what it finds instead of comparing it.
fn writes() -> bool {
    std::env::var("TRUEUP_SCENARIOS").as_deref() == Ok("write")
}

/// Judges a folder and compares what is found with its `expected.json`.
fn check(folder: &Path) -> Result<(), String> {
    let judged = judge(folder);
    check_laws(folder, &judged);
    let objections = Case::read(folder).objections(&judged, &policy(folder));
    if !objections.is_empty() {
        return Err(format!("{}: by its case.toml\n{}", name(folder), objections.join("\n")));
    }
    let found = summary(&judged);
    // The secret value of all scenarios that have one.
    assert!(!format!("{found}{:?}{:?}", judged.problems, judged.decisions).contains("hunter2"), "{}", folder.display());
    let file = folder.join("expected.json");
    if writes() {
        let text = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
        return fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()));
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let expected: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    if found == expected { Ok(()) } else { Err(format!("{}: found {found:#}\nexpected {expected:#}", name(folder))) }
}

#[test]
fn every_scenario_is_judged_as_expected() {
    let folders = scenarios();
    assert!(folders.len() >= 45, "only {} scenarios", folders.len());
    let wrong: Vec<String> = folders.iter().filter_map(|folder| check(folder).err()).collect();
    assert!(wrong.is_empty(), "{} of {} scenarios:\n{}", wrong.len(), folders.len(), wrong.join("\n"));
}

#[test]
fn shipped_policies_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let packs = files(&folder);
    let packs: Vec<_> = packs.into_iter().filter(|pack| !name(pack).ends_with(".cases.toml")).collect();
    assert!(packs.len() >= 3);
    let text = |file: &Path| (name(file), fs::read_to_string(file).expect("a file that is listed"));
    for pack in packs {
        let files = [text(&pack), text(&pack.with_extension("cases.toml"))];
        let policy = Policy::read(&files).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!(!policy.classes.is_empty(), "{}", pack.display());
        assert_eq!(trueup_core::proof::broken(&policy), [], "{}", pack.display());
        assert!(
            policy.classes.iter().all(|class| matches!(class.proof, Proof::Held(_))),
            "{}: a class has no case",
            pack.display()
        );
        let corrects = policy.classes.iter().any(|class| class.stage == Stage::Auto);
        assert_eq!(corrects, name(&pack) == "fast.toml", "{}: only the fast one corrects", pack.display());
        if name(&pack) == "cautious.toml" {
            assert!(policy.classes.iter().all(|class| class.lane >= Lane::Review), "cautious.toml only tells and proposes");
        }
    }
}
