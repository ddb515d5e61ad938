//! The commit of a proposal: Git's files with the edits, and who is asked about it.

use trueup_core::finding::Finding;
use trueup_core::policy::Remedy;

use super::about::About;
use super::known::newest;
use crate::act::Acting;
use crate::review::commit::{Author, Change, Edit as CommitEdit, commit_on};
use crate::review::owners::Owners;
use crate::review::{self, Audience, Content, Edit};
use crate::source::{self, CommitId, history};
use crate::target::Judged;

/// The proposal and its commit. Writes Git objects only, which nothing refers to yet.
///
/// An open proposal stays on the commit that it was made on for as long as its files are the same there and now: each push
/// takes people's approvals from it.
pub(super) fn committed(
    acting: Acting<'_>,
    judged: &Judged,
    about: &About<'_>,
    edits: &[Edit],
) -> Result<(review::Proposal, CommitId), String> {
    let audience = audience(acting, about, edits);
    let findings: Vec<&Finding> = about.findings.iter().collect();
    let is_edited = |file: &String| edits.iter().any(|edit| edit.file == *file);
    let over: Vec<String> = judged.approved.over.iter().filter(|file| !is_edited(file)).cloned().collect();
    let make = |base: &CommitId, removed: &[String]| {
        let content = Content { findings: &findings, remedy: about.remedy, edits, removed };
        let proposal = review::propose(about.branch, base.as_str(), content, &audience);
        let edits: Vec<CommitEdit> =
            proposal.edits.iter().map(|(path, bytes)| CommitEdit { path: path.clone(), bytes: bytes.clone() }).collect();
        let change = Change {
            base,
            edits: &edits,
            removed,
            message: &proposal.commit_message,
            author: &Author::default(),
            protected: &acting.session.settings.policies,
        };
        let commit = commit_on(&acting.pinned.repository, &change);
        commit.map(|commit| (proposal, commit)).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    };
    if let Some(record) = about.open.and_then(newest)
        && let Ok(base) = record.base_commit.parse::<CommitId>()
        && is_same_at(acting, &base, edits)
    {
        // What counts no more may have come or gone since.
        for removed in [&over[..], &[]] {
            if let Ok((proposal, commit)) = make(&base, removed)
                && commit.as_str() == record.head_commit
            {
                return Ok((proposal, commit));
            }
        }
    }
    make(&acting.pinned.commit, &over)
}

/// GitHub asks no more people than that.
const REVIEWERS: usize = 15;

/// Who is asked: the people of the settings, then those who own what is edited, or what it is about where Git is right.
fn audience(acting: Acting<'_>, about: &About<'_>, edits: &[Edit]) -> Audience {
    let settings = &acting.session.settings.review;
    let files = edits.iter().map(|edit| edit.file.as_str());
    let origins = about.findings.iter().map(|finding| finding.difference.origin.file.as_str());
    let owners = match about.remedy {
        Remedy::Adopt => Owners::of(acting.pinned).of_files(files),
        Remedy::Restore => Owners::of(acting.pinned).of_files(files.chain(origins)),
    };
    let mut reviewers = settings.reviewers.clone();
    reviewers.extend(owners.into_iter().filter(|owner| !settings.reviewers.contains(owner)));
    reviewers.truncate(REVIEWERS);
    Audience { labels: settings.labels.clone(), reviewers, readiness: settings.readiness }
}

/// Whether the files were before as they are now.
fn is_same_at(acting: Acting<'_>, base: &CommitId, edits: &[Edit]) -> bool {
    let is_same = |edit: &Edit| {
        source::read_at(acting.pinned, base, &edit.file).is_ok_and(|before| before.unwrap_or_default() == edit.before)
    };
    history::contains(acting.pinned, base).unwrap_or(false) && edits.iter().all(is_same)
}
