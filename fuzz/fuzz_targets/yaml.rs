//! Manifests: the reader of YAML and JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trueup_core::facts::Desired;
use trueup_fuzz::{FILE, count, problems_have_places};
use trueup_kubernetes::manifest::{read, to_kubectl_json};

fuzz_target!(|bytes: &[u8]| {
    let (objects, problems) = read(FILE, bytes);
    assert_eq!((&objects, &problems), (&read(FILE, bytes).0, &read(FILE, bytes).1), "the same bytes mean the same");
    problems_have_places(bytes, &problems);
    for object in &objects {
        every_value_has_its_place(bytes, object);
        what_is_printed_reads_back(object);
    }
});

/// Spans lie inside the file, begin where line and column say, and belong to values that are there, each to one.
fn every_value_has_its_place(bytes: &[u8], object: &Desired) {
    let text = std::str::from_utf8(bytes).expect("other bytes declare nothing");
    assert_eq!(object.positions.iter().count(), count(&object.value), "one place for each value");
    for (pointer, position) in object.positions.iter() {
        assert!(object.value.pointer(pointer).is_some(), "`{pointer}` names no value");
        assert!(position.start <= position.end && text.get(position.start..position.end).is_some(), "`{pointer}`: {position:?}");
        let before = &text[..position.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        // A byte order mark has no column.
        let line = before[line_start..].trim_start_matches('\u{FEFF}');
        let place = (before.matches('\n').count() + 1, line.chars().count() + 1);
        assert_eq!((position.line as usize, position.column as usize), place, "`{pointer}`: {position:?}");
    }
    let root = object.positions.get("").expect("the whole has a place");
    assert_eq!((object.origin.line, object.origin.column), (root.line, root.column));
}

fn what_is_printed_reads_back(object: &Desired) {
    let printed = to_kubectl_json(std::slice::from_ref(&object.value));
    let (again, problems) = read(FILE, printed.as_bytes());
    assert_eq!(problems, [], "{printed}");
    assert_eq!(again.len(), 1, "{printed}");
    assert_eq!(again[0].value, object.value, "{printed}");
    assert_eq!(again[0].id, object.id);
}
