//! Objects that were read before, in a form to keep: what a file declares stays the same as long as its bytes and the reader
//! do.

use std::borrow::Borrow;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trueup_core::facts::{Desired, Origin};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_core::secret;
use trueup_core::seen::DigestKey;

/// The reader's own text, and that of the libraries' versions: with any change of it, nothing kept counts.
const READER: [&str; 16] = [
    include_str!("../manifest.rs"),
    include_str!("document.rs"),
    include_str!("refused.rs"),
    include_str!("node.rs"),
    include_str!("stand_in.rs"),
    include_str!("scalar.rs"),
    include_str!("number.rs"),
    include_str!("compose.rs"),
    include_str!("entries.rs"),
    include_str!("template.rs"),
    include_str!("object.rs"),
    include_str!("metadata.rs"),
    include_str!("fault.rs"),
    include_str!("kept.rs"),
    include_str!("../../../core/src/positions.rs"),
    include_str!("../../../../Cargo.lock"),
];

#[derive(Serialize, Deserialize)]
struct Kept<Id = ObjectId, Whole = Value, At = Positions> {
    id: Id,
    value: Whole,
    line: u32,
    column: u32,
    document: u32,
    positions: At,
}

/// Which reader this is: what another one kept does not count.
#[must_use]
pub fn reader() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(|| DigestKey::new(b"trueup.manifests/v1").hex(&READER));
    &DIGEST
}

/// One line of text for the objects of one file; `None` where they may not be kept: a Secret's values.
#[must_use]
pub fn keep<D: Borrow<Desired>>(objects: &[D]) -> Option<String> {
    let objects: Vec<&Desired> = objects.iter().map(Borrow::borrow).collect();
    if objects.iter().any(|object| object.id.is_secret() || secret::is_within(&object.value)) {
        return None;
    }
    let kept: Vec<_> = objects.iter().map(|object| Kept::borrowed(object)).collect();
    serde_json::to_string(&kept).ok()
}

/// The objects that [`keep`] kept, as those of this file; `None` where the text is none of its.
#[must_use]
pub fn restore(file: &str, text: &[u8]) -> Option<Vec<Desired>> {
    let kept: Vec<Kept> = serde_json::from_slice(text).ok()?;
    Some(kept.into_iter().map(|kept| kept.of_file(file)).collect())
}

impl<'a> Kept<&'a ObjectId, &'a Value, &'a Positions> {
    fn borrowed(Desired { id, value, origin, positions }: &'a Desired) -> Self {
        let Origin { line, column, document, .. } = *origin;
        Self { id, value, line, column, document, positions }
    }
}

impl Kept {
    fn of_file(self, file: &str) -> Desired {
        Desired {
            id: self.id,
            value: self.value,
            origin: Origin { file: file.to_owned(), line: self.line, column: self.column, document: self.document },
            positions: self.positions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read;

    const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n";

    #[test]
    fn what_is_kept_comes_back_under_its_files_name() {
        let (objects, problems) = read("a.yaml", format!("{MAP}---\n{MAP}x: 0.1\n").as_bytes());
        assert_eq!((objects.len(), problems.len()), (2, 0));
        let text = keep(&objects).expect("kept");
        assert_eq!(restore("a.yaml", text.as_bytes()).as_ref(), Some(&objects));
        let moved = restore("b.yaml", text.as_bytes()).expect("kept");
        assert_eq!((moved[1].origin.file.as_str(), moved[1].origin.line), ("b.yaml", objects[1].origin.line));
        assert_eq!(restore("a.yaml", &text.as_bytes()[1..]), None);
    }

    proptest::proptest! {
        /// However many digits a number has.
        #[test]
        fn numbers_come_back_as_they_were_read(text in r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?(e[+-]?[0-9]{1,3})?") {
            let (objects, _) = read("a.yaml", format!("{MAP}x: {text}\n").as_bytes());
            let kept = keep(&objects).expect("kept");
            proptest::prop_assert_eq!(restore("a.yaml", kept.as_bytes()), Some(objects));
        }
    }

    #[test]
    fn no_secret_is_kept() {
        let (objects, _) = read("a.yaml", MAP.replace("ConfigMap", "Secret").as_bytes());
        assert_eq!((objects.len(), keep(&objects)), (1, None));
    }

    #[test]
    fn all_of_the_reader_is_in_its_name() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifest");
        for file in std::fs::read_dir(folder).expect("the folder") {
            let path = file.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            // These two read nothing: one prints, the other tells where things stand.
            let is_reader = !path.ends_with("print.rs") && !path.ends_with("outline.rs");
            assert!(!is_reader || READER.contains(&text.as_str()), "{}", path.display());
        }
    }
}
