//! The program on a real API server, as the shipped account with the shipped rights.

mod line;
mod objects;
pub(crate) mod proxy;
mod refusals;
mod rights;
mod secrets;
mod unknown;
mod writes;
