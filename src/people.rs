//! People decide from the command line: who they are, and the record of it.

mod counts;

use jiff::Timestamp;
use nix::unistd::{User, geteuid};
use serde::Serialize;
use trueup_core::run::{Entry, KnownBy, Person, Ruled, Ruling};

use crate::config::{Target, TargetKind};
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::session::Session;
use crate::target;

pub use counts::{Decided, Known, OfPeople, may_approve, requests};

/// What was recorded.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The record's number.
    pub record: u64,
    /// What it says.
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// Who decides about a target: whom the API server names; of files and states, whom the operating system names.
///
/// # Errors
/// When the API server does not say it.
pub async fn person(target: &Target) -> Result<Person, Failure> {
    match &target.kind {
        TargetKind::Kubernetes { context, .. } => {
            let name = target::who(context.as_deref()).await;
            let name = name.map_err(|reason| Failure::unseen(anyhow::anyhow!("who you are is not known: {reason}")))?;
            Ok(Person { name, known_by: KnownBy::ApiServer })
        }
        TargetKind::Snapshot { .. } | TargetKind::Terraform { .. } => Ok(by_operating_system()),
    }
}

/// Who decides about several targets, or about the source: whom the first API server names that answers, else whom the
/// operating system names. To stop everything must be possible while no server answers.
pub async fn anybody<'a>(targets: impl IntoIterator<Item = &'a Target>) -> Person {
    for target in targets {
        if let (TargetKind::Kubernetes { .. }, Ok(person)) = (&target.kind, person(target).await) {
            return person;
        }
    }
    by_operating_system()
}

fn by_operating_system() -> Person {
    let user = geteuid();
    let named = User::from_uid(user).ok().flatten().map(|user| user.name);
    Person { name: named.unwrap_or_else(|| format!("uid {user}")), known_by: KnownBy::OperatingSystem }
}

/// Records what a person decided. That needs no lock of the state folder: a round that runs meanwhile hears of it.
///
/// # Errors
/// When the ledger cannot be appended to.
pub async fn record(session: &Session, by: &Person, because: &str, rulings: Vec<Ruled>) -> Result<Vec<Told>, Failure> {
    let ledger = Ledger::open(&session.ledger).await.map_err(Failure::usage)?;
    let mut told = Vec::new();
    for what in rulings {
        let ruling = Ruling { by: by.clone(), because: because.to_owned(), what };
        let entry = Entry::Ruling(Box::new(ruling.clone()));
        let recorded = ledger.append(&entry, Timestamp::now()).await.map_err(Failure::usage)?;
        told.push(Told { record: recorded.seq, ruling });
    }
    ledger.close().await.map_err(Failure::usage)?;
    Ok(told)
}
