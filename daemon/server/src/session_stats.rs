//! Open sessions, for the log and the metrics. A session is accepted when the server welcomes the site. A session that
//! ends before its welcome was either rejected or a completed join.

use std::collections::BTreeMap;

use linecamp_downlink::SessionNote;
use linecamp_model::{MemberId, Refusal, RefusalCode, SessionId};
use linecamp_proto::decode_refusal;
use linecamp_service::{Kind, Metrics};
use linecamp_transport::SessionEnd;

/// The open sessions, and counts of those that ended.
#[derive(Debug, Default)]
pub(crate) struct SessionStats {
    open: BTreeMap<SessionId, Open>,
    /// The number of welcomed sessions.
    accepted: u64,
    /// Welcomed sessions that ended, by who ended them and why.
    ended: BTreeMap<[&'static str; 2], u64>,
    /// Sessions that ended without a welcome, by the same labels.
    not_accepted: BTreeMap<[&'static str; 2], u64>,
}

#[derive(Debug)]
struct Open {
    /// The member and its name, once it was welcomed.
    member: Option<(MemberId, String)>,
    /// Why the server closed the session, if it did.
    refused: Option<RefusalCode>,
}

impl SessionStats {
    /// Handles a note of a session.
    pub(crate) fn handle_note(&mut self, session: SessionId, note: &SessionNote) {
        match note {
            SessionNote::Opened { .. } => drop(self.open.insert(session, Open { member: None, refused: None })),
            SessionNote::Closed(end) => self.close(session, end),
            SessionNote::Received(_) | SessionNote::Moved(_) => {}
        }
    }

    /// Records that a member is welcomed on a session.
    pub(crate) fn record_welcome(&mut self, session: SessionId, member: MemberId, name: Option<String>) {
        let Some(open) = self.open.get_mut(&session) else { return };
        let name = name.unwrap_or_else(|| member.to_string());
        match member {
            MemberId::Site(site) => {
                tracing::info!(site = name, session = session.0, site_id = %site, "link up");
            }
            MemberId::Host(host) => {
                tracing::info!(host = name, session = session.0, host_id = %host, "link up");
            }
        }
        open.member = Some((member, name));
        self.accepted += 1;
    }

    /// Records that the server closes a session.
    pub(crate) fn record_hangup(&mut self, session: SessionId, refusal: &Refusal) {
        if let Some(open) = self.open.get_mut(&session) {
            open.refused = Some(refusal.code);
        }
    }

    /// Writes the metrics.
    pub(crate) fn write(&self, metrics: &mut Metrics) {
        metrics.one("linecamp_sessions_total", Kind::Counter, "Sessions that the server accepted.", self.accepted);
        metrics.one("linecamp_sessions_open", Kind::Gauge, "Open sessions, accepted or not.", self.open.len());
        let labels = ["by", "reason"];
        let help = "Accepted sessions that ended, by who ended them and why.";
        write_counts(metrics, "linecamp_sessions_ended_total", help, labels, &self.ended);
        let help = "Sessions that ended before they were accepted: completed joins and rejected sites.";
        write_counts(metrics, "linecamp_sessions_not_accepted_total", help, labels, &self.not_accepted);
    }

    fn close(&mut self, session: SessionId, end: &SessionEnd) {
        let Some(Open { member, refused }) = self.open.remove(&session) else { return };
        let counts = if member.is_some() { &mut self.ended } else { &mut self.not_accepted };
        let [by, reason] = end_labels(end, refused);
        *counts.entry([by, reason]).or_default() += 1;
        match member {
            Some((MemberId::Site(site), name)) => {
                tracing::info!(site = name, session = session.0, site_id = %site, by, reason, "link down");
            }
            Some((MemberId::Host(host), name)) => {
                tracing::info!(host = name, session = session.0, host_id = %host, by, reason, "link down");
            }
            None => {}
        }
    }
}

/// Returns who ended a session and why, as labels of a closed list.
fn end_labels(end: &SessionEnd, refused: Option<RefusalCode>) -> [&'static str; 2] {
    match end {
        SessionEnd::Closed { code, reason } => {
            ["site", decode_refusal(*code, reason).map_or("other", |refusal| refusal.code.as_str())]
        }
        SessionEnd::ClosedHere => ["server", refused.map_or("other", RefusalCode::as_str)],
        SessionEnd::BadFrame(_) => ["server", RefusalCode::Protocol.as_str()],
        SessionEnd::Silent => ["network", "idle-timeout"],
        SessionEnd::Reset => ["network", "restarted"],
        SessionEnd::Broken(_) => ["network", "failed"],
    }
}

/// Writes a family whose labels are from a closed list.
fn write_counts(
    metrics: &mut Metrics,
    name: &'static str,
    help: &str,
    labels: [&'static str; 2],
    counts: &BTreeMap<[&'static str; 2], u64>,
) {
    let mut family = metrics.family(name, Kind::Counter, help);
    for (values, count) in counts {
        family.sample(&[(labels[0], values[0]), (labels[1], values[1])], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_labels_come_from_a_closed_list_whatever_the_peer_sends() {
        let check = |end: SessionEnd, refused, expected: [&str; 2]| assert_eq!(end_labels(&end, refused), expected);
        let forged = b"\n2026-11-22 ERROR forged".to_vec();
        check(SessionEnd::Closed { code: 0, reason: forged.clone() }, None, ["site", "other"]);
        check(SessionEnd::Closed { code: 4_000_000_000, reason: forged }, None, ["site", "other"]);
        check(SessionEnd::ClosedHere, Some(RefusalCode::Superseded), ["server", "superseded"]);
        check(SessionEnd::ClosedHere, None, ["server", "other"]);
        check(SessionEnd::Silent, None, ["network", "idle-timeout"]);
    }
}
