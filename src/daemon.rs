//! `trueup run`: decides *when* a round runs. What a round does is `sync`, and nothing else.

mod metrics;
mod web;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::config::RunSettings;
use crate::failure::Failure;
use crate::report::{Report, TargetReport, Verdict};
use crate::stop::Stop;
use metrics::Metrics;

/// A round may take this many periods before the loop counts as stuck.
const PATIENCE: u32 = 3;

/// After a stop, a round has this long to finish the write in hand.
const GRACE: Duration = Duration::from_millis(4500);

/// How far the loop has come: what readiness is tied to.
#[derive(Debug)]
pub struct Progress {
    period: Duration,
    metrics: Metrics,
    state: Mutex<RoundState>,
}

#[derive(Debug)]
struct RoundState {
    begun: Instant,
    last_good: Option<Instant>,
    last_error: Option<String>,
}

impl Progress {
    fn new(period: Duration, now: Instant) -> Self {
        let state = Mutex::new(RoundState { begun: now, last_good: None, last_error: None });
        Self { period, metrics: Metrics::default(), state }
    }

    /// Whether the loop still turns: the last round began not too long ago.
    fn health(&self, now: Instant) -> Result<&'static str, String> {
        let state = self.lock();
        let since = now.duration_since(state.begun);
        if since > self.limit() { Err(format!("no round began for {} s", since.as_secs())) } else { Ok("ok") }
    }

    /// Whether its verdicts are fresh: a round ended well not too long ago.
    fn readiness(&self, now: Instant) -> Result<&'static str, String> {
        let state = self.lock();
        match (state.last_good, &state.last_error) {
            (None, None) => Err("the first round has not ended yet".to_owned()),
            (None, Some(error)) => Err(format!("no round has ended well: {error}")),
            (Some(good), error) if now.duration_since(good) > self.limit() => {
                let why = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                Err(format!("no round has ended well for {} s{why}", now.duration_since(good).as_secs()))
            }
            (Some(_), _) => Ok("ready"),
        }
    }

    fn limit(&self) -> Duration {
        self.period * PATIENCE + Duration::from_secs(30)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, RoundState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn began(&self, now: Instant) {
        self.lock().begun = now;
    }

    fn ended(&self, result: &Result<Report, Failure>) {
        match result {
            Ok(report) => {
                self.metrics.round(report, jiff::Timestamp::now());
                let mut state = self.lock();
                state.last_error = blindness(report);
                if state.last_error.is_none() {
                    state.last_good = Some(Instant::now());
                }
            }
            Err(failure) => {
                self.metrics.failed();
                self.lock().last_error = Some(failure.to_string());
            }
        }
    }
}

/// Why a round has told nothing: no target could be seen, not even in part.
fn blindness(report: &Report) -> Option<String> {
    let is_seen =
        |target: &TargetReport| target.verdict != Verdict::Unknown || target.objects.as_declared + target.objects.drifted > 0;
    if report.targets.iter().any(is_seen) {
        return None;
    }
    Some(report.problems.first().map_or_else(|| "no target could be seen".to_owned(), |problem| problem.message.clone()))
}

/// Runs `round` on the schedule until the stop: never two at once; rounds that were due meanwhile are skipped and counted.
///
/// # Errors
/// When the address cannot be listened on. A round's error is logged and counted, and the loop goes on.
pub async fn run<R, F>(settings: RunSettings, address: SocketAddr, stop: Stop, mut round: R) -> Result<(), Failure>
where
    R: FnMut() -> F,
    F: Future<Output = Result<Report, Failure>>,
{
    let progress = Arc::new(Progress::new(settings.every, Instant::now()));
    let web = web::listen(address, Arc::clone(&progress), stop.clone()).await.map_err(Failure::usage)?;
    let mut due = Instant::now();
    let mut late = Duration::ZERO;
    while !stop.is_requested() {
        tokio::select! {
            () = tokio::time::sleep_until((due + late).into()) => {}
            () = stop.requested() => break,
        }
        let begun = Instant::now();
        progress.began(begun);
        let Some(result) = finish(round(), &stop).await else { break };
        log(&result);
        progress.ended(&result);
        let (next, skipped) = schedule(due, Instant::now(), settings.every);
        progress.metrics.skipped(skipped);
        (due, late) = (next, jitter(settings.jitter));
    }
    tracing::info!("stopped");
    web.abort();
    Ok(())
}

/// The round's result; `None` where it did not end within the grace after a stop.
async fn finish<F: Future>(round: F, stop: &Stop) -> Option<F::Output> {
    tokio::pin!(round);
    tokio::select! {
        result = &mut round => return Some(result),
        () = stop.requested() => {}
    }
    let ended = tokio::time::timeout(GRACE, round).await.ok();
    if ended.is_none() {
        tracing::warn!("the round did not end in time: what it left open is resolved by reading at the next start");
    }
    ended
}

/// The next time on the grid of periods after `now`, and how many were missed.
fn schedule(due: Instant, now: Instant, every: Duration) -> (Instant, u64) {
    let late = now.saturating_duration_since(due).as_millis();
    let missed = late / every.as_millis().max(1);
    let periods = u32::try_from(missed).unwrap_or(u32::MAX - 1);
    (due + every * (periods + 1), u64::from(periods))
}

/// A random part of `most`.
fn jitter(most: Duration) -> Duration {
    let mut bytes = [0u8; 4];
    // Without randomness there is no jitter: rounds are on time.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return Duration::ZERO;
    }
    most.mul_f64(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}

fn log(result: &Result<Report, Failure>) {
    match result {
        Ok(report) => {
            let unknown = report.targets.iter().filter(|target| target.verdict == Verdict::Unknown).count();
            tracing::info!(
                commit = report.source.commit,
                findings = report.findings.len(),
                unknown_targets = unknown,
                took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
                "round ended"
            );
        }
        Err(failure) => tracing::error!(error = %failure, "round failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_rounds_are_skipped_and_counted() {
        let due = Instant::now();
        let every = Duration::from_secs(10);
        assert_eq!(schedule(due, due + Duration::from_secs(3), every), (due + every, 0));
        assert_eq!(schedule(due, due + Duration::from_secs(25), every), (due + every * 3, 2));
    }

    #[test]
    fn readiness_follows_real_progress() {
        let start = Instant::now();
        let progress = Progress::new(Duration::from_mins(1), start);
        assert!(progress.readiness(start).is_err());
        assert!(progress.health(start).is_ok());
        assert!(progress.health(start + Duration::from_mins(5)).is_err());
        progress.ended(&Err(Failure::unseen(anyhow::anyhow!("no answer"))));
        assert_eq!(progress.readiness(start), Err("no round has ended well: no answer".to_owned()));
    }
}
