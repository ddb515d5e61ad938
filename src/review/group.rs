//! What belongs into one proposal: findings of one class in one application, so that one team decides about one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use trueup_core::finding::{Finding, Place, Subject};
use trueup_core::policy::Remedy;
use trueup_core::seen::hex;

/// The labels that say to which application an object belongs, the widest first: what a team owns as a whole, then one
/// installation of it, then one part.
///
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>
const APP_LABELS: [&str; 4] = ["app.kubernetes.io/part-of", "app.kubernetes.io/instance", "app.kubernetes.io/name", "app"];

/// An application: its label in its namespace, else the namespace itself, else what is in none; of outputs, their state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct App {
    namespace: String,
    name: String,
}

impl App {
    /// The application of a finding, by the labels that Git declares: whoever changes live cannot move it elsewhere.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let labels: &BTreeMap<String, String> = &finding.difference.labels;
        match &finding.difference.subject {
            Subject::Output(id) => Self { namespace: String::new(), name: id.state.clone() },
            Subject::Object(id) => {
                let label = APP_LABELS.iter().find_map(|label| labels.get(*label)).filter(|name| !name.is_empty());
                let namespace = id.namespace.clone().unwrap_or_default();
                Self { name: label.cloned().unwrap_or_default(), namespace }
            }
        }
    }
}

/// `shop/checkout`, `shop`, `checkout`, `cluster`
impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.namespace.as_str(), self.name.as_str()) {
            ("", "") => f.write_str("cluster"),
            ("", name) => f.write_str(name),
            (namespace, "") => f.write_str(namespace),
            (namespace, name) => write!(f, "{namespace}/{name}"),
        }
    }
}

/// What a finding is grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    remedy: Remedy,
    class: String,
    app: App,
}

impl Key {
    /// The key of a finding that people are to be asked this about.
    #[must_use]
    pub fn of(finding: &Finding, remedy: Remedy) -> Self {
        Self { remedy, class: finding.class.clone().unwrap_or_default(), app: App::of(finding) }
    }
}

/// How near a finding is to an open proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is about something of another kind.
    No,
    /// The proposal is about everything that is asked so.
    Remedy,
    /// The proposal is about this class in several applications.
    Class,
    /// The proposal is about this class in this application.
    App,
}

/// How near a finding of this key is to a proposal of findings of those keys.
#[must_use]
pub fn fit(key: &Key, proposal: &[Key]) -> Fit {
    let class = common(proposal.iter().map(|other| &other.class));
    let app = common(proposal.iter().map(|other| &other.app));
    match (common(proposal.iter().map(|other| other.remedy)), class, app) {
        (Some(remedy), ..) if remedy != key.remedy => Fit::No,
        (Some(_), None, _) => Fit::Remedy,
        (Some(_), Some(class), _) if *class != key.class => Fit::No,
        (Some(_), Some(_), None) => Fit::Class,
        (Some(_), Some(_), Some(app)) if *app == key.app => Fit::App,
        (None, ..) | (Some(_), Some(_), Some(_)) => Fit::No,
    }
}

/// Groups for at most `room` proposals, in the order of their first members, and what has to wait.
///
/// Where there is no room for a proposal of each class and application, there is one of each class; where not even that fits,
/// one of each kind of question. So that everything is asked, and no more than people can answer.
#[must_use]
pub fn groups<T>(members: Vec<(Key, T)>, room: usize) -> (Vec<Vec<T>>, Vec<T>) {
    type Coarse = (Remedy, Option<String>, Option<App>);
    let levels: [fn(&Key) -> Coarse; 3] = [
        |key| (key.remedy, Some(key.class.clone()), Some(key.app.clone())),
        |key| (key.remedy, Some(key.class.clone()), None),
        |key| (key.remedy, None, None),
    ];
    let count = |level: &fn(&Key) -> Coarse| members.iter().map(|(key, _)| level(key)).collect::<BTreeSet<_>>().len();
    let level = levels.iter().find(|level| count(level) <= room).unwrap_or(&levels[2]);
    let mut names: Vec<Coarse> = Vec::new();
    let mut groups: Vec<Vec<T>> = Vec::new();
    for (key, member) in members {
        let name = level(&key);
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            groups.push(Vec::new());
            names.len() - 1
        });
        groups[at].push(member);
    }
    let waiting = groups.split_off(room.min(groups.len()));
    (groups, waiting.into_iter().flatten().collect())
}

/// The branch of a proposal that is begun for these places: one place's own, or one that is named by all of them. One that is
/// taken by a proposal which the place has left is not taken twice.
#[must_use]
pub fn branch<'a>(places: impl IntoIterator<Item = &'a Place>, is_taken: impl Fn(&str) -> bool) -> String {
    let places: BTreeSet<&Place> = places.into_iter().collect();
    if let (Some(place), 1) = (places.first(), places.len()) {
        let own = format!("trueup/{place}");
        if !is_taken(&own) {
            return own;
        }
    }
    let names: Vec<&str> = places.iter().map(|place| place.as_str()).collect();
    let name = |turn: usize| {
        let text = serde_json::json!([names, turn]).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        format!("trueup/g-{}", &hex(digest.as_ref())[..16])
    };
    let mut turn = 0;
    while is_taken(&name(turn)) {
        turn += 1;
    }
    name(turn)
}

/// What all of some things are, if they are the same.
pub fn common<T: PartialEq>(things: impl IntoIterator<Item = T>) -> Option<T> {
    let mut things = things.into_iter();
    let first = things.next()?;
    things.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests;
