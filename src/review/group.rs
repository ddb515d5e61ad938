//! What belongs into one proposal: findings of one class in one application, so that one team decides about one thing.

use std::collections::BTreeMap;
use std::fmt;

use trueup_core::finding::{Finding, Subject};

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

/// What all of some things are, if they are the same.
pub fn common<T: PartialEq>(things: impl IntoIterator<Item = T>) -> Option<T> {
    let mut things = things.into_iter();
    let first = things.next()?;
    things.all(|other| other == first).then_some(first)
}
