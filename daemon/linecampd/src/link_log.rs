//! Logs the link for operators: when it goes up and down, and each problem once.

use linecamp_core::{LinkEvent, LossReason};
use linecamp_model::{FromServer, ServerAddress, SessionId};

use crate::drive::link::LinkReport;

/// Logs when links go up and down, and each problem once.
#[derive(Debug, Default)]
pub(crate) struct LinkLog {
    pub(crate) is_up: bool,
    /// The session that is up.
    session: Option<SessionId>,
    pub(crate) last_problem: Option<String>,
}

impl LinkLog {
    /// Describes the link's state after the latest report about `server`.
    pub(crate) fn status(&self, server: &ServerAddress) -> String {
        match (self.is_up, &self.last_problem) {
            (true, _) => format!("connected to {server}"),
            (false, Some(problem)) => format!("offline, the site keeps working; {server}: {problem}"),
            (false, None) => format!("connecting to {server}"),
        }
    }

    pub(crate) fn log(&mut self, report: &LinkReport) {
        let server = &report.server;
        match &report.event {
            LinkEvent::Received(_, FromServer::Welcome(welcome)) => {
                tracing::info!(%server, session = %welcome.session, "link up");
                self.is_up = true;
                self.session = Some(welcome.session);
                self.last_problem = None;
            }
            LinkEvent::Lost(_, reason) => {
                let reason = describe_loss(reason);
                let session = self.session.take().map(|session| session.0);
                let is_known = self.last_problem.as_ref() == Some(&reason);
                match (self.is_up, is_known) {
                    (true, _) => tracing::info!(%server, session, reason, "link down"),
                    (false, false) => tracing::warn!(%server, reason, "connection failed"),
                    (false, true) => tracing::debug!(%server, reason, "connection failed"),
                }
                self.is_up = false;
                self.last_problem = Some(reason);
            }
            LinkEvent::Dialed(_) | LinkEvent::Received(..) => {}
        }
    }
}

/// Describes why a link was lost.
pub(crate) fn describe_loss(reason: &LossReason) -> String {
    match reason {
        LossReason::Closed(refusal) => refusal.to_string(),
        LossReason::Failed(text) => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{DialId, Text};

    use super::*;

    #[test]
    fn a_link_problem_is_logged_once_until_the_link_is_up() {
        let mut log = LinkLog::default();
        let report = LinkReport {
            event: LinkEvent::Lost(DialId(1), LossReason::Failed(Text::lossy("timed out"))),
            server: ServerAddress::parse("a:1").unwrap(),
            needs_operator: false,
        };
        log.log(&report);
        assert_eq!(log.last_problem.as_deref(), Some("timed out"));
        log.log(&report);
        assert!(!log.is_up);
    }
}
