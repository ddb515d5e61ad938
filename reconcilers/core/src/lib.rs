//! Desired state + observation + policy → decisions.
//!
//! Pure and synchronous: no IO, clock, environment or randomness. Modules stand in reading order.

pub mod object;
pub mod path;
pub mod shared;
pub mod positions;
pub mod facts;
pub mod shape;
pub mod seen;
pub mod secret;
pub mod finding;
pub mod quantity;
pub mod equal;
pub mod tracking;
pub mod leftover;
pub mod diff;
pub mod patch;
pub mod pattern;
pub mod security;
pub mod known_writer;
pub mod direction;
pub mod policy;
pub mod reach;
pub mod risk;
pub mod ignore;
pub mod difference;
pub mod classify;
pub mod decide;
pub mod proof;
pub mod health;
pub mod run;
