//! What people decide from the command line: who, why, and what counts from then on.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StateSeen;
use crate::decide::Scope;
use crate::finding::{Digests, FindingId, Place, ValueDigest};
use crate::object::{ObjectId, TargetName};

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Who decided.
    pub by: Person,
    /// Why, in that person's words.
    pub because: String,
    /// What was decided.
    pub what: Ruled,
}

/// Who decided something, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// A user name.
    pub name: String,
    /// Who says so.
    pub known_by: KnownBy,
}

/// Who says which person it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// The API server, by the credentials that were shown to it.
    ApiServer,
    /// The operating system of the machine where it was typed: whoever runs that machine may choose it.
    OperatingSystem,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruled {
    /// Nothing is written and nothing is proposed there.
    Hold(AreaHold),
    /// Git's value is wanted back at a place, whatever the class's stage.
    Approve(Box<Approval>),
    /// A live value is left as it is, until live or Git moves.
    Deny(Denial),
    /// A live value may stay until then.
    Lease(Box<Grant>),
    /// A lease ends before its time.
    EndLease(Spot),
    /// What was held there goes on: what a person held, an undo or a rollback held, or a fight.
    Resume {
        /// Where.
        area: Area,
    },
    /// What trueup wrote there before the ledger's first record counts as known.
    EarlierWrites {
        /// To which target.
        target: TargetName,
        /// Ends of the earlier ledger that were kept in its cluster, and that this one does not hold.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        heads: Vec<String>,
    },
    /// A Terraform state goes on from this one, which does not follow the last one.
    State(StateSeen),
    /// The source goes on from a commit that does not descend from the last one.
    History {
        /// The source's name.
        source: String,
        /// Its reference.
        reference: String,
        /// The last commit.
        from: String,
        /// The one from which it goes on.
        to: String,
    },
}

/// What is held, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaHold {
    /// Where.
    pub area: Area,
    /// The first instant at which it no longer holds; absent: until it is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An approval: these two values were seen, and Git's is wanted back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Where.
    pub spot: Spot,
    /// The finding that was approved.
    pub finding: FindingId,
    /// Its values.
    pub digests: Digests,
    /// Its class; absent where none matched.
    pub class: Option<String>,
    /// The first instant at which it no longer counts.
    pub until: Timestamp,
}

/// A finding that is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Where.
    pub spot: Spot,
    /// The finding.
    pub finding: FindingId,
}

/// An exception: this live value may stay until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Where.
    pub spot: Spot,
    /// The finding for which it was granted.
    pub finding: FindingId,
    /// The live value.
    pub live: ValueDigest,
    /// The first instant at which it no longer counts.
    pub until: Timestamp,
}

/// What a hold is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// All targets, also those that come later.
    Everything,
    /// One target.
    Target {
        /// Which.
        target: TargetName,
    },
    /// One object, in whatever version it is read.
    Object {
        /// In which target.
        target: TargetName,
        /// Which.
        object: ObjectId,
    },
    /// One place.
    Place(Spot),
}

/// A place, with what people call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// In which target.
    pub target: TargetName,
    /// The place.
    pub place: Place,
    /// Object and path.
    pub name: String,
}

impl Ruled {
    /// The target that it is about; absent where it is about all of them, or about the source.
    #[must_use]
    pub fn target(&self) -> Option<&TargetName> {
        match self {
            Self::Hold(AreaHold { area, .. }) | Self::Resume { area } => area.target(),
            Self::EarlierWrites { target, .. } => Some(target),
            Self::Approve(_) | Self::Deny(_) | Self::Lease(_) | Self::EndLease(_) => self.spot().map(|spot| &spot.target),
            Self::State(seen) => Some(&seen.target),
            Self::History { .. } => None,
        }
    }

    /// The place that it is about, with its name.
    #[must_use]
    pub fn spot(&self) -> Option<&Spot> {
        match self {
            Self::Approve(approval) => Some(&approval.spot),
            Self::Deny(denial) => Some(&denial.spot),
            Self::Lease(grant) => Some(&grant.spot),
            Self::EndLease(spot) => Some(spot),
            Self::Hold(AreaHold { area, .. }) | Self::Resume { area } => area.spot(),
            Self::EarlierWrites { .. } | Self::State(_) | Self::History { .. } => None,
        }
    }

    /// The place that it is about.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.spot().map(|spot| &spot.place)
    }
}

impl Area {
    /// What of a target it is about; `None` where it is about none of it.
    #[must_use]
    pub fn scope_in(&self, target: &TargetName) -> Option<Scope> {
        match self {
            Self::Everything => Some(Scope::Target),
            Self::Target { target: of } => (of == target).then_some(Scope::Target),
            Self::Object { target: of, object } => (of == target).then(|| Scope::Object(object.clone())),
            Self::Place(spot) => (spot.target == *target).then(|| Scope::Place(spot.place.clone())),
        }
    }

    /// Whether both are about the same, however a place is called.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, Self::Everything) => true,
            (Self::Target { target }, Self::Target { target: of }) => target == of,
            (Self::Object { target, object }, Self::Object { target: of, object: other }) => {
                target == of && object.same_object(other)
            }
            (Self::Place(spot), Self::Place(other)) => spot.target == other.target && spot.place == other.place,
            (Self::Everything | Self::Target { .. } | Self::Object { .. } | Self::Place(_), _) => false,
        }
    }

    /// The target that it is about; absent where it is about all of them.
    #[must_use]
    pub fn target(&self) -> Option<&TargetName> {
        match self {
            Self::Everything => None,
            Self::Target { target } | Self::Object { target, .. } => Some(target),
            Self::Place(spot) => Some(&spot.target),
        }
    }

    fn spot(&self) -> Option<&Spot> {
        match self {
            Self::Place(spot) => Some(spot),
            Self::Everything | Self::Target { .. } | Self::Object { .. } => None,
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Target { target } => write!(f, "target `{target}`"),
            Self::Object { target, object } => write!(f, "`{object}` in target `{target}`"),
            Self::Place(spot) => spot.fmt(f),
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in target `{}`", self.name, self.target)
    }
}

/// `anna`, and where nobody but the machine says so, that.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known_by {
            KnownBy::ApiServer => f.write_str(&self.name),
            KnownBy::OperatingSystem => write!(f, "{} (as the operating system says: uncertain)", self.name),
        }
    }
}
