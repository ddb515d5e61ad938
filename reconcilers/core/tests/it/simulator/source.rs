//! Git: commits that know their parent, one reference, and the policies that a commit may hold.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};
use trueup_core::finding::{Digests, Place};
use trueup_core::object::ObjectId;
use trueup_core::policy::Policy;

use super::world::Objects;
use crate::generate::Dice;
use crate::policies::{policy, proven};

#[derive(Debug, Clone)]
pub struct Commit {
    pub parent: Option<usize>,
    pub desired: Objects,
    /// Which of [`RULES`].
    pub rules: usize,
    /// What people approved, by merging its file.
    pub approvals: BTreeMap<Place, Approval>,
}

/// The file of an approval: what its target is to be put back from, and to.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub place: Place,
    pub digests: Digests,
    /// Which one of these values it is.
    pub turn: usize,
}

impl Approval {
    /// What the ledger knows it by.
    pub fn digest(&self) -> String {
        format!("{} {:?} {}", self.place, self.digests, self.turn)
    }
}

#[derive(Debug, Clone)]
pub struct Source {
    pub commits: Vec<Commit>,
    pub head: usize,
}

/// What a policy says, in the words of the simulator: the oracle for what core makes of the policy's text.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub corrects_level: bool,
    pub sizes_per_hour: Option<usize>,
    pub target_per_hour: Option<usize>,
}

pub const RULES: [Rules; 4] = [
    Rules { corrects_level: true, sizes_per_hour: None, target_per_hour: None },
    Rules { corrects_level: true, sizes_per_hour: Some(1), target_per_hour: None },
    Rules { corrects_level: false, sizes_per_hour: None, target_per_hour: None },
    Rules { corrects_level: true, sizes_per_hour: Some(2), target_per_hour: Some(2) },
];

pub static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| RULES.iter().map(Rules::policy).collect());

impl Rules {
    fn policy(&self) -> Policy {
        let level = if self.corrects_level { "auto" } else { "recommend" };
        let sizes = self.sizes_per_hour.map(|writes| format!("limits = {{ writes_per_hour = {writes} }}\n")).unwrap_or_default();
        let target = self.target_per_hour.map(|writes| format!("[limits]\ntarget_writes_per_hour = {writes}\n"));
        let class = |name: &str, lane: &str, stage: &str, matches: &str, rest: &str| {
            let stage = if lane == "auto" { format!("stage = \"{stage}\"\n") } else { String::new() };
            format!("[[class]]\nname = \"{name}\"\nlane = \"{lane}\"\n{stage}match = {{ {matches} }}\n{rest}")
        };
        let classes = [
            class("level", "auto", level, "path = \"spec.level\"", ""),
            class("parts", "auto", "auto", "path = \"spec.parts[*].note\"", ""),
            class(
                "sizes",
                "auto",
                "auto",
                "path = \"spec.sizes.*\", change = [\"changed\", \"removed\", \"undeclared\"]",
                &sizes,
            ),
            class("color", "review", "", "path = \"spec.color\"", ""),
            class("alarm", "escalate", "", "path = \"spec.alarm\"", ""),
            class("noise", "watch", "", "path = \"spec.noise\"", ""),
        ];
        proven(policy(&format!("{}{}", target.unwrap_or_default(), classes.concat())))
    }

    /// Whether this path may be corrected without asking anybody.
    pub fn corrects(&self, path: &str) -> bool {
        match class_of(path) {
            Some("level") => self.corrects_level,
            Some("parts" | "sizes") => true,
            _ => false,
        }
    }
}

/// The class of a path.
pub fn class_of(path: &str) -> Option<&'static str> {
    match path {
        "spec.level" => Some("level"),
        "spec.color" => Some("color"),
        "spec.alarm" => Some("alarm"),
        "spec.noise" => Some("noise"),
        _ if path.starts_with("spec.sizes.") => Some("sizes"),
        _ if path.starts_with("spec.parts[") && path.ends_with("].note") => Some("parts"),
        _ => None,
    }
}

/// The id of a commit.
pub fn name(commit: usize) -> String {
    format!("{commit:040x}")
}

impl Source {
    pub fn first(dice: &mut Dice, salt: &str) -> Self {
        let mut desired = Objects::new();
        for at in 0..=dice.roll(2) {
            desired.insert(widget(["a", "b"][at]), value(dice));
        }
        if dice.once_in(2) {
            desired.insert(secret(), json!({"data": {"password": format!("first {salt}")}}));
        }
        let first = Commit { parent: None, desired, rules: dice.roll(RULES.len()), approvals: BTreeMap::new() };
        Self { commits: vec![first], head: 0 }
    }

    pub fn commit(&self) -> &Commit {
        &self.commits[self.head]
    }

    /// Somebody commits on top.
    pub fn push(&mut self, change: impl FnOnce(&mut Commit)) {
        self.rewrite(self.head, change);
    }

    /// Somebody commits on top of another commit than the last.
    pub fn rewrite(&mut self, parent: usize, change: impl FnOnce(&mut Commit)) {
        let mut commit = Commit { parent: Some(parent), ..self.commits[parent].clone() };
        change(&mut commit);
        self.commits.push(commit);
        self.head = self.commits.len() - 1;
    }

    /// Whether `commit` is `earlier`, or was made on top of it.
    pub fn descends(&self, commit: usize, earlier: usize) -> bool {
        std::iter::successors(Some(commit), |at| self.commits[*at].parent).any(|at| at == earlier)
    }
}

pub fn widget(name: &str) -> ObjectId {
    let namespace = Some("shop".to_owned());
    ObjectId { api_version: "example.com/v1".to_owned(), kind: "Widget".to_owned(), namespace, name: name.to_owned() }
}

pub fn secret() -> ObjectId {
    let namespace = Some("shop".to_owned());
    ObjectId { api_version: "v1".to_owned(), kind: "Secret".to_owned(), namespace, name: "s".to_owned() }
}

fn value(dice: &mut Dice) -> Value {
    let mut spec = json!({
        "color": "red",
        "alarm": "on",
        "noise": "low",
        "sizes": {"a": "1", "b": "2"},
        "parts": [{"name": "app", "note": "x"}, {"name": "log", "note": "y"}],
    });
    if dice.once_in(2) {
        spec["level"] = json!(2);
    }
    json!({ "spec": spec })
}

/// Changes one value, as people do.
pub fn edit(object: &mut Value, dice: &mut Dice, salt: &str) {
    if object.get("data").is_some() {
        object["data"]["password"] = json!(format!("{} {salt}", dice.roll(3)));
        return;
    }
    let spec = &mut object["spec"];
    match dice.roll(8) {
        0 | 1 => spec["level"] = json!(1 + dice.roll(4)),
        2 => spec["sizes"][dice.pick(&["a", "b", "z"])] = json!(dice.pick(&["1", "2", "3"])),
        3 => {
            let key = dice.pick(&["a", "z"]);
            spec["sizes"].as_object_mut().expect("a map").remove(key);
        }
        4 => spec["parts"][0]["note"] = json!(dice.pick(&["x", "y", "z"])),
        5 => spec["color"] = json!(dice.pick(&["red", "blue", "green"])),
        6 => spec["alarm"] = json!(dice.pick(&["on", "off"])),
        _ => spec["noise"] = json!(dice.pick(&["low", "high"])),
    }
}
