//! What people decide, as typed.

use std::str::FromStr;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// What to hold.
#[derive(Debug, Args)]
pub struct Hold {
    /// A finding's id [default: all targets, or those of --target]
    pub id: Option<String>,
    /// An object
    #[arg(long, value_name = "KIND/NS/NAME", conflicts_with = "id")]
    pub object: Option<String>,
    /// Until a time (2026-11-21T18:00:00Z) or for so long (90m, 8h, 2d) [default: until it is resumed]
    #[arg(long, value_name = "TIME|DURATION")]
    pub until: Option<End>,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub because: Because,
}

/// What goes on.
#[derive(Debug, Args)]
pub struct Resume {
    /// A finding's id, or its place [default: all targets, or those of --target]
    pub id: Option<String>,
    /// An object
    #[arg(long, value_name = "KIND/NS/NAME", conflicts_with = "id")]
    pub object: Option<String>,
    /// The source, whose history was rewritten
    #[arg(long, conflicts_with_all = ["id", "object"])]
    pub source: bool,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub because: Because,
}

/// What is approved.
#[derive(Debug, Args)]
pub struct Approve {
    /// A finding's id
    pub id: String,
    /// Until a time (2026-11-21T18:00:00Z) or for so long (90m, 8h, 2d) [default: 24h]
    #[arg(long, value_name = "TIME|DURATION")]
    pub until: Option<End>,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub because: Because,
}

/// What is left as it is.
#[derive(Debug, Args)]
pub struct Deny {
    /// A finding's id
    pub id: String,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub because: Because,
}

/// What to do with leases.
#[derive(Debug, Subcommand)]
pub enum Lease {
    /// Let the live value of a finding stay for a while
    Grant(LeaseGrant),
    /// List the leases, and whether their values are live
    List,
    /// End a lease before its time
    End(LeaseEnd),
}

/// Which lease, and for how long.
#[derive(Debug, Args)]
pub struct LeaseGrant {
    /// A finding's id
    pub id: String,
    /// Until a time (2026-11-21T18:00:00Z) or for so long (90m, 8h, 2d)
    #[arg(long, value_name = "TIME|DURATION")]
    pub until: End,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub because: Because,
}

/// Which lease.
#[derive(Debug, Args)]
pub struct LeaseEnd {
    /// The finding's id, or its place
    pub id: String,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub because: Because,
}

/// A person's reason.
#[derive(Debug, Clone)]
pub struct Because(String);

/// When something ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// At a time.
    At(Timestamp),
    /// After so long.
    After(Span),
}

impl Because {
    /// As it was typed.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.clone()
    }
}

impl FromStr for Because {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() { Err("say why: it is recorded".to_owned()) } else { Ok(Self(text.to_owned())) }
    }
}

impl End {
    /// The time, counted from now.
    ///
    /// # Errors
    /// For people: it is past already, or too far.
    pub fn from(self, now: Timestamp) -> Result<Timestamp, String> {
        let end = match self {
            Self::At(end) => end,
            Self::After(span) => {
                let end = now.to_zoned(TimeZone::UTC).checked_add(span).map_err(|error| error.to_string())?;
                end.timestamp()
            }
        };
        if end > now { Ok(end) } else { Err(format!("{end:.0} is past already: give a later time, or a duration")) }
    }
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = text.parse().map(Self::At);
        let end = time.or_else(|_| text.parse().map(Self::After));
        end.map_err(|_| "neither a time (2026-11-21T18:00:00Z) nor a duration (90m, 8h, 2d)".to_owned())
    }
}
