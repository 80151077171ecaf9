//! What the doctors of daemon and server share, and the bundles that people send to whoever helps them.
//!
//! A doctor looks at one machine and says what he found: a list of [`Finding`]s, each with a stable name, a verdict,
//! the evidence (what was tried, what was seen) and, where something is amiss, a remedy. Evidence is gathered by thin
//! code that decides nothing; a verdict is a function of evidence, and tested as one.
//!
//! What holds:
//!
//! - **A doctor cures nothing and disturbs nobody.** He takes no lock, greets nobody's server, and leaves no file
//!   behind: the one he writes to see whether the disk takes it, he removes.
//! - **Every check has a time limit** ([`Job`]), and all of them run side by side, so that a dead disk or a silent
//!   server costs its own verdict and a known time. A check that does not come back has failed, and says so.
//! - **Names are stable.** Scripts look for them; a name is added, never changed.
//! - **What others say is not trusted**: answers are cut to a size, control characters do not reach the terminal
//!   ([`Finding`] sees to it), and no evidence repeats a secret.
//!
//! A bundle ([`Bundle`]) is a `.tar.gz` of such findings and of what the programs show anyway. Everything that goes in
//! passes [`Redactor`], which takes out what looks like a secret and what is known to be one. Its size is bounded by
//! [`FILE_BYTES_MAX`] and [`FILES_MAX`].
//!
//! What this crate does not do: it knows no configuration, no socket of a daemon and no database. Which checks there
//! are, and what they look at, is said by the two programs.

#![forbid(unsafe_code)]

mod bundle;
mod clock;
mod command;
mod disk;
mod finding;
mod http;
mod journal;
mod limits;
mod permissions;
mod reach;
mod redact;
mod route;
mod run;
mod server;
mod shape;
mod show;
mod systemd;
mod version;

pub use bundle::{Bundle, BundleError, FILE_BYTES_MAX, FILES_MAX, SavedBundle};
pub use clock::{ServerTime, clock, synchronised};
pub use command::{Ran, run_command};
pub use disk::disk;
pub use finding::{CheckResult, Finding, Report, Verdict};
pub use http::{Health, ask_health};
pub use journal::{JOURNAL_LINES, journal};
pub use limits::{file_limit, kernel_number, udp_buffers};
pub use permissions::{Owned, Private, is_forbidden, permissions};
pub use reach::{TcpAnswer, UdpAnswer, UdpSeen, tcp_answer, udp, udp_answer};
pub use redact::{Redactor, sounds_secret};
pub use route::mtu;
pub use run::{Job, Progress, run};
pub use server::{AddressReport, NETWORK_LIMIT, SERVER_CHECKS, ServerReport, ServerTargets, look, server_findings};
pub use show::{progress_line, table};
pub use systemd::{service, systemd_runs};
pub use version::{Versions, versions};

/// Renders an error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat the cause in their own words.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
