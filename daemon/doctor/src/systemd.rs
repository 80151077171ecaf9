//! The state of a service in systemd: whether it is loaded, running, and how often it was restarted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::code::FindingCode;
use crate::command::run_command;
use crate::finding::CheckResult;

/// Exists if the machine was booted with systemd (sd_booted(3)).
const RUNS: &str = "/run/systemd/system";

/// How long systemd may take to respond. It is busy while it boots a machine, and stuck if it takes longer.
const LIMIT: Duration = Duration::from_secs(3);

/// Bytes of its output: a dozen lines.
const BYTES_MAX: u64 = 16 * 1024;

/// The properties to query.
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,NRestarts,ActiveEnterTimestamp,\
                          Result,ExecMainStatus,StatusText,ConditionResult,ConditionTimestamp";

/// Whether systemd runs this machine.
pub fn systemd_runs() -> bool {
    Path::new(RUNS).is_dir()
}

/// Evaluates the state of the service `unit`. `is_answering`: whether its process responds, started by systemd or not.
pub fn service(unit: &str, is_answering: bool) -> CheckResult {
    if !systemd_runs() {
        return CheckResult::skipped(FindingCode::NoSystemd, "systemd is not running on this machine");
    }
    match run_command("systemctl", &["show", unit, "--no-pager", PROPERTIES], LIMIT, BYTES_MAX) {
        Ok(ran) => evaluate(unit, &properties(&ran.stdout), is_answering),
        Err(error) => CheckResult::warn(
            FindingCode::SystemdNotAnswering,
            format!("cannot get the state of {unit} from systemd: {error}"),
            "check that systemd responds: `systemctl status`",
        ),
    }
}

/// Parses `NAME=VALUE` lines.
fn properties(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

fn evaluate(unit: &str, properties: &BTreeMap<&str, &str>, is_answering: bool) -> CheckResult {
    let of = |name| properties.get(name).copied().unwrap_or_default();
    let journal = format!("see the log: `journalctl -u {unit} -n 50 --no-pager`");
    match (of("LoadState"), of("ActiveState")) {
        ("not-found" | "masked", _) if is_answering => CheckResult::skipped(
            FindingCode::StartedManually,
            format!("{unit} runs, but systemd has no unit for it: it was not started by systemd"),
        ),
        ("not-found", _) => CheckResult::skipped(
            FindingCode::UnitMissing,
            format!("systemd has no unit {unit}: it was not installed from a package"),
        ),
        ("masked", _) => CheckResult::fail(
            FindingCode::UnitMasked,
            format!("{unit} is masked"),
            format!("`systemctl unmask {unit}`"),
        ),
        ("loaded", "active") => evaluate_active(unit, properties, journal),
        ("loaded", "inactive") if is_answering => CheckResult::skipped(
            FindingCode::StartedManually,
            format!("{unit} runs, but its unit is inactive: it was not started by systemd"),
        ),
        // It is also `no` for a unit that was never started.
        ("loaded", "inactive") if of("ConditionResult") == "no" && !of("ConditionTimestamp").is_empty() => {
            CheckResult::warn(
                FindingCode::UnitConditionNotMet,
                format!("{unit} is not started: a condition of its unit is not met, so there is nothing to run yet"),
                format!("see which condition: `systemctl status {unit}`"),
            )
        }
        ("loaded", "inactive") => CheckResult::fail(
            FindingCode::UnitInactive,
            format!("{unit} is not started"),
            format!("`systemctl enable --now {unit}`"),
        ),
        ("loaded", state) => {
            let (result, status) = (of("Result"), of("ExecMainStatus"));
            CheckResult::fail(
                FindingCode::UnitFailed,
                format!("{unit} is {state} ({result}, exit code {status})"),
                journal,
            )
        }
        (state, _) => CheckResult::fail(
            FindingCode::UnitNotLoaded,
            format!("systemd cannot load {unit}: its load state is `{state}`"),
            journal,
        ),
    }
}

fn evaluate_active(unit: &str, properties: &BTreeMap<&str, &str>, journal: String) -> CheckResult {
    let of = |name| properties.get(name).copied().unwrap_or_default();
    let since = of("ActiveEnterTimestamp");
    let evidence = match of("StatusText") {
        "" => format!("{unit} is active since {since}"),
        status => format!("{unit} is active since {since}: {status}"),
    };
    let restarts = of("NRestarts");
    if !matches!(restarts, "" | "0") {
        return CheckResult::warn(
            FindingCode::UnitRestarted,
            format!("{evidence}; systemd has restarted it {restarts} times"),
            journal,
        );
    }
    if of("UnitFileState") == "disabled" {
        let remedy = format!("`systemctl enable {unit}`");
        return CheckResult::warn(FindingCode::UnitDisabled, format!("{evidence}; it does not start at boot"), remedy);
    }
    CheckResult::ok(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[track_caller]
    fn check(text: &str, is_answering: bool, expected: Verdict, code: FindingCode) {
        let result = evaluate("linecampd", &properties(text), is_answering);
        assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
    }

    #[test]
    fn a_service_is_evaluated_by_its_state_in_systemd() {
        let active = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nActiveEnterTimestamp=Sun 2026\n";
        check(&format!("{active}NRestarts=0\nStatusText=connected to a:1"), true, Verdict::Ok, FindingCode::Ok);
        check(&format!("{active}NRestarts=4"), true, Verdict::Warn, FindingCode::UnitRestarted);
        check(&active.replace("enabled", "disabled"), true, Verdict::Warn, FindingCode::UnitDisabled);
        check("LoadState=not-found\nActiveState=inactive", true, Verdict::Skipped, FindingCode::StartedManually);
        check("LoadState=not-found\nActiveState=inactive", false, Verdict::Skipped, FindingCode::UnitMissing);
        check("LoadState=masked\nActiveState=inactive", false, Verdict::Fail, FindingCode::UnitMasked);
        check("LoadState=loaded\nActiveState=inactive", true, Verdict::Skipped, FindingCode::StartedManually);
        check("LoadState=loaded\nActiveState=inactive", false, Verdict::Fail, FindingCode::UnitInactive);
        let waits = "LoadState=loaded\nActiveState=inactive\nConditionResult=no\nConditionTimestamp=Sun 2026";
        check(waits, false, Verdict::Warn, FindingCode::UnitConditionNotMet);
        let failed = "LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=3";
        check(failed, false, Verdict::Fail, FindingCode::UnitFailed);
        check("LoadState=bad-setting", false, Verdict::Fail, FindingCode::UnitNotLoaded);
        check("rubbish", false, Verdict::Fail, FindingCode::UnitNotLoaded);
    }
}
