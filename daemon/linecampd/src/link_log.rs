//! Logs the link for operators: when it goes up and down, and each problem once.

use linecamp_core::LossReason;
use linecamp_model::{ServerAddress, SessionId};

/// Logs when links go up and down, and each problem once.
#[derive(Debug, Default)]
pub(crate) struct LinkLog {
    pub(crate) is_up: bool,
    last_problem: Option<String>,
}

impl LinkLog {
    /// Describes the link's state after the latest event of `server`.
    pub(crate) fn status(&self, server: &ServerAddress) -> String {
        match (self.is_up, &self.last_problem) {
            (true, _) => format!("connected to {server}"),
            (false, Some(problem)) => format!("offline, the site keeps working; {server}: {problem}"),
            (false, None) => format!("connecting to {server}"),
        }
    }

    /// Logs that a session is up.
    pub(crate) fn link_up(&mut self, server: &ServerAddress, session: SessionId) {
        tracing::info!(%server, %session, "link up");
        *self = Self { is_up: true, last_problem: None };
    }

    /// Logs that a session ended.
    pub(crate) fn link_down(&mut self, server: &ServerAddress, session: SessionId, reason: &LossReason) {
        let reason = describe_loss(reason);
        tracing::info!(%server, session = session.0, reason, "link down");
        *self = Self { is_up: false, last_problem: Some(reason) };
    }

    /// Logs that an attempt to connect failed: as a warning if the problem is new.
    pub(crate) fn dial_failed(&mut self, server: &ServerAddress, reason: &LossReason) {
        let reason = describe_loss(reason);
        match self.last_problem.as_ref() == Some(&reason) {
            false => tracing::warn!(%server, reason, "connection failed"),
            true => tracing::debug!(%server, reason, "connection failed"),
        }
        *self = Self { is_up: false, last_problem: Some(reason) };
    }
}

/// Describes why a link was lost.
pub(crate) fn describe_loss(reason: &LossReason) -> String {
    match reason {
        LossReason::Closed(refusal) => refusal.to_string(),
        LossReason::Unreachable(_, text) | LossReason::Failed(text) => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::Text;

    use super::*;

    #[test]
    fn a_link_problem_is_remembered_until_the_link_is_up() {
        let (mut log, server) = (LinkLog::default(), ServerAddress::parse("a:1").unwrap());
        log.dial_failed(&server, &LossReason::Failed(Text::lossy("timed out")));
        assert_eq!(log.last_problem.as_deref(), Some("timed out"));
        assert!(log.status(&server).contains("timed out"));
        log.link_up(&server, SessionId(1));
        assert!(log.is_up && log.last_problem.is_none());
        log.link_down(&server, SessionId(1), &LossReason::Failed(Text::lossy("timed out")));
        assert!(!log.is_up && log.status(&server).starts_with("offline"));
    }
}
