//! One target through steps 2 to 5: what Git declares of it, what is there, what differs, what policy makes of that.

mod cluster;
mod former;
mod judging;
mod order;
mod reach;
pub(crate) mod shared;
mod snapshot;
pub(crate) mod terraform;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trueup_core::decide::Ground;
use trueup_core::facts::Problem;
use trueup_core::finding::{Finding, Standing};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::policy::Policy;
use trueup_core::reach::Topology;
use trueup_core::run::Histories;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::own_config_map::{OwnConfigMap, Texts};

use crate::config::{ManifestPath, Target, TargetKind};
use crate::desired::{self, Declared};
use crate::render;
use crate::review::approval::Approved;
use crate::session::Session;
use crate::source::Pinned;

pub use cluster::{identity, judge_reached, who};
pub use judging::{JudgedCase, Judging};
pub use reach::{Reach, Sent};

/// A target that has not been judged after this long is unknown.
const DEADLINE: Duration = Duration::from_mins(2);

/// Whether what is read may be some hours old: for a report it may, for a correction not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Baselines may come from the cache.
    Cached,
    /// Every baseline that a finding rests on is asked for now.
    Fresh,
}

/// A target after step 5.
#[derive(Debug)]
pub struct Judged {
    /// Its name.
    pub name: TargetName,
    /// `kubernetes`, `snapshot`, `terraform`.
    pub kind: &'static str,
    /// Where its objects live.
    pub ground: Ground,
    /// One case for each declared object or expected output, and for each object that Git no longer declares.
    pub cases: Vec<JudgedCase>,
    /// What went wrong.
    pub problems: Vec<Problem>,
    /// A Terraform state's serial.
    pub serial: Option<u64>,
    /// What of its desired state a program rendered.
    pub rendered: Vec<render::Record>,
    /// How its objects are read again and written.
    pub reach: Reach,
    /// What is known of their kinds.
    pub kinds: Kinds,
    /// Admission that may rewrite each write to an object, by name.
    pub rewriters: BTreeMap<ObjectId, Vec<String>>,
    /// Objects that another target declares, too, and why nothing is written to them.
    pub contested: BTreeMap<ObjectId, String>,
    /// What people have approved of it.
    pub approved: Approved,
    /// What it is to its owners.
    pub standing: Standing,
    /// How its objects hang together.
    pub topology: Topology,
    /// What happened at its places before.
    pub histories: Arc<Histories>,
    /// What is kept in it of the ledger; absent where nothing is.
    pub head: Option<KeptHead>,
}

/// The ends of ledgers that are kept in a cluster.
#[derive(Debug, Clone)]
pub struct KeptHead {
    /// Where.
    pub place: OwnConfigMap,
    /// By instance; or why that cannot be read.
    pub texts: Result<Texts, String>,
}

impl Judged {
    /// A target of which nothing could be seen.
    fn unseen(target: &Target, problems: Vec<Problem>) -> Self {
        let (kind, ground) = match target.kind {
            TargetKind::Kubernetes { .. } => ("kubernetes", Ground::Cluster),
            TargetKind::Snapshot { .. } => ("snapshot", Ground::Snapshot),
            TargetKind::Terraform { .. } => ("terraform", Ground::State),
        };
        Self {
            name: target.name.clone(),
            kind,
            ground,
            cases: Vec::new(),
            problems,
            serial: None,
            rendered: Vec::new(),
            reach: Reach::None,
            kinds: Kinds::built_in(),
            rewriters: BTreeMap::new(),
            contested: BTreeMap::new(),
            approved: Approved::default(),
            standing: target.standing.clone(),
            topology: Topology::default(),
            histories: Arc::default(),
            head: None,
        }
    }

    /// With what was rendered; each finding of it says so.
    fn rendered(mut self, records: Vec<render::Record>) -> Self {
        for finding in self.cases.iter_mut().flat_map(|case| &mut case.findings) {
            let origin = &finding.difference.origin;
            let record = records.iter().find(|record| origin.is_rendered() && record.has(&origin.file));
            finding.reasons.extend(record.map(render::Record::reason));
        }
        self.rendered = records;
        self
    }

    /// All findings, in the order of the cases.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.cases.iter().flat_map(|case| &case.findings)
    }

    /// The case of an object.
    #[must_use]
    pub fn case_of(&self, object: &ObjectId) -> Option<&JudgedCase> {
        self.cases.iter().find(|case| case.pair.as_ref().is_some_and(|pair| pair.desired().id.same_object(object)))
    }
}

/// Tells the findings what happened at their places, now and whenever they are judged again.
pub fn remember(targets: &mut [Judged], histories: &Arc<Histories>) {
    for judged in targets {
        judged.histories = Arc::clone(histories);
        for finding in judged.cases.iter_mut().flat_map(|case| &mut case.findings) {
            histories.tell(finding);
        }
    }
}

/// Steps 2 to 5 for one target. Whatever goes wrong is a problem of this target; its neighbours are judged.
pub async fn judge(session: &Session, pinned: &Pinned, policy: &Policy, target: &Target, freshness: Freshness) -> Judged {
    let judging =
        Judging { source: &pinned.name, policy, key: &session.key, standing: &target.standing, topology: &Topology::default() };
    let looking = async {
        match &target.kind {
            TargetKind::Kubernetes { paths, .. } => match declared(session, pinned, paths).await {
                Ok(Declared { objects, problems, rendered }) => {
                    let judged = cluster::judge(session, target, (objects, problems), judging, freshness).await;
                    former::look(session, pinned, target, judged, judging).await.rendered(rendered)
                }
                Err(problems) => Judged::unseen(target, problems),
            },
            TargetKind::Snapshot { live, paths, secrets } => {
                let reading = snapshot::reading(live);
                match declared(session, pinned, paths).await {
                    Ok(Declared { objects, problems, rendered }) => {
                        let judged = snapshot::judge(target, (live, reading, *secrets), (objects, problems), judging).await;
                        former::look(session, pinned, target, judged, judging).await.rendered(rendered)
                    }
                    Err(problems) => Judged::unseen(target, problems),
                }
            }
            TargetKind::Terraform { state, expect, bind } => {
                let files = (&expect[..], &bind[..]);
                terraform::judge(pinned, target, (state, &session.settings.folder, files), judging).await
            }
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| {
        let message = format!("not judged within {} s: the target is unknown in this round", DEADLINE.as_secs());
        Judged::unseen(target, vec![Problem::blind("deadline", message, None)])
    })
}

/// Step 2: the objects that Git declares under some paths. None at all is never "nothing is wanted".
///
/// # Errors
/// The problems, where no object can be read.
pub async fn declared(session: &Session, pinned: &Pinned, paths: &[ManifestPath]) -> Result<Declared, Vec<Problem>> {
    let (readings, at, under) = (session.readings.clone(), pinned.clone(), paths.to_vec());
    let read = tokio::task::spawn_blocking(move || desired::read(&readings, &at, &under)).await;
    let mut declared = read.map_err(|error| vec![Problem::blind("source-unreadable", error.to_string(), None)])?;
    if declared.objects.is_empty() {
        let paths: Vec<&str> = paths.iter().map(|path| path.path.as_str()).collect();
        let message = format!(
            "no object is declared under `{}` at commit {}: an empty desired state is never acted on",
            paths.join("`, `"),
            pinned.commit
        );
        declared.problems.push(Problem::blind("nothing-declared", message, None));
        return Err(declared.problems);
    }
    Ok(declared)
}

/// A target that can be read and written, of which nothing has been judged.
///
/// # Errors
/// For people: why it cannot be reached.
pub async fn connect(target: &Target) -> Result<Judged, String> {
    let reach = match &target.kind {
        TargetKind::Kubernetes { context, .. } => cluster::connect(context.as_deref()).await?,
        TargetKind::Snapshot { live, .. } => Reach::Snapshot(live.clone()),
        TargetKind::Terraform { .. } => Reach::None,
    };
    let head = cluster::kept_head(target, &reach).await;
    Ok(Judged { reach, head, ..Judged::unseen(target, Vec::new()) })
}
