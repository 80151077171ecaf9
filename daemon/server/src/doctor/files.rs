//! Checks of the server's directory: configuration, authority, database.

use std::io;
use std::time::Duration;

use linecamp_doctor::{CheckResult, FindingCode, Private, is_forbidden, permissions};
use linecamp_model::{FleetChange, WallTime, shell_quoted};
use linecamp_proto::record::fleet_record;
use linecamp_store::{Kind, StoreError, examine, read_snapshot, read_stopped, snapshot};
use linecamp_transport::{Authority, SystemClock, WallClock as _, error_chain};

use super::Target;
use crate::error::ServerError;

/// How long before the authority expires an operator should prepare the next one: sites must learn of it first.
const AUTHORITY_SOON: Duration = Duration::from_secs(365 * 24 * 3600);

const MIB: u64 = 1024 * 1024;

/// Reads the configuration as a start would.
pub(super) fn configuration(target: &Target) -> CheckResult {
    let file = target.config_file().unwrap_or_else(|| target.layout.config());
    match target.read_config() {
        Ok(config) => CheckResult::ok(format!(
            "{} is valid: {}, https on {}, quic on {}",
            file.display(),
            config.server_url,
            config.https,
            config.quic
        )),
        Err(ServerError::NotInitialized { .. }) => {
            CheckResult::skipped(FindingCode::NotInitialized, "no server initialized; see check `authority`")
        }
        Err(error) if is_forbidden(&error) => {
            CheckResult::skipped(FindingCode::AccessDenied, format!("{}; run again with sudo", error_chain(&error)))
        }
        Err(error) => CheckResult::fail(
            FindingCode::ConfigInvalid,
            error_chain(&error),
            format!("correct the configuration and verify it: linecamp-server config check {}", shell_quoted(file)),
        ),
    }
}

/// Checks the owner of the directory and the permissions of its private files.
pub(super) fn directory(target: &Target) -> CheckResult {
    let (layout, ca) = (&target.layout, target.layout.ca());
    let is_server = ca.exists();
    let private = [
        Private { path: ca.clone(), is_needed: is_server },
        Private { path: ca.join("quic-secrets"), is_needed: is_server },
        Private { path: layout.database(), is_needed: is_server },
    ];
    let keys = Authority::key_files(&ca).into_iter().map(|path| Private { path, is_needed: is_server });
    let private: Vec<_> = private.into_iter().chain(keys).collect();
    permissions(layout.dir(), &private, "linecamp-server", None)
}

/// Loads the authority and checks its validity period against this machine's clock.
pub(super) fn authority(target: &Target) -> CheckResult {
    let ca = target.layout.ca();
    match Authority::load(&ca) {
        Ok(authority) => {
            let validity = authority.validity();
            evaluate_authority(&authority.pin().to_string(), validity.start, validity.end, SystemClock.now())
        }
        Err(error) if is_forbidden(&error) => {
            CheckResult::skipped(FindingCode::AccessDenied, format!("{}; run again with sudo", error_chain(&error)))
        }
        Err(_) if !ca.exists() => CheckResult::fail(
            FindingCode::NotInitialized,
            format!("no server in {}", target.layout.dir().display()),
            format!(
                "run `linecamp-server init --data {} --server-url https://HOST:PORT`, or restore the directory from a \
                 backup",
                shell_quoted(target.layout.dir())
            ),
        ),
        Err(error) => CheckResult::fail(
            FindingCode::AuthorityCorrupt,
            error_chain(&error),
            "restore the `ca` directory from a backup: without it, every site must join again",
        ),
    }
}

fn evaluate_authority(pin: &str, start: WallTime, end: WallTime, now: WallTime) -> CheckResult {
    if now < start {
        let evidence = format!(
            "this machine's clock ({now}) is before the authority's validity starts ({start}); authority {pin}"
        );
        return CheckResult::fail(
            FindingCode::AuthorityNotYetValid,
            evidence,
            "set the clock: `timedatectl set-ntp true` or `date -s`; until then the server does not start",
        );
    }
    let evidence = format!("authority {pin}, valid until {end}");
    if end < now + AUTHORITY_SOON {
        return CheckResult::warn(
            FindingCode::AuthorityExpiring,
            evidence,
            "plan for a new authority: all sites must join again when this one expires",
        );
    }
    CheckResult::ok(evidence)
}

/// Checks the database, unless a running server uses it.
pub(super) fn database(target: &Target) -> CheckResult {
    let path = target.layout.database();
    if let Some(pid) = target.running() {
        return CheckResult::skipped(
            FindingCode::DatabaseInUse,
            format!("{}: in use by process {pid}, which checked it at startup", path.display()),
        );
    }
    match examine(&path, Kind::Fleet) {
        // A server may have started meanwhile, which makes the result unreliable.
        _ if target.running().is_some() => CheckResult::skipped(
            FindingCode::DatabaseInUse,
            "a server has just started; it checks the database at startup",
        ),
        Ok(found) => CheckResult::ok(format!(
            "{}: sound, schema v{}, {} records, {} MiB, {} KiB in the write-ahead log",
            path.display(),
            found.version,
            found.documents,
            found.bytes.div_ceil(MIB),
            found.log_bytes / 1024
        )),
        Err(error) if is_forbidden(&error) => {
            CheckResult::skipped(FindingCode::AccessDenied, format!("{}; run again with sudo", error_chain(&error)))
        }
        Err(StoreError::File { ref source, .. }) if source.kind() == io::ErrorKind::NotFound => missing(target),
        Err(error) => {
            let (code, remedy) = code_and_remedy(&error);
            CheckResult::fail(code, error_chain(&error), remedy)
        }
    }
}

/// Checks whether the server was restored from a backup, and something is still held.
pub(super) fn restore(target: &Target) -> CheckResult {
    let path = target.layout.database();
    if !path.exists() {
        return CheckResult::skipped(FindingCode::NotInitialized, "no server initialized; see check `authority`");
    }
    let documents = match target.running() {
        Some(_) => snapshot(&path, Kind::Fleet).and_then(|copy| read_snapshot(&copy, Kind::Fleet, &path)),
        None => read_stopped(&path, Kind::Fleet),
    };
    let documents = match documents {
        Ok(documents) => documents,
        Err(error) => {
            return CheckResult::skipped(FindingCode::DatabaseUnreadable, error_chain(&error));
        }
    };
    let records: Vec<_> = documents.iter().filter_map(|(key, body)| fleet_record(key, body).ok()).collect();
    let held = |is_one: fn(&FleetChange) -> bool| records.iter().filter(|record| is_one(record)).count();
    let restored = records.iter().find_map(|record| match record {
        FleetChange::Restored(from) => *from,
        _ => None,
    });
    match restored {
        None => CheckResult::ok("not restored from a backup, or everything is settled"),
        Some(from) => CheckResult::warn(
            FindingCode::RestoreUnsettled,
            format!(
                "restored at {} from a backup taken at {}: {} sites, {} join tokens and {} API keys are held",
                from.restored_at,
                from.taken_at,
                held(|record| matches!(record, FleetChange::HeldSite(..))),
                held(|record| matches!(record, FleetChange::HeldToken(..))),
                held(|record| matches!(record, FleetChange::HeldApiKey(..))),
            ),
            "list what is held with `linecamp restore ls`, then accept or reject it: `linecamp restore accept --help`",
        ),
    }
}

fn missing(target: &Target) -> CheckResult {
    if !target.layout.ca().exists() {
        return CheckResult::skipped(FindingCode::NotInitialized, "no server initialized");
    }
    let error = ServerError::DatabaseMissing { path: target.layout.database() };
    CheckResult::fail(
        FindingCode::DatabaseMissing,
        error_chain(&error),
        "restore the directory from a backup: the database contains every site's registration",
    )
}

fn code_and_remedy(error: &StoreError) -> (FindingCode, &'static str) {
    match error {
        StoreError::TooNew { .. } => {
            (FindingCode::DatabaseTooNew, "install the newer version of linecamp-server that wrote the database")
        }
        StoreError::TooOld { .. } => (
            FindingCode::DatabaseTooOld,
            "move the data directory away and run `linecamp-server init` again; all sites must join again",
        ),
        StoreError::Corrupt { .. } | StoreError::OtherKind { .. } => (
            FindingCode::DatabaseCorrupt,
            "keep a copy of the file, restore the directory from a backup, and check the disk: `dmesg | tail`",
        ),
        _ => (FindingCode::DatabaseUnreadable, "check the file and the disk: `ls -l`, `dmesg | tail`"),
    }
}

#[cfg(test)]
mod tests {
    use linecamp_doctor::Verdict;

    use super::*;

    #[test]
    fn an_authority_is_judged_by_its_dates() {
        let now = WallTime::from_unix_millis(1_795_314_424_000);
        let day = Duration::from_secs(86_400);
        let check = |start, end, expected, code| {
            let result = evaluate_authority("sha256:07", start, end, now);
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        };
        check(now, now + 4000 * day, Verdict::Ok, FindingCode::Ok);
        check(now, now + 300 * day, Verdict::Warn, FindingCode::AuthorityExpiring);
        check(now + day, now + 4000 * day, Verdict::Fail, FindingCode::AuthorityNotYetValid);
    }
}
