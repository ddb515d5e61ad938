//! Where a test may stop this program for good, as a power cut would. Only the tests are built with it: the feature is turned
//! on by this package's dev-dependency on itself.

/// Goes no further, if a test has asked for that: `STEP`, or `STEP@2` for the second time that it comes there.
#[cfg(feature = "failpoints")]
#[expect(clippy::missing_panics_doc, reason = "only tests are built with it")]
pub fn reached(step: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};

    static TIMES: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("FAILPOINT") else { return };
    let (name, time) = wanted.split_once('@').unwrap_or((&wanted, "1"));
    if name == step && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == time.parse::<u32>().expect("a test names a number") {
        eprintln!("failpoint: {wanted}");
        loop {
            std::thread::park();
        }
    }
}

/// Nothing: this is no build of a test.
#[cfg(not(feature = "failpoints"))]
pub fn reached(_step: &str) {}
