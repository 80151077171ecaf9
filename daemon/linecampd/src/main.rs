//! `linecampd`: the command line of the site daemon.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | failure; a retry may succeed |
//! | 2 | bad arguments or configuration, or the data directory is in use by another process |
//! | 3 | operator action needed: join, install a newer build, repair a file, or ask an operator of the server |

#![forbid(unsafe_code)]

mod args;
mod config_check;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use linecamp_core::LabelLayer;
use linecamp_doctor::Progress;
use linecamp_model::{JoinTarget, LabelInput, LabelPatch, Level, MemberKind, Name, ServerAddress, shell_quoted};
use linecamp_proto::api::LabelChange;
use linecamp_proto::command_error::CommandError;
use linecamp_proto::local::{HostRemoval, HostTokenRevocation, LocalRequest, NewHostToken, RecordAdoption};
use linecamp_table::OutputFormat;
use linecamp_transport::error_chain;
use linecampd::config::{
    DOCKER_SOCKET_DEFAULT, FILE_BYTES_MAX, LOG_VARIABLE, Loaded, environment_labels, join_target, log_level, read_text,
    repeated_warning,
};
use linecampd::doctor::{self, Installation};
use linecampd::facts::FactSources;
use linecampd::join::{JoinCommand, Joined};
use linecampd::local_client;
use linecampd::{DaemonError, DataDirectory, daemon, forget, join, log, plugin, support_bundle};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::args::{
    Args, AskArgs, Command, ConfigCommand, DnsCommand, DoctorArgs, JoinArgs, LabelCommand, RunArgs, SupportArgs,
};

fn main() -> ExitCode {
    let Args { output, command } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return report_usage(&error),
    };
    let ask = |args: &AskArgs, request: &LocalRequest| ask(args, request, output);
    let result = match command {
        Command::Join(args) => do_join(args, output),
        Command::Run(args) => do_run(&args),
        Command::Status(args) => ask(&args, &LocalRequest::Status),
        Command::Why(args) => ask(&args, &LocalRequest::Why),
        Command::Metrics(args) => ask(&args, &LocalRequest::Metrics),
        Command::Label(args) => do_label(args.command, &ask),
        Command::Host(args) => match args.command {
            args::HostCommand::Ls(args) => ask(&args, &LocalRequest::Hosts),
            args::HostCommand::Rm { name, ask: args } => ask(&args, &LocalRequest::RemoveHost(HostRemoval { name })),
        },
        Command::Token(args) => match args.command {
            args::TokenCommand::Ls(args) => ask(&args, &LocalRequest::HostTokens),
            args::TokenCommand::Revoke { id, ask: args } => {
                ask(&args, &LocalRequest::RevokeHostToken(HostTokenRevocation { id }))
            }
            args::TokenCommand::Create { ttl, uses, quiet, ask: args } => {
                let new = NewHostToken { ttl_seconds: ttl.as_secs(), uses };
                match quiet {
                    true => local_client::create_host_token(&DataDirectory::new(&args.data), new)
                        .and_then(|join| print(&format!("{join}\n"), output)),
                    false => ask(&args, &LocalRequest::CreateHostToken(new)),
                }
            }
        },
        Command::Leave(args) => ask(&args, &LocalRequest::Leave),
        Command::Dns(args) => do_dns(args.command, &ask),
        Command::Provider(args) => match args.command {
            args::ProviderCommand::Ls(args) => ask(&args, &LocalRequest::Providers),
        },
        Command::Plugin(args) => match args.command {
            args::PluginCommand::Show { file, config } => do_show_plugin(&file, config.as_deref(), output),
        },
        Command::Forget(args) => do_forget(&args.data, output),
        Command::Config(args) => match args.command {
            ConfigCommand::Check { file } => do_check(&file, output),
        },
        Command::Doctor(args) => return do_doctor(args, output),
        Command::SupportBundle(args) => do_support_bundle(args, output),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            show(output, &json!({ "version": version }), &format!("linecampd {version}\n"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, output),
    }
}

/// Prints an error, for people or for programs. Returns the exit code.
fn report(error: &DaemonError, output: OutputFormat) -> ExitCode {
    let message = error_chain(error);
    let text = match output {
        OutputFormat::Table => format!("linecampd: {message}"),
        OutputFormat::Json => CommandError::new(error.code(), message, None).json(),
    };
    write_error(&text, output);
    ExitCode::from(error.exit_code())
}

/// Prints an error of parsing the command line, or the help that was asked for. Returns the exit code.
fn report_usage(error: &clap::Error) -> ExitCode {
    match OutputFormat::of_arguments(std::env::args_os()) {
        OutputFormat::Json if error.use_stderr() => {
            write_error(&CommandError::bad_arguments(&error.to_string()).json(), OutputFormat::Json);
        }
        // Write errors are ignored, as in `print_error`.
        OutputFormat::Json | OutputFormat::Table => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn do_run(args: &RunArgs) -> Result<(), DaemonError> {
    let config = Loaded::load(args.config.as_deref(), &variable)?.config;
    log::init(config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let path = args.config.clone();
    let load = move || Loaded::load(path.as_deref(), &variable).map(|loaded| loaded.config);
    let runtime = runtime()?;
    let result = runtime.block_on(daemon::run(DataDirectory::new(&args.data), config, Some(Box::new(load))));
    // Do not wait for a thread that is still writing a plugin chunk to disk: the file stays a partial upload.
    runtime.shutdown_background();
    result
}

fn do_join(args: JoinArgs, output: OutputFormat) -> Result<(), DaemonError> {
    // Failed attempts are printed to stderr anyway, in plain language.
    warn_of_visible_token(&args, output);
    let quiet = variable(LOG_VARIABLE).is_none();
    log::init(if quiet { LevelFilter::ERROR } else { log_level(None, &variable)? });
    let name = args.name.as_deref().map(Name::parse).transpose();
    let name = name.map_err(|error| DaemonError::Argument(format!("--name: {error}")))?;
    let site = args.site.as_deref().map(Name::parse).transpose();
    let site = site.map_err(|error| DaemonError::Argument(format!("--site: {error}")))?;
    let command = JoinCommand {
        target: read_target(args.target.as_deref(), args.token_file.as_deref())?,
        kind: if args.host { MemberKind::Host } else { MemberKind::Site },
        site,
        name,
        labels: join_labels(&args)?,
        environment: environment_labels(&variable),
        limit: args.timeout.into(),
        facts: FactSources::of_this_machine(Path::new(DOCKER_SOCKET_DEFAULT), true),
    };
    for warning in [&command.environment.invalid, &command.environment.repeated].into_iter().flatten() {
        print_error(&format!("warning: {warning}"));
    }
    let directory = DataDirectory::new(&args.data);
    let site = Installation { directory: directory.clone(), config: None, variable };
    let warnings = doctor::check_requirements(&site, show_progress());
    clear_progress();
    warnings?.iter().for_each(|warning| print_error(warning));
    let joined = runtime()?.block_on(join::join(directory, command, &mut print_error))?;
    if let Some(warning) = join::warn_of_configured_servers(&site).filter(|_| joined.was_member) {
        print_error(&warning);
    }
    let value = json!({
        "name": joined.name.as_str(),
        "environment": joined.environment.as_str(),
        "pending": joined.is_pending,
        "already_joined": joined.was_member,
        "servers_changed": joined.servers_changed,
    });
    show(output, &value, &describe_joined(&joined, &args.data))
}

fn describe_joined(joined: &Joined, data: &Path) -> String {
    let already = if joined.was_member { "already " } else { "" };
    let changed = if joined.servers_changed { ", and its server addresses are replaced" } else { "" };
    let pending = if joined.is_pending { ", waiting for an operator to accept it" } else { "" };
    format!(
        "{already}joined as {} in environment {}{pending}{changed}; start the daemon: linecampd run --data {}\n",
        joined.name,
        joined.environment,
        shell_quoted(data)
    )
}

/// Reads the join target from the argument, from stdin if the argument is `-`, or from a file.
fn read_target(argument: Option<&str>, token_file: Option<&Path>) -> Result<JoinTarget, DaemonError> {
    let servers = |text: &str| -> Result<Vec<ServerAddress>, DaemonError> { Ok(ServerAddress::parse_list(text)?) };
    let (text, servers) = match (argument, token_file) {
        (None, Some(file)) => (read_text(file)?, Vec::new()),
        (Some(argument), Some(file)) => (read_text(file)?, servers(argument.trim_start_matches('@'))?),
        (Some("-"), None) => (read_stdin()?, Vec::new()),
        (Some(argument), None) => match argument.strip_prefix("-@") {
            Some(addresses) => (read_stdin()?, servers(addresses)?),
            None => (argument.to_owned(), Vec::new()),
        },
        (None, None) => {
            let problem = "a join token is required: pass `-` to read TOKEN@HOST:PORT from stdin, or --token-file FILE";
            return Err(DaemonError::Argument(problem.to_owned()));
        }
    };
    Ok(join_target(&text, &servers)?)
}

/// Reads the first line of stdin.
fn read_stdin() -> Result<String, DaemonError> {
    if io::stdin().is_terminal() {
        print_error("Enter the join token, as printed by `linecamp token create -q`:");
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(FILE_BYTES_MAX)
        .read_line(&mut text)
        .map_err(|error| DaemonError::Argument(format!("cannot read the join token from stdin: {error}")))?;
    Ok(text)
}

/// Warns about a token in the arguments. Programs, which request JSON, know how they call this one.
fn warn_of_visible_token(args: &JoinArgs, output: OutputFormat) {
    let has_token = args.token_file.is_none() && args.target.as_ref().is_some_and(|target| !target.starts_with('-'));
    if has_token && output == OutputFormat::Table {
        print_error(
            "warning: all users of this machine can see the join token in the arguments of this process; write it to \
             stdin instead: linecampd join -",
        );
    }
}

/// Returns the labels that a person sets with the join.
fn join_labels(args: &JoinArgs) -> Result<LabelLayer, DaemonError> {
    let site = label_arguments("--label", &args.labels)?;
    let mut host = label_arguments("--host-label", &args.host_labels)?;
    if args.host {
        host.extend(site);
        return Ok(LabelLayer::from([(Level::Host, host)]));
    }
    Ok(LabelLayer::from([(Level::Site, site), (Level::Host, host)]))
}

fn label_arguments(
    option: &str,
    texts: &[String],
) -> Result<BTreeMap<linecamp_model::LabelKey, linecamp_model::LabelValue>, DaemonError> {
    let input = LabelInput::parse_list(texts).map_err(|error| DaemonError::Argument(format!("{option}: {error}")))?;
    if let Some(warning) = repeated_warning(option, &input) {
        print_error(&format!("warning: {warning}"));
    }
    Ok(input.labels)
}

/// Sends a request to the daemon and prints its answer.
type Ask<'a> = dyn Fn(&AskArgs, &LocalRequest) -> Result<(), DaemonError> + 'a;

fn do_label(command: LabelCommand, ask: &Ask<'_>) -> Result<(), DaemonError> {
    let level = |is_host| if is_host { Level::Host } else { Level::Site };
    match command {
        LabelCommand::Ls(args) => ask(&args, &LocalRequest::Labels),
        LabelCommand::Set { labels, host, ask: args } => {
            let set = label_arguments("label set", &labels)?;
            let change = LabelChange::from(&LabelPatch { set, ..LabelPatch::default() });
            ask(&args, &LocalRequest::ChangeLabels { level: level(host), change })
        }
        LabelCommand::Rm { keys, host, ask: args } => {
            let change = LabelChange { remove: keys, ..LabelChange::default() };
            ask(&args, &LocalRequest::ChangeLabels { level: level(host), change })
        }
    }
}

fn do_dns(command: DnsCommand, ask: &Ask<'_>) -> Result<(), DaemonError> {
    match command {
        DnsCommand::Ls(args) => ask(&args, &LocalRequest::Records),
        DnsCommand::Plan(args) => ask(&args, &LocalRequest::PlanRecords),
        DnsCommand::Adopt { provider, zone, name, rtype, ask: args } => {
            ask(&args, &LocalRequest::AdoptRecord(RecordAdoption { zone, name, rtype, provider }))
        }
    }
}

fn do_show_plugin(file: &Path, config: Option<&Path>, output: OutputFormat) -> Result<(), DaemonError> {
    let config = Loaded::load(config, &variable)?.config;
    print(&plugin::show(file, &config.plugins, output)?, output)
}

/// Exit code 1 means that a check failed.
fn do_doctor(args: DoctorArgs, output: OutputFormat) -> ExitCode {
    let site = Installation { directory: DataDirectory::new(&args.data), config: args.config, variable };
    let report = doctor::examine(&site, show_progress());
    clear_progress();
    let text = match output {
        OutputFormat::Table => linecamp_doctor::table(&report),
        OutputFormat::Json => report.json(),
    };
    match print(&text, output) {
        Ok(()) if !report.has_failed() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => self::report(&error, output),
    }
}

fn do_support_bundle(args: SupportArgs, output: OutputFormat) -> Result<(), DaemonError> {
    let site = Installation { directory: DataDirectory::new(&args.data), config: args.config, variable };
    let file = args.file.unwrap_or_else(support_bundle::default_output);
    let written = support_bundle::write_bundle(&site, &file, show_progress());
    clear_progress();
    let written = written?;
    show(output, &json!({ "file": written.path, "bytes": written.bytes }), &written.report())
}

/// On a terminal, shows the checks that are still running, on one line that is rewritten.
fn show_progress() -> impl FnMut(&Progress) {
    let is_terminal = io::stderr().is_terminal();
    move |progress: &Progress| {
        if is_terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K{}", linecamp_doctor::progress_line(progress));
        }
    }
}

fn clear_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}

fn do_forget(data: &Path, output: OutputFormat) -> Result<(), DaemonError> {
    forget::forget(&DataDirectory::new(data))?;
    let text = format!(
        "deleted the site in {}; the server lists it until an operator removes it: linecamp site rm NAME\n",
        data.display()
    );
    show(output, &json!({ "forgotten": data }), &text)
}

fn do_check(file: &Path, output: OutputFormat) -> Result<(), DaemonError> {
    let loaded = Loaded::load(Some(file), &variable);
    let is_json = output == OutputFormat::Json;
    if is_json {
        print(&config_check::json(&loaded), output)?;
    }
    let loaded = loaded?;
    if is_json {
        return Ok(());
    }
    for warning in &loaded.config.warnings {
        print_error(&format!("warning: {warning}"));
    }
    print(&config_check::text(file, &loaded), output)
}

fn ask(args: &AskArgs, request: &LocalRequest, output: OutputFormat) -> Result<(), DaemonError> {
    print(&local_client::ask(&DataDirectory::new(&args.data), request, output)?, output)
}

fn runtime() -> Result<tokio::runtime::Runtime, DaemonError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DaemonError::System { what: "start the runtime", source })
}

/// Reads an environment variable, for resolving a configuration.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Writes a result to stdout: `value` as JSON, or `text`.
fn show(output: OutputFormat, value: &Value, text: &str) -> Result<(), DaemonError> {
    match output {
        OutputFormat::Table => print(text, output),
        OutputFormat::Json => print(&format!("{value:#}\n"), output),
    }
}

/// Writes a result in `format` to stdout. A broken pipe is not an error: the reader has what it needs.
fn print(text: &str, format: OutputFormat) -> Result<(), DaemonError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(format.safe_output(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(DaemonError::System { what: "write to stdout", source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a message for people to stderr.
fn print_error(text: &str) {
    write_error(text, OutputFormat::Table);
}

/// Writes a message in `format` to stderr. Write errors are ignored.
fn write_error(text: &str, format: OutputFormat) {
    let _ = writeln!(io::stderr().lock(), "{}", format.safe_output(text));
}
