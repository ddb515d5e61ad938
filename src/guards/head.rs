//! The ledger's end, kept in the cluster where no copy of the state folder reaches it. A ledger that was lost, or copied back
//! from last week, does not hold it: then nothing is written until a person accepts that.

use std::collections::BTreeMap;

use trueup_core::run::Standing;

use crate::failure::Failure;
use crate::ledger::{Ledger, SignedHead};
use crate::target::{Judged, Reach};

/// The ends that are kept in the target's cluster, that the ledger does not hold, and that nobody has accepted.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn unknown(ledger: Option<&Ledger>, standing: &Standing, judged: &Judged) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    let kept = judged.head.iter().flat_map(|head| head.texts.iter().flatten());
    for (_, text) in kept.filter(|(_, text)| !standing.people().know_earlier_head(text)) {
        if !holds(ledger, text).await? {
            unknown.push(text.clone());
        }
    }
    Ok(unknown)
}

async fn holds(ledger: Option<&Ledger>, text: &str) -> Result<bool, Failure> {
    match (ledger, text.parse::<SignedHead>()) {
        (Some(ledger), Ok(head)) => ledger.holds(head.recorded).await.map_err(Failure::usage),
        (None, _) | (_, Err(_)) => Ok(false),
    }
}

/// Why nothing is written to the target by this ledger.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn stopped(ledger: Option<&Ledger>, standing: &Standing, judged: &Judged) -> Result<Option<String>, Failure> {
    let Some(head) = &judged.head else { return Ok(None) };
    if let Err(why) = &head.texts {
        return Ok(Some(format!("whether the ledger went back cannot be told: {why}")));
    }
    let unknown = unknown(ledger, standing, judged).await?;
    let Some(text) = unknown.first() else { return Ok(None) };
    let record = match text.parse::<SignedHead>() {
        Ok(head) => format!("record {}, which was its end once", head.recorded.seq),
        Err(error) => format!("what stands there ({error})"),
    };
    Ok(Some(format!(
        "the ledger does not hold {record}, as ConfigMap {} keeps it: it went back, or is another one, so fights, limits and \
         holds since then are not known; bring the later one back (`TRUEUP_STATE_DIR`), or accept that with \
         `trueup resume --target {} --because \"…\"`",
        head.place, judged.name
    )))
}

/// Keeps the ledger's end in the cluster, where it has moved on. What is kept of a ledger that a person let go is taken out.
///
/// # Errors
/// When the ledger cannot be read. That the server refuses is told, and stops nothing: the end that it has is still held.
pub async fn renew(ledger: &Ledger, judged: &Judged) -> Result<(), Failure> {
    let (Some(head), Reach::Cluster(cluster, _)) = (&judged.head, &judged.reach) else { return Ok(()) };
    let standing = ledger.standing().await.map_err(Failure::usage)?;
    let (Ok(kept), Some(end)) = (&head.texts, ledger.signed_head().await.map_err(Failure::usage)?) else { return Ok(()) };
    let (own, line) = (end.instance().to_string(), end.to_string());
    if kept.get(&own) == Some(&line) || !unknown(Some(ledger), &standing, judged).await?.is_empty() {
        return Ok(());
    }
    let mut texts = BTreeMap::from([(own, Some(line))]);
    for (instance, text) in kept {
        if !holds(Some(ledger), text).await? {
            texts.entry(instance.clone()).or_insert(None);
        }
    }
    if let Err(error) = trueup_kubernetes::own_config_map::write(cluster, &head.place, &texts).await {
        tracing::warn!(target = %judged.name, place = %head.place, %error, "the ledger's end is not kept");
    }
    Ok(())
}
