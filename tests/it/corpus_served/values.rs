//! Values for edits: another one of the same type, the same one in other words, one for a field that was not there.

use serde_json::{Map, Value, json};

use super::edit::Dice;
use super::schema::{Schemas, is_quantity};

/// Four letters.
pub fn word(dice: &mut Dice) -> String {
    (0..4).map(|_| char::from(b'a' + u8::try_from(dice.roll(26)).unwrap())).collect()
}

/// Words that are one of a few: another of the same few.
const CHOICES: [&[&str]; 14] = [
    &["Always", "IfNotPresent", "Never"],
    &["TCP", "UDP", "SCTP"],
    &["ClusterIP", "NodePort", "LoadBalancer"],
    &["RollingUpdate", "Recreate", "OnDelete"],
    &["ClusterFirst", "Default", "ClusterFirstWithHostNet"],
    &["File", "FallbackToLogsOnError"],
    &["OrderedReady", "Parallel"],
    &["Cluster", "Local"],
    &["None", "ClientIP"],
    &["Retain", "Delete", "Recycle"],
    &["HTTP", "HTTPS"],
    &["SingleStack", "PreferDualStack"],
    &["Immediate", "WaitForFirstConsumer"],
    &["Ingress", "Egress"],
];

/// Another value of the same type. Numbers stay near: replicas are Pods.
pub fn other(value: &Value, dice: &mut Dice) -> Value {
    match value {
        Value::Bool(value) => (!value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => (number + 1 + i64::try_from(dice.roll(2)).unwrap()).into(),
            None => (number.as_f64().unwrap() + 0.5).into(),
        },
        Value::String(text) => match CHOICES.iter().find(|choices| choices.contains(&text.as_str())) {
            Some(choices) => (*dice.pick(choices).unwrap()).into(),
            None => [format!("{text}x"), format!("x{text}"), word(dice), format!("{text}\n")][dice.roll(4)].clone().into(),
        },
        _ => value.clone(),
    }
}

/// The quantity and one more of its unit.
pub fn larger(text: &str) -> Option<String> {
    let (number, suffix) = number_of(text)?;
    Some(format!("{}{suffix}", number + 1))
}

/// The same quantity in other words.
pub fn respelt(text: &str) -> Option<String> {
    let (number, suffix) = number_of(text)?;
    Some(match suffix {
        "" => format!("{number}000m"),
        "m" => format!("{}.{:03}", number / 1000, number % 1000),
        "k" => format!("{number}e3"),
        "M" => format!("{number}000k"),
        "G" => format!("{number}000M"),
        "Ki" => format!("{}", number * 1024),
        "Mi" => format!("{}Ki", number * 1024),
        "Gi" => format!("{}Mi", number * 1024),
        "Ti" => format!("{}Gi", number * 1024),
        _ => return None,
    })
}

fn number_of(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A value for a field that nobody declared.
pub fn planted(schemas: &Schemas, schema: &Value, dice: &mut Dice) -> Option<Value> {
    if is_quantity(Some(schema)) {
        return Some("1".into());
    }
    let schema = schemas.resolved(schema);
    Some(match schema["type"].as_str()? {
        "string" => CHOICES[dice.roll(CHOICES.len())][0].into(),
        "integer" => (1 + dice.roll(3)).into(),
        "number" => 0.5.into(),
        "boolean" => true.into(),
        "array" => Value::Array(vec![planted(schemas, &schema["items"], dice)?]),
        "object" => {
            let fields = schemas.fields(Some(schema));
            let Some((key, inner)) = dice.pick(&fields) else {
                return Some(json!({"planted": planted(schemas, schema.get("additionalProperties")?, dice)?}));
            };
            if dice.roll(4) == 0 {
                json!({})
            } else {
                Value::Object(Map::from_iter([((*key).clone(), planted(schemas, inner, dice)?)]))
            }
        }
        _ => return None,
    })
}

/// The zero value of a field's type.
pub fn zero(schemas: &Schemas, schema: &Value, _: &mut Dice) -> Option<Value> {
    if is_quantity(Some(schema)) {
        return Some("0".into());
    }
    Some(match schemas.resolved(schema)["type"].as_str()? {
        "string" => "".into(),
        "integer" | "number" => 0.into(),
        "boolean" => false.into(),
        "array" => json!([]),
        _ => json!({}),
    })
}
