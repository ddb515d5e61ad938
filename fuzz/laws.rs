//! Laws that several targets ask for, and how a failure reads.

use serde_json::Value;
use trueup_core::facts::Problem;

/// The name under which every input is read.
pub const FILE: &str = "fuzzed";

/// Each problem says where it is: a line of the file, and a column that this line has (one behind its end counts: that is where
/// something is missing).
pub fn problems_have_places(bytes: &[u8], problems: &[Problem]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for problem in problems {
        let origin = problem.origin.as_ref().unwrap_or_else(|| panic!("no place: {problem}"));
        assert_eq!(origin.file, FILE, "{problem}");
        // An object that each create names anew is understood, and is none that could be there or not.
        assert!(problem.blinds || problem.code == "generate-name", "what was not understood hides something: {problem}");
        assert!(!problem.message.is_empty() && !problem.code.is_empty(), "{problem:?}");
        let line = (origin.line as usize).checked_sub(1).unwrap_or_else(|| panic!("lines count from 1: {problem}"));
        // Readers that add a last line break may stand behind it.
        let text = if line == lines.len() { b"" } else { *lines.get(line).unwrap_or_else(|| panic!("no such line: {problem}")) };
        let columns = String::from_utf8_lossy(text).chars().count() + 1;
        assert!((1..=columns).contains(&(origin.column as usize)), "no such column: {problem}");
    }
}

/// Values in a value, itself included.
#[must_use]
pub fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
