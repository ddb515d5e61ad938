//! Kubernetes for trueup. Modules stand in reading order.

pub mod request;
pub mod cluster;
pub mod discovery;
pub mod owners;
pub mod normal;
pub mod table;
