//! The last journal lines of a service, for a bundle.

use std::time::Duration;

use crate::command::run_command;
use crate::systemd::systemd_runs;

/// Journal lines in a bundle: a daemon writes a few a day, one with a problem a few a minute.
pub const JOURNAL_LINES: usize = 1000;

/// How long `journalctl` may take. A large journal on a slow disk needs seconds.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of those lines: 4 KiB each. Longer output is truncated, which loses the newest lines.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Returns the last journal lines of `unit`.
///
/// # Errors
/// Why there are none, for people.
pub fn journal(unit: &str) -> Result<String, String> {
    if !systemd_runs() {
        return Err("systemd is not running on this machine, so there is no journal".to_owned());
    }
    let lines = JOURNAL_LINES.to_string();
    let arguments = ["-u", unit, "-n", &lines, "-o", "short-iso", "--no-pager", "-q"];
    let ran = run_command("journalctl", &arguments, LIMIT, BYTES_MAX)?;
    if !ran.is_ok && ran.stdout.is_empty() {
        return Err(format!("journalctl has no entries for {unit}; check that this user may read the journal"));
    }
    Ok(ran.stdout)
}
