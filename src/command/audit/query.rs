//! `trueup audit query`: the records that were asked for, as text, JSON or CSV.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use trueup_core::finding::{Place, Subject};
use trueup_core::run::{Entry, Record, RunId, Runs, State};

use crate::cli::{Output, Query};
use crate::command::{no_form, print};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::{Kept, Ledger};
use crate::session::Session;
use crate::visible::visible;

/// The columns of a row, in order.
const COLUMNS: [&str; 12] =
    ["seq", "at", "kind", "run", "target", "object", "paths", "classes", "actors", "cluster", "says", "state"];

/// A record with what its run or its place adds to it.
struct Found {
    kept: Kept,
    target: Option<String>,
    subject: Option<Subject>,
    paths: Vec<String>,
    classes: Vec<String>,
    /// Where the record left its run.
    state: Option<State>,
}

pub(in crate::command) async fn query(session: &Session, query: &Query, output: Output) -> Result<Exit, Failure> {
    let run: Option<RunId> = query.run.as_deref().map(str::parse).transpose().map_err(Failure::usage)?;
    let ledger = Ledger::open_to_read(&session.ledger).await.map_err(Failure::usage)?;
    let mut known = Known::default();
    let mut found = Vec::new();
    let each = ledger.each(|kept| {
        let one = known.place(kept);
        if one.is_wanted(query, run.as_ref()) {
            found.push(one);
        }
    });
    each.await.map_err(Failure::usage)?;
    match output {
        Output::Text if found.is_empty() => print("no such records\n"),
        Output::Text => print(&found.iter().map(Found::line).collect::<String>()),
        Output::Json => {
            let found: Vec<Value> = found.iter().map(Found::as_json).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&found).map_err(Failure::usage)?))
        }
        Output::Csv => print(&as_csv(&found).map_err(Failure::usage)?),
        Output::Yaml | Output::Markdown => Err(no_form(output)),
    }
}

/// What earlier records told about runs and places.
#[derive(Default)]
struct Known {
    runs: Runs,
    places: BTreeMap<Place, RunId>,
}

impl Known {
    fn place(&mut self, kept: Kept) -> Found {
        // The rest of a run whose intent went behind a checkpoint is shown as it is.
        if let Err(error) = self.runs.apply(&kept.record) {
            tracing::debug!(seq = kept.record.seq, %error, "no state is told");
        }
        let about = kept.record.entry.about();
        if let Some(run) = about.run {
            self.places.extend(about.places.iter().map(|place| (place.clone(), run.clone())));
        }
        let named = about.run.or_else(|| about.places.iter().find_map(|place| self.places.get(place)));
        let known = named.and_then(|run| self.runs.get(run));
        let intent = known.map(|run| &run.intent);
        Found {
            target: about.target.or(intent.map(|intent| &intent.target)).map(|target| target.0.clone()),
            subject: intent.map(|intent| intent.subject.clone()),
            paths: intent.map(|intent| intent.paths.clone()).unwrap_or_default(),
            classes: intent.map(|intent| intent.classes.clone()).unwrap_or_default(),
            state: about.run.and(known).map(|run| run.status.state()),
            kept,
        }
    }
}

impl Found {
    fn is_wanted(&self, query: &Query, run: Option<&RunId>) -> bool {
        let Record { at, entry, .. } = &self.kept.record;
        query.since.is_none_or(|since| *at >= since)
            && query.until.is_none_or(|until| *at < until)
            && run.is_none_or(|run| entry.run() == Some(run))
            && query.class.as_ref().is_none_or(|class| self.classes.contains(class))
            && query.object.as_deref().is_none_or(|object| self.subject.as_ref().is_some_and(|subject| is_named(subject, object)))
            && query.actor.as_ref().is_none_or(|actor| self.actors().contains(&actor.as_str()))
    }

    /// The instance that recorded it, and the person that it names.
    fn actors(&self) -> Vec<&str> {
        let person = self.kept.record.entry.about().person;
        self.kept.by.iter().map(|by| by.instance.as_str()).chain(person).collect()
    }

    /// The entry without its outermost name, which stands before it.
    fn says(&self) -> Value {
        match serde_json::to_value(&self.kept.record.entry) {
            Ok(Value::Object(entry)) => entry.into_iter().next().map_or(Value::Null, |(_, says)| says),
            Ok(other) => other,
            Err(_) => Value::Null,
        }
    }

    fn line(&self) -> String {
        let Record { seq, at, entry } = &self.kept.record;
        let mut text = format!("{seq:>6}  {}  {:<15}", at.strftime("%Y-%m-%dT%H:%M:%SZ"), entry.kind());
        if let Some(run) = entry.run() {
            let state = self.state.map(|state| format!(" {state}")).unwrap_or_default();
            write!(text, "  {run}{state}").expect("writing to a String cannot fail");
        }
        if let Some(target) = &self.target {
            let object = self.subject.as_ref().map(|subject| format!(" {subject} {}", self.paths.join(", "))).unwrap_or_default();
            write!(text, "  {target}:{}", visible(object.trim_end())).expect("writing to a String cannot fail");
        }
        let says = match entry {
            Entry::Decided(record) => format!(
                "{} decisions about {} objects by the inputs {}: `trueup replay` of a run of it decides again",
                record.decisions.as_array().map_or(0, Vec::len),
                record.inputs.objects.len(),
                record.digest
            ),
            _ => self.says().to_string(),
        };
        writeln!(text, "\n        {}", visible(&says)).expect("writing to a String cannot fail");
        text
    }

    fn as_json(&self) -> Value {
        let Record { seq, at, entry } = &self.kept.record;
        json!({
            "seq": seq,
            "at": at,
            "kind": entry.kind(),
            "run": entry.run(),
            "state": self.state,
            "target": self.target,
            "object": self.subject,
            "paths": self.paths,
            "classes": self.classes,
            "actors": self.actors(),
            "epoch": self.kept.by.as_ref().map(|by| by.epoch),
            "cluster": self.kept.by.as_ref().and_then(|by| by.cluster.as_ref()),
            "policy_digest": self.kept.by.as_ref().and_then(|by| by.policy.as_ref()),
            "says": self.says(),
        })
    }

    fn row(&self) -> [String; COLUMNS.len()] {
        let Record { seq, at, entry } = &self.kept.record;
        let cells = [
            seq.to_string(),
            at.to_string(),
            entry.kind().to_owned(),
            entry.run().map(ToString::to_string).unwrap_or_default(),
            self.target.clone().unwrap_or_default(),
            self.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.paths.join(" "),
            self.classes.join(" "),
            self.actors().join(" "),
            self.kept.by.as_ref().and_then(|by| by.cluster.clone()).unwrap_or_default(),
            self.says().to_string(),
            self.state.map(|state| state.to_string()).unwrap_or_default(),
        ];
        cells.map(|cell| no_formula(&cell))
    }
}

/// Whether the subject is what `KIND/NAME`, `KIND/NAMESPACE/NAME` or `output/NAME` names.
fn is_named(subject: &Subject, asked: &str) -> bool {
    let parts: Vec<&str> = asked.split('/').collect();
    match (subject, &parts[..]) {
        (Subject::Object(id), [kind, name]) => id.kind.eq_ignore_ascii_case(kind) && id.name == *name,
        (Subject::Object(id), [kind, namespace, name]) => {
            id.kind.eq_ignore_ascii_case(kind) && id.namespace.as_deref() == Some(*namespace) && id.name == *name
        }
        (Subject::Output(id), ["output", name]) => id.output == *name,
        (Subject::Object(_) | Subject::Output(_), _) => false,
    }
}

fn as_csv(found: &[Found]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for one in found {
        writer.write_record(one.row())?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A spreadsheet takes a cell that begins so for a formula, and names in a cluster are other people's
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn no_formula(cell: &str) -> String {
    let text = visible(cell);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}
