//! What the doctors of daemon and server share, and support bundles.
//!
//! A doctor examines one machine and reports a list of [`Finding`]s, each with a stable name, a verdict, the evidence
//! (what was tried and observed) and, if there is a problem, a remedy. Thin code gathers the evidence and decides
//! nothing; a verdict is a function of evidence, and tested as one.
//!
//! Invariants:
//!
//! - **A doctor repairs nothing and interferes with nothing.** It takes no lock, opens no session with a server, and
//!   leaves no file behind: the one it writes to test the disk, it removes.
//! - **Every check has a time limit** ([`Job`]), and all checks run concurrently, so that a dead disk or an
//!   unresponsive server costs only its own verdict and a bounded time. A check that does not return in time has
//!   failed, and its finding says so.
//! - **Names and codes are stable.** Scripts match on the name of a check and the [`FindingCode`] of what it found,
//!   never on text. Names and codes are added, never changed.
//! - **External input is not trusted**: responses are limited in size, [`Finding`] keeps invisible characters from the
//!   terminal, and no evidence repeats a secret.
//!
//! A support bundle ([`Bundle`]) is a `.tar.gz` of such findings and of what the programs display anyway. All contents
//! pass [`Redactor`], which removes known secrets and what looks like one. Its size is bounded by [`FILE_BYTES_MAX`]
//! and [`FILES_MAX`].
//!
//! This crate knows no configuration, no daemon socket and no database. The two programs define which checks there are
//! and what they examine.

#![forbid(unsafe_code)]

mod bundle;
mod clock;
mod code;
mod command;
mod disk;
mod finding;
mod health;
mod http;
mod journal;
mod kernel_limits;
mod path_mtu;
mod permissions;
mod reach;
mod redact;
mod render;
mod requirements;
mod run;
mod secret_patterns;
mod sensitive;
mod server_probe;
mod systemd;
mod version;

pub use bundle::{Bundle, BundleError, FILE_BYTES_MAX, FILES_MAX, SavedBundle};
pub use clock::{ServerDate, ServerTime, clock, synchronized};
pub use code::FindingCode;
pub use command::{CommandOutput, run_command};
pub use disk::{disk, disk_to_join};
pub use finding::{CheckResult, Finding, Report, Verdict};
pub use health::{Health, fetch_health};
pub use http::{http_exchange, http_get};
pub use journal::{JOURNAL_LINES, journal};
pub use kernel_limits::{file_limit, kernel_number, udp_buffers};
pub use path_mtu::mtu;
pub use permissions::{Owned, Private, is_forbidden, permissions};
pub use reach::{Fragments, PathProbe, TcpAnswer, UdpAnswer, tcp_answer, udp, udp_answer};
pub use redact::Redactor;
pub use render::{progress_line, table};
pub use requirements::{kernel, local_clock, memory, processor};
pub use run::{Job, Progress, run};
pub use sensitive::is_sensitive_name;
pub use server_probe::{
    AddressReport, NETWORK_LIMIT, SERVER_CHECKS, ServerReport, ServerTargets, probe_servers, server_findings,
};
pub use systemd::{service, systemd_runs};
pub use version::{Versions, versions};
