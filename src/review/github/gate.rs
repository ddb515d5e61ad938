//! One gate for all requests to one GitHub server: what it told one of them to wait, all of them wait.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::limit::Pause;

/// What GitHub asks for where a secondary limit names no time; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// It doubles no further than this.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// Stands for a pause beyond the clock's end.
const BEYOND_ALL_PATIENCE: Duration = Duration::from_hours(24);

/// The gates of this process, by the API's address: whoever asks that server waits together.
static GATES: LazyLock<Mutex<HashMap<String, Weak<Gate>>>> = LazyLock::new(Mutex::default);

/// Whether requests to one server may go now.
#[derive(Debug, Default)]
pub struct Gate {
    closed: Mutex<Closed>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Closed {
    until: Option<Instant>,
    /// How often in a row the server named no time.
    unsaid: u32,
}

impl Gate {
    /// The gate of a server, the same one for all who ask while any of them is there.
    pub fn of(api: &str) -> Arc<Self> {
        let address = api.trim_end_matches('/').to_ascii_lowercase();
        let mut gates = locked(&GATES);
        if let Some(gate) = gates.get(&address).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Self::default());
        gates.insert(address, Arc::downgrade(&gate));
        gate
    }

    /// Waits as long as the server has asked for, and by chance a little longer, so that not all come back at once.
    ///
    /// # Errors
    /// How long the server asks to wait, where that is more than the patience.
    pub async fn pass(&self, patience: Duration) -> Result<(), Duration> {
        // While this one slept, another request may have been told to wait longer.
        while let Some(left) = self.left() {
            if left > patience {
                return Err(left);
            }
            sleep(with_jitter(left)).await;
        }
        Ok(())
    }

    /// The server wants to be left alone.
    pub fn close(&self, pause: Pause) {
        locked(&self.closed).close(pause, Instant::now());
    }

    /// The server has answered, and names no limit.
    pub fn answered(&self) {
        locked(&self.closed).unsaid = 0;
    }

    /// How long nothing may be asked.
    pub fn left(&self) -> Option<Duration> {
        locked(&self.closed).left(Instant::now())
    }
}

impl Closed {
    /// What it asked for before holds as well.
    fn close(&mut self, pause: Pause, now: Instant) {
        let pause = match pause {
            Pause::For(pause) => pause,
            Pause::Unsaid => {
                let pause = FIRST_PAUSE * 2_u32.pow(self.unsaid.min(16));
                self.unsaid = self.unsaid.saturating_add(1);
                pause.min(LONGEST_PAUSE)
            }
        };
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
pub fn with_jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    pause + pause.mul_f64(f64::from(u16::try_from(random).unwrap_or_default()) / 4000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_gate_however_it_is_written() {
        let (a, again, other) = (Gate::of("https://A.example/"), Gate::of("https://a.example"), Gate::of("https://b.example"));
        assert!(Arc::ptr_eq(&a, &again) && !Arc::ptr_eq(&a, &other));
    }

    #[test]
    fn nothing_goes_before_github_said_so() {
        let (mut closed, now) = (Closed::default(), Instant::now());
        closed.close(Pause::For(Duration::from_secs(7)), now);
        // A shorter pause afterwards takes nothing back.
        closed.close(Pause::For(Duration::from_secs(1)), now);
        assert_eq!(closed.left(now), Some(Duration::from_secs(7)));
        assert_eq!(closed.left(now + Duration::from_secs(7)), None);
    }

    #[test]
    fn without_a_word_the_pauses_grow_from_a_minute_to_an_hour_until_an_answer_comes() {
        let (gate, mut now) = (Gate::default(), Instant::now());
        let mut pause = || {
            let mut closed = locked(&gate.closed);
            closed.close(Pause::Unsaid, now);
            let left = closed.left(now).expect("closed");
            now += left;
            left.as_secs() / 60
        };
        assert_eq!([pause(), pause(), pause(), pause(), pause(), pause(), pause(), pause()], [1, 2, 4, 8, 16, 32, 60, 60]);
        gate.answered();
        assert_eq!(pause(), 1);
    }

    #[tokio::test]
    async fn all_who_come_wait_and_what_would_wait_too_long_is_not_sent() {
        let gate = Gate::default();
        gate.close(Pause::For(Duration::from_millis(200)));
        let (begun, patience) = (Instant::now(), Duration::from_mins(1));
        let (one, other) = tokio::join!(gate.pass(patience), gate.pass(patience));
        assert_eq!((one, other), (Ok(()), Ok(())));
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        gate.close(Pause::For(Duration::MAX));
        assert!(gate.pass(patience).await.is_err_and(|left| left > patience));
    }
}
