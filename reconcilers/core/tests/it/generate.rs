//! Schemas, values of them, other spellings and edits, all from one seed. Nothing here calls the code under test.

use serde_json::{Map, Value, json};

/// What a value may be; the tests' own words, turned into the core's by [`types`].
#[derive(Debug, Clone)]
pub enum Schema {
    Text,
    Integer,
    /// In thousandths, spelt in many ways.
    Quantity,
    /// In seconds, spelt in many ways.
    Duration,
    IntOrString,
    Struct(Vec<(&'static str, Schema)>),
    Map(Box<Schema>),
    /// Entries are structs found by `name`.
    Named(Vec<(&'static str, Schema)>),
    /// Entries are structs found by `port` and `protocol`; Git may leave out the protocol, which is `TCP` then.
    Ports(Vec<(&'static str, Schema)>),
    Atomic,
    Set,
}

/// Random choices from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).expect("31 bits") % sides
    }

    pub fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.roll(among.len())].clone()
    }

    pub fn once_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }
}

const FIELDS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "status/x.y"];
const NAMES: [&str; 5] = ["app", "proxy", "80", "true", "a,b]"];

/// A struct of a few levels: the schema of an object.
pub fn schema(dice: &mut Dice) -> Schema {
    Schema::Struct(fields(dice, 3))
}

fn fields(dice: &mut Dice, depth: usize) -> Vec<(&'static str, Schema)> {
    let count = 2 + dice.roll(3);
    FIELDS.iter().take(count).map(|name| (*name, any_schema(dice, depth))).collect()
}

fn any_schema(dice: &mut Dice, depth: usize) -> Schema {
    let kinds = if depth == 0 { 7 } else { 13 };
    match dice.roll(kinds) {
        0 => Schema::Text,
        1 => Schema::Integer,
        2 => Schema::Quantity,
        3 => Schema::Duration,
        4 => Schema::IntOrString,
        5 => Schema::Atomic,
        6 => Schema::Set,
        7 | 8 => Schema::Struct(fields(dice, depth - 1)),
        9 if dice.once_in(2) => Schema::Map(Box::new(Schema::Struct(fields(dice, depth - 1)))),
        9 => Schema::Map(Box::new(dice.pick(&[Schema::Text, Schema::Quantity]))),
        10 | 11 => Schema::Named(fields(dice, depth - 1)),
        _ => Schema::Ports(fields(dice, depth - 1)),
    }
}

/// A value of a schema.
pub fn value(schema: &Schema, dice: &mut Dice) -> Value {
    match schema {
        Schema::Text => dice.pick(&["", "x", "1000m", "1", "true", "a\nb\n", "a\nb"]).into(),
        Schema::Integer => dice.pick(&[0, 1, -7, 9_007_199_254_740_993_i64, i64::MAX]).into(),
        Schema::Quantity => quantity(i64::try_from(dice.roll(6)).expect("small") * 512, dice),
        Schema::Duration => duration(30 * dice.roll(6), dice),
        Schema::IntOrString => dice.pick(&[json!(80), json!("80"), json!("25%"), json!(25)]),
        Schema::Struct(fields) => Value::Object(some_fields(fields, dice)),
        Schema::Map(values) => {
            let count = 1 + dice.roll(3);
            Value::Object(NAMES.iter().take(count).map(|name| ((*name).to_owned(), value(values, dice))).collect())
        }
        Schema::Named(_) | Schema::Ports(_) => {
            let mut names: Vec<usize> = (0..entry_keys(schema).len()).collect();
            let count = 1 + dice.roll(3);
            let chosen: Vec<usize> = (0..count).map(|_| names.remove(dice.roll(names.len()))).collect();
            chosen.into_iter().map(|at| entry(schema, at, dice)).collect()
        }
        Schema::Atomic => (0..=dice.roll(3)).map(|_| dice.roll(3)).collect::<Vec<_>>().into(),
        Schema::Set => NAMES.iter().skip(dice.roll(2)).take(1 + dice.roll(3)).copied().collect::<Vec<_>>().into(),
    }
}

/// The merge keys that a list's entries may have.
fn entry_keys(schema: &Schema) -> Vec<Map<String, Value>> {
    let keys = match schema {
        Schema::Ports(_) => vec![
            json!({"port": 53, "protocol": "TCP"}),
            json!({"port": 53, "protocol": "UDP"}),
            json!({"port": 80, "protocol": "TCP"}),
            json!({"port": 80, "protocol": "SCTP"}),
        ],
        _ => NAMES.iter().map(|name| json!({ "name": name })).collect(),
    };
    keys.into_iter().filter_map(|keys| keys.as_object().cloned()).collect()
}

fn entry(schema: &Schema, at: usize, dice: &mut Dice) -> Value {
    let (Schema::Named(fields) | Schema::Ports(fields)) = schema else { return Value::Null };
    let mut entry = entry_keys(schema).swap_remove(at);
    entry.extend(some_fields(fields, dice));
    Value::Object(entry)
}

fn some_fields(fields: &[(&'static str, Schema)], dice: &mut Dice) -> Map<String, Value> {
    let mut some = Map::new();
    for (name, schema) in fields {
        if !dice.once_in(4) {
            some.insert((*name).to_owned(), value(schema, dice));
        }
    }
    some
}

/// A quantity of so many thousandths, in one of its spellings.
fn quantity(thousandths: i64, dice: &mut Dice) -> Value {
    let mut spellings = vec![
        json!(format!("{thousandths}m")),
        json!(format!("{}u", thousandths * 1000)),
        json!(format!("{}.{:03}", thousandths / 1000, thousandths % 1000)),
        json!(format!("+{thousandths}e-3")),
    ];
    if thousandths % 1000 == 0 {
        spellings.extend([
            json!(thousandths / 1000),
            json!(format!("{}", thousandths / 1000)),
            json!(format!("{thousandths}E-3")),
        ]);
    }
    if thousandths % 1024 == 0 && thousandths % 1000 == 0 {
        spellings.push(json!(format!("{}Ki", thousandths / 1_024_000)));
    }
    dice.pick(&spellings)
}

/// A duration of so many seconds, in one of its spellings.
fn duration(seconds: usize, dice: &mut Dice) -> Value {
    let spellings = [
        format!("{seconds}s"),
        format!("{}m{}s", seconds / 60, seconds % 60),
        format!("{}ms", seconds * 1000),
        format!("+{seconds}.0s"),
    ];
    dice.pick(&spellings).into()
}

/// The same value, every quantity and duration spelt anew and every keyed list and set in another order.
pub fn respelt(schema: &Schema, value: &Value, dice: &mut Dice) -> Value {
    match (schema, value) {
        (Schema::Quantity, value) => quantity(crate::judge::thousandths(value).expect("a generated quantity"), dice),
        (Schema::Duration, Value::String(text)) => duration(crate::judge::seconds(text).expect("a generated duration"), dice),
        (Schema::Struct(fields), Value::Object(values)) => Value::Object(respelt_fields(fields, values, dice)),
        (Schema::Map(item), Value::Object(values)) => {
            Value::Object(values.iter().map(|(key, value)| (key.clone(), respelt(item, value, dice))).collect())
        }
        (Schema::Named(fields) | Schema::Ports(fields), Value::Array(entries)) => {
            let entries = entries.iter().filter_map(Value::as_object);
            let entries = entries.map(|entry| Value::Object(respelt_fields(fields, entry, dice))).collect();
            Value::Array(shuffled(entries, dice))
        }
        (Schema::Set, Value::Array(entries)) => Value::Array(shuffled(entries.clone(), dice)),
        (_, value) => value.clone(),
    }
}

fn respelt_fields(fields: &[(&'static str, Schema)], values: &Map<String, Value>, dice: &mut Dice) -> Map<String, Value> {
    let shape_of = |key: &str| fields.iter().find(|(name, _)| *name == key).map(|(_, schema)| schema);
    values
        .iter()
        .map(|(key, value)| (key.clone(), shape_of(key).map_or_else(|| value.clone(), |schema| respelt(schema, value, dice))))
        .collect()
}

fn shuffled(mut entries: Vec<Value>, dice: &mut Dice) -> Vec<Value> {
    (0..entries.len()).map(|_| entries.swap_remove(dice.roll(entries.len()))).collect()
}

/// A part of a value, as Git would declare it: the rest are the server's defaults.
pub fn declared(schema: &Schema, value: &Value, dice: &mut Dice) -> Value {
    match (schema, value) {
        (Schema::Struct(fields), Value::Object(values)) => Value::Object(declared_fields(fields, values, &[], dice)),
        (Schema::Map(item), Value::Object(values)) => {
            let kept: Vec<_> = values.iter().filter(|_| !dice.once_in(4)).collect();
            Value::Object(kept.into_iter().map(|(key, value)| (key.clone(), declared(item, value, dice))).collect())
        }
        (Schema::Named(fields), Value::Array(entries)) => declared_entries(fields, entries, &["name"], dice),
        (Schema::Ports(fields), Value::Array(entries)) => declared_entries(fields, entries, &["port", "protocol"], dice),
        (_, value) => value.clone(),
    }
}

fn declared_entries(fields: &[(&'static str, Schema)], entries: &[Value], keys: &[&str], dice: &mut Dice) -> Value {
    let mut kept = Vec::new();
    // What admission adds to a list comes behind what Git declares there.
    let mut ports_before = Vec::new();
    for entry in entries.iter().filter_map(Value::as_object) {
        if dice.once_in(5) {
            ports_before.push(entry.get("port"));
            continue;
        }
        let port = entry.get("port");
        let mut entry = declared_fields(fields, entry, keys, dice);
        if entry.get("protocol") == Some(&json!("TCP")) && !ports_before.contains(&port) && dice.once_in(2) {
            entry.remove("protocol");
        }
        kept.push(Value::Object(entry));
    }
    Value::Array(kept)
}

fn declared_fields(
    fields: &[(&'static str, Schema)],
    values: &Map<String, Value>,
    keys: &[&str],
    dice: &mut Dice,
) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in values {
        let schema = fields.iter().find(|(name, _)| name == key).map(|(_, schema)| schema);
        match schema {
            _ if keys.contains(&key.as_str()) => drop(kept.insert(key.clone(), value.clone())),
            Some(schema) if !dice.once_in(4) => drop(kept.insert(key.clone(), declared(schema, value, dice))),
            Some(_) | None => {}
        }
    }
    kept
}

/// Changes, adds or removes something somewhere below `value`.
pub fn edit(schema: &Schema, target: &mut Value, dice: &mut Dice) {
    let deeper = !dice.once_in(3);
    match (schema, target) {
        (Schema::Struct(fields), Value::Object(values)) => edit_fields(fields, values, &[], deeper, dice),
        (Schema::Map(item), Value::Object(values)) => {
            let key = dice.pick(&NAMES);
            match values.get_mut(key) {
                Some(inner) if deeper => edit(item, inner, dice),
                Some(_) => drop(values.remove(key)),
                None => drop(values.insert(key.to_owned(), value(item, dice))),
            }
        }
        (Schema::Named(fields) | Schema::Ports(fields), Value::Array(entries)) => {
            let keys = entry_keys(schema);
            let at = dice.roll(keys.len());
            let is_it = |entry: &Value| keys[at].iter().all(|(key, value)| entry.get(key) == Some(value));
            match entries.iter().position(is_it) {
                Some(found) if deeper => {
                    let Some(values) = entries[found].as_object_mut() else { return };
                    edit_fields(fields, values, &["name", "port", "protocol"], true, dice);
                }
                Some(found) => drop(entries.remove(found)),
                None => entries.insert(dice.roll(entries.len() + 1), entry(schema, at, dice)),
            }
        }
        (schema, target) => *target = value(schema, dice),
    }
}

fn edit_fields(fields: &[(&'static str, Schema)], values: &mut Map<String, Value>, keys: &[&str], deeper: bool, dice: &mut Dice) {
    let (name, schema) = dice.pick(fields);
    if keys.contains(&name) || dice.once_in(12) {
        values.insert("nobody-knows".to_owned(), dice.pick(&[json!(1), json!("x"), json!([1, 2]), json!({})]));
        return;
    }
    match values.get_mut(name) {
        Some(inner) if deeper => edit(&schema, inner, dice),
        Some(_) => drop(values.remove(name)),
        None => drop(values.insert(name.to_owned(), value(&schema, dice))),
    }
}
