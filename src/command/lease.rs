//! `trueup lease`: a live value may stay until a time.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::json;
use trueup_core::finding::Lane;
use trueup_core::run::{Grant, Ruled, Said};
use trueup_core::security::may_weaken;

use super::approve::{seen, who};
use super::hold::{found, show};
use crate::cli::Output;
use crate::cli::people::{Lease, LeaseEnd, LeaseGrant};
use crate::command::hold::spot_of;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::people;
use crate::round::{Round, look};
use crate::session::Session;
use crate::target::Freshness;
use crate::visible::visible;

pub(super) async fn lease(session: &Session, asked: &Lease, output: Output) -> Result<Exit, Failure> {
    let round = look(session, Freshness::Cached).await?;
    match asked {
        Lease::Grant(asked) => grant(session, &round, asked, output).await,
        Lease::List => list(&round, output),
        Lease::End(asked) => end(session, &round, asked, output).await,
    }
}

async fn grant(session: &Session, round: &Round, asked: &LeaseGrant, output: Output) -> Result<Exit, Failure> {
    let usage = |reason: String| Failure::usage(anyhow::anyhow!(reason));
    let until = asked.until.from(Timestamp::now()).map_err(|reason| usage(format!("`--until`: {reason}")))?;
    let (judged, finding) = seen(round, &asked.id)?;
    let id = &asked.id;
    if finding.lane == Lane::Ignore {
        return Err(usage(format!("`{id}` is ignored already: {}", finding.reasons.join("; "))));
    }
    if may_weaken(&finding.difference) {
        let what = format!("`{id}` loosens security, or may: no lease lets that stay; put it right, or declare it in Git");
        return Err(usage(what));
    }
    let by = who(session, judged).await?;
    let live = finding.digests().live;
    let granted = Grant { spot: spot_of(judged, finding), finding: finding.id.clone(), live, until };
    let told = people::record(session, &by, &asked.because.text(), vec![Ruled::Lease(Box::new(granted))]).await?;
    show(&told, output)?;
    if finding.difference.is_masked() && output == Output::Text {
        return print(
            "  its value is secret: only its keyed digest is recorded, and under another key the lease does not count\n",
        );
    }
    Ok(Exit::True)
}

fn list(round: &Round, output: Output) -> Result<Exit, Failure> {
    let leases: Vec<&Said<Grant>> = round.standing.people().leases(Timestamp::now()).collect();
    if output == Output::Json {
        let leases: Vec<_> = leases.iter().map(|said| as_json(round, said)).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&leases).map_err(Failure::usage)?));
    }
    if leases.is_empty() {
        return print("no leases\n");
    }
    let mut text = String::new();
    for said in leases {
        let Said { what: Grant { spot, until, .. }, by, because, .. } = said;
        let first = format!("{}  until {until:.0}  {spot}: {}", spot.place, state(round, &said.what).1);
        let second = format!("because {because} ({by})");
        writeln!(text, "{}\n  {}", visible(&first), visible(&second)).expect("writing to a String cannot fail");
    }
    print(&text)
}

fn as_json(round: &Round, said: &Said<Grant>) -> serde_json::Value {
    let Said { what: Grant { spot, finding, until, .. }, by, because, at } = said;
    json!({
        "target": spot.target,
        "place": spot.place,
        "name": spot.name,
        "finding": finding,
        "until": until,
        "by": by,
        "because": because,
        "granted": at,
        "counts": state(round, &said.what).0,
        "state": state(round, &said.what).1,
    })
}

/// Whether a lease lets anything stay now, and what is at its place.
fn state(round: &Round, grant: &Grant) -> (bool, &'static str) {
    let Some(judged) = round.targets.iter().find(|judged| judged.name == grant.spot.target) else {
        return (false, "its target was not looked at");
    };
    match judged.findings().find(|finding| finding.place == grant.spot.place) {
        Some(finding) if finding.digests().live == grant.live => (true, "the value is live"),
        Some(_) => (false, "another value is live, for which it does not count"),
        None if judged.problems.iter().any(|problem| problem.blinds) => (false, "not all of its target was seen"),
        None => (false, "live is as Git says"),
    }
}

async fn end(session: &Session, round: &Round, asked: &LeaseEnd, output: Output) -> Result<Exit, Failure> {
    let place = found(round, &asked.id).map(|(_, finding)| finding.place.clone());
    let is_meant = |grant: &Grant| {
        grant.spot.place.as_str() == asked.id || grant.finding.0 == asked.id || place.as_ref() == Some(&grant.spot.place)
    };
    let mut leases = round.standing.people().leases(Timestamp::now());
    let lease = leases.find(|said| is_meant(&said.what));
    let none = || Failure::usage(anyhow::anyhow!("no lease of `{}`: `trueup lease list` lists them", asked.id));
    let spot = lease.ok_or_else(none)?.what.spot.clone();
    let target = session.settings.targets.iter().find(|target| target.name == spot.target);
    let by = match target {
        Some(target) => people::person(target).await?,
        None => people::anybody([]).await,
    };
    show(&people::record(session, &by, &asked.because.text(), vec![Ruled::EndLease(spot)]).await?, output)
}
