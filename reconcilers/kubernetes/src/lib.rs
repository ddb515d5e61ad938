//! Kubernetes for trueup: read manifests, observe, expect, patch. Modules stand in reading order.

pub mod manifest;
pub mod request;
pub mod cluster;
pub mod discovery;
pub mod owners;
pub mod normal;
pub mod list;
pub mod rescan;
pub mod table;
pub mod schema;
pub mod kinds;
pub mod verdicts;
pub mod pattern;
pub mod allowances;
pub mod baseline;
mod apply;
mod admission;
pub mod expect;
pub mod autoscaling;
pub mod conversion;
pub mod observe;
pub mod extra;
pub mod patch;
pub mod snapshot;
pub mod rights;
