//! Checks of the server's directory: configuration, authority, database.

use std::io;
use std::time::Duration;

use linecamp_doctor::{CheckResult, Private, is_forbidden, permissions};
use linecamp_model::WallTime;
use linecamp_store::{Kind, StoreError, examine};
use linecamp_transport::{Authority, SystemClock, WallClock as _};

use super::Place;
use crate::error::{ServerError, describe};

/// How long before the authority expires an operator should prepare the next one: sites must learn of it first.
const AUTHORITY_SOON: Duration = Duration::from_secs(365 * 24 * 3600);

const MIB: u64 = 1024 * 1024;

/// Reads the configuration as a start would.
pub(super) fn configuration(place: &Place) -> CheckResult {
    let file = place.config_file().unwrap_or_else(|| place.layout.config());
    match place.read_config() {
        Ok(config) => CheckResult::ok(format!(
            "{} reads: {}, https on {}, quic on {}",
            file.display(),
            config.server_url,
            config.https,
            config.quic
        )),
        Err(ServerError::NotInitialised { .. }) => {
            CheckResult::skipped("there is no server yet; see the check `authority`")
        }
        Err(error) if is_forbidden(&error) => CheckResult::skipped(format!("{}; run this with sudo", describe(&error))),
        Err(error) => CheckResult::fail(
            describe(&error),
            format!("mend what it names; `linecamp-server config check {}` says whether it would do", file.display()),
        ),
    }
}

/// Checks the owner of the directory and the permissions of its private files.
pub(super) fn directory(place: &Place) -> CheckResult {
    let (layout, ca) = (&place.layout, place.layout.ca());
    let is_server = ca.exists();
    let private = [
        Private { path: ca.clone(), is_needed: is_server },
        Private { path: ca.join("key.pem"), is_needed: is_server },
        Private { path: ca.join("quic-secrets"), is_needed: is_server },
        Private { path: layout.database(), is_needed: is_server },
    ];
    permissions(layout.dir(), &private, "linecamp-server", None)
}

/// Loads the authority and checks its validity period against this machine's clock.
pub(super) fn authority(place: &Place) -> CheckResult {
    let ca = place.layout.ca();
    match Authority::load(&ca) {
        Ok(authority) => {
            let validity = authority.validity();
            judge_authority(&authority.pin().to_string(), validity.start, validity.end, SystemClock.now())
        }
        Err(error) if is_forbidden(&error) => CheckResult::skipped(format!("{}; run this with sudo", describe(&error))),
        Err(_) if !ca.exists() => CheckResult::fail(
            format!("there is no server in {}", place.layout.dir().display()),
            format!(
                "`linecamp-server init --data {} --server-url https://HOST:PORT`, or restore the directory from a backup",
                place.layout.dir().display()
            ),
        ),
        Err(error) => CheckResult::fail(
            describe(&error),
            "without the complete `ca` directory every site has to join again: restore it from a backup first",
        ),
    }
}

fn judge_authority(pin: &str, start: WallTime, end: WallTime, now: WallTime) -> CheckResult {
    if now < start {
        let evidence = format!("the clock here shows {now}, before the authority {pin} was made ({start})");
        return CheckResult::fail(
            evidence,
            "set the clock: `timedatectl set-ntp true`, or `date -s`; the server does not start before",
        );
    }
    let evidence = format!("authority {pin}, good until {end}");
    if end < now + AUTHORITY_SOON {
        return CheckResult::warn(evidence, "plan for a new CA: all sites have to join again when this one expires");
    }
    CheckResult::ok(evidence)
}

/// Checks the database, unless a running server uses it.
pub(super) fn database(place: &Place) -> CheckResult {
    let path = place.layout.database();
    if let Some(pid) = place.running() {
        let words = "process {pid} works on it, and checked it when it started";
        return CheckResult::skipped(format!("{}: {}", path.display(), words.replace("{pid}", &pid.to_string())));
    }
    match examine(&path, Kind::Fleet) {
        // A server may have started meanwhile, which makes the result unreliable.
        _ if place.running().is_some() => CheckResult::skipped("a server has just started, and checks it itself"),
        Ok(found) => CheckResult::ok(format!(
            "{}: sound, schema v{}, {} records, {} MiB, {} KiB in its log",
            path.display(),
            found.version,
            found.documents,
            found.bytes.div_ceil(MIB),
            found.log_bytes / 1024
        )),
        Err(error) if is_forbidden(&error) => CheckResult::skipped(format!("{}; run this with sudo", describe(&error))),
        Err(StoreError::File { ref source, .. }) if source.kind() == io::ErrorKind::NotFound => missing(place),
        Err(error) => CheckResult::fail(describe(&error), remedy(&error)),
    }
}

fn missing(place: &Place) -> CheckResult {
    if !place.layout.ca().exists() {
        return CheckResult::skipped("there is no server, so there is no database");
    }
    let error = ServerError::DatabaseMissing { path: place.layout.database() };
    CheckResult::fail(describe(&error), "restore the directory from a backup; without the database no site is known")
}

fn remedy(error: &StoreError) -> &'static str {
    match error {
        StoreError::TooNew { .. } => "install the newer package again, which wrote it",
        StoreError::TooOld { .. } => "move the file away: the server then starts with an empty database",
        StoreError::Damaged { .. } | StoreError::OtherKind { .. } => {
            "keep the file aside, restore the directory from a backup, and look at the disk: `dmesg | tail`"
        }
        _ => "look at the file, and at the disk: `ls -l`, `dmesg | tail`",
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
        let check = |start, end, expected| {
            let remark = judge_authority("sha256:07", start, end, now);
            assert_eq!(remark.verdict, expected, "{remark:?}");
        };
        check(now, now + 4000 * day, Verdict::Ok);
        check(now, now + 300 * day, Verdict::Warn);
        check(now + day, now + 4000 * day, Verdict::Fail);
    }
}
