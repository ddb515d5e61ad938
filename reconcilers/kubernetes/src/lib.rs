//! Kubernetes for trueup: read manifests, observe, expect, patch.

pub mod manifest;
