//! What people ask for: requests go through `decide` like any finding, and pass the same guards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::against::held_object;
use super::inputs::{Inputs, LiveObject};
use super::{Batch, Correction, Decision, Settled};
use crate::facts::Live;
use crate::finding::{FindingId, Place, ValueDigest};
use crate::object::{ObjectId, TargetName};
use crate::patch::{changes_nothing, values_under};
use crate::secret;

/// What a person asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// Put back what a run changed.
    Undo(Box<Undo>),
    /// Make live what Git says at one place, whatever the class's stage.
    Restore(Restore),
}

/// An undo: a run's effect, and the object as it is now.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The target.
    pub target: TargetName,
    /// The run to undo.
    pub run: String,
    /// The object as it is now.
    pub live: Live,
    /// The uid that the run wrote to; absent in a snapshot.
    pub uid: Option<String>,
    /// What the run wrote.
    pub patch: Value,
    /// What takes it back.
    pub inverse: Value,
    /// The finding and the place of each path that the run corrected.
    pub corrected: Vec<(FindingId, Place)>,
    /// Those paths, as people read them.
    pub paths: Vec<String>,
}

/// An approval: a person has seen these two values at this place, and wants Git's back.
///
/// It counts for a finding of lane `auto` or `review` with exactly these values, whatever its stage; every other guard
/// holds as ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Where.
    pub place: Place,
    /// What Git said when it was approved: [`Finding::digests`](crate::finding::Finding::digests).
    pub desired: ValueDigest,
    /// What was live when it was approved.
    pub live: ValueDigest,
    /// The first instant at which it no longer counts.
    pub expires: Timestamp,
    /// Who approved, and how that is known.
    pub by: String,
}

/// A request as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// [`Request::Undo`].
    Undo(Box<AskedUndo>),
    /// [`Request::Restore`].
    Restore(Restore),
}

/// An undo as it is recorded: what it is decided by, without the object's other values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedUndo {
    target: TargetName,
    run: String,
    object: ObjectId,
    live: LiveObject,
    uid: Option<String>,
    effect: Option<UndoEffect>,
    is_as_left: bool,
    corrected: Vec<(FindingId, Place)>,
    paths: Vec<String>,
}

/// What an undo writes, where that holds no secret value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoEffect {
    patch: Value,
    inverse: Value,
    pre_image: Value,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Restore(restore) => Self::Restore(restore.clone()),
            Request::Undo(undo) => Self::Undo(Box::new(AskedUndo::of(undo))),
        }
    }

    /// What is kept of an object's values.
    pub(super) fn kept(&self) -> Option<(&ObjectId, Vec<&Value>)> {
        match self {
            Self::Undo(undo) => {
                let effect = undo.effect.as_ref()?;
                Some((&undo.object, vec![&effect.patch, &effect.inverse, &effect.pre_image]))
            }
            Self::Restore(_) => None,
        }
    }

    /// The places that it is about.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let (one, many) = match self {
            Self::Restore(restore) => (Some(&restore.place), &[][..]),
            Self::Undo(undo) => (None, &undo.corrected[..]),
        };
        one.into_iter().chain(many.iter().map(|(_, place)| place))
    }
}

impl AskedUndo {
    fn of(undo: &Undo) -> Self {
        let pre_image = values_under(&undo.live.value, &undo.inverse);
        let is_open = ![&undo.patch, &undo.inverse, &pre_image].into_iter().any(secret::is_within);
        Self {
            target: undo.target.clone(),
            run: undo.run.clone(),
            object: undo.live.id.clone(),
            live: LiveObject::of(&undo.live, &undo.inverse),
            uid: undo.uid.clone(),
            effect: is_open.then(|| UndoEffect {
                // Taking it back is the patch now.
                patch: undo.inverse.clone(),
                inverse: undo.patch.clone(),
                pre_image,
            }),
            is_as_left: changes_nothing(&undo.live.value, &undo.patch),
            corrected: undo.corrected.clone(),
            paths: undo.paths.clone(),
        }
    }

    /// An undo is a correction like any other: it needs the very object, still as the run left it. A run that corrected
    /// nothing leaves nothing to undo.
    pub(super) fn decide(&self, inputs: &Inputs) -> Option<Decision> {
        let (finding, place) = self.corrected.first().cloned()?;
        let hold = |reason: String| Some(Decision::Hold(Settled { finding, place, reasons: vec![reason] }));
        let places = self.corrected.iter().map(|(_, place)| place);
        if let Some(reason) = held_object(&self.object, &self.live, places, inputs) {
            return hold(reason);
        }
        if let Some(freeze) = inputs.freezes.first() {
            return hold(freeze.clone());
        }
        if self.live.uid != self.uid {
            return hold("the object was replaced by another of the same name".to_owned());
        }
        if !self.is_as_left {
            return hold(format!("the object moved on since run {}: what it wrote is no longer there", self.run));
        }
        let Some(effect) = &self.effect else {
            return hold("its patch would carry a secret value: put it back by hand".to_owned());
        };
        Some(Decision::Correct(Box::new(Correction {
            target: self.target.clone(),
            object: self.object.clone(),
            uid: self.live.uid.clone(),
            resource_version: self.live.resource_version.clone(),
            pre_image: effect.pre_image.clone(),
            patch: effect.patch.clone(),
            inverse: effect.inverse.clone(),
            corrected: self.corrected.clone(),
            paths: self.paths.clone(),
            classes: Vec::new(),
            batch: Batch::default(),
            window_seconds: 0,
            undoes: Some(self.run.clone()),
            approved_by: Vec::new(),
            secrecy: self.live.secrecy,
            reasons: vec![format!("undo of run {}", self.run)],
        })))
    }
}

/// What an approval is worth for a finding now.
pub(super) enum Approval<'a> {
    /// It is for these very values, and in time.
    Given(&'a Restore),
    /// There is one for this place that no longer counts, and why.
    Void(&'static str),
    /// There is none.
    None,
}

/// The approval for a place with these values.
pub(super) fn approval<'a>(
    asked: &'a [Asked],
    place: &Place,
    (desired, live): (&ValueDigest, &ValueDigest),
    now: Timestamp,
) -> Approval<'a> {
    let mut void = None;
    for request in asked {
        let Asked::Restore(restore) = request else { continue };
        if restore.place != *place {
            continue;
        }
        if restore.desired != *desired || restore.live != *live {
            void = void.or(Some("an approval was given for other values than these, so it does not count"));
        } else if now >= restore.expires {
            void = void.or(Some("an approval has expired, so it does not count"));
        } else {
            return Approval::Given(restore);
        }
    }
    void.map_or(Approval::None, Approval::Void)
}
