//! What a program that goes on remembers changes how much it reads and walks, and never what it finds: after every step of a
//! history, the look that remembers and a look that remembers nothing say the same.

mod server;

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use tempfile::TempDir;
use trueup::config::{self, Overrides, TargetKind};
use trueup::desired::{Lasting, Readings};
use trueup::session::{self, Session};
use trueup::source::Revision;
use trueup::state::{StateEnvironment, StateFolder};
use trueup::target::{Freshness, Judged, Judging, declared, judge_reached};
use trueup_core::facts::{Matched, Pair};
use trueup_core::finding::Standing;
use trueup_core::reach::Topology;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::cluster::{connect_by, version};
use trueup_kubernetes::discovery::discover;

use crate::git::{Repo, access};
use server::Server;

const CONFIGURATION: &str = r#"
[source]
repo = "."
ref = "main"

[[target]]
name = "shop"
kind = "kubernetes"
paths = ["manifests"]
secrets = "digest"
"#;

const POLICIES: [&str; 4] = [
    "",
    "[[ignore]]\nname = \"k\"\nmatch = { kind = \"ConfigMap\", path = \"data.k\" }\nreason = \"it is theirs\"\n",
    "[[known-writer]]\nmanager = \"writer\"\nkind = \"ConfigMap\"\npath = \"data.extra\"\nreason = \"it adds it\"\n",
    "[[class]]\nname = \"all\"\nmatch = { change = [\"changed\", \"removed\"] }\nlane = \"auto\"\nstage = \"auto\"\n",
];

/// So many objects there are, each in a file of its own.
const OBJECTS: usize = 7;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Nothing.
    Nothing,
    /// Somebody changes a live object.
    Edit(usize, u8),
    /// A live object gets another version and is what it was.
    Touch(usize),
    /// A live object is made anew, as it was or otherwise.
    Recreate(usize, u8),
    /// A live object is gone.
    Remove(usize),
    /// Git says something else of an object.
    Declare(usize, u8),
    /// Git takes an object out.
    Undeclare(usize),
    /// Its file has another name.
    Move(usize),
    /// A second file declares it, too.
    Twice(usize),
    /// Another policy.
    Policy(usize),
    /// The definition of the custom kind has another default.
    Schema(u8),
    /// The server is another version.
    Server(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Nothing),
        4 => (0..OBJECTS, 0..3u8).prop_map(|(object, value)| Step::Edit(object, value)),
        1 => (0..OBJECTS).prop_map(Step::Touch),
        1 => (0..OBJECTS, 0..3u8).prop_map(|(object, value)| Step::Recreate(object, value)),
        1 => (0..OBJECTS).prop_map(Step::Remove),
        3 => (0..OBJECTS, 0..3u8).prop_map(|(object, value)| Step::Declare(object, value)),
        1 => (0..OBJECTS).prop_map(Step::Undeclare),
        1 => (0..OBJECTS).prop_map(Step::Move),
        1 => (0..OBJECTS).prop_map(Step::Twice),
        3 => (0..POLICIES.len()).prop_map(Step::Policy),
        2 => (0..3u8).prop_map(Step::Schema),
        1 => (0..2usize).prop_map(Step::Server),
    ];
    prop::collection::vec(step, 4..16)
}

/// An object as Git declares it with this value. Every second one leaves its namespace to the context.
fn object(number: usize, value: u8) -> Value {
    let name = format!("o{number}");
    let metadata = if number.is_multiple_of(2) { json!({"name": name}) } else { json!({"name": name, "namespace": "default"}) };
    let (api_version, kind, body) = match number {
        0 | 1 => ("v1", "ConfigMap", json!({"data": {"k": value.to_string()}})),
        2 => ("v1", "ConfigMap", json!({"binaryData": {"k": format!("YQ==\n{}", "YWE=".repeat(value.into()))}})),
        3 => ("v1", "Service", json!({"spec": {"selector": {"app": value.to_string()}, "ports": [{"port": 80}]}})),
        4 => {
            let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": format!("{}m", 250 * (1 + u32::from(value)))}}});
            let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container]}});
            let selector = json!({"matchLabels": {"app": "a"}});
            ("apps/v1", "Deployment", json!({"spec": {"replicas": 2, "selector": selector, "template": template}}))
        }
        5 => ("v1", "Secret", json!({"stringData": {"k": value.to_string()}})),
        _ => ("example.com/v1", "Widget", json!({"spec": {"size": value}})),
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
    object.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    object
}

/// A repository, a server, and one session that goes on.
struct World {
    repo: Repo,
    server: Server,
    state: TempDir,
    lasting: Session,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let (repo, state) = (Repo::new(), TempDir::new().unwrap());
        repo.write("trueup.toml", CONFIGURATION);
        // What its writer adds to one of them is excused for as long as policy knows the writer.
        repo.write("policies/drift.toml", POLICIES[2]);
        let server = Server::start();
        for number in 0..OBJECTS {
            repo.write(&format!("manifests/{number}.yaml"), object(number, 0).to_string());
            server.put(&object(number, 0), "somebody");
        }
        server.add(&object(1, 0), "extra");
        repo.commit("first");
        let lasting = session(&repo, &state.path().join("lasting")).lasting();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { repo, server, state, lasting, runtime }
    }

    fn take(&self, step: &Step, number: usize) {
        let file = |number: &usize| format!("manifests/{number}.yaml");
        match step {
            Step::Nothing => {}
            Step::Edit(object_number, 2) => self.server.add(&object(*object_number, 0), "extra"),
            Step::Edit(object_number, value) => self.server.put(&object(*object_number, *value), "somebody"),
            Step::Touch(object_number) => self.server.touch(&object(*object_number, 0)),
            Step::Recreate(object_number, value) => self.server.recreate(&object(*object_number, *value)),
            Step::Remove(object_number) => self.server.remove(&object(*object_number, 0)),
            Step::Declare(object_number, value) => {
                self.repo.write(&file(object_number), object(*object_number, *value).to_string());
            }
            Step::Undeclare(object_number) => drop(std::fs::remove_file(self.repo.path().join(file(object_number)))),
            Step::Move(object_number) => {
                let (from, to) = (file(object_number), format!("manifests/deep/er/{object_number}-{}.json", number % 2));
                std::fs::create_dir_all(self.repo.path().join("manifests/deep/er")).unwrap();
                drop(std::fs::rename(self.repo.path().join(from), self.repo.path().join(to)));
            }
            Step::Twice(object_number) => self.repo.write("manifests/deep/again.yaml", object(*object_number, 1).to_string()),
            Step::Policy(policy) => self.repo.write("policies/drift.toml", POLICIES[*policy]),
            Step::Schema(default) => self.server.define(*default),
            Step::Server(version) => self.server.become_version(["v1.36.3", "v1.36.4"][*version]),
        }
        self.repo.commit("next");
    }

    /// Steps 1 to 5, as a round takes them.
    fn look(&self, session: &Session) -> Judged {
        self.runtime.block_on(async {
            let pinned = session::pin(session).await.unwrap();
            let policy = session::policy(session, &pinned).unwrap();
            let target = &session.settings.targets[0];
            let TargetKind::Kubernetes { paths, .. } = &target.kind else { panic!("{target:?}") };
            let declared = declared(session, &pinned, paths).await.unwrap_or_default();
            let cluster = connect_by(&self.server.kubeconfig(), None, "trueup/test memory").await.unwrap();
            let (catalog, version) = (discover(&cluster).await.unwrap(), version(&cluster).await.unwrap());
            let (standing, topology) = <(Standing, Topology)>::default();
            let judging =
                Judging { source: &pinned.name, policy: &policy, key: &session.key, standing: &standing, topology: &topology };
            let found = (declared.objects, declared.problems);
            judge_reached(session, target, (cluster, catalog, version), found, (judging, Freshness::Cached)).await
        })
    }

    /// A look that remembers nothing, neither in memory nor on disk.
    fn first_look(&self, number: usize) -> Judged {
        self.look(&session(&self.repo, &self.state.path().join(number.to_string())))
    }
}

fn session(repo: &Repo, state: &Path) -> Session {
    let settings = config::load(&Overrides::default(), repo.path(), &|_| None).unwrap();
    let environment = StateEnvironment { state_dir: Some(state.as_os_str()), ..StateEnvironment::default() };
    let state = StateFolder::resolve(environment, &settings.file).unwrap();
    state.create().unwrap();
    Session {
        revision: Revision::Reference,
        access: access(state.path()),
        readings: Readings::of(&state, settings.render.clone(), Lasting::OneRound),
        memories: std::collections::BTreeMap::new(),
        key: DigestKey::new(&[7; 32]),
        forge_token: None,
        forge_app_key: None,
        github: trueup::review::forge::Connection::default(),
        ledger: trueup::ledger::Location::File(state.ledger()),
        state,
        settings,
    }
}

/// All that a look says, in words.
fn said(judged: &Judged) -> Vec<String> {
    let case = |case: &trueup::target::JudgedCase| format!("{:?}\n{:?}\n{:?}", case.pair, case.comparison, case.findings);
    let mut said: Vec<String> = judged.cases.iter().map(case).collect();
    said.extend(judged.problems.iter().map(|problem| format!("{problem:?}")));
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_changes_no_verdict(history in steps()) {
        let world = World::new();
        for (number, step) in std::iter::once(&Step::Nothing).chain(&history).enumerate() {
            world.take(step, number);
            let (lasting, first) = (world.look(&world.lasting), world.first_look(number));
            let (lasting, first) = (said(&lasting), said(&first));
            if lasting != first {
                let what = format!("after step {number} {step:?}\nremembered {lasting:#?}\nseen anew {first:#?}");
                return Err(TestCaseError::fail(what));
            }
        }
    }
}

/// The matched pairs, by name.
fn matched(judged: &Judged) -> Vec<&Matched> {
    let pairs = judged.cases.iter().filter_map(|case| case.pair.as_ref());
    let mut matched: Vec<&Matched> =
        pairs.filter_map(|pair| if let Pair::Matched(matched) = pair { Some(matched.as_ref()) } else { None }).collect();
    matched.sort_by(|a, b| a.desired.id.name.cmp(&b.desired.id.name));
    matched
}

#[test]
fn a_round_that_goes_on_neither_reads_nor_walks_again_what_has_not_changed() {
    let world = World::new();
    let first = world.look(&world.lasting);
    assert_eq!((matched(&first).len(), first.findings().count()), (OBJECTS, 0), "{:?}", first.problems);
    let before = world.server.requests();
    world.server.put(&object(0, 1), "somebody");
    let second = world.look(&world.lasting);
    let asked = world.server.requests().split_off(before.len());
    let whole: Vec<&String> = asked.iter().filter(|request| request.starts_with("list ")).collect();
    assert_eq!(whole, ["list widgets"], "built-in kinds are asked for their metadata: {asked:?}");
    assert_eq!(asked.iter().filter(|request| request.starts_with("get ")).collect::<Vec<_>>(), ["get configmaps o0"]);
    assert_eq!(asked.iter().filter(|request| request.starts_with("metadata ")).count(), 4, "{asked:?}");
    // What was true is the very same; what was read anew is not.
    let is_kept = |(a, b): (&&Matched, &&Matched)| {
        a.desired.is_same(&b.desired) && a.live.is_same(&b.live) && a.expected.is_same(&b.expected)
    };
    let kept: Vec<bool> = matched(&first).iter().zip(&matched(&second)).map(is_kept).collect();
    assert_eq!(kept, [false, true, true, true, true, true, false]);
    assert_eq!(second.findings().count(), 1);
    let fresh = world.first_look(1);
    assert_eq!(said(&second), said(&fresh));
}
