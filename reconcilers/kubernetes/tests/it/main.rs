//! The one test binary of this crate.

#[expect(missing_docs, reason = "tests")]
mod live;
