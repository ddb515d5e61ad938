//! The program on a real API server, as the shipped account with the shipped rights.

mod conformance;
mod fights;
mod forged;
mod head;
pub(crate) mod health;
mod leftover;
mod line;
mod noise;
mod objects;
mod people;
pub(crate) mod proxy;
mod refusals;
mod rights;
mod secrets;
mod throttled;
mod unknown;
mod writes;
