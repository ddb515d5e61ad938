//! `trueup hold`: nothing is written and nothing proposed there, until a person lets it go on.

use std::fmt::Write;

use jiff::Timestamp;
use trueup_core::finding::Finding;
use trueup_core::run::{Area, AreaHold, Ruled, Spot, StateSeen};

use crate::cli::people::Hold;
use crate::cli::{Global, Output};
use crate::command::print;
use crate::config::Target;
use crate::exit::Exit;
use crate::explain::named;
use crate::failure::Failure;
use crate::people::{self, Told};
use crate::round::{Round, look};
use crate::session::Session;
use crate::target::{Freshness, Judged};
use crate::visible::visible;

pub(super) async fn hold(global: &Global, session: &Session, asked: &Hold, output: Output) -> Result<Exit, Failure> {
    let until = asked.until.map(|until| until.from(Timestamp::now())).transpose();
    let until = until.map_err(|reason| Failure::usage(anyhow::anyhow!("`--until`: {reason}")))?;
    let areas = match (&asked.id, &asked.object) {
        (Some(id), _) => {
            let round = look(session, Freshness::Cached).await?;
            let (judged, finding) = found(&round, id).ok_or_else(|| no_finding(id))?;
            vec![Area::Place(spot_of(judged, finding))]
        }
        (None, Some(object)) => {
            let round = look(session, Freshness::Cached).await?;
            let objects = named(&round, object)?
                .into_iter()
                .map(|(judged, _, pair)| Area::Object { target: judged.name.clone(), object: pair.desired().id.clone() });
            objects.collect()
        }
        (None, None) if global.targets.is_empty() => vec![Area::Everything],
        (None, None) => session.settings.targets.iter().map(|target| Area::Target { target: target.name.clone() }).collect(),
    };
    let by = people::anybody(concerned(session, &areas)).await;
    let rulings = areas.into_iter().map(|area| Ruled::Hold(AreaHold { area, until })).collect();
    show(&people::record(session, &by, &asked.because.text(), rulings).await?, output)
}

/// The finding of this id, or at this place.
pub(super) fn found<'a>(round: &'a Round, id: &str) -> Option<(&'a Judged, &'a Finding)> {
    let findings = round.targets.iter().flat_map(|judged| judged.findings().map(move |finding| (judged, finding)));
    let mut findings = findings.filter(|(_, finding)| finding.id.0 == id || finding.place.as_str() == id);
    findings.next()
}

pub(super) fn no_finding(id: &str) -> Failure {
    Failure::usage(anyhow::anyhow!("no finding `{id}` now: `trueup diff` lists them; an id changes with its values"))
}

/// The place of a finding, with the name that people know it by.
pub(super) fn spot_of(judged: &Judged, finding: &Finding) -> Spot {
    let name = format!("{} {}", finding.difference.subject, finding.difference.path());
    Spot { target: judged.name.clone(), place: finding.place.clone(), name: name.trim_end().to_owned() }
}

/// The targets that some areas are about.
pub(super) fn concerned<'a>(session: &'a Session, areas: &[Area]) -> Vec<&'a Target> {
    let is_concerned = |target: &&Target| areas.iter().any(|area| area.target().is_none_or(|name| *name == target.name));
    session.settings.targets.iter().filter(is_concerned).collect()
}

/// What was recorded, and how it ends.
pub(super) fn show(told: &[Told], output: Output) -> Result<Exit, Failure> {
    if output == Output::Json {
        return print(&format!("{}\n", serde_json::to_string_pretty(told).map_err(Failure::usage)?));
    }
    let mut text = String::new();
    for Told { record, ruling } in told {
        let (what, end) = words(&ruling.what);
        writeln!(text, "{}", visible(&what)).expect("writing to a String cannot fail");
        let why = format!("because {} ({}), record {record}", ruling.because, ruling.by);
        writeln!(text, "  {}", visible(&why)).expect("writing to a String cannot fail");
        if let Some(end) = end {
            writeln!(text, "  {}", visible(&end)).expect("writing to a String cannot fail");
        }
    }
    print(&text)
}

/// What was decided, and what ends it.
fn words(what: &Ruled) -> (String, Option<String>) {
    match what {
        Ruled::Hold(AreaHold { area, until }) => {
            let until = until.map(|until| format!(" until {until:.0}")).unwrap_or_default();
            let end = format!("`trueup resume{} --because \"…\"` ends it", arguments(area));
            (format!("held{until}: {area}: nothing is written or proposed"), Some(end))
        }
        Ruled::Resume { area } => (format!("resumed: {area}"), None),
        Ruled::Approve(approval) => (format!("approved until {:.0}: {}", approval.until, approval.spot), None),
        Ruled::Deny(denial) => {
            let end = format!("`trueup approve {0}` or `trueup resume {0}` takes it back", denial.finding);
            (format!("denied: {} is left as it is, until live or Git moves", denial.spot), Some(end))
        }
        Ruled::Lease(grant) => {
            let end = format!("`trueup lease end {}` ends it", grant.spot.place);
            (format!("leased until {:.0}: {}", grant.until, grant.spot), Some(end))
        }
        Ruled::EndLease(spot) => (format!("ended: the lease of {spot}"), None),
        Ruled::EarlierWrites { target, .. } => {
            (format!("accepted: what trueup wrote to target `{target}` before this ledger's first record is known"), None)
        }
        Ruled::State(StateSeen { target, serial, lineage, .. }) => {
            (format!("accepted: the state of target `{target}` goes on from serial {serial} of lineage {lineage}"), None)
        }
        Ruled::History { reference, from, to, .. } => {
            (format!("accepted: `{reference}` goes on from {to}, which does not descend from {from}"), None)
        }
    }
}

/// What names an area on the command line.
pub(super) fn arguments(area: &Area) -> String {
    match area {
        Area::Everything => String::new(),
        Area::Target { target } => format!(" --target {target}"),
        Area::Object { target, object } => {
            let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            format!(" --target {target} --object {}/{namespace}{}", object.kind, object.name)
        }
        Area::Place(spot) => format!(" {}", spot.place),
    }
}
