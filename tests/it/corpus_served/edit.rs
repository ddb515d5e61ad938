//! Random edits of a live object, as people, scripts and controllers make them. Each follows from its dice alone.

use serde_json::{Map, Value, json};

use super::call::{Call, JSON, MERGE, STRATEGIC};
use super::judge::said;
use super::schema::{Keys, Schemas, is_quantity, keys};
use super::values::{larger, other, planted, respelt, word, zero};

/// Random numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.roll(from.len())]) }
    }
}

/// A value inside the object.
#[derive(Clone, Copy)]
struct Spot<'a> {
    tokens: &'a [String],
    value: &'a Value,
    schema: Option<&'a Value>,
}

/// An object to edit, taken apart.
pub struct Subject<'a> {
    live: &'a Value,
    declared: &'a Value,
    schemas: &'a Schemas,
    spots: Vec<(Vec<String>, &'a Value, Option<&'a Value>)>,
}

type Make = fn(&Subject<'_>, &mut Dice) -> Option<Call>;

/// Every type of edit.
pub const EDITS: [(&str, Make); 26] = [
    ("string changed", |subject, dice| subject.leaf(dice, Value::is_string)),
    ("number changed", |subject, dice| subject.leaf(dice, Value::is_number)),
    ("boolean flipped", |subject, dice| subject.leaf(dice, Value::is_boolean)),
    ("quantity changed", |subject, dice| subject.quantity(dice, larger)),
    ("quantity re-spelt", |subject, dice| subject.quantity(dice, respelt)),
    ("number as text", |subject, dice| subject.number_as_text(dice)),
    ("key removed", |subject, dice| subject.key_removed(dice)),
    ("entry added", |subject, dice| subject.entry_added(dice)),
    ("entry removed", |subject, dice| subject.entry_removed(dice)),
    ("entries reordered", |subject, dice| subject.reordered(dice)),
    ("label added", |_, dice| Some(Call::Patch(MERGE, json!({"metadata": {"labels": {word(dice): "planted"}}})))),
    ("annotation added", |_, dice| Some(Call::Patch(MERGE, json!({"metadata": {"annotations": {word(dice): "planted"}}})))),
    ("finalizer added", |_, dice| {
        Some(Call::Patch(MERGE, json!({"metadata": {"finalizers": [format!("planted.example.com/{}", word(dice))]}})))
    }),
    ("undeclared field added", |subject, dice| subject.field(dice, planted)),
    ("zero written", |subject, dice| subject.field(dice, zero)),
    ("null written", |subject, dice| subject.field(dice, |_, _, _| Some(Value::Null))),
    ("unknown field added", |subject, dice| subject.unknown_field(dice)),
    ("default spelt out", |subject, dice| subject.default_spelt_out(dice)),
    ("whole object put again", |subject, _| Some(Call::Put(subject.live.clone()))),
    ("kubectl label", |_, dice| Some(kubectl(&["label", "--overwrite", "OBJECT", &format!("{}=planted", word(dice))]))),
    ("kubectl annotate", |_, dice| Some(kubectl(&["annotate", "--overwrite", "OBJECT", &format!("{}=planted", word(dice))]))),
    ("kubectl set image", |subject, dice| subject.set_image(dice)),
    ("kubectl set env", |subject, dice| {
        subject.workload()?;
        Some(kubectl(&["set", "env", "OBJECT", &format!("PLANTED_{}=yes", word(dice).to_uppercase())]))
    }),
    ("kubectl scale", |subject, dice| {
        subject.live["spec"].get("replicas")?;
        Some(kubectl(&["scale", "OBJECT", &format!("--replicas={}", dice.roll(4))]))
    }),
    ("kubectl edit", |subject, dice| {
        let (_, value, _) = dice.pick(&subject.of(Value::is_string))?.to_owned();
        let text = value.as_str().filter(|text| text.len() > 3 && text.chars().all(char::is_alphanumeric))?;
        let is_alone = said(subject.live).to_string().matches(text).count() == 1;
        is_alone.then(|| Call::Editor(format!("s/{text}/edited/")))
    }),
    ("strategic merge patch", |subject, dice| subject.strategic(dice)),
];

/// Fields that no edit touches: who the object is, what the server alone writes, and what would have a controller delete
/// the object, take its kind from its neighbours, or write rules of its own behind whoever puts them back.
fn is_left_alone(tokens: &[String]) -> bool {
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    match tokens[..] {
        ["apiVersion" | "kind" | "status" | "aggregationRule", ..]
        | ["spec", "names" | "group" | "scope" | "conversion", ..]
        | ["spec", "versions", _, "name" | "served" | "storage"] => true,
        ["metadata", "labels" | "annotations" | "finalizers", ..] => tokens.last() == Some(&LAST_APPLIED),
        ["metadata", ..] => tokens.len() > 1,
        _ => false,
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl<'a> Subject<'a> {
    pub fn of_object(schemas: &'a Schemas, live: &'a Value, declared: &'a Value) -> Self {
        let mut subject = Self { live, declared, schemas, spots: Vec::new() };
        subject.walk(&mut Vec::new(), live, schemas.root(live));
        subject
    }

    fn walk(&mut self, tokens: &mut Vec<String>, value: &'a Value, schema: Option<&'a Value>) {
        if is_left_alone(tokens) {
            return;
        }
        self.spots.push((tokens.clone(), value, schema));
        let inside: Vec<(String, &Value, Option<&Value>)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), value, self.schemas.field(schema, key))).collect()
            }
            Value::Array(entries) => {
                let item = self.schemas.item(schema);
                entries.iter().enumerate().map(|(index, value)| (index.to_string(), value, item)).collect()
            }
            _ => Vec::new(),
        };
        for (token, value, schema) in inside {
            tokens.push(token);
            self.walk(tokens, value, schema);
            tokens.pop();
        }
    }

    fn of(&self, holds: impl Fn(&Value) -> bool) -> Vec<(Vec<String>, &'a Value, Option<&'a Value>)> {
        self.spots.iter().filter(|(_, value, _)| holds(value)).cloned().collect()
    }

    fn spot(&self, dice: &mut Dice, holds: impl Fn(Spot<'_>) -> bool) -> Option<&(Vec<String>, &'a Value, Option<&'a Value>)> {
        let fitting: Vec<usize> = (0..self.spots.len())
            .filter(|index| {
                let (tokens, value, schema) = &self.spots[*index];
                holds(Spot { tokens, value, schema: *schema })
            })
            .collect();
        Some(&self.spots[*dice.pick(&fitting)?])
    }

    fn leaf(&self, dice: &mut Dice, holds: fn(&Value) -> bool) -> Option<Call> {
        let (tokens, value, _) = self.spot(dice, |spot| holds(spot.value))?;
        let value = other(value, dice);
        Some(self.written(dice, tokens, &value))
    }

    fn quantity(&self, dice: &mut Dice, change: fn(&str) -> Option<String>) -> Option<Call> {
        let (tokens, value, _) = self.spot(dice, |spot| is_quantity(spot.schema) && spot.value.is_string())?;
        Some(self.written(dice, tokens, &change(value.as_str()?)?.into()))
    }

    fn number_as_text(&self, dice: &mut Dice) -> Option<Call> {
        // Anywhere else the server takes the one or the other.
        let takes_both = |schema: Option<&Value>| {
            is_quantity(schema) || schema.is_some_and(|schema| schema["x-kubernetes-int-or-string"] == true)
        };
        let (tokens, value, _) = self.spot(dice, |spot| match spot.value {
            Value::Number(_) => takes_both(spot.schema),
            Value::String(text) => text.parse::<i64>().is_ok() && takes_both(spot.schema),
            _ => false,
        })?;
        let text = value.as_str();
        let other = text.map_or_else(|| value.to_string().into(), |text| text.parse::<i64>().unwrap().into());
        Some(self.written(dice, tokens, &other))
    }

    fn key_removed(&self, dice: &mut Dice) -> Option<Call> {
        let is_key = |spot: Spot<'_>| spot.tokens.len() > 1 && spot.tokens.last().unwrap().parse::<usize>().is_err();
        let (tokens, ..) = self.spot(dice, is_key)?;
        Some(Call::Patch(JSON, json!([{"op": "remove", "path": pointer(tokens)}])))
    }

    fn entry_added(&self, dice: &mut Dice) -> Option<Call> {
        let (tokens, value, schema) = self.spot(dice, |spot| spot.value.as_array().is_some_and(|list| !list.is_empty()))?;
        let entries = value.as_array()?;
        let mut entry = dice.pick(entries)?.clone();
        match (&mut entry, keys(*schema)) {
            (Value::Object(fields), Keys::By(names)) => {
                let name = names.iter().find(|name| fields.contains_key(*name))?;
                fields[name] = other(&fields[name], dice);
            }
            (Value::Object(fields), Keys::Whole | Keys::Set) => {
                let key = fields.keys().nth(dice.roll(fields.len()))?.clone();
                fields[&key] = other(&fields[&key], dice);
            }
            (one, _) => *one = other(one, dice),
        }
        let at = format!("{}/{}", pointer(tokens), dice.roll(entries.len() + 1));
        Some(Call::Patch(JSON, json!([{"op": "add", "path": at, "value": entry}])))
    }

    fn entry_removed(&self, dice: &mut Dice) -> Option<Call> {
        let (tokens, value, _) = self.spot(dice, |spot| spot.value.as_array().is_some_and(|list| !list.is_empty()))?;
        let at = format!("{}/{}", pointer(tokens), dice.roll(value.as_array()?.len()));
        Some(Call::Patch(JSON, json!([{"op": "remove", "path": at}])))
    }

    fn reordered(&self, dice: &mut Dice) -> Option<Call> {
        let (tokens, value, _) = self.spot(dice, |spot| spot.value.as_array().is_some_and(|list| list.len() > 1))?;
        let mut entries = value.as_array()?.clone();
        let by = 1 + dice.roll(entries.len() - 1);
        entries.rotate_left(by);
        Some(self.written(dice, tokens, &entries.into()))
    }

    /// Gives a field that is not there a value.
    fn field(&self, dice: &mut Dice, value: fn(&Schemas, &Value, &mut Dice) -> Option<Value>) -> Option<Call> {
        let (tokens, object, schema) = self.spot(dice, |spot| spot.value.is_object())?;
        let absent: Vec<_> = self.schemas.fields(*schema).into_iter().filter(|(key, _)| object.get(key).is_none()).collect();
        let (key, schema) = dice.pick(&absent)?;
        let tokens: Vec<String> = tokens.iter().chain([*key]).cloned().collect();
        if is_left_alone(&tokens) {
            return None;
        }
        let value = value(self.schemas, schema, dice)?;
        Some(if value.is_null() { self.merged(&tokens, value)? } else { self.written(dice, &tokens, &value) })
    }

    fn unknown_field(&self, dice: &mut Dice) -> Option<Call> {
        let (tokens, ..) = self.spot(dice, |spot| spot.value.is_object() && !self.schemas.fields(spot.schema).is_empty())?;
        let tokens: Vec<String> = tokens.iter().cloned().chain(["plantedField".to_owned()]).collect();
        Some(Call::Patch(JSON, json!([{"op": "add", "path": pointer(&tokens), "value": "planted"}])))
    }

    /// Writes what is there already and Git does not say.
    fn default_spelt_out(&self, dice: &mut Dice) -> Option<Call> {
        let is_silent = |spot: Spot<'_>| {
            let declared = self.declared.pointer(&pointer(spot.tokens));
            declared.is_none() && !spot.value.is_object() && !spot.tokens.is_empty()
        };
        let (tokens, value, _) = self.spot(dice, is_silent)?;
        Some(self.written(dice, tokens, value))
    }

    fn workload(&self) -> Option<&'a Value> {
        let templates = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];
        templates.iter().find_map(|at| self.live.pointer(at)).filter(|spec| spec.get("containers").is_some())
    }

    fn set_image(&self, dice: &mut Dice) -> Option<Call> {
        let containers = self.workload()?["containers"].as_array()?;
        let name = dice.pick(containers)?["name"].as_str()?;
        Some(kubectl(&["set", "image", "OBJECT", &format!("{name}=planted.example.com/image:{}", word(dice))]))
    }

    fn strategic(&self, dice: &mut Dice) -> Option<Call> {
        self.workload()?;
        self.live.pointer("/spec/template/spec")?;
        let container = dice.pick(self.workload()?["containers"].as_array()?)?["name"].clone();
        let change = match dice.roll(5) {
            0 => json!({"containers": [{"name": container, "image": "planted:1"}]}),
            1 => json!({"containers": [{"name": format!("planted-{}", word(dice)), "image": "planted:1"}]}),
            2 => json!({"containers": [{"name": container, "env": [{"name": "PLANTED", "value": word(dice)}]}]}),
            3 => json!({"tolerations": [{"key": word(dice), "operator": "Exists"}]}),
            _ => json!({"volumes": [{"name": format!("planted-{}", word(dice)), "emptyDir": {}}]}),
        };
        Some(Call::Patch(STRATEGIC, json!({"spec": {"template": {"spec": change}}})))
    }

    /// A value written by a merge patch where that can say it, or by a JSON patch.
    fn written(&self, dice: &mut Dice, tokens: &[String], value: &Value) -> Call {
        let merged = if dice.roll(2) == 0 && !value.is_object() { self.merged(tokens, value.clone()) } else { None };
        let at = pointer(tokens);
        let operation = if self.live.pointer(&at).is_some() { "replace" } else { "add" };
        merged.unwrap_or_else(|| Call::Patch(JSON, json!([{"op": operation, "path": at, "value": value}])))
    }

    /// `None` where the way leads through a list.
    fn merged(&self, tokens: &[String], value: Value) -> Option<Call> {
        let through_objects = (0..tokens.len()).all(|end| {
            let around = self.live.pointer(&pointer(&tokens[..end]));
            around.is_some_and(Value::is_object)
        });
        let nest = |inner: Value, key: &String| Value::Object(Map::from_iter([(key.clone(), inner)]));
        through_objects.then(|| Call::Patch(MERGE, tokens.iter().rev().fold(value, nest)))
    }
}

fn kubectl(arguments: &[&str]) -> Call {
    Call::Kubectl(arguments.iter().map(|argument| (*argument).to_owned()).collect())
}

fn pointer(tokens: &[String]) -> String {
    let escaped = tokens.iter().map(|token| token.replace('~', "~0").replace('/', "~1"));
    escaped.fold(String::new(), |pointer, token| pointer + "/" + &token)
}
