//! The manifest reader against its oracle, `kubectl label --local -f FILE -o json`.

use std::path::{Path, PathBuf};

use trueup_core::facts::{Desired, Problem};
use trueup_kubernetes::manifest;

mod changed;
mod corpus;
mod laws;
mod oracle;
mod places;
mod problems;

/// The file of this repository below `testdata/manifests`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/manifests").join(name)
}

fn read_text(text: &str) -> (Vec<Desired>, Vec<Problem>) {
    manifest::read("m.yaml", text.as_bytes())
}

/// The one object of a text without problems.
fn read_one(text: &str) -> Desired {
    let (mut objects, problems) = read_text(text);
    assert_eq!(problems, [], "{text}");
    assert_eq!(objects.len(), 1, "{text}");
    objects.remove(0)
}
