//! `linecamp-server`: the server that manages a fleet of sites.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | success, or stopped on request |
//! | 1 | failure; a retry may help: address in use, clock earlier than the authority's certificate, directory in use |
//! | 2 | invalid arguments or configuration |
//! | 3 | operator action required: the authority or the database is missing, corrupt or too new |

#![forbid(unsafe_code)]

mod account_commands;
mod backup_command;
mod run;

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use linecamp_model::Name;
use linecamp_proto::command_error::{CommandError, CommandErrorCode, FailureCode};
use linecamp_server::log::{Log, LogError};
use linecamp_server::{
    Config, DATA_DIR_DEFAULT, FILE_DEFAULT, Layout, Overrides, SAMPLE, ServerError, ServerUrl, TracesError, doctor,
    init,
};
use linecamp_table::OutputFormat;
use linecamp_transport::error_chain;
use serde_json::{Value, json};

use crate::account_commands::{KeyCommand, UserCommand};
use crate::backup_command::{Backup, Restore, run_backup, run_restore};
use crate::run::Source;

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_OPERATOR: u8 = 3;

/// The environment variable that overrides the key `log`.
const LOG_VARIABLE: &str = "LINECAMP_LOG";

/// Bytes of a running server's command line.
const COMMAND_LINE_BYTES_MAX: u64 = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  linecamp-server init --data /var/lib/linecamp-server --server-url https://camp.example:8443
  linecamp-server run --data /var/lib/linecamp-server
  linecamp-server key create --data /var/lib/linecamp-server --name ci
  linecamp-server backup --data /var/lib/linecamp-server camp.backup
  linecamp-server user reset-password --data /var/lib/linecamp-server admin

Exit codes: 0 done, 1 failed, 2 bad arguments or configuration, 3 needs an operator.
With -o json, errors are JSON with a code.";

/// Run and administer the server of a fleet of edge sites
#[derive(Debug, Parser)]
#[command(name = "linecamp-server", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    /// Output format of results and errors: table or json
    #[arg(short, long, global = true, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    #[arg(value_parser = PossibleValuesParser::new(OutputFormat::NAMES).try_map(|name| name.parse::<OutputFormat>()))]
    output: OutputFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a server: certificate authority, database, first admin key and user, configuration
    Init(Init),
    /// Run the server until SIGTERM or SIGINT
    Run(Run),
    /// Manage API keys of the console (requires a stopped server)
    #[command(subcommand)]
    Key(KeyCommand),
    Backup(Backup),
    Restore(Restore),
    /// Let a user in whose password is lost (requires a stopped server)
    #[command(subcommand)]
    User(UserCommand),
    /// Validate the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Diagnose problems with this server: authority, database, ports, names, certificate, disk
    ///
    /// Changes nothing. Works with and without a running server, and takes 12 seconds at most. Run it as root or as the
    /// server's user; other users cannot read all files. Exits with code 0 if no check fails, and 1 otherwise.
    Doctor(Doctor),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
struct Data {
    /// Data directory
    #[arg(long = "data", value_name = "DIR", default_value = DATA_DIR_DEFAULT)]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Init {
    #[command(flatten)]
    data: Data,
    /// URL at which operators reach the server
    #[arg(long, value_name = "https://HOST:PORT", value_parser = parse_url)]
    server_url: ServerUrl,
    /// Additional DNS name or IP address for the server's certificate; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    data: Data,
    /// Configuration file that overrides DIR/server.toml, with drop-ins in NAME.d next to it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen address for operators (TCP); port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    https: Option<SocketAddr>,
    /// Listen address for sites (UDP); port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
    /// Log filter: error, warn, info, debug or trace, optionally per module
    #[arg(long, value_name = "FILTER", env = LOG_VARIABLE)]
    log: Option<String>,
}

#[derive(Debug, Args)]
struct Doctor {
    #[command(flatten)]
    data: Data,
    /// Configuration file [default: that of the running server or of the installed service]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen address for operators (TCP) [default: that of the running server or of the configuration]
    #[arg(long, value_name = "ADDR")]
    https: Option<SocketAddr>,
    /// Listen address for sites (UDP) [default: that of the running server or of the configuration]
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Validate the configuration and list the files and variables read
    #[command(after_long_help = SAMPLE, term_width = 0)]
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// Configuration file; drop-ins are read from NAME.d next to it [default: /etc/linecamp/server.toml]
    file: Option<PathBuf>,
    /// Data directory, whose server.toml is read first [default: none; without FILE, /var/lib/linecamp-server]
    #[arg(long = "data", value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Cli { output, command } = match Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return report_usage(&error),
    };
    let result = match command {
        Command::Init(arguments) => run_init(&arguments, output),
        Command::Run(arguments) => run_server(arguments),
        Command::Backup(arguments) => run_backup(arguments, output),
        Command::Restore(arguments) => run_restore(arguments, output),
        Command::Key(command) => command.run(output),
        Command::User(command) => command.run(output),
        Command::Config(ConfigCommand::Check(arguments)) => check_config(&arguments, output),
        Command::Doctor(arguments) => return run_doctor(arguments, output),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            show(output, &json!({ "version": version }), &[format!("linecamp-server {version}")])
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, output),
    }
}

/// Why the process exits with a nonzero code.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("failed to write to standard output")]
    Print(#[source] io::Error),
    #[error("failed to start the runtime")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Traces(#[from] TracesError),
}

impl Failure {
    /// Returns the code for programs.
    fn code(&self) -> CommandErrorCode {
        match self {
            Self::Server(error) => error.code(),
            Self::Log(_) => FailureCode::ConfigInvalid.into(),
            Self::Print(_) => FailureCode::FileFailed.into(),
            Self::Runtime(_) | Self::Traces(_) => FailureCode::SystemFailed.into(),
        }
    }
}

/// Prints an error, for people or for programs. Returns the exit code.
fn report(failure: &Failure, output: OutputFormat) -> ExitCode {
    let (code, advice) = match failure {
        Failure::Server(error) if error.needs_operator() => (EXIT_OPERATOR, error.advice()),
        Failure::Server(error) if error.blames_input() => (EXIT_USAGE, error.advice()),
        Failure::Server(error) => (EXIT_FAILED, error.advice()),
        Failure::Log(_) => (EXIT_USAGE, None),
        Failure::Print(_) | Failure::Runtime(_) | Failure::Traces(_) => (EXIT_FAILED, None),
    };
    let message = error_chain(failure);
    let text = match (output, advice) {
        (OutputFormat::Json, advice) => CommandError::new(failure.code(), message, advice).json(),
        (OutputFormat::Table, Some(advice)) => format!("linecamp-server: {message}\n  {advice}"),
        (OutputFormat::Table, None) => format!("linecamp-server: {message}"),
    };
    print_error(&text, output);
    code.into()
}

/// Prints an error of parsing the command line, or the help that was asked for. Returns the exit code.
fn report_usage(error: &clap::Error) -> ExitCode {
    match OutputFormat::of_arguments(std::env::args_os()) {
        OutputFormat::Json if error.use_stderr() => {
            print_error(&CommandError::bad_arguments(&error.to_string()).json(), OutputFormat::Json);
        }
        // Write errors are ignored, as in `print_error`.
        OutputFormat::Json | OutputFormat::Table => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE))
}

/// Writes a message in `format` to stderr. If stderr is closed, nobody reads it.
fn print_error(text: &str, format: OutputFormat) {
    drop(writeln!(io::stderr().lock(), "{}", format.safe_output(text)));
}

/// Writes a result to stdout: `value` as JSON, or `lines`.
fn show(output: OutputFormat, value: &Value, lines: &[String]) -> Result<(), Failure> {
    match output {
        OutputFormat::Table => print_lines(lines, output),
        OutputFormat::Json => print_lines(&[format!("{value:#}")], output),
    }
}

fn run_init(arguments: &Init, output: OutputFormat) -> Result<(), Failure> {
    let layout = Layout::new(&arguments.data.dir);
    let created = init(&layout, &arguments.server_url, &arguments.names)?;
    let value = json!({
        "admin_key": created.admin_key.reveal(),
        "admin_password": created.reveal_password(),
        "pin": created.pin.to_string(),
        "directory": layout.dir(),
        "server_url": arguments.server_url.to_string(),
    });
    show(output, &value, &created.report(&layout, &arguments.server_url))
}

/// Runs the doctor. Exits with code 1 if a check fails, which is a result and not an error of the command.
fn run_doctor(arguments: Doctor, output: OutputFormat) -> ExitCode {
    let target = doctor_target(arguments);
    let is_terminal = io::stderr().is_terminal();
    let show_progress = |text: &str| {
        if is_terminal {
            // Progress overwrites one line.
            drop(write!(io::stderr().lock(), "\r\x1b[K{text}"));
        }
    };
    let report = doctor::examine(&target, |progress| show_progress(&linecamp_doctor::progress_line(progress)));
    show_progress("");
    let text = match output {
        OutputFormat::Table => linecamp_doctor::table(&report),
        OutputFormat::Json => report.json(),
    };
    match print_lines(&[text.trim_end().to_owned()], output) {
        Ok(()) if !report.has_failed() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(failure) => self::report(&failure, output),
    }
}

/// Returns what the doctor examines: with the flags that it was given, then those of the running server.
fn doctor_target(arguments: Doctor) -> doctor::Target {
    let Doctor { data, config, https, quic } = arguments;
    let mut target = doctor::Target { layout: Layout::new(data.dir), config, overrides: Overrides::default() };
    let running = target.running().and_then(run_arguments);
    let known = |address: &SocketAddr| address.port() != 0;
    if let Some(Run { config, https, quic, .. }) = running {
        target.config = target.config.or_else(|| config.filter(|path| path.is_absolute()));
        target.overrides = Overrides { https: https.filter(known), quic: quic.filter(known), log: None };
    }
    target.overrides.https = https.or(target.overrides.https);
    target.overrides.quic = quic.or(target.overrides.quic);
    target
}

/// Returns the arguments of the server that runs as process `pid`, as far as this user may read them.
fn run_arguments(pid: u32) -> Option<Run> {
    let path = format!("/proc/{pid}/cmdline");
    let line = linecamp_files::read_prefix(Path::new(&path), COMMAND_LINE_BYTES_MAX).ok()?;
    let words = line.strip_suffix(&[0])?.split(|byte| *byte == 0).map(OsStr::from_bytes);
    match Cli::try_parse_from(words).ok()?.command {
        Command::Run(arguments) => Some(arguments),
        _ => None,
    }
}

fn check_config(arguments: &Check, output: OutputFormat) -> Result<(), Failure> {
    let checked = validate_config(arguments);
    if output == OutputFormat::Json {
        let answer = match &checked {
            Ok((files, variables)) => json!({"ok": true, "files": files, "variables": variables, "warnings": []}),
            Err(failure) => json!({"ok": false, "problem": error_chain(failure)}),
        };
        print_lines(&[format!("{answer:#}")], output)?;
        return checked.map(|_| ());
    }
    let (files, variables) = checked?;
    let path = arguments.file.as_deref().unwrap_or_else(|| Path::new(FILE_DEFAULT));
    let files = files.iter().map(|file| format!("  file      {}", file.display()));
    let variables = variables.iter().map(|variable| format!("  variable  {variable}"));
    let all: Vec<_> = [format!("{}: ok", path.display())].into_iter().chain(files).chain(variables).collect();
    print_lines(&all, output)
}

/// Validates a configuration and returns the files and variables read.
fn validate_config(arguments: &Check) -> Result<(Vec<PathBuf>, Vec<&'static str>), Failure> {
    let path = arguments.file.as_deref().unwrap_or_else(|| Path::new(FILE_DEFAULT));
    let dir = match (&arguments.dir, &arguments.file) {
        (Some(dir), _) => Some(dir.clone()),
        (None, None) => Some(PathBuf::from(DATA_DIR_DEFAULT)),
        (None, Some(_)) => None,
    };
    let base = dir.as_deref().map(|dir| Layout::new(dir).config()).filter(|base| base.exists());
    let layers = Config::read_layers(base.as_deref(), Some(path))?;
    let log = std::env::var(LOG_VARIABLE).ok().filter(|filter| !filter.is_empty());
    let variables = log.iter().map(|_| LOG_VARIABLE).collect();
    let overrides = Overrides { log, ..Overrides::default() };
    let config = Config::resolve(Layout::new(dir.unwrap_or_else(|| ".".into())), &layers, overrides)?;
    Log::check(&config.log)?;
    if let Some(files) = &config.https_certificate {
        files.load(config.server_url.host()).map_err(ServerError::from)?;
    }
    Ok((layers.files().to_vec(), variables))
}

fn run_server(arguments: Run) -> Result<(), Failure> {
    let overrides = Overrides { https: arguments.https, quic: arguments.quic, log: arguments.log };
    run::run(&Source { layout: Layout::new(arguments.data.dir), path: arguments.config, overrides })
}

fn print_lines(lines: &[String], format: OutputFormat) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let print = |line: &String| writeln!(stdout, "{}", format.safe_output(line));
    lines.iter().try_for_each(print).map_err(Failure::Print)
}

fn parse_url(text: &str) -> Result<ServerUrl, String> {
    ServerUrl::parse(text)
}

fn parse_name(text: &str) -> Result<Name, linecamp_model::NameError> {
    Name::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_with_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_prints_the_sample_configuration_as_it_is() {
        let mut cli = Cli::command();
        cli.build();
        let config = cli.find_subcommand_mut("config").expect("a command");
        let check = config.find_subcommand_mut("check").expect("a command");
        let help = check.render_long_help().to_string();
        let start = help.find(SAMPLE.trim_end()).expect("the sample, line by line");
        let pasted: toml::Table = toml::from_str(&help[start..]).expect("TOML");
        assert_eq!(pasted, toml::from_str(SAMPLE).expect("TOML"));
    }

    #[test]
    fn every_command_has_a_man_page() {
        linecamp_pages::write(&Cli::command());
    }
}
