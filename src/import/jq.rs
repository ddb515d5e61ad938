//! jq path expressions that are plain paths, as paths of policies.

use trueup_core::path::Path;

/// Maps by their names: what `[]` goes through there are keys, not entries.
const MAPS: [&str; 8] = ["annotations", "binaryData", "data", "labels", "limits", "matchLabels", "requests", "stringData"];

/// The path that a jq path expression means: `.spec.containers[] | select(.name == "app") | .image` is
/// `spec.containers[name=app].image`.
///
/// # Errors
/// Why it is no plain path.
pub(super) fn path(expression: &str) -> Result<String, String> {
    let mut reading = Reading { rest: expression.trim(), steps: Vec::new() };
    while !reading.rest.is_empty() {
        reading.step()?;
    }
    if reading.steps.is_empty() {
        return Err("it names the whole object: write a rule without `path`".to_owned());
    }
    let mut text = String::new();
    for step in &reading.steps {
        let step = match step {
            Step::Key(key) => Path::of_keys(&[key]).to_string(),
            Step::AnyKey => "*".to_owned(),
            Step::Bracket(inside) => format!("[{inside}]"),
        };
        if !text.is_empty() && !step.starts_with('[') {
            text.push('.');
        }
        text.push_str(&step);
    }
    Ok(text)
}

enum Step {
    Key(String),
    AnyKey,
    Bracket(String),
}

struct Reading<'a> {
    rest: &'a str,
    steps: Vec<Step>,
}

impl Reading<'_> {
    fn step(&mut self) -> Result<(), String> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('?') {
            // What is not there is ignored by every rule alike.
            self.rest = rest;
        } else if let Some(rest) = self.rest.strip_prefix('|') {
            self.rest = rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix("select") {
                return self.select(rest.trim_start());
            }
            if !self.rest.starts_with('.') {
                return Err(not_plain(self.rest));
            }
        } else if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            self.key()?;
        } else if let Some(rest) = self.rest.strip_prefix('[') {
            self.rest = rest;
            self.bracket()?;
        } else {
            return Err(not_plain(self.rest));
        }
        Ok(())
    }

    /// What follows a `.`.
    fn key(&mut self) -> Result<(), String> {
        if self.rest.starts_with('"') {
            let (key, rest) = string(self.rest)?;
            self.steps.push(Step::Key(key));
            self.rest = rest;
            return Ok(());
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        if end > 0 {
            self.steps.push(Step::Key(self.rest[..end].to_owned()));
        } else if self.rest.starts_with('.') {
            return Err("`..` goes through everything: write a path with `**`".to_owned());
        }
        self.rest = &self.rest[end..];
        Ok(())
    }

    /// What follows a `[`.
    fn bracket(&mut self) -> Result<(), String> {
        if self.rest.starts_with('"') {
            let (key, rest) = string(self.rest)?;
            self.rest = rest.strip_prefix(']').ok_or_else(|| not_plain(rest))?;
            self.steps.push(Step::Key(key));
            return Ok(());
        }
        let (inside, rest) = self.rest.split_once(']').ok_or_else(|| not_plain(self.rest))?;
        self.rest = rest;
        let is_map = matches!(self.steps.last(), Some(Step::Key(key)) if MAPS.contains(&key.as_str()));
        match inside.trim() {
            "" if is_map => self.steps.push(Step::AnyKey),
            "" => self.steps.push(Step::Bracket("*".to_owned())),
            index if index.bytes().all(|byte| byte.is_ascii_digit()) => self.steps.push(Step::Bracket(index.to_owned())),
            other => return Err(format!("`[{other}]` is neither one entry nor all of them")),
        }
        Ok(())
    }

    /// `select(.key == "value")` behind `[]`: the entry with this key.
    fn select(&mut self, rest: &str) -> Result<(), String> {
        let refused = || format!("`select{rest}` is not one key of an entry that equals a text or number");
        let inside = rest.strip_prefix('(').ok_or_else(refused)?;
        let (key, value) = inside.split_once("==").ok_or_else(refused)?;
        let key = key.trim().strip_prefix('.').filter(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric()));
        let key = key.ok_or_else(refused)?;
        let value = value.trim_start();
        let (value, rest) = if value.starts_with('"') {
            let (text, rest) = string(value)?;
            (serde_json::Value::String(text).to_string(), rest)
        } else {
            let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            (value[..end].to_owned(), &value[end..])
        };
        let after = rest.trim_start().strip_prefix(')').ok_or_else(refused)?;
        match self.steps.last_mut() {
            Some(Step::Bracket(all)) if all == "*" && !value.is_empty() => *all = format!("{key}={value}"),
            _ => return Err(refused()),
        }
        // The rest of what was given lives as long as the whole.
        self.rest = &self.rest[self.rest.len() - after.len()..];
        Ok(())
    }
}

/// A text in quotes at the start, and what follows it.
fn string(text: &str) -> Result<(String, &str), String> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let key = stream.next().and_then(Result::ok).ok_or_else(|| not_plain(text))?;
    Ok((key, &text[stream.byte_offset()..]))
}

fn not_plain(rest: &str) -> String {
    format!("`{rest}` is no plain path: write a path with `*`, `**` or `[name=…]`, or a condition in `cel`")
}
