//! Checks of this machine: configuration, files, plugins, Docker.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use linecamp_doctor::{CheckResult, Private, is_forbidden, permissions};
use linecamp_model::WallTime;
use linecamp_transport::{SystemClock, TransportError, WallClock as _};

use super::{Installation, running};
use crate::config::{Config, join_target, read_text};
use crate::drive::plugins::host_config;
use crate::error::{DaemonError, chain};
use crate::facts::query_docker;

/// The most entries counted in a plugin directory.
const ENTRIES_MAX: usize = 10_000;

/// Loads the configuration as a start would, and checks that the files it names exist.
pub(super) fn configuration(site: &Installation) -> CheckResult {
    let file = site.config_file();
    let shown = file
        .as_ref()
        .map_or_else(|| "no file is named, and defaults hold".to_owned(), |file| file.display().to_string());
    let config = match site.read_config() {
        Ok(config) => config,
        Err(error) if is_forbidden(&error) => {
            return CheckResult::skipped(format!("{}; run this with sudo", chain(&error)));
        }
        Err(error) => {
            return CheckResult::fail(
                chain(&error),
                "mend what it names; `linecampd config check --help` shows every key",
            );
        }
    };
    let mut doubts = config.warnings.clone();
    doubts.extend(missing_files(&config));
    if doubts.is_empty() {
        let evidence = if file.is_some() { format!("{shown} reads") } else { shown };
        return CheckResult::ok(evidence);
    }
    CheckResult::warn(
        format!("{shown}: {}", doubts.join("; ")),
        "mend what it names, then `systemctl reload linecampd`",
    )
}

/// Names the keys whose files do not exist. Never a value: it may be a secret that was entered instead of a path.
fn missing_files(config: &Config) -> Vec<String> {
    let secrets = config.plugins.secrets.iter();
    let secrets = secrets.filter_map(|(name, secret)| Some((format!("{name} in [secrets]"), secret.file.as_deref()?)));
    let ca_file = config.plugins.ca_file.iter().map(|path| ("ca_file in [plugins]".to_owned(), path.as_path()));
    let is_missing = |path: &Path| matches!(fs::metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let named = secrets.chain(ca_file).filter(|(_, path)| is_missing(path));
    named.map(|(key, _)| format!("the file that the key {key} names is not there")).collect()
}

/// Checks the owner of the data directory, and the permissions of private files in it.
pub(super) fn directory(site: &Installation) -> CheckResult {
    let directory = &site.directory;
    let identity = directory.identity();
    let is_member = identity.join("membership.pem").exists();
    let private = [
        Private { path: identity.clone(), is_needed: false },
        Private { path: identity.join("key.pem"), is_needed: is_member },
        Private { path: identity.join("membership.pem"), is_needed: false },
        Private { path: directory.database(), is_needed: false },
    ];
    let runner = running::peer(directory).map(|peer| peer.uid);
    permissions(directory.path(), &private, "linecampd", runner)
}

/// Checks the site's identity, and whether its certificate has expired.
pub(super) fn identity(site: &Installation) -> CheckResult {
    match site.identity() {
        Ok(Some(identity)) => {
            let end = identity.certificate_validity().end;
            let servers: Vec<_> = identity.servers().iter().map(ToString::to_string).collect();
            let who = format!("site {}, joined at {}", identity.site_id(), servers.join(", "));
            evaluate_certificate(&who, end, SystemClock.now())
        }
        Ok(None) => not_joined(site),
        Err(error) if is_forbidden(&error) => CheckResult::skipped(format!("{}; run this with sudo", chain(&error))),
        Err(error) => CheckResult::fail(chain(&error), remedy_of(&error)),
    }
}

fn remedy_of(error: &DaemonError) -> &'static str {
    match error {
        DaemonError::Transport(TransportError::Missing { .. } | TransportError::Damaged { .. }) => {
            "restore the folder `identity` from a backup if there is one; else `linecampd forget`, and join with a new token"
        }
        _ => "look at the file it names, and at the disk: `dmesg | tail`",
    }
}

fn evaluate_certificate(who: &str, end: WallTime, now: WallTime) -> CheckResult {
    if end < now {
        let evidence = format!("{who}; its certificate ended at {end}, and the clock here shows {now}");
        return CheckResult::warn(
            evidence,
            "the server gives a new one at the next link, if it still has the site and the clock is right",
        );
    }
    CheckResult::ok(format!("{who}; certificate until {end}"))
}

fn not_joined(site: &Installation) -> CheckResult {
    let data = site.directory.path().display();
    let evidence = format!("{data} belongs to no site yet");
    let Some(join) = site.read_config().ok().and_then(|config| Some((config.join?, config.servers))) else {
        let remedy = format!(
            "`linecamp token create` on the operator's machine, then `linecampd join TOKEN@HOST:PORT --data {data} --name NAME`"
        );
        return CheckResult::warn(evidence, remedy);
    };
    let (join, servers) = join;
    let file = join.token_file.display();
    let target = read_text(&join.token_file).map_err(|error| chain(&error));
    // Token errors never contain the token.
    match target.and_then(|text| join_target(&text, &servers).map_err(|error| error.to_string())) {
        Ok(_) => CheckResult::warn(
            format!("{evidence}; the daemon joins as {} with the token in {file} when it starts", join.name),
            "start it: `systemctl enable --now linecampd`, or `linecampd run`",
        ),
        Err(problem) => CheckResult::fail(
            format!("{evidence}, and the token to join with cannot be used: {problem}"),
            format!("take a new one with `linecamp token create`, and write it to {file}"),
        ),
    }
}

/// Queries Docker at the configured socket; having no Docker is fine.
pub(super) fn docker(site: &Installation) -> CheckResult {
    let Ok(config) = site.read_config() else {
        return CheckResult::skipped("the configuration does not say where Docker is: it cannot be read");
    };
    let socket = config.docker_socket;
    let path = socket.display();
    match UnixStream::connect(&socket) {
        Ok(_) => match query_docker(&socket) {
            Ok(Some(version)) => CheckResult::ok(format!("Docker {version} answers at {path}")),
            Ok(None) => CheckResult::skipped(format!("no Docker here: {path} is not there any more")),
            Err(reason) => CheckResult::warn(
                format!("something listens at {path}, and does not say a version: {reason}"),
                "`systemctl status docker`, `docker version`; the label docker_version keeps its last value until then",
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            CheckResult::skipped(format!("no Docker here: {path} is not there"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => CheckResult::warn(
            format!("{path} may not be opened by this user"),
            "if the daemon is to report Docker's version: `usermod -aG docker linecamp`, then `systemctl restart linecampd`",
        ),
        Err(error) => CheckResult::warn(format!("nobody answers at {path}: {error}"), "`systemctl status docker`"),
    }
}

/// Checks the components, their compiled forms, and the plugin compiler.
pub(super) fn plugins(site: &Installation) -> CheckResult {
    let Ok(config) = site.read_config() else {
        return CheckResult::skipped("the configuration does not say how plugins are run: it cannot be read");
    };
    let directory = site.directory.plugins();
    let host = host_config(directory.clone(), &config.plugins);
    let observed = Plugins {
        components: count(&directory, ".wasm") + count(&directory.join("pushed"), ".wasm"),
        compiled: count(&directory.join("cache"), ".cwasm"),
        is_exposed: [directory.clone(), directory.join("cache")].iter().any(|path| is_exposed(path)),
        compiler: is_program(&host.compiler),
    };
    evaluate_plugins(&directory, &host.compiler, &observed)
}

struct Plugins {
    components: usize,
    compiled: usize,
    /// Whether other users can write where native code is stored.
    is_exposed: bool,
    /// Whether the compiler exists and is executable.
    compiler: bool,
}

fn evaluate_plugins(directory: &Path, compiler: &Path, observed: &Plugins) -> CheckResult {
    let (site, compiler) = (directory.display(), compiler.display());
    let evidence = format!("{} components in {site}, {} compiled", observed.components, observed.compiled);
    if observed.is_exposed {
        let remedy = format!("as root: chmod -R go-w {site}; a directory that others may write to is refused");
        return CheckResult::fail(format!("{evidence}; others than its owner may write there"), remedy);
    }
    match (observed.components, observed.compiler) {
        (_, true) => CheckResult::ok(format!("{evidence}, compiler {compiler}")),
        (0, false) => {
            CheckResult::skipped(format!("no plugins in {site}, and no compiler at {compiler}, which only they need"))
        }
        (_, false) => CheckResult::fail(
            format!("{evidence}; the compiler {compiler} is not there, or is no program"),
            "install it again (package linecampd), or name it: key `compiler` in [plugins]",
        ),
    }
}

fn count(directory: &Path, ending: &str) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().take(ENTRIES_MAX).flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(ending)).count()
}

fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o002 != 0)
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_doctor::Verdict;

    use super::*;

    #[test]
    fn a_certificate_that_ended_is_worth_a_look() {
        let now = WallTime::from_unix_millis(1_795_314_424_000);
        assert_eq!(evaluate_certificate("s", now + Duration::from_secs(1), now).verdict, Verdict::Ok);
        let ended = evaluate_certificate("s", now, now + Duration::from_secs(1));
        assert_eq!(ended.verdict, Verdict::Warn);
        assert!(ended.evidence.contains("ended at 2026-11-22"), "{ended:?}");
    }

    #[test]
    fn plugins_need_a_compiler_and_a_directory_of_their_own() {
        let check = |components, is_exposed, compiler, expected| {
            let observed = Plugins { components, compiled: 1, is_exposed, compiler };
            let result = evaluate_plugins(Path::new("/d/plugins"), Path::new("/c"), &observed);
            assert_eq!(result.verdict, expected, "{result:?}");
        };
        check(2, false, true, Verdict::Ok);
        check(0, false, false, Verdict::Skipped);
        check(1, false, false, Verdict::Fail);
        check(1, true, true, Verdict::Fail);
    }
}
