//! One gate for all requests to one server: when the server asks to wait, everything to it waits. API servers and forges alike.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Stands for a pause beyond the clock's end.
const BEYOND_ALL_PATIENCE: Duration = Duration::from_hours(24);

/// The gates of this process, by the server's address: whoever asks one server waits together.
static GATES: LazyLock<Mutex<HashMap<String, Weak<Gate>>>> = LazyLock::new(Mutex::default);

/// How long to ask nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// As long as the server says.
    For(Duration),
    /// The server does not say: as long as its kind asks for, and longer each time.
    Unsaid,
}

/// What is waited where a server does not say for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// At first; it doubles each time.
    pub first: Duration,
    /// It doubles no further than this.
    pub longest: Duration,
}

/// Whether requests to one server may go now.
#[derive(Debug)]
pub struct Gate {
    pauses: Pauses,
    closed: Mutex<Closed>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Closed {
    until: Option<Instant>,
    /// How often in a row the server did not say for how long.
    unsaid: u32,
}

impl Gate {
    /// The gate of a server, the same one for all who ask while any of them is there, however the address is written.
    #[must_use]
    pub fn of(server: &str, pauses: Pauses) -> Arc<Self> {
        let address = server.trim_end_matches('/').to_ascii_lowercase();
        let mut gates = locked(&GATES);
        if let Some(gate) = gates.get(&address).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Self { pauses, closed: Mutex::default() });
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
        locked(&self.closed).close(pause, self.pauses, Instant::now());
    }

    /// The server has answered, and names no limit.
    pub fn answered(&self) {
        locked(&self.closed).unsaid = 0;
    }

    /// How long nothing may be asked.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        locked(&self.closed).left(Instant::now())
    }
}

impl Closed {
    /// What it asked for before holds as well.
    fn close(&mut self, pause: Pause, pauses: Pauses, now: Instant) {
        let pause = match pause {
            Pause::For(pause) => pause,
            Pause::Unsaid => {
                self.unsaid = self.unsaid.saturating_add(1);
                doubled(pauses.first, self.unsaid).min(pauses.longest)
            }
        };
        let until = now.checked_add(pause).or_else(|| now.checked_add(BEYOND_ALL_PATIENCE));
        self.until = self.until.max(until);
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

/// Waits before something is tried again, longer with each attempt; the first one has the number 1.
pub async fn back_off(first: Duration, attempt: u32) {
    sleep(with_jitter(doubled(first, attempt))).await;
}

fn doubled(first: Duration, time: u32) -> Duration {
    first * 2_u32.pow(time.saturating_sub(1).min(16))
}

/// What a panic elsewhere left is whole: each change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pause and up to a quarter of it more, so that several programs do not come back in step.
fn with_jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    pause + pause.mul_f64(f64::from(u16::try_from(random).unwrap_or_default()) / 4000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
    const MINUTES: Pauses = Pauses { first: Duration::from_mins(1), longest: Duration::from_hours(1) };

    #[test]
    fn jitter_only_lengthens() {
        for _ in 0..100 {
            let pause = with_jitter(Duration::from_secs(4));
            assert!((Duration::from_secs(4)..=Duration::from_secs(5)).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn one_server_has_one_gate_however_it_is_written() {
        let gate = |address| Gate::of(address, SECONDS);
        let (a, again, other) = (gate("https://A.example/"), gate("https://a.example"), gate("https://b.example"));
        assert!(Arc::ptr_eq(&a, &again) && !Arc::ptr_eq(&a, &other));
    }

    #[test]
    fn nothing_goes_before_the_server_said_so() {
        let (mut closed, now) = (Closed::default(), Instant::now());
        closed.close(Pause::For(Duration::from_secs(7)), SECONDS, now);
        // A shorter pause afterwards takes nothing back.
        closed.close(Pause::For(Duration::from_secs(1)), SECONDS, now);
        closed.close(Pause::Unsaid, SECONDS, now);
        assert_eq!(closed.left(now), Some(Duration::from_secs(7)));
        assert_eq!(closed.left(now + Duration::from_secs(7)), None);
    }

    #[tokio::test]
    async fn all_who_come_wait_and_what_would_wait_too_long_is_not_sent() {
        let gate = Gate::of("https://all-who-come.example", SECONDS);
        gate.close(Pause::For(Duration::from_millis(200)));
        let (begun, patience) = (Instant::now(), Duration::from_mins(1));
        let (one, other) = tokio::join!(gate.pass(patience), gate.pass(patience));
        assert_eq!((one, other), (Ok(()), Ok(())));
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        gate.close(Pause::For(Duration::MAX));
        assert!(gate.pass(patience).await.is_err_and(|left| left > patience));
    }

    #[test]
    fn without_a_word_the_pauses_grow_up_to_a_cap_until_an_answer_comes() {
        for (pauses, expected) in [(SECONDS, [1, 2, 4, 8, 16, 30, 30, 30]), (MINUTES, [1, 2, 4, 8, 16, 32, 60, 60])] {
            let (gate, mut now) = (Gate { pauses, closed: Mutex::default() }, Instant::now());
            let mut pause = || {
                let mut closed = locked(&gate.closed);
                closed.close(Pause::Unsaid, pauses, now);
                let left = closed.left(now).expect("closed");
                now += left;
                left
            };
            assert_eq!(expected.map(|_| pause()), expected.map(|times| pauses.first * times), "{pauses:?}");
            gate.answered();
            assert_eq!(pause(), pauses.first);
        }
    }
}
