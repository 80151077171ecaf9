//! The service manager that started the process, if any: systemd, or another that supports `sd_notify(3)`.
//!
//! It is told when the service is ready, its status as text, that it is stopping, and, if the watchdog is enabled, that
//! it is alive. A watchdog notification travels through the whole program: the main loop notices that one is due, and
//! the store's thread sends it after the work queued there. If the loop or the disk hangs, no notification is sent and
//! the manager restarts the service; an idle service, or one that has been offline for a year, sends them in time.
//!
//! Without a service manager all of this does nothing.

use std::time::Duration;

use linecamp_model::printable;
use sd_notify::NotifyState;
use tokio::time::Instant;

/// Watchdog notifications per watchdog timeout, so that a lost or late one does not cause a restart.
const NOTIFICATIONS_PER_TIMEOUT: u32 = 3;

/// The minimum interval between watchdog notifications, whatever the manager requests.
const PERIOD_MIN: Duration = Duration::from_millis(10);

/// Maximum characters of a status.
const STATUS_CHARACTERS_MAX: usize = 300;

/// The service manager, as configured by the environment.
#[derive(Debug)]
pub struct ServiceManager {
    /// Interval of watchdog notifications; `None` if the watchdog is disabled.
    period: Option<Duration>,
    next: Instant,
    /// The status, to which `degraded` and `note` are appended.
    summary: String,
    degraded: Option<String>,
    note: Option<String>,
    /// The last status that was sent.
    status: String,
}

impl ServiceManager {
    /// Reads the environment: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if the watchdog is enabled.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn from_environment() -> Self {
        let period = sd_notify::watchdog_enabled().map(|limit| (limit / NOTIFICATIONS_PER_TIMEOUT).max(PERIOD_MIN));
        Self { period, next: Instant::now(), summary: String::new(), degraded: None, note: None, status: String::new() }
    }

    /// Reports that the service is ready: everything it listens on is open. A link is not required.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready]);
    }

    /// Sets the status text that `systemctl status` shows. An unchanged status is not sent again.
    pub fn status(&mut self, text: &str) {
        text.clone_into(&mut self.summary);
        self.send_status();
    }

    /// Sets or clears a problem, shown after the status. An unchanged problem is not sent again.
    pub fn degraded(&mut self, problem: Option<&str>) {
        if self.degraded.as_deref() != problem {
            self.degraded = problem.map(str::to_owned);
            self.send_status();
        }
    }

    /// Sets or clears a note, shown after the status.
    pub fn note(&mut self, note: Option<String>) {
        self.note = note;
        self.send_status();
    }

    fn send_status(&mut self) {
        let summary = Some(&self.summary).filter(|summary| !summary.is_empty());
        let parts = [summary, self.degraded.as_ref(), self.note.as_ref()];
        let text = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("; ");
        let text: String = printable(&text).chars().take(STATUS_CHARACTERS_MAX).collect();
        if text != self.status {
            notify(&[NotifyState::Status(&text)]);
            self.status = text;
        }
    }

    /// Reports that the configuration is being reloaded; [`ready`](Self::ready) reports the end of it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "failed to read the clock for the service manager"),
        }
    }

    /// Reports that the service is stopping as requested.
    pub fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    /// Waits until the next watchdog notification is due; forever if the watchdog is disabled. Cancel-safe.
    pub async fn due(&mut self) {
        match self.period {
            Some(period) => {
                tokio::time::sleep_until(self.next).await;
                self.next = Instant::now() + period;
            }
            None => std::future::pending().await,
        }
    }

    /// Sends a watchdog notification. Call it behind everything that might hang.
    pub fn notify_alive() {
        notify(&[NotifyState::Watchdog]);
    }
}

/// Sends notifications. A failure is only logged, because it cannot be reported to the service manager itself.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "failed to notify the service manager");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_notification_is_due_three_times_per_timeout_and_never_without_a_watchdog() {
        let alone = ServiceManager::from_environment();
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
