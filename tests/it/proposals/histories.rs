//! Whatever live, people and a crash do between rounds: a place is in one proposal at most, in no more proposals than are
//! allowed, and what people pushed stays. What a branch proposes is asked of git, not of trueup.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::World;

const OBJECTS: usize = 4;
const KEYS: [&str; 2] = ["a", "b"];
const MAX_OPEN: usize = 3;

/// What happens between two looks.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody writes a value, or Git's own one back.
    Write { object: usize, key: usize, value: u8 },
    /// Somebody's file of live objects cannot be read for a while.
    Break(usize),
    /// People merge one of the proposals.
    Merge(usize),
    /// People remove one of the branches.
    Close(usize),
    /// People push to one of the branches.
    Push(usize),
    /// Git moves elsewhere.
    Commit,
    /// The policy names its classes anew.
    Regroup(usize),
    /// A round.
    Round,
    /// A round that is killed after so many milliseconds.
    Killed(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..OBJECTS, 0..KEYS.len(), 1_u8..4).prop_map(|(object, key, value)| Step::Write { object, key, value });
    let step = prop_oneof![
        5 => write,
        1 => (0..OBJECTS).prop_map(Step::Break),
        2 => (0_usize..8).prop_map(Step::Merge),
        2 => (0_usize..8).prop_map(Step::Close),
        1 => (0_usize..8).prop_map(Step::Push),
        1 => Just(Step::Commit),
        1 => (0_usize..3).prop_map(Step::Regroup),
        5 => Just(Step::Round),
        2 => (0_u64..1500).prop_map(Step::Killed),
    ];
    prop::collection::vec(step, 8..16)
}

/// A world and what the test knows of it.
struct History {
    world: World,
    live: Vec<BTreeMap<&'static str, u8>>,
    /// Branches that people pushed to, and the commits that are theirs.
    theirs: BTreeMap<String, String>,
    commits: usize,
}

/// Objects of two applications in one namespace.
fn manifest(object: usize, data: &BTreeMap<&'static str, u8>) -> Value {
    let data: BTreeMap<&str, String> = data.iter().map(|(key, value)| (*key, format!("{value}"))).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": format!("o{object}"), "namespace": "shop", "labels": {"app.kubernetes.io/part-of": format!("app-{}", object % 2)},
    }, "data": data})
}

fn policy(choice: usize) -> &'static str {
    match choice {
        0 => "[[class]]\nname = \"all\"\nlane = \"review\"\n",
        1 => {
            "[[class]]\nname = \"first\"\nmatch = { path = \"data.a\" }\nlane = \"review\"\n\
             [[class]]\nname = \"second\"\nmatch = { path = \"data.b\" }\nlane = \"review\"\n"
        }
        _ => "[[class]]\nname = \"other\"\nlane = \"review\"\n",
    }
}

impl History {
    fn begin() -> Self {
        let world = World::empty();
        let settings = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
        let settings = settings.replace("forge = \"local\"\n", &format!("forge = \"local\"\nmax_open = {MAX_OPEN}\n"));
        world.repo.write("trueup.toml", settings);
        let live = vec![BTreeMap::from(KEYS.map(|key| (key, 1))); OBJECTS];
        for (object, data) in live.iter().enumerate() {
            // A file for each value would need no merging; one for each object does.
            world.repo.write(&format!("manifests/o{object}.json"), format!("{:#}\n", manifest(object, data)));
        }
        world.repo.write("policies/drift.toml", policy(0));
        world.repo.commit("declared");
        let history = Self { world, live, theirs: BTreeMap::new(), commits: 0 };
        (0..OBJECTS).for_each(|object| history.write(object));
        history
    }

    fn write(&self, object: usize) {
        self.world.repo.write(&format!("live/o{object}.json"), manifest(object, &self.live[object]).to_string());
    }

    fn take(&mut self, step: &Step) {
        let repo = &self.world.repo;
        let branches = self.world.branches();
        let chosen = |choice: usize| branches.get(choice % branches.len().max(1)).cloned();
        match step {
            Step::Write { object, key, value } => {
                self.live[*object].insert(KEYS[*key], *value);
                self.write(*object);
            }
            Step::Break(object) => repo.write(&format!("live/o{object}.json"), "{ no object"),
            Step::Merge(choice) => {
                if let Some((branch, _)) = chosen(*choice) {
                    self.world.merge_if_it_goes(&branch);
                }
            }
            Step::Close(choice) => {
                if let Some((branch, _)) = chosen(*choice) {
                    repo.git(&["branch", "-q", "-D", &branch]);
                    self.theirs.remove(&branch);
                }
            }
            Step::Push(choice) => {
                if let Some((branch, head)) = chosen(*choice) {
                    let commit = repo.git(&["commit-tree", "-m", "a person's work", &format!("{head}^{{tree}}"), "-p", &head]);
                    repo.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
                    self.theirs.insert(branch, commit);
                }
            }
            Step::Commit => {
                self.commits += 1;
                repo.write("NOTES", format!("{}\n", self.commits));
                repo.commit("something else");
            }
            Step::Regroup(choice) => {
                repo.write("policies/drift.toml", policy(*choice));
                repo.commit("classes");
            }
            Step::Round => drop(self.world.sync()),
            Step::Killed(after) => self.world.sync_killed(Duration::from_millis(*after)),
        }
    }

    /// What each branch that is not merged changes, by git: object and key.
    fn proposed(&self) -> BTreeMap<String, BTreeSet<(String, String)>> {
        let repo = &self.world.repo;
        let read = |commit: &str, file: &str| -> Value {
            serde_json::from_str(&repo.git(&["show", &format!("{commit}:{file}")])).unwrap()
        };
        let mut proposed = BTreeMap::new();
        for (branch, head) in self.world.branches() {
            let base = repo.git(&["merge-base", "main", &head]);
            let mut changes = BTreeSet::new();
            for file in repo.git(&["diff", "--name-only", &base, &head]).lines() {
                let (before, after) = (read(&base, file), read(&head, file));
                let differs = |key: &&&str| before["data"][**key] != after["data"][**key];
                changes.extend(KEYS.iter().filter(differs).map(|key| (file.to_owned(), (*key).to_owned())));
            }
            if base != head {
                proposed.insert(branch, changes);
            }
        }
        proposed
    }

    /// What must hold after each round that ended.
    fn check(&self) {
        let proposed = self.proposed();
        assert!(proposed.len() <= MAX_OPEN, "{} branches: {proposed:#?}", proposed.len());
        let mut seen = BTreeMap::new();
        for (branch, changes) in &proposed {
            for change in changes {
                if let Some(other) = seen.insert(change, branch) {
                    panic!("{change:?} is proposed by {other} and by {branch}");
                }
            }
        }
        for (branch, commit) in &self.theirs {
            let is_there = self.world.branches().iter().any(|(name, head)| name == branch && head == commit);
            assert!(is_there, "what people pushed to {branch} is gone");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_place_is_in_one_open_proposal_at_most_whatever_happens(steps in steps()) {
        let mut history = History::begin();
        for step in &steps {
            history.take(step);
            if matches!(step, Step::Round) {
                history.check();
            }
        }
        // In the end all is true: what people have not made theirs is ended, within the rounds that an ending takes.
        for (object, data) in history.live.iter_mut().enumerate() {
            let declared = history.world.repo.git(&["show", &format!("main:manifests/o{object}.json")]);
            let declared: Value = serde_json::from_str(&declared).unwrap();
            for key in KEYS {
                data.insert(key, declared["data"][key].as_str().unwrap().parse().unwrap());
            }
        }
        (0..OBJECTS).for_each(|object| history.write(object));
        for _ in 0..3 {
            history.world.sync();
            history.check();
        }
        let left: BTreeSet<String> = history.world.branches().into_iter().map(|(branch, _)| branch).collect();
        let theirs: BTreeSet<String> = history.theirs.keys().cloned().collect();
        prop_assert_eq!(left, theirs, "{:?}", steps);
    }
}

/// How many histories: `TRUEUP_HISTORIES`, for a long run.
fn cases() -> u32 {
    std::env::var("TRUEUP_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}
