//! The edit of a proposal to put Git's value back: the file of an approval.

use jiff::{SignedDuration, Timestamp};
use trueup_core::finding::{Finding, Place};
use trueup_core::run::Run;

use super::known::head;
use crate::act::Acting;
use crate::review::Edit;
use crate::review::approval::{Approval, digest, expiry, file_of, write};
use crate::source;

/// Asks for a restore.
///
/// # Errors
/// For people: why there is none.
pub(super) fn ask(acting: Acting<'_>, finding: &Finding) -> Result<Edit, String> {
    let file = file_of(&finding.place);
    let there = source::read(acting.pinned, &file).map_err(|error| error.to_string())?;
    let mut expires = expiry(Timestamp::now());
    loop {
        let approval = Approval::asked(finding, expires).ok_or("only a value of an object can be restored")?;
        let (_, text) = write(&approval).map_err(|error| error.to_string())?;
        // One that has been acted on is still there: consent to the same values anew is another file.
        if there.as_deref() != Some(text.as_bytes()) {
            let before = there.unwrap_or_default();
            return Ok(Edit { file, before, after: text.into_bytes(), comments: Vec::new() });
        }
        expires += SignedDuration::from_hours(1);
    }
}

/// What the commit of a run that was cut off says of an approval: its file there, where the run has changed it.
pub(super) fn proposed_approval(acting: Acting<'_>, run: &Run, place: &Place) -> Option<String> {
    let at = |commit: &str| source::read_at(acting.pinned, &commit.parse().ok()?, &file_of(place)).ok()?;
    let proposed = at(head(run)?)?;
    (at(&run.intent.commit).as_ref() != Some(&proposed)).then(|| digest(&proposed))
}

/// What the ledger knows the approval of a finding by, among the edits of its proposal.
pub(super) fn approval_in(edits: &[(String, Vec<u8>)], finding: &Finding) -> Option<String> {
    let file = file_of(&finding.place);
    edits.iter().find(|(edited, _)| *edited == file).map(|(_, bytes)| digest(bytes))
}
