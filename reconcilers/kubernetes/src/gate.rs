//! One gate for all requests to one API server: when the server asks to wait, everything to it waits.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// No request waits longer than this; where the server asks for more, it is not sent at all.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The pause where the server has too much to do and does not say for how long; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// It doubles no further than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Stands for a pause beyond the clock's end.
const BEYOND_ALL_PATIENCE: Duration = Duration::from_hours(24);

/// The gates of this process, by the server's address: two targets on one server wait together.
static GATES: LazyLock<Mutex<HashMap<String, Weak<Gate>>>> = LazyLock::new(Mutex::default);

/// Whether requests to one server may go now.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Mutex<Closed>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Closed {
    until: Option<Instant>,
    /// How often in a row the server had too much to do without saying for how long.
    unsaid: u32,
}

impl Gate {
    /// The gate of a server, the same one for all who ask while any of them is there.
    pub(crate) fn of(server: &str) -> Arc<Self> {
        let mut gates = locked(&GATES);
        if let Some(gate) = gates.get(server).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Self::default());
        gates.insert(server.to_owned(), Arc::downgrade(&gate));
        gate
    }

    /// Waits as long as the server has asked for, and by chance a little longer, so that not all come back at once.
    ///
    /// # Errors
    /// How long the server asks to wait, where that is too long for a request to wait.
    pub(crate) async fn pass(&self) -> Result<(), Duration> {
        // While this one slept, another request may have been told to wait longer.
        while let Some(left) = self.left() {
            if left > LONGEST_WAIT {
                return Err(left);
            }
            sleep(with_jitter(left)).await;
        }
        Ok(())
    }

    /// The server has too much to do.
    pub(crate) fn close(&self, asked: Option<Duration>) {
        locked(&self.closed).close(asked, Instant::now());
    }

    fn left(&self) -> Option<Duration> {
        locked(&self.closed).left(Instant::now())
    }

    /// The server has answered.
    pub(crate) fn answered(&self) {
        locked(&self.closed).unsaid = 0;
    }
}

impl Closed {
    /// What it asked for before holds as well.
    fn close(&mut self, asked: Option<Duration>, now: Instant) {
        let pause = asked.unwrap_or_else(|| {
            let pause = FIRST_PAUSE * 2_u32.pow(self.unsaid.min(16));
            self.unsaid = self.unsaid.saturating_add(1);
            with_jitter(pause.min(LONGEST_PAUSE))
        });
        let until = now.checked_add(pause).or_else(|| now.checked_add(BEYOND_ALL_PATIENCE));
        self.until = self.until.max(until);
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

/// What a panic elsewhere left is whole: each change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pause and up to a quarter of it more, so that several programs do not come back in step.
pub(crate) fn with_jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    pause + pause.mul_f64(f64::from(u16::try_from(random).unwrap_or_default()) / 4000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_lengthens() {
        for _ in 0..100 {
            let pause = with_jitter(Duration::from_secs(4));
            assert!((Duration::from_secs(4)..=Duration::from_secs(5)).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn one_server_has_one_gate() {
        let (a, again, other) = (Gate::of("https://a"), Gate::of("https://a"), Gate::of("https://b"));
        assert!(Arc::ptr_eq(&a, &again) && !Arc::ptr_eq(&a, &other));
    }

    #[test]
    fn nothing_goes_before_the_server_said_so() {
        let (mut closed, now) = (Closed::default(), Instant::now());
        closed.close(Some(Duration::from_secs(7)), now);
        // A shorter pause afterwards takes nothing back.
        closed.close(Some(Duration::from_secs(1)), now);
        assert_eq!(closed.left(now), Some(Duration::from_secs(7)));
        assert_eq!(closed.left(now + Duration::from_secs(7)), None);
    }

    #[tokio::test]
    async fn all_who_come_wait_and_what_would_wait_too_long_is_not_sent() {
        let gate = Gate::default();
        gate.close(Some(Duration::from_millis(200)));
        let begun = Instant::now();
        let (one, other) = tokio::join!(gate.pass(), gate.pass());
        assert_eq!((one, other), (Ok(()), Ok(())));
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        gate.close(Some(Duration::from_secs(u64::MAX)));
        assert!(gate.pass().await.is_err_and(|left| left > LONGEST_WAIT));
    }

    #[test]
    fn without_a_word_the_pauses_grow_up_to_a_cap_until_an_answer_comes() {
        let (gate, mut now) = (Gate::default(), Instant::now());
        let mut pause = || {
            let mut closed = locked(&gate.closed);
            closed.close(None, now);
            let left = closed.left(now).expect("closed");
            now += left;
            left
        };
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let (left, least) = (pause(), Duration::from_secs(seconds));
            assert!(left >= least && left <= least.mul_f64(1.25), "{left:?} for {least:?}");
        }
        gate.answered();
        assert!(pause() < Duration::from_secs(2));
    }
}
