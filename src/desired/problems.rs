//! What is wrong with objects that can be read: the reader takes them, and the server would not, or not as they are meant.

use trueup_core::facts::{Desired, Problem};
use trueup_core::ignore::ignore_problems;
use trueup_core::path::Path;
use trueup_kubernetes::table::Table;

/// What is wrong with an object that can be read.
pub(crate) fn notes(object: &Desired) -> Vec<Problem> {
    let mut problems = ignore_problems(object);
    problems.extend(unknown_fields(object));
    problems
}

/// The notes of many objects, each kind of note for itself.
pub(crate) fn in_order(mut notes: Vec<Problem>) -> Vec<Problem> {
    notes.sort_by_key(|note| note.code);
    notes
}

/// What the object's kind does not have: the server drops it, so that no difference would ever tell.
fn unknown_fields(desired: &Desired) -> Vec<Problem> {
    let table = Table::load();
    let problem = |path: &Path| {
        let Desired { id, .. } = desired;
        let version = table.kubernetes();
        let message = format!(
            "`{path}` is no field of {} {} in Kubernetes {version}: the API server refuses or drops it; correct its name or place",
            id.api_version, id.kind
        );
        Problem::note("unknown-field", message, Some(desired.origin_of(path)))
    };
    table.unknown_fields(&desired.id, &desired.value).iter().map(problem).collect()
}
