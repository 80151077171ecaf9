//! The service manager that started us, if one did: systemd, or another that speaks its protocol (`sd_notify(3)`).
//!
//! It learns when we are ready, how we are in words, that we stop, and, while it watches, that we live. A sign of life
//! is given from the far end of a round: the loop finds that one is due, and has the store's thread give it, after what
//! waits there. So a loop or a disk that hangs gives none and the manager starts us again; one that is idle, or without
//! a link for a year, gives one in time.
//!
//! Without a manager nothing of it does anything.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// Signs of life within the time after which the manager gives us up: one that is lost or late is no death.
const SIGNS_PER_LIMIT: u32 = 3;

/// The shortest time between signs, whatever the manager asks for.
const PERIOD_MIN: Duration = Duration::from_millis(10);

/// Letters of a status that are said.
const STATUS_LETTERS_MAX: usize = 300;

/// The service manager, as the environment names it.
#[derive(Debug)]
pub struct ServiceManager {
    /// How often it wants a sign of life; `None` if nobody watches.
    period: Option<Duration>,
    next: Instant,
    /// How we are, and what is to be remembered beside it.
    words: String,
    trouble: Option<String>,
    note: Option<String>,
    /// What was said last.
    status: String,
}

impl ServiceManager {
    /// Reads from the environment who started us: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if he watches.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn of_environment() -> Self {
        let period = sd_notify::watchdog_enabled().map(|limit| (limit / SIGNS_PER_LIMIT).max(PERIOD_MIN));
        Self { period, next: Instant::now(), words: String::new(), trouble: None, note: None, status: String::new() }
    }

    /// Says that we are ready: what has to be open is open. A link is no part of it.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// Says in words how we are; `systemctl status` shows it. The same again says nothing.
    pub fn status(&mut self, words: &str) {
        words.clone_into(&mut self.words);
        self.say_status();
    }

    /// Says what is wrong, beside the status, until it is nothing. The same again says nothing.
    pub fn trouble(&mut self, words: Option<&str>) {
        if self.trouble.as_deref() != words {
            self.trouble = words.map(str::to_owned);
            self.say_status();
        }
    }

    /// Remembers something beside the status, until there is another note or none.
    pub fn note(&mut self, note: Option<String>) {
        self.note = note;
        self.say_status();
    }

    fn say_status(&mut self) {
        let words = Some(&self.words).filter(|words| !words.is_empty());
        let parts = [words, self.trouble.as_ref(), self.note.as_ref()];
        let words = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("; ");
        let words = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        let words: String = words.take(STATUS_LETTERS_MAX).collect();
        if words != self.status {
            tell(&[NotifyState::Status(&words)]);
            self.status = words;
        }
    }

    /// Says that the configuration is read again; [`ready`](Self::ready) says that it was.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the service manager could not be told the time"),
        }
    }

    /// Says that we are about to end because somebody wants it.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Waits until the next sign of life is due; for ever if nobody watches. Cancel-safe.
    pub async fn due(&mut self) {
        match self.period {
            Some(period) => {
                tokio::time::sleep_until(self.next).await;
                self.next = Instant::now() + period;
            }
            None => std::future::pending().await,
        }
    }

    /// Gives a sign of life. To be called where everything has been passed that might hang.
    pub fn live() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// Nobody reads what cannot be said, least of all the manager: it is said to the log, for whoever looks for it.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sign_is_due_three_times_within_the_limit_and_never_if_nobody_watches() {
        let alone = ServiceManager::of_environment();
        let mut watched = ServiceManager { period: Some(Duration::from_secs(10)), ..alone };
        let began = Instant::now();
        for _ in 0..3 {
            watched.due().await;
        }
        assert_eq!(began.elapsed().as_secs(), 20, "the first at once");
        let mut alone = ServiceManager { period: None, ..watched };
        assert!(tokio::time::timeout(Duration::from_secs(3600), alone.due()).await.is_err());
    }
}
