//! Asking a round to end: reads are dropped at once, a write in hand is finished and recorded.

use tokio::sync::watch;

/// Hears whether the program was asked to end. Clones hear the same.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Asks for the end.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A stopper, and what hears it.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks for the end; asking again changes nothing.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the end is asked for; never, where nobody can ask any more.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A stop that SIGTERM or Ctrl-C asks for.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signal() -> std::io::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    let (stopper, stop) = channel();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop: finishing the write in hand");
        stopper.stop();
    });
    Ok(stop)
}
