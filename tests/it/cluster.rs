//! The program on a real API server, as the shipped account with the shipped rights.

mod accounts;
mod conformance;
mod fights;
mod forged;
mod fresh;
mod going;
mod head;
pub(crate) mod health;
mod immutable;
mod leftover;
mod line;
mod lists;
mod noise;
mod objects;
mod people;
pub(crate) mod proxy;
mod racing;
mod refusals;
mod revoked;
mod rights;
mod secrets;
mod throttled;
mod unanswered;
mod unknown;
mod writes;
