//! Manifests: the bytes of one file → the objects that it declares, exactly as Kubernetes reads them, with positions.
//!
//! The oracle is `kubectl label --local -f FILE -o json`. Where it is laxer than is safe (duplicate keys, text behind `...`),
//! a problem is reported instead of a guess.

use std::borrow::Cow;

use trueup_core::facts::{Desired, Problem};

mod document;
mod refused;
mod node;
mod stand_in;
mod scalar;
mod number;
mod compose;
mod entries;
mod template;
mod metadata;
mod object;
mod fault;
mod print;
pub mod kept;
pub mod outline;

pub use print::to_kubectl_json;

use document::Document;
use fault::{Fault, Flaw};

/// Files above this size are not read; etcd takes objects of 1.5 MiB.
pub const SIZE_LIMIT: usize = 8 << 20;

/// Values nested deeper are not read.
const NESTING_LIMIT: usize = 200;

/// Values that aliases may add to a document.
const ALIAS_LIMIT: u32 = 100_000;

/// Bytes of text that aliases may add to a document: a long text can be repeated by few values.
const ALIASED_TEXT_LIMIT: usize = SIZE_LIMIT;

/// Duplicate keys that are reported of one document; it is not read in any case.
const DUPLICATES_LIMIT: usize = 100;

/// What the paths of an object's values may take together, written out. A path repeats every key above its value, so that long
/// keys around many values take far more than the file has.
const PATHS_LIMIT: usize = 32 << 20;

/// The longest key of a JSON document, in characters; YAML's own limit is 1024.
const KEY_LIMIT: usize = 1 << 18;

/// Reads one file, YAML or JSON.
///
/// Never fails as a whole: what cannot be read is a problem at its place, and the other documents are read. `file` is the
/// path inside the repository, for origins.
#[must_use]
pub fn read(file: &str, bytes: &[u8]) -> (Vec<Desired>, Vec<Problem>) {
    let text = match decode(bytes) {
        Ok(text) => text,
        Err(flaw) => return (Vec::new(), vec![flaw.into_problem(file, 1)]),
    };
    let mut objects = Vec::new();
    let mut problems = Vec::new();
    for split in document::split(&text) {
        let (found, flaws, number) = match split {
            Ok(document) => {
                let (found, flaws) = read_document(file, document);
                (found, flaws, document.number)
            }
            Err((flaw, number)) => (Vec::new(), vec![flaw], number),
        };
        objects.extend(found);
        problems.extend(flaws.into_iter().map(|flaw| flaw.into_problem(file, number)));
    }
    for object in &mut objects {
        // The line break that `decode` may add is not in the file.
        object.positions = std::mem::take(&mut object.positions).within(bytes.len());
    }
    (objects, problems)
}

fn read_document(file: &str, document: Document<'_>) -> (Vec<Desired>, Vec<Flaw>) {
    let composed = match node::parse(document) {
        Ok(tree) => compose::compose(&tree, document.dialect),
        Err(flaw) => Err(vec![flaw]),
    };
    match composed {
        Ok(Some(value)) if !value.is_null() => object::objects(file, document.number, value),
        Ok(_) => (Vec::new(), Vec::new()),
        Err(flaws) => {
            let braces = template::find_bare_braces(document);
            (Vec::new(), flaws.into_iter().map(|flaw| template::explain(braces, flaw)).collect())
        }
    }
}

/// The file's text, with a line break at its end: `kubectl` reads whole lines.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Flaw> {
    if bytes.len() > SIZE_LIMIT {
        let fault = Fault::TooLarge { bytes: bytes.len(), limit: SIZE_LIMIT };
        return Err(Flaw { fault, line: 1, column: 1 });
    }
    match str::from_utf8(bytes) {
        Ok(text) if text.ends_with('\n') => Ok(Cow::Borrowed(text)),
        Ok(text) => Ok(Cow::Owned(format!("{text}\n"))),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let line = before.iter().fold(1, |line, byte| if *byte == b'\n' { line + 1 } else { line });
            let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
            let fault = Fault::NotUtf8 { byte: error.valid_up_to() + 1 };
            Err(Flaw { fault, line, column: document::number(column) })
        }
    }
}
