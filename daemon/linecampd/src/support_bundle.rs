//! `linecampd support-bundle`: collects a site's diagnostics locally, with secrets redacted.
//!
//! Everything available is included; what cannot be collected is replaced by the reason, so that a half-broken site
//! still yields a bundle. First, every readable secret of the site is loaded, so that it is redacted wherever it
//! appears.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use linecamp_doctor::{Bundle, Progress, Redactor, SavedBundle, journal};
use linecamp_model::WallTime;
use linecamp_proto::api::DnsRecord;
use linecamp_proto::local::{LocalHost, LocalLabels, LocalProvider, LocalRequest, LocalStatus, WhyLine};
use linecamp_service::DROP_INS_MAX;
use linecamp_transport::{SystemClock, WallClock as _, error_chain};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::read_text;
use crate::data_directory::UNIT;
use crate::doctor::{Installation, examine};
use crate::error::DaemonError;
use crate::local_client::exchange_within;

/// Time limit for each answer of the daemon: all records of a site on a slow machine.
const ANSWER_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// The directory where root stores secrets of the installed service, one per file.
const SECRETS_INSTALLED: &str = "/etc/linecamp/secrets";

/// How many bytes of a file are treated as a secret. A longer file is no secret; the rest is not redacted.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The most files of one directory that are treated as secrets.
const SECRETS_MAX: usize = 64;

/// The most files listed from the data directory.
const LISTED_MAX: usize = 1000;

/// Depth of the directory listing: `plugins/pushed` is our deepest directory.
const DEPTH_MAX: usize = 3;

/// The most bytes read of a system file.
const FACT_BYTES_MAX: u64 = 16 * 1024;

/// System files that describe the machine.
const FACTS: [&str; 7] = [
    "/etc/os-release",
    "/proc/sys/kernel/osrelease",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/route",
    "/etc/resolv.conf",
];

/// Prefixes of the environment variables to list. Their values are not included.
const VARIABLES: [&str; 3] = ["LINECAMP_", "CATTLE_", "CREDENTIALS_DIRECTORY"];

/// Returns the default file name of a bundle made now, with the time in seconds.
pub fn default_output() -> PathBuf {
    let now = SystemClock.now().to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).take("20261122022704".len()).collect();
    PathBuf::from(format!("linecamp-support-{digits}.tar.gz"))
}

/// Collects a bundle and writes it to `output`.
///
/// # Errors
/// [`DaemonError::Bundle`] if it cannot be written. Missing parts are not an error.
pub fn write_bundle(
    site: &Installation,
    output: &Path,
    progress: impl FnMut(&Progress),
) -> Result<SavedBundle, DaemonError> {
    let now = SystemClock.now();
    let title =
        format!("Linecamp support bundle of a site, created at {now} by linecampd {}", env!("CARGO_PKG_VERSION"));
    let mut bundle = Bundle::new(title, redactor(site));
    let report = examine(site, progress);
    bundle.text("doctor.txt", "doctor report", &linecamp_doctor::table(&report));
    bundle.document("doctor.json", "doctor report as JSON", &report);
    let status: Result<LocalStatus, _> = ask(site, &LocalRequest::Status);
    bundle.answer("status.json", "site status", status);
    bundle.answer::<Vec<WhyLine>>("why.json", "what each part of the daemon waits for", ask(site, &LocalRequest::Why));
    bundle.answer::<LocalLabels>("labels.json", "effective labels", ask(site, &LocalRequest::Labels));
    bundle.answer::<Vec<LocalHost>>("hosts.json", "hosts", ask(site, &LocalRequest::Hosts));
    bundle.answer::<Vec<LocalProvider>>("providers.json", "providers", ask(site, &LocalRequest::Providers));
    bundle.answer::<Vec<DnsRecord>>("records.json", "DNS records", ask(site, &LocalRequest::Records));
    bundle.answer("configuration.json", "configuration files without comments", configuration(site));
    match journal(UNIT) {
        Ok(lines) => bundle.text("journal.txt", "last lines of the service's log", &lines),
        Err(words) => bundle.text("journal.txt", "the service's log", &format!("not available: {words}\n")),
    }
    bundle.document("system.json", "machine and versions", &system(now));
    bundle.document(
        "files.json",
        "names, sizes and owners of files in the data directory",
        &listing(site.directory.path()),
    );
    Ok(bundle.write(output)?)
}

fn ask<T: DeserializeOwned>(site: &Installation, request: &LocalRequest) -> Result<T, String> {
    exchange_within(&site.directory, request, ANSWER_LIMIT).map_err(|error| error_chain(&error))
}

/// Loads every readable secret of this site, so that it can be redacted.
fn redactor(site: &Installation) -> Redactor {
    let mut redactor = Redactor::default();
    let mut directories = vec![PathBuf::from(SECRETS_INSTALLED)];
    let mut files = vec![site.directory.path().join("identity/key.pem")];
    if let Ok(config) = site.read_config() {
        files.extend(config.plugins.secrets.into_values().filter_map(|secret| secret.file));
        files.extend(config.join.map(|join| join.token_file));
        directories.extend(config.plugins.credentials);
    }
    // Include the files named by a configuration that does not resolve.
    files.extend(written(site).iter().filter_map(|(_, table)| table.as_ref()).flat_map(named_files));
    for directory in directories {
        let entries = fs::read_dir(directory).into_iter().flatten().take(SECRETS_MAX).flatten();
        files.extend(entries.map(|entry| entry.path()));
    }
    for file in files {
        // A secret that cannot be read here can only appear in collected data if another process wrote it there.
        match linecamp_files::read_prefix(&file, SECRET_BYTES_MAX) {
            Ok(bytes) => redactor.add_secret(&bytes),
            // The value may be a secret that was entered instead of a path.
            Err(_) if !file.exists() => redactor.add_value(file.as_os_str().as_encoded_bytes()),
            Err(_) => {}
        }
    }
    for (_, value) in std::env::vars().filter(|(name, _)| linecamp_doctor::is_sensitive_name(name)) {
        redactor.add_value(value.as_bytes());
    }
    redactor
}

/// Returns the files that a configuration as written names as secrets or tokens.
fn named_files(written: &toml::Table) -> Vec<PathBuf> {
    let secrets = written.get("secrets").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let secrets = secrets.map(|secret| secret.get("file").unwrap_or(secret));
    let token = written.get("join").and_then(|join| join.get("token_file"));
    secrets.chain(token).filter_map(toml::Value::as_str).map(PathBuf::from).collect()
}

/// Reads the configuration file and its drop-ins; `None` for one that is not valid TOML.
fn written(site: &Installation) -> Vec<(PathBuf, Option<toml::Table>)> {
    let Some(file) = site.config_file() else { return Vec::new() };
    let is_ours = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "toml");
    let beside = fs::read_dir(file.with_extension("d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = beside.filter(is_ours).take(DROP_INS_MAX).collect();
    files.sort();
    files.insert(0, file);
    let parsed = |path: PathBuf| {
        let table = read_text(&path).ok().and_then(|text| text.parse().ok());
        (path, table)
    };
    files.into_iter().map(parsed).collect()
}

/// Returns the configuration without comments, which may contain anything.
fn configuration(site: &Installation) -> Result<Value, String> {
    let written = written(site);
    if written.is_empty() {
        return Ok(json!({ "note": "no configuration file; defaults apply" }));
    }
    // Parse errors may quote the file's text, so they are left out; the doctor's finding gives the line.
    let shown = written.into_iter().map(|(path, table)| {
        let value = table.and_then(|table| serde_json::to_value(table).ok());
        (path.display().to_string(), value.unwrap_or_else(|| json!("invalid TOML")))
    });
    Ok(Value::Object(shown.collect()))
}

#[derive(Debug, Serialize)]
struct System {
    at: String,
    linecampd: &'static str,
    program: Option<PathBuf>,
    /// Names only.
    variables: Vec<String>,
    files: BTreeMap<&'static str, String>,
}

fn system(now: WallTime) -> System {
    let is_of_interest = |name: &String| VARIABLES.iter().any(|start| name.starts_with(start));
    let fact = |path: &'static str| {
        let text = linecamp_files::read_prefix(Path::new(path), FACT_BYTES_MAX);
        let text = text.map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
        (path, text)
    };
    System {
        at: now.to_string(),
        linecampd: env!("CARGO_PKG_VERSION"),
        program: std::env::current_exe().ok(),
        variables: std::env::vars().map(|(name, _)| name).filter(is_of_interest).collect(),
        files: FACTS.into_iter().map(fact).collect(),
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    path: PathBuf,
    bytes: u64,
    mode: String,
    uid: u32,
    gid: u32,
    modified_unix: i64,
}

/// Lists a directory tree; never reads file contents.
fn listing(top: &Path) -> Vec<Listed> {
    let mut listed = Vec::new();
    let mut open = vec![(top.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if LISTED_MAX <= listed.len() {
            break;
        }
        if found.is_dir() && depth < DEPTH_MAX {
            let entries = fs::read_dir(&path).into_iter().flatten().take(LISTED_MAX).flatten();
            open.extend(entries.map(|entry| (entry.path(), depth + 1)));
        }
        listed.push(Listed {
            bytes: found.len(),
            mode: format!("{:o}", found.mode()),
            uid: found.uid(),
            gid: found.gid(),
            modified_unix: found.mtime(),
            path,
        });
    }
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    listed
}
