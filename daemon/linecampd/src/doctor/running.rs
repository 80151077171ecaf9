//! Checks of the running daemon and its service.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use linecamp_doctor::{CheckResult, Finding, FindingCode};
use linecamp_proto::local::{LocalRequest, LocalStatus};
use linecamp_store::DirectoryLock;
use linecamp_transport::error_chain;

use super::Installation;
use crate::data_directory::{DataDirectory, UNIT};
use crate::error::DaemonError;
use crate::local_client::exchange_within;
use crate::socket_path::SocketPath;

/// The checks that one status request to the daemon answers.
pub(super) const CHECKS: &[&str] = &["daemon", "link", "conditions"];

/// Time limit for the daemon's answer. It normally answers within a millisecond; a slow disk does not delay it.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A slower answer means that the daemon's loop is overloaded.
const ANSWER_SLOW: Duration = Duration::from_secs(1);

/// The most files that a daemon has open, with headroom: the link's socket, local clients, the database and its WAL,
/// file system notifications, and plugin connections.
const FILES_NEEDED: u64 = 256;

/// The most conditions shown in full; the rest are counted.
const CONDITIONS_SHOWN: usize = 4;

/// The process at the other end of the local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) pid: Option<u32>,
    pub(crate) uid: u32,
}

/// Returns the process that listens on the local socket, as reported by the kernel.
pub(crate) fn peer(directory: &DataDirectory) -> Option<Peer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
    let address = SocketPath::of(&directory.socket()).ok()?;
    let stream = runtime.block_on(tokio::net::UnixStream::connect(address.as_path())).ok()?;
    let peer = stream.peer_cred().ok()?;
    // A process outside this container's PID namespace has no PID here.
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
    Some(Peer { pid, uid: peer.uid() })
}

/// Requests the daemon's status.
pub(crate) fn status(directory: &DataDirectory) -> Result<LocalStatus, DaemonError> {
    exchange_within(directory, &LocalRequest::Status, ANSWER_LIMIT)
}

/// Requests the daemon's status and evaluates the answer.
pub(super) fn daemon(site: &Installation) -> Vec<Finding> {
    let began = Instant::now();
    let answered = status(&site.directory);
    let took = began.elapsed();
    let [daemon, link, conditions] = match answered {
        Ok(status) => [answering(site, &status, took), link(&status), conditions(&status)],
        Err(error) => {
            let silent = || CheckResult::skipped(FindingCode::NotRunning, "no daemon answers");
            [unanswered(site, &error), silent(), silent()]
        }
    };
    vec![daemon.of("daemon"), link.of("link"), conditions.of("conditions")]
}

fn answering(site: &Installation, status: &LocalStatus, took: Duration) -> CheckResult {
    let socket = site.directory.socket();
    let evidence = format!("linecampd {} answers on {} in {took:.1?}", status.daemon_version, socket.display());
    match ANSWER_SLOW < took {
        true => CheckResult::warn(
            FindingCode::DaemonBusy,
            evidence,
            "the daemon is busy: see `linecampd why`, `top` and the check `disk`",
        ),
        false => CheckResult::ok(evidence),
    }
}

fn unanswered(site: &Installation, error: &DaemonError) -> CheckResult {
    let socket = site.directory.socket();
    let problem = error_chain(error);
    let is_member = site.identity().ok().flatten().is_some();
    if matches!(error, DaemonError::NoSocket(_)) {
        return CheckResult::warn(
            FindingCode::SocketUnavailable,
            problem,
            "see the check `disk`; the server still shows the site: `linecamp site show`",
        );
    }
    let stream = SocketPath::of(&socket).and_then(|address| UnixStream::connect(address.as_path()));
    match stream.map_err(|error| error.kind()) {
        Ok(_) => CheckResult::fail(
            FindingCode::DaemonHung,
            format!(
                "the daemon on {} does not answer within {} s: {problem}",
                socket.display(),
                ANSWER_LIMIT.as_secs()
            ),
            "the daemon hangs: `systemctl restart linecampd`; see its log: `journalctl -u linecampd -n 50`",
        ),
        Err(std::io::ErrorKind::PermissionDenied) => {
            CheckResult::skipped(FindingCode::AccessDenied, format!("{problem} (run this with sudo)"))
        }
        Err(_) if is_member => CheckResult::fail(
            FindingCode::DaemonStopped,
            problem,
            "`systemctl start linecampd`; if it stops again, `journalctl -u linecampd -n 50`",
        ),
        Err(_) => CheckResult::skipped(FindingCode::NotJoined, "no daemon is running, and this site has not joined"),
    }
}

fn link(status: &LocalStatus) -> CheckResult {
    let link = &status.link;
    let evidence = format!("{} since {}: {}", link.state, link.since, status.link_doing);
    match link.state.as_str() {
        "connected" => CheckResult::ok(evidence),
        _ => CheckResult::warn(
            FindingCode::LinkDown,
            evidence,
            "see the checks `udp`, `tls` and `clock`; `linecampd why` shows the next attempt",
        ),
    }
}

fn conditions(status: &LocalStatus) -> CheckResult {
    let all = &status.conditions;
    if all.is_empty() {
        return CheckResult::ok("no active conditions");
    }
    let shown = all.iter().take(CONDITIONS_SHOWN);
    let mut words: Vec<_> = shown.map(|one| format!("{} since {}: {}", one.kind, one.since, one.detail)).collect();
    if CONDITIONS_SHOWN < all.len() {
        words.push(format!("and {} more", all.len() - CONDITIONS_SHOWN));
    }
    CheckResult::warn(
        FindingCode::ConditionsActive,
        words.join("; "),
        "see `linecampd status` and `linecampd provider ls`",
    )
}

/// Checks the systemd service, if it uses this directory.
pub(super) fn service(site: &Installation) -> CheckResult {
    if !site.directory.is_installed() {
        let data = site.directory.path().display();
        return CheckResult::skipped(
            FindingCode::OtherDirectory,
            format!("the installed service uses another directory than {data}"),
        );
    }
    linecamp_doctor::service(UNIT, running_pid(site).is_some() || peer(&site.directory).is_some())
}

/// Checks the daemon's limit of open files.
pub(super) fn file_limit(site: &Installation) -> CheckResult {
    linecamp_doctor::file_limit(running_pid(site), FILES_NEEDED, UNIT)
}

/// Returns the daemon's PID: the peer of its socket or, without a socket, the holder of the lock.
fn running_pid(site: &Installation) -> Option<u32> {
    let by_socket = peer(&site.directory).and_then(|peer| peer.pid);
    by_socket.or_else(|| DirectoryLock::holder(site.directory.path()))
}

#[cfg(test)]
mod tests {
    use linecamp_doctor::Verdict;
    use linecamp_proto::api::{Condition, Link};

    use linecamp_proto::local::LocalServers;

    use super::*;

    fn status(state: &str, conditions: usize) -> LocalStatus {
        let condition = |number| Condition {
            kind: format!("problem-{number}"),
            since: "2026-11-22T02:27:04Z".to_owned(),
            detail: "in words".to_owned(),
        };
        let link = Link { state: state.to_owned(), since: "2026-11-22T02:27:04Z".to_owned(), address: String::new() };
        LocalStatus {
            id: None,
            name: None,
            environment: None,
            target: None,
            link,
            link_doing: "dials".to_owned(),
            servers: LocalServers {
                set: 0,
                addresses: Vec::new(),
                candidate_set: None,
                candidates: Vec::new(),
                configured: Vec::new(),
            },
            labels: Vec::new(),
            applied_generation: 0,
            converged_generation: 0,
            daemon_version: "0.1.0".to_owned(),
            certificate_expires_at: None,
            outbox_events: 0,
            events_dropped: 0,
            hosts: Vec::new(),
            conditions: (0..conditions).map(condition).collect(),
        }
    }

    #[test]
    fn the_daemons_status_is_evaluated() {
        assert_eq!(link(&status("connected", 0)).verdict, Verdict::Ok);
        let offline = link(&status("reconnecting", 0));
        assert_eq!((offline.verdict, offline.code), (Verdict::Warn, FindingCode::LinkDown));
        assert_eq!(conditions(&status("connected", 0)).verdict, Verdict::Ok);
        let many = conditions(&status("connected", 6));
        assert_eq!((many.verdict, many.code), (Verdict::Warn, FindingCode::ConditionsActive));
        assert!(many.evidence.contains("problem-3") && many.evidence.ends_with("and 2 more"), "{many:?}");
    }
}
