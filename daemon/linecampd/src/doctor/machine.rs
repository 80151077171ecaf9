//! Checks of this machine: configuration, files, plugins, Docker.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use linecamp_doctor::{CheckResult, Finding, FindingCode, Private, is_forbidden, permissions};
use linecamp_model::{KnownServers, ServerSet, WallTime, shell_quoted};
use linecamp_transport::{SystemClock, TransportError, WallClock as _, error_chain};

use super::{Installation, running};
use crate::config::{Config, DOCKER_SOCKET_DEFAULT, join_target, read_text};
use crate::drivers::plugins::host_config;
use crate::error::DaemonError;
use crate::facts::{FactSources, Resources, query_docker};
use crate::socket_path::SocketPath;

/// The most entries counted in a plugin directory.
const ENTRIES_MAX: usize = 10_000;

/// Loads the configuration as a start would, and checks that the files it names exist.
pub(super) fn configuration(site: &Installation) -> CheckResult {
    let file = site.config_file();
    let shown = file
        .as_ref()
        .map_or_else(|| "no configuration file; defaults apply".to_owned(), |file| file.display().to_string());
    let config = match site.read_config() {
        Ok(config) => config,
        Err(error) if is_forbidden(&error) => {
            return CheckResult::skipped(
                FindingCode::AccessDenied,
                format!("{}; run this with sudo", error_chain(&error)),
            );
        }
        Err(error) => {
            return CheckResult::fail(
                FindingCode::ConfigInvalid,
                error_chain(&error),
                "fix the named key; `linecampd config check --help` documents every key",
            );
        }
    };
    let mut doubts = config.warnings.clone();
    doubts.extend(missing_files(&config));
    if doubts.is_empty() {
        let evidence = if file.is_some() { format!("{shown} is valid") } else { shown };
        return CheckResult::ok(evidence);
    }
    CheckResult::warn(
        FindingCode::ConfigWarning,
        format!("{shown}: {}", doubts.join("; ")),
        "fix the named problem, then `systemctl reload linecampd`",
    )
}

/// Names the keys whose files do not exist. Never a value: it may be a secret that was entered instead of a path.
fn missing_files(config: &Config) -> Vec<String> {
    let secrets = config.plugins.secrets.iter();
    let secrets = secrets.filter_map(|(name, secret)| Some((format!("{name} in [secrets]"), secret.file.as_deref()?)));
    let ca_file = config.plugins.ca_file.iter().map(|path| ("ca_file in [plugins]".to_owned(), path.as_path()));
    let is_missing = |path: &Path| matches!(fs::metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let named = secrets.chain(ca_file).filter(|(_, path)| is_missing(path));
    named.map(|(key, _)| format!("the file named by {key} does not exist")).collect()
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
            let list = |set: &ServerSet| set.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let KnownServers { confirmed, candidate } = identity.servers();
            let candidate = candidate.as_ref().map(|set| format!("; told, not confirmed yet: {}", list(set)));
            let candidate = candidate.unwrap_or_default();
            let who = format!("site {}, joined {}{candidate}", identity.site_id(), list(confirmed));
            evaluate_certificate(&who, end, SystemClock.now())
        }
        Ok(None) => not_joined(site),
        Err(error) if is_forbidden(&error) => {
            CheckResult::skipped(FindingCode::AccessDenied, format!("{}; run this with sudo", error_chain(&error)))
        }
        Err(error) => {
            let (code, remedy) = code_and_remedy(site, &error);
            CheckResult::fail(code, error_chain(&error), remedy)
        }
    }
}

fn code_and_remedy(site: &Installation, error: &DaemonError) -> (FindingCode, String) {
    match error {
        DaemonError::Transport(TransportError::Missing { .. } | TransportError::Corrupt { .. }) => (
            FindingCode::IdentityCorrupt,
            format!(
                "restore the directory `identity` from a backup; without one, run `linecampd forget --data {}` and join \
                 with a new token",
                shell_quoted(site.directory.path())
            ),
        ),
        _ => (FindingCode::FileUnreadable, "check the named file and the disk: `dmesg | tail`".to_owned()),
    }
}

fn evaluate_certificate(who: &str, end: WallTime, now: WallTime) -> CheckResult {
    if end < now {
        let evidence = format!("{who}; its certificate expired at {end}, and the local clock shows {now}");
        return CheckResult::warn(
            FindingCode::CertificateExpired,
            evidence,
            "the server renews it at the next connection if the site still exists there and the clock is right",
        );
    }
    CheckResult::ok(format!("{who}; certificate valid until {end}"))
}

fn not_joined(site: &Installation) -> CheckResult {
    let data = site.directory.path().display();
    let evidence = format!("{data} has not joined a server");
    let Some(join) = site.read_config().ok().and_then(|config| Some((config.join?, config.servers))) else {
        let remedy = format!(
            "run `linecamp token create` as an operator, then here: `linecampd join - --data {} --name NAME`, and enter the \
             token",
            shell_quoted(site.directory.path())
        );
        return CheckResult::warn(FindingCode::NotJoined, evidence, remedy);
    };
    let (join, servers) = join;
    let file = join.token_file.display();
    let target = read_text(&join.token_file).map_err(|error| error_chain(&error));
    // Token errors never contain the token.
    match target.and_then(|text| join_target(&text, &servers).map_err(|error| error.to_string())) {
        Ok(_) => CheckResult::warn(
            FindingCode::JoinPending,
            format!("{evidence}; the daemon joins as {} with the token in {file} when it starts", join.name),
            "start the daemon: `systemctl enable --now linecampd`, or `linecampd run`",
        ),
        Err(problem) => CheckResult::fail(
            FindingCode::TokenInvalid,
            format!("{evidence}, and its join token is not usable: {problem}"),
            format!("create a new token with `linecamp token create` and write it to {file}"),
        ),
    }
}

/// The checks of what the machine has.
pub(super) const RESOURCES: &[&str] = &["memory", "processor", "kernel"];

/// Checks memory, processor and kernel. What a machine in use lacks is a warning: its daemon runs.
pub(super) fn resources(site: &Installation) -> Vec<Finding> {
    let sources = FactSources::of_this_machine(Path::new(DOCKER_SOCKET_DEFAULT), false);
    let Resources { available_memory, has_aes, kernel } = sources.resources();
    let results = [
        ("memory", linecamp_doctor::memory(&available_memory)),
        ("processor", linecamp_doctor::processor(&has_aes)),
        ("kernel", linecamp_doctor::kernel(&kernel)),
    ];
    let is_member = site.identity().is_ok_and(|identity| identity.is_some());
    let in_use = |result: CheckResult| if is_member { result.downgraded("this machine has joined") } else { result };
    results.into_iter().map(|(name, result)| in_use(result).of(name)).collect()
}

/// Queries Docker at the configured socket; having no Docker is fine.
pub(super) fn docker(site: &Installation) -> CheckResult {
    let Ok(config) = site.read_config() else {
        return CheckResult::skipped(
            FindingCode::ConfigUnreadable,
            "the configuration with the path of Docker's socket is not readable",
        );
    };
    let socket = config.docker_socket;
    let path = socket.display();
    match SocketPath::of(&socket).and_then(|address| UnixStream::connect(address.as_path())) {
        Ok(_) => match query_docker(&socket) {
            Ok(Some(version)) => CheckResult::ok(format!("Docker {version} answers on {path}")),
            Ok(None) => CheckResult::skipped(FindingCode::DockerAbsent, format!("no Docker: {path} no longer exists")),
            Err(reason) => CheckResult::warn(
                FindingCode::DockerNotAnswering,
                format!("no version from Docker on {path}: {reason}"),
                "check `systemctl status docker` and `docker version`; the label docker_version keeps its last value",
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && socket != Path::new(DOCKER_SOCKET_DEFAULT) => {
            CheckResult::warn(
                FindingCode::DockerAbsent,
                format!("no Docker: {path}, which the configuration names, does not exist"),
                "install or start Docker, or remove the key `docker_socket`",
            )
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            CheckResult::skipped(FindingCode::DockerAbsent, format!("no Docker: {path} does not exist"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => CheckResult::warn(
            FindingCode::DockerAccessDenied,
            format!("this user may not open {path}"),
            "to let the daemon report Docker's version: `usermod -aG docker linecamp`, then `systemctl restart linecampd`",
        ),
        Err(error) => CheckResult::warn(
            FindingCode::DockerNotAnswering,
            format!("no answer on {path}: {error}"),
            "`systemctl status docker`",
        ),
    }
}

/// Checks the components, their compiled forms, and the plugin compiler.
pub(super) fn plugins(site: &Installation) -> CheckResult {
    let Ok(config) = site.read_config() else {
        return CheckResult::skipped(FindingCode::ConfigUnreadable, "the configuration of plugins is not readable");
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
    let (dir, compiler) = (directory.display(), compiler.display());
    let evidence = format!("{} plugins in {dir}, {} compiled", observed.components, observed.compiled);
    if observed.is_exposed {
        let remedy = format!("as root: chmod -R go-w {}", shell_quoted(directory));
        return CheckResult::fail(
            FindingCode::PluginsExposed,
            format!("{evidence}; users other than its owner may write there, so plugins are not loaded"),
            remedy,
        );
    }
    match (observed.components, observed.compiler) {
        (_, true) => CheckResult::ok(format!("{evidence}, compiler {compiler}")),
        (0, false) => CheckResult::skipped(
            FindingCode::PluginsAbsent,
            format!("no plugins in {dir}, and no plugin compiler at {compiler}"),
        ),
        (_, false) => CheckResult::fail(
            FindingCode::CompilerMissing,
            format!("{evidence}; the plugin compiler {compiler} does not exist or is not executable"),
            "reinstall the package linecampd, or set the key `compiler` in [plugins]",
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
    fn an_expired_certificate_is_a_warning() {
        let now = WallTime::from_unix_millis(1_795_314_424_000);
        assert_eq!(evaluate_certificate("s", now + Duration::from_secs(1), now).verdict, Verdict::Ok);
        let ended = evaluate_certificate("s", now, now + Duration::from_secs(1));
        assert_eq!((ended.verdict, ended.code), (Verdict::Warn, FindingCode::CertificateExpired));
    }

    #[test]
    fn plugins_need_a_compiler_and_a_directory_of_their_own() {
        let check = |components, is_exposed, compiler, expected, code| {
            let observed = Plugins { components, compiled: 1, is_exposed, compiler };
            let result = evaluate_plugins(Path::new("/d/plugins"), Path::new("/c"), &observed);
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        };
        check(2, false, true, Verdict::Ok, FindingCode::Ok);
        check(0, false, false, Verdict::Skipped, FindingCode::PluginsAbsent);
        check(1, false, false, Verdict::Fail, FindingCode::CompilerMissing);
        check(1, true, true, Verdict::Fail, FindingCode::PluginsExposed);
    }
}
