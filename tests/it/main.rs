//! Integration tests, one program.

mod deploy;
