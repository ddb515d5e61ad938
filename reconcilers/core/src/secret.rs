//! Which values are secret, beside those of Secrets: what an environment variable with a telling name holds, and the copies of
//! whole manifests that tools keep in annotations.

use serde_json::{Map, Value};

use crate::facts::Secrecy;
use crate::path::{Path, Segment};
use crate::seen::{DigestKey, Seen};

/// What the name of a variable has in it, in capitals or not, whose value is taken for a secret.
pub const SECRET_NAMES: [&str; 7] = ["PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "SECRET", "KEY", "CREDENTIAL"];

/// Fields that hold variables: a list of `name` and `value`, or a map.
const VARIABLES: [&str; 4] = ["env", "envVars", "extraEnv", "environment"];

/// Annotations in which tools keep the manifest as they applied it, secret values and all, whatever form they give it.
const COPIES: [&str; 4] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
    "objectset.rio.cattle.io/applied",
    "banzaicloud.com/last-applied",
];

/// What of a Secret is no secret: what it is, and how it is found.
const OPEN_IN_SECRETS: [&[&str]; 6] =
    [&["apiVersion"], &["kind"], &["type"], &["immutable"], &["metadata", "name"], &["metadata", "namespace"]];

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A value that stands at `at` in an object, as far as it may be shown.
#[must_use]
pub fn seen(secrecy: Secrecy, at: &Path, value: &Value, key: &DigestKey) -> Seen {
    let is_open = || OPEN_IN_SECRETS.iter().any(|keys| Path::of_keys(keys).covers(at));
    match secrecy {
        Secrecy::Secret if is_open() => Seen::Plain(value.clone()),
        Secrecy::Secret => Seen::Masked(key.mask(value)),
        Secrecy::Open if is_secret_at(at) && is_there(value) => Seen::Masked(key.mask(value)),
        Secrecy::Open => match masked(around(at), value, key) {
            Some(parts) => Seen::Masked(parts),
            None => Seen::Plain(value.clone()),
        },
    }
}

/// An object as it may be shown, each secret value in it as its mask.
#[must_use]
pub fn shown(secrecy: Secrecy, object: &Value, key: &DigestKey) -> Value {
    fn inside(at: &Path, value: &Value, key: &DigestKey) -> Value {
        match value {
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), inside(&at.key(name), value, key))).collect())
            }
            value => serde_json::json!(seen(Secrecy::Secret, at, value, key)),
        }
    }
    match secrecy {
        Secrecy::Open => match seen(Secrecy::Open, &Path::root(), object, key) {
            Seen::Plain(value) => value,
            masked @ Seen::Masked(_) => serde_json::json!(masked),
        },
        Secrecy::Secret => inside(&Path::root(), object, key),
    }
}

/// Whether an object that is no Secret, or a patch of one, has a secret value in it.
#[must_use]
pub fn is_within(object: &Value) -> bool {
    !places(Secrecy::Open, object).is_empty()
}

/// The JSON pointers (RFC 6901) of the secret values in an object.
#[must_use]
pub fn places(secrecy: Secrecy, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match secrecy {
        Secrecy::Open => each(Around::Other, object, &mut String::new(), &mut |pointer, _| found.push(pointer.to_owned())),
        Secrecy::Secret => closed(&Path::root(), object, object, &mut found),
    }
    found
}

/// The values of a Secret that are no part of its identity.
fn closed(at: &Path, value: &Value, secret: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| closed(&at.key(name), value, secret, found)),
        _ if OPEN_IN_SECRETS.iter().any(|keys| Path::of_keys(keys).covers(at)) => {}
        _ => found.extend(at.pointer_in(secret)),
    }
}

/// What a value stands in, as far as that tells whether it is secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// It is what a field for variables holds, or one of its entries.
    Variables,
    /// Anything else.
    Other,
}

fn of_field(name: &str) -> Around {
    if VARIABLES.contains(&name) { Around::Variables } else { Around::Other }
}

/// The field that the value at this path belongs to: an entry belongs to its list's.
fn around(at: &Path) -> Around {
    let field = at.0.iter().rev().find_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) | Segment::Entry(_) => None,
    });
    field.map_or(Around::Other, of_field)
}

/// Whether everything at this path is secret.
fn is_secret_at(at: &Path) -> bool {
    let name_of = |keys: &[(String, String)]| {
        let (_, text) = keys.iter().find(|(key, _)| key == "name")?;
        serde_json::from_str::<String>(text).ok()
    };
    let is_copy = |segment: &Segment| matches!(segment, Segment::Key(key) if COPIES.contains(&key.as_str()));
    at.0.iter().any(is_copy)
        || at.0.windows(2).any(|pair| match pair {
            [Segment::Key(field), Segment::Key(name)] => of_field(field) == Around::Variables && is_secret_name(name),
            _ => false,
        })
        || at.0.windows(3).any(|triple| match triple {
            [Segment::Key(field), Segment::Entry(keys), Segment::Key(key)] => {
                let is_named = name_of(keys).is_some_and(|name| is_secret_name(&name));
                of_field(field) == Around::Variables && key == "value" && is_named
            }
            _ => false,
        })
}

fn is_there(value: &Value) -> bool {
    !value.is_null()
}

/// The value with its secret parts as masks; `None` where it has none.
fn masked(around: Around, value: &Value, key: &DigestKey) -> Option<crate::seen::Mask> {
    let mut pointers = Vec::new();
    each(around, value, &mut String::new(), &mut |pointer, secret| {
        pointers.push((pointer.to_owned(), key.mask(secret)));
    });
    if pointers.is_empty() {
        return None;
    }
    let mut shown = value.clone();
    for (pointer, mask) in &pointers {
        let place = shown.pointer_mut(pointer).expect("it was found there");
        *place = serde_json::json!(Seen::Masked(mask.clone()));
    }
    Some(crate::seen::Mask::of_parts(shown))
}

/// Calls `found` with each secret value in `value` and its place.
fn each(around: Around, value: &Value, at: &mut String, found: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            let variable = (around == Around::Variables).then(|| secret_variable(fields)).flatten();
            for (name, inside) in fields {
                let length = at.len();
                at.push('/');
                if name.contains(['~', '/']) {
                    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                } else {
                    at.push_str(name);
                }
                let in_map = around == Around::Variables && is_secret_name(name) && !fields.contains_key("name");
                let is_secret = COPIES.contains(&name.as_str()) || in_map || variable == Some(name.as_str());
                if is_secret && is_there(inside) {
                    found(at, inside);
                } else {
                    each(of_field(name), inside, at, found);
                }
                at.truncate(length);
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                let length = at.len();
                at.push('/');
                at.push_str(&index.to_string());
                each(around, entry, at, found);
                at.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The field of a variable that holds its secret value.
fn secret_variable(fields: &Map<String, Value>) -> Option<&'static str> {
    let name = fields.get("name").and_then(Value::as_str)?;
    is_secret_name(name).then_some("value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key() -> DigestKey {
        DigestKey::new(&[7; 32])
    }

    fn at(path: &str) -> Path {
        path.parse().expect("a path")
    }

    fn shows(path: &str, value: &Value) -> String {
        json!(seen(Secrecy::Open, &at(path), value, &key())).to_string()
    }

    #[test]
    fn variables_with_telling_names_are_masked_wherever_they_stand() {
        let entry = json!({"name": "DB_PASSWORD", "value": "hunter2"});
        let container = json!({"name": "app", "image": "app:1", "env": [entry, {"name": "LEVEL", "value": "info"}]});
        for (path, value) in [
            ("spec.containers[name=app].env[name=DB_PASSWORD].value", &json!("hunter2")),
            ("spec.containers[name=app].env[name=DB_PASSWORD]", &entry),
            ("spec.containers[name=app].env", &json!([entry])),
            ("spec.containers[name=app]", &container),
            ("spec.env.apiToken", &json!("hunter2")),
            ("spec.env", &json!({"apiToken": "hunter2"})),
            ("spec", &json!({"template": {"extraEnv": {"apiToken": "hunter2"}}})),
        ] {
            let text = shows(path, value);
            assert!(!text.contains("hunter2") && text.contains("k1:"), "{path}: {text}");
        }
        assert!(shows("spec.containers[name=app]", &container).contains("info"), "the rest is shown");
        assert!(shows("spec.containers[name=app].env[name=LEVEL].value", &json!("info")).contains("info"));
        let reference = json!({"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}});
        assert_eq!(shows("spec.containers[name=app].env[name=DB_PASSWORD]", &reference), reference.to_string());
    }

    #[test]
    fn copies_of_manifests_are_masked_whatever_they_hold() {
        for copy in [json!("{\"data\": \"hunter2\"}"), json!("{hunter2"), json!(["hunter2"]), json!({"a": "hunter2"})] {
            let annotations = json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": copy, "note": "n"}});
            let text = shows("metadata", &annotations);
            assert!(!text.contains("hunter2") && text.contains("note"), "{text}");
            let path = r#"metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]"#;
            assert!(!shows(path, &copy).contains("hunter2"));
        }
    }

    #[test]
    fn equal_values_have_equal_masks_and_different_ones_different() {
        let whole = |value: &str| shows("env[name=A_KEY].value", &json!(value));
        let part = |value: &str| shows("env[name=A_KEY]", &json!({"name": "A_KEY", "value": value}));
        assert_eq!((whole("a") == whole("a"), whole("a") == whole("b")), (true, false));
        assert_eq!((part("a") == part("a"), part("a") == part("b")), (true, false));
        assert!(part("a").contains(&whole("a")), "the same value has the same mask in whatever it stands");
    }

    #[test]
    fn of_a_secret_only_its_identity_is_shown() {
        let secret = json!({"kind": "Secret", "type": "Opaque", "metadata": {"name": "login", "annotations": {"a": "hunter2"}},
            "data": {"password": "hunter2"}, "stringData": "hunter2", "more": [{"x": "hunter2"}]});
        let shown = shown(Secrecy::Secret, &secret, &key());
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert_eq!((&shown["metadata"]["name"], &shown["type"]), (&json!("login"), &json!("Opaque")));
        assert!(shown["data"]["password"]["masked"].is_string());
    }

    #[test]
    fn places_are_where_the_values_are() {
        let object = json!({"spec": {"containers": [{"env": [{"name": "A"}, {"name": "A_TOKEN", "value": "x"}]}]},
            "metadata": {"annotations": {"kapp.k14s.io/original": "x"}}});
        let mut found = places(Secrecy::Open, &object);
        found.sort();
        assert_eq!(found, ["/metadata/annotations/kapp.k14s.io~1original", "/spec/containers/0/env/1/value"]);
        // A patch that removes a value does not hold it.
        assert!(!is_within(&json!({"spec": {"env": {"A_TOKEN": null}}})));
    }
}
