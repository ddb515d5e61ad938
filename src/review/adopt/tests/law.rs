//! The law over random documents: an edit is proven, or refused.

use super::*;

/// A scalar's text in some style, with some comment behind it.
fn scalar_source() -> impl Strategy<Value = String> {
    let styles = prop_oneof![
        "[a-z][a-z0-9-]{0,6}",
        "[0-9]{1,3}",
        "\"[a-z #:]{0,5}\"",
        "'[a-z #:]{0,5}'",
        Just("true".to_owned()),
        Just("0644".to_owned()),
        Just("\"yes\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("~".to_owned()),
        Just("[a, \"b\", 3]".to_owned()),
        Just("{p: q, r: [s]}".to_owned()),
    ];
    (styles, prop_oneof![3 => Just(String::new()), 1 => "[a-z ]{0,6}".prop_map(|text| format!("  # {text}"))])
        .prop_map(|(text, comment)| text + &comment)
}

/// A block of a mapping, indented, with comments, lists, block scalars and blank lines.
fn block(depth: u32) -> BoxedStrategy<Vec<String>> {
    let leaf = scalar_source().prop_map(|text| vec![format!(" {text}")]);
    let literal = Just(vec![" |".to_owned(), "  line one".to_owned(), "  line # two".to_owned()]);
    let items = (prop::collection::vec(scalar_source(), 1..4), prop_oneof![Just(""), Just("  ")]).prop_map(|(items, indent)| {
        [String::new()].into_iter().chain(items.into_iter().map(|item| format!("{indent}- {item}"))).collect()
    });
    let value = if depth == 0 {
        prop_oneof![6 => leaf, 1 => literal, 2 => items].boxed()
    } else {
        let nested = block(depth - 1).prop_map(|lines| {
            [String::new()].into_iter().chain(lines.into_iter().map(|line| format!("  {line}"))).collect::<Vec<_>>()
        });
        let entries = prop::collection::vec(block(depth - 1), 1..3).prop_map(|entries| {
            let mut lines = vec![String::new()];
            for (index, entry) in entries.into_iter().enumerate() {
                lines.push(format!("- name: n{index}"));
                lines.extend(entry.into_iter().map(|line| format!("  {line}")));
            }
            lines
        });
        prop_oneof![5 => leaf, 1 => literal, 2 => items, 3 => nested, 2 => entries].boxed()
    };
    let around = prop_oneof![5 => Just(None), 1 => "[a-z]{0,6}".prop_map(|text| Some(format!("# {text}"))), 1 => Just(Some(String::new()))];
    prop::collection::btree_map("k[a-f]{1,2}", (around, value), 1..5)
        .prop_map(|entries| {
            let mut lines = Vec::new();
            for (key, (around, value)) in entries {
                lines.extend(around);
                let mut value = value.into_iter();
                lines.push(format!("{key}:{}", value.next().unwrap_or_default()));
                lines.extend(value);
            }
            lines
        })
        .boxed()
}

fn document() -> impl Strategy<Value = String> {
    (block(2), any::<bool>()).prop_map(|(lines, crlf)| {
        let spec: String = lines.iter().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect();
        let text = format!("# top\napiVersion: v1\nkind: Foo\nmetadata:\n  name: a\nspec:\n{spec}# end\n---\napiVersion: v1\nkind: Foo\nmetadata: {{name: b}}\n");
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

/// How many edits were tried, and the refused ones by reason with the first of each.
#[derive(Default)]
struct Tally {
    tried: u32,
    refused: u32,
    reasons: std::collections::BTreeMap<String, (u32, String)>,
}

impl Tally {
    /// Adopts `value` at `path` of the object; what comes out must be the law's.
    fn attempt(&mut self, text: &str, objects: &[Desired], index: usize, path: &Path, value: Option<&Value>) {
        let Some(live) = with(&objects[index].value, path, value) else { return };
        // A change of an entry's own key moves it elsewhere: another finding.
        if live == objects[index].value || path.find(&live) != value {
            return;
        }
        self.tried += 1;
        let desired = &objects[index];
        let adoption = Adoption { desired, drift: &drift(desired, path, &live), live: &live };
        match adopt(&desired.origin.file, text.as_bytes(), &[adoption]) {
            Ok(adopted) => assert_lawful(text, &adopted, objects, index, &live),
            Err(refused) => {
                self.refused += 1;
                let reason = refused.reason.split('`').step_by(2).collect::<Vec<_>>().join("…");
                let first = format!("{} {path} := {value:?}\n{text:.1500}", desired.origin);
                self.reasons.entry(reason).or_insert((0, first)).0 += 1;
            }
        }
    }

    /// Prints the refusals; not more than one edit in `part` may be one.
    fn conclude(&self, part: u32) {
        println!(
            "{} edits, {} refused ({:.1} %)",
            self.tried,
            self.refused,
            100.0 * f64::from(self.refused) / f64::from(self.tried)
        );
        for (reason, (count, first)) in &self.reasons {
            println!("{count} × {reason}; first: {first}");
        }
        assert!(self.refused * part < self.tried, "too many simple edits are refused");
    }
}

fn assert_lawful(text: &str, adopted: &Adopted, objects: &[Desired], index: usize, live: &Value) {
    let (after, problems) = trueup_kubernetes::manifest::read(&objects[index].origin.file, &adopted.bytes);
    assert_eq!((after.len(), problems.len()), (objects.len(), 0), "{text}");
    for (position, (old, new)) in objects.iter().zip(&after).enumerate() {
        assert_eq!(&new.value, if position == index { live } else { &old.value }, "{text}");
    }
    let edited = str::from_utf8(&adopted.bytes).expect("UTF-8");
    assert_eq!(text.contains("\r\n"), edited.contains("\r\n"));
    assert_eq!(text.ends_with('\n'), edited.ends_with('\n'), "{text}\n→\n{edited}");
    // Comments that are lines: a reader of comments that is not the one under test.
    let comments =
        |text: &str| text.lines().map(str::trim).filter(|line| line.starts_with("# ")).map(str::to_owned).collect::<Vec<_>>();
    let mut left = comments(edited);
    left.extend(adopted.comments.iter().map(|comment| comment.trim().to_owned()));
    for comment in comments(text) {
        let at = left.iter().position(|left| *left == comment);
        if !text.contains(": |") && !text.contains(": >") {
            assert!(at.is_some(), "the comment `{comment}` is gone in silence:\n{text}\n→\n{edited}");
        }
        at.map(|at| left.remove(at));
    }
}

/// The law over many random documents and changes.
#[test]
fn every_edit_is_proven_or_refused() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tally = Tally::default();
    for _ in 0..400 {
        let case = (document(), any::<prop::sample::Index>(), prop_oneof![2 => json_value().prop_map(Some), 1 => Just(None)]);
        let (text, choice, value) = case.new_tree(&mut runner).expect("a case").current();
        let (objects, problems) = trueup_kubernetes::manifest::read(FILE, text.as_bytes());
        assert!(problems.is_empty() && objects.len() == 2, "a bad document was generated: {problems:?}\n{text}");
        let mut places = Vec::new();
        paths(&objects[0].value["spec"], &Path::of_keys(&["spec"]), &mut places);
        tally.attempt(&text, &objects, 0, choice.get(&places), value.as_ref());
    }
    tally.conclude(10);
}
