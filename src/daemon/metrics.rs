//! What `/metrics` tells (`OpenMetrics` text).

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use trueup_core::finding::Lane;

use crate::report::{ActionName, Report, RunReport, Verdict};

/// One label: the lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: &'static str,
}

/// One label: the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabel {
    target: String,
}

/// Two labels: what was done, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabel {
    action: &'static str,
    status: String,
}

/// The loop's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rounds: Counter,
    failed_rounds: Counter,
    skipped_rounds: Counter,
    findings: Family<LaneLabel, Gauge>,
    unknown: Family<TargetLabel, Gauge>,
    effects: Family<EffectLabel, Counter>,
    duration: Histogram,
    last_round: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("trueup");
        let metrics = Self {
            rounds: Counter::default(),
            failed_rounds: Counter::default(),
            skipped_rounds: Counter::default(),
            findings: Family::default(),
            unknown: Family::default(),
            effects: Family::default(),
            duration: Histogram::new(exponential_buckets(0.05, 2.0, 12)),
            last_round: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("rounds", "Rounds that ended with a report", metrics.rounds.clone());
        registry.register("rounds_failed", "Rounds that ended with an error", metrics.failed_rounds.clone());
        registry.register("rounds_skipped", "Rounds that were due while another one ran", metrics.skipped_rounds.clone());
        registry.register("findings", "Findings of the last round by lane", metrics.findings.clone());
        registry.register("unknown_objects", "Objects that the last round could not see", metrics.unknown.clone());
        registry.register("effects", "Patches, proposals and escalations by how they ended", metrics.effects.clone());
        registry.register_with_unit("round_duration", "How long a round took", Unit::Seconds, metrics.duration.clone());
        registry.register_with_unit(
            "last_round_timestamp",
            "When the last round ended",
            Unit::Seconds,
            metrics.last_round.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a round that ended with a report.
    pub fn round(&self, report: &Report, ended: jiff::Timestamp) {
        self.rounds.inc();
        self.duration.observe(report.took.as_secs_f64());
        self.last_round.set(ended.as_duration().as_secs_f64());
        for lane in [Lane::Ignore, Lane::Watch, Lane::Auto, Lane::Review, Lane::Escalate] {
            let number = report.findings.iter().filter(|finding| finding.lane == lane).count();
            self.findings.get_or_create(&LaneLabel { lane: lane.name() }).set(as_gauge(number));
        }
        for target in &report.targets {
            let blind = usize::from(target.verdict == Verdict::Unknown);
            let label = TargetLabel { target: target.name.clone() };
            self.unknown.get_or_create(&label).set(as_gauge(target.objects.unknown.max(blind)));
        }
        // What was done before and is only looked after leaves no record.
        let has_effect = |run: &&RunReport| run.action != ActionName::None && !run.records.is_empty();
        for run in report.runs.iter().flatten().filter(has_effect) {
            let label = EffectLabel { action: run.action.name(), status: run.status.clone() };
            self.effects.get_or_create(&label).inc();
        }
    }

    /// Counts a round that ended with an error.
    pub fn failed(&self) {
        self.failed_rounds.inc();
    }

    /// Counts rounds that were due while another one ran.
    pub fn skipped(&self, rounds: u64) {
        self.skipped_rounds.inc_by(rounds);
    }

    /// All metrics as `OpenMetrics` text.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn as_gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
