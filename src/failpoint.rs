//! Where a test may stop this program for good, as a power cut would. Only the tests are built with it: the feature is turned
//! on by this package's dev-dependency on itself.

/// Goes no further, if a test has asked for that.
#[cfg(feature = "failpoints")]
pub fn reached(step: &str) {
    if std::env::var("FAILPOINT").is_ok_and(|wanted| wanted == step) {
        eprintln!("failpoint: {step}");
        loop {
            std::thread::park();
        }
    }
}

/// Nothing: this is no build of a test.
#[cfg(not(feature = "failpoints"))]
pub fn reached(_step: &str) {}
