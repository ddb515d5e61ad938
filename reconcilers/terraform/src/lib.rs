//! Terraform for trueup: reads the outputs of a state and compares them with what Git expects of them.
//!
//! Reading is all there is: no function here writes, takes a state lock or runs a program. Modules stand in reading order.

pub mod number;
pub mod value;
pub mod secret;
pub mod seal;
pub mod expect;
pub mod state;
pub mod file;
pub mod http;
pub mod backend;
pub mod bind;
pub mod check;
pub mod adopt;
