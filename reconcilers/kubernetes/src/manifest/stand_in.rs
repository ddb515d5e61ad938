//! Characters that JSON takes as they are and YAML does not, as U+0082: `kubectl` reads a JSON file as JSON, our parser as YAML.
//! So it is shown others in their place, which take as many bytes and which the file does not have.

use std::collections::{BTreeSet, HashSet};

/// Each such character of a text, and what stands for it.
pub(super) struct StandIns(Vec<(char, char)>);

impl StandIns {
    /// Those for a text of JSON; `None` where it needs none. A character for which nothing is free stays, and is refused.
    pub(super) fn of(text: &str) -> Option<Self> {
        let hidden: BTreeSet<char> = text.chars().filter(|character| !is_printable(*character)).collect();
        // JSON has no such escapes: what they would come to is not looked for.
        if hidden.is_empty() || ["\\x", "\\U"].iter().any(|escape| text.contains(escape)) {
            return None;
        }
        let taken: HashSet<char> = text.chars().chain(escaped(text)).collect();
        let mut free = CANDIDATES.map(|candidates| candidates.filter(|candidate| !taken.contains(candidate)));
        let stand_in = |character: char| Some((character, free[character.len_utf8() - 1].next()?));
        Some(Self(hidden.into_iter().filter_map(stand_in).collect()))
    }

    /// The text with what stands for others.
    pub(super) fn hide(&self, text: &str) -> String {
        let shown =
            |character: char| self.0.iter().find(|(hidden, _)| *hidden == character).map_or(character, |(_, shown)| *shown);
        text.chars().map(shown).collect()
    }

    /// A text of the parser with what stands there in the file.
    pub(super) fn reveal(&self, text: &str) -> String {
        let hidden =
            |character: char| self.0.iter().find(|(_, shown)| *shown == character).map_or(character, |(hidden, _)| *hidden);
        text.chars().map(hidden).collect()
    }
}

/// By their bytes: one, two and three. None of them means anything in a string, and no escape of one letter comes to one of them.
const CANDIDATES: [std::ops::RangeInclusive<char>; 3] = ['#'..='.', '\u{100}'..='\u{7ff}', '\u{e000}'..='\u{f8ff}'];

/// Whether YAML 1.2 takes the character as it is (section 5.1), or JSON does not, either.
fn is_printable(character: char) -> bool {
    !matches!(character, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}

/// The characters of all `\u0000` in a text.
fn escaped(text: &str) -> impl Iterator<Item = char> {
    text.split("\\u").skip(1).filter_map(|behind| u32::from_str_radix(behind.get(..4)?, 16).ok().and_then(char::from_u32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn json_is_read_as_json(text in "[a-c#-&\u{7e}-\u{a1}\u{fe}-\u{104}\u{e000}-\u{e003}\u{fffd}-\u{ffff}]{0,12}", escaped in any::<bool>()) {
            let mut value = serde_json::Value::String(text.clone()).to_string();
            if escaped {
                value = value.replace('\u{101}', "\\u0101").replace('\u{e001}', "\\uE001").replace('#', "\\u0023");
            }
            let file = format!(r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "a"}}, "data": {{"k": {value}}}}}"#);
            let (objects, problems) = crate::manifest::read("a.json", file.as_bytes());
            prop_assert_eq!(problems, []);
            prop_assert_eq!(&objects[0].value["data"]["k"], &serde_json::Value::String(text));
            let place = objects[0].positions.get("/data/k").expect("a place");
            prop_assert_eq!(&file[place.start..place.end], value);
        }
    }
}
