//! Whether the versions of both ends and this program match.

use crate::code::FindingCode;
use crate::finding::CheckResult;

/// The known versions. A program that does not run or respond has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// This program's version.
    pub own: &'static str,
    /// The version of its running process.
    pub running: Option<String>,
    /// The server's version.
    pub server: Option<String>,
}

/// Compares them. `unit` is the service to restart.
pub fn versions(known: &Versions, unit: &str) -> CheckResult {
    let mut words = vec![format!("this program: {}", known.own)];
    words.extend(known.running.as_ref().map(|version| format!("running: {version}")));
    words.extend(known.server.as_ref().map(|version| format!("server: {version}")));
    let evidence = words.join(", ");
    if known.running.as_ref().is_some_and(|running| running != known.own) {
        let remedy = format!("`systemctl restart {unit}` to run the installed version");
        return CheckResult::warn(FindingCode::RestartNeeded, evidence, remedy);
    }
    match known.server.as_deref().map(|server| (minor(server), minor(known.own))) {
        Some((Some(server), Some(own))) if server < own => CheckResult::warn(
            FindingCode::ServerOlder,
            evidence,
            "a server supports daemons of its own version and the previous one: upgrade the server first",
        ),
        Some((Some(server), Some(own))) if (own.0, own.1 + 1) < server => CheckResult::warn(
            FindingCode::VersionBehind,
            evidence,
            format!("this version is more than one behind the server: upgrade the package, then restart {unit}"),
        ),
        _ => CheckResult::ok(evidence),
    }
}

/// Parses `MAJOR.MINOR…`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn the_server_may_be_one_version_ahead() {
        let check = |running: Option<&str>, server: Option<&str>, expected, code| {
            let known =
                Versions { own: "0.5.2", running: running.map(str::to_owned), server: server.map(str::to_owned) };
            let result = versions(&known, "linecampd");
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        };
        check(None, None, Verdict::Ok, FindingCode::Ok);
        check(Some("0.5.2"), Some("0.5.0"), Verdict::Ok, FindingCode::Ok);
        check(Some("0.5.1"), None, Verdict::Warn, FindingCode::RestartNeeded);
        check(None, Some("0.6.0"), Verdict::Ok, FindingCode::Ok);
        check(None, Some("0.7.0"), Verdict::Warn, FindingCode::VersionBehind);
        check(None, Some("1.0.0"), Verdict::Warn, FindingCode::VersionBehind);
        check(None, Some("0.4.9"), Verdict::Warn, FindingCode::ServerOlder);
        check(None, Some("unknown"), Verdict::Ok, FindingCode::Ok);
    }
}
