//! The commands `linecamp-server backup` and `linecamp-server restore`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use linecamp_backup::{KeyTextError, Recipient};
use linecamp_model::{Name, shell_quoted};
use linecamp_server::Layout;
use linecamp_server::backup::{
    BackupFile, BackupReport, BackupRequest, CheckedBackup, RestoreReport, RestoreRequest, SecretFiles, back_up, lock,
    restore, unlock, verify,
};
use linecamp_table::OutputFormat;
use serde_json::json;

use crate::{Data, Failure, parse_name, print_error, show};

/// A command that takes longer than this tells what it does.
const QUIET: Duration = Duration::from_secs(2);

const MIB: u64 = 1024 * 1024;

const BACKUP_EXAMPLES: &str = "\
Examples:
  linecamp-server backup camp.backup
  linecamp-server backup camp.backup.age --passphrase-file /etc/linecamp/passphrase
  linecamp-server backup camp.backup.age --recipient age1…
  linecamp-server backup --verify camp.backup";

/// Back up the server: database, authority, plugins, configuration
///
/// The server may be running. The backup has everything that was acknowledged before it began, at one revision. It is
/// written under a temporary name, read back and checked, and then renamed: an earlier backup under the same name is
/// replaced only by one that is complete.
///
/// The backup contains the private key of the certificate authority. Encrypt it, or keep it where only you can read it.
/// An encrypted backup has the format of `age`.
#[derive(Debug, Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub(crate) struct Backup {
    #[command(flatten)]
    data: Data,
    /// Backup to write; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check FILE instead of writing it; changes nothing
    #[arg(long, conflicts_with_all = ["config", "recipients"])]
    verify: bool,
    /// Configuration file of the server [default: that of the installed service]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Encrypt with the passphrase in the first line of a file; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recipients", "identity_file"])]
    passphrase_file: Option<PathBuf>,
    /// Encrypt for a public key, as printed by age-keygen; may be repeated
    #[arg(long = "recipient", value_name = "age1…", value_parser = parse_recipient)]
    recipients: Vec<Recipient>,
    /// With --verify: file with the identity of a recipient, as written by age-keygen
    #[arg(long, value_name = "FILE", requires = "verify")]
    identity_file: Option<PathBuf>,
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  linecamp-server restore camp.backup --data /var/lib/linecamp-server
  linecamp-server restore camp.backup.age --identity-file identity.txt --keep-key admin";

/// Restore a backup into an empty or absent directory
///
/// Everything is checked before anything is in place. What may have been removed or revoked after the backup is held:
/// sites, join tokens and API keys. Sites continue to work, and connect when an operator accepts them with `linecamp
/// restore accept`. All users are disabled, because some may have been removed or have lost roles since.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub(crate) struct Restore {
    /// Backup to restore; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    data: Data,
    /// File with the passphrase in its first line; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "identity_file")]
    passphrase_file: Option<PathBuf>,
    /// File with the identity of a recipient, as written by age-keygen
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
    /// API key of the server's console that stays usable; may be repeated
    #[arg(long = "keep-key", value_name = "NAME", value_parser = parse_name)]
    keep_keys: Vec<Name>,
}

fn parse_recipient(text: &str) -> Result<Recipient, KeyTextError> {
    Recipient::parse(text)
}

/// Returns a reporter of progress on stderr, for commands that take long.
fn progress(output: OutputFormat) -> impl FnMut(&str) {
    let began = Instant::now();
    move |doing: &str| {
        if output == OutputFormat::Table && QUIET <= began.elapsed() {
            print_error(&format!("{doing}…"), output);
        }
    }
}

pub(crate) fn run_backup(arguments: Backup, output: OutputFormat) -> Result<(), Failure> {
    let file = BackupFile::of_argument(&arguments.file);
    if arguments.verify {
        let secrets = SecretFiles { passphrase: arguments.passphrase_file, identities: arguments.identity_file };
        let checked = verify(&file, &unlock(&file, &secrets)?)?;
        return show_verified(&file, &checked, output);
    }
    let lock = lock(arguments.passphrase_file.as_deref(), arguments.recipients)?;
    let layout = Layout::new(&arguments.data.dir);
    let request = BackupRequest { layout: &layout, config: arguments.config.as_deref(), file: &file, lock: &lock };
    let report = back_up(&request, &mut progress(output))?;
    show_backup(&file, &report, output)
}

pub(crate) fn run_restore(arguments: Restore, output: OutputFormat) -> Result<(), Failure> {
    let file = BackupFile::of_argument(&arguments.file);
    let secrets = SecretFiles { passphrase: arguments.passphrase_file, identities: arguments.identity_file };
    let unlock = unlock(&file, &secrets)?;
    let layout = Layout::new(&arguments.data.dir);
    let request = RestoreRequest { file: &file, unlock: &unlock, layout: &layout, kept_keys: &arguments.keep_keys };
    let report = restore(&request, &mut progress(output))?;
    show_restored(&layout, &report, &arguments.keep_keys, output)
}

/// Returns the members of the JSON of a backup.
fn contents(checked: &CheckedBackup) -> serde_json::Value {
    json!({
        "taken_at": checked.manifest.taken_at.to_string(),
        "server_version": checked.manifest.server,
        "encrypted": checked.is_encrypted,
        "sites": checked.sites,
        "records": checked.records,
        "plugins": checked.plugins,
    })
}

fn summary(checked: &CheckedBackup) -> String {
    let (sites, plugins) = (counted(checked.sites, "site"), counted(checked.plugins, "plugin"));
    format!("{sites}, {plugins}, {}", counted(checked.records, "record"))
}

/// Formats a number of things.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn warn(warnings: &[String], output: OutputFormat) {
    if output == OutputFormat::Table {
        for warning in warnings {
            print_error(&format!("warning: {warning}"), output);
        }
    }
}

fn show_backup(file: &BackupFile, report: &BackupReport, output: OutputFormat) -> Result<(), Failure> {
    let BackupReport { checked, bytes, warnings } = report;
    let warnings: Vec<_> = warnings.iter().chain(&checked.warnings).cloned().collect();
    match bytes {
        Some(_) => warn(&warnings, output),
        // The JSON that would have them is not printed.
        None => warnings.iter().for_each(|warning| print_error(&format!("warning: {warning}"), OutputFormat::Table)),
    }
    if output == OutputFormat::Table && !checked.is_encrypted {
        let text = "note: the backup is not encrypted and contains the private key of the certificate authority";
        print_error(text, output);
    }
    // Standard output is the backup itself.
    let Some(bytes) = bytes else { return Ok(()) };
    let mut value = contents(checked);
    value["file"] = json!(file.to_string());
    value["bytes"] = json!(bytes);
    value["warnings"] = json!(warnings);
    let lines =
        [format!("backup written: {file}"), format!("verified: {}, {} MiB", summary(checked), bytes.div_ceil(MIB))];
    show(output, &value, &lines)
}

fn show_verified(file: &BackupFile, checked: &CheckedBackup, output: OutputFormat) -> Result<(), Failure> {
    warn(&checked.warnings, output);
    let mut value = contents(checked);
    value["file"] = json!(file.to_string());
    value["warnings"] = json!(checked.warnings);
    let how = if checked.is_encrypted { "encrypted" } else { "not encrypted" };
    let lines = [
        format!("{file}: ok, {how}, taken at {}", checked.manifest.taken_at),
        format!("verified: {}", summary(checked)),
    ];
    show(output, &value, &lines)
}

fn show_restored(layout: &Layout, report: &RestoreReport, kept: &[Name], output: OutputFormat) -> Result<(), Failure> {
    let RestoreReport { checked, held, other_config } = report;
    warn(&checked.warnings, output);
    let api_keys: Vec<_> = held.api_keys.iter().map(Name::as_str).collect();
    let mut value = contents(checked);
    value["directory"] = json!(layout.dir());
    value["warnings"] = json!(checked.warnings);
    value["other_config"] = json!(other_config);
    value["held"] = json!({ "sites": held.sites, "tokens": held.tokens, "api_keys": api_keys });
    let users: Vec<_> = held.disabled_users.iter().map(Name::as_str).collect();
    value["disabled_users"] = json!(users);
    let quoted = shell_quoted(layout.dir());
    let mut lines = vec![
        format!(
            "restored {}, taken at {}, into {}",
            summary(checked),
            checked.manifest.taken_at,
            layout.dir().display()
        ),
        format!(
            "held until an operator accepts them: {}, {}, {}{}",
            counted(held.sites, "site"),
            counted(held.tokens, "join token"),
            counted(api_keys.len(), "API key"),
            if api_keys.is_empty() { String::new() } else { format!(" ({})", api_keys.join(", ")) },
        ),
    ];
    if !users.is_empty() {
        lines.push(format!("disabled until an admin enables them: {}", users.join(", ")));
    }
    lines.extend(other_config.iter().map(|path| format!("configuration to put in place: {}", path.display())));
    lines.push(String::new());
    if kept.is_empty() {
        lines.push(format!("Create an API key:  linecamp-server key create --data {quoted} --name NAME"));
    }
    lines.extend([
        format!("Start the server:   linecamp-server run --data {quoted}"),
        "See what is held:   linecamp restore ls".to_owned(),
        "Accept it:          linecamp restore accept --all --yes, or --site, --token, --key".to_owned(),
    ]);
    if !users.is_empty() {
        lines.push("Enable a user:      linecamp user enable NAME".to_owned());
    }
    show(output, &value, &lines)
}
