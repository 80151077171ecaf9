//! `linecamp-server`: the one place from which a fleet of sites is looked after.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done, or stopped because it was asked to |
//! | 1 | failed; trying again may help: an address in use, a clock before its authority, a directory in use |
//! | 2 | bad arguments or config |
//! | 3 | needs an operator: the authority or the database is missing, damaged or too new |

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use linecamp_model::Name;
use linecamp_server::{
    Config, ConfigFile, Layout, Overrides, Server, ServerError, ServerUrl, create_key, describe, doctor, init, keys,
    remove_key,
};
use linecamp_service::ServiceManager;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The data directory of the service that the packages install.
const DATA_DEFAULT: &str = "/var/lib/linecamp-server";

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_OPERATOR: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  linecamp-server init --data /var/lib/linecamp-server --server-url https://camp.example:8443
  linecamp-server run --data /var/lib/linecamp-server
  linecamp-server key create --data /var/lib/linecamp-server --name ci

Exit codes: 0 done, 1 failed, 2 bad arguments or config, 3 needs an operator.";

/// Looks after a fleet of sites from one place
#[derive(Debug, Parser)]
#[command(name = "linecamp-server", version, after_help = EXAMPLES, disable_help_subcommand = true)]
enum Cli {
    /// Makes a server: its authority, its database, its first admin key, its configuration
    Init(Init),
    /// Runs the server until it is told to stop (SIGTERM, SIGINT)
    Run(Run),
    /// API keys; only while the server is stopped
    #[command(subcommand)]
    Key(Key),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Finds out what is wrong here: authority, database, ports, names, certificate, disk; changes nothing
    ///
    /// Works with and without a running server. Takes 12 seconds at most. Run it as root, or as the user who runs the
    /// server: others may not look at everything. Exit code 0 if nothing fails, 1 if something does.
    Doctor(Doctor),
    /// Prints the version
    Version,
}

#[derive(Debug, Args)]
struct Data {
    /// The server's directory
    #[arg(long = "data", value_name = "DIR", default_value = DATA_DEFAULT)]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Init {
    #[command(flatten)]
    data: Data,
    /// Where operators will reach the server
    #[arg(long, value_name = "https://HOST:PORT", value_parser = parse_url)]
    server_url: ServerUrl,
    /// Another name or address of the server, for its certificate; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    data: Data,
    /// The configuration, instead of DIR/server.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen for operators (TCP); port 0 takes any
    #[arg(long, value_name = "ADDR")]
    https: Option<SocketAddr>,
    /// Where to listen for sites (UDP); port 0 takes any
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
    /// What to log: error, warn, info, debug, trace, or by part
    #[arg(long, value_name = "FILTER", env = "LINECAMP_LOG")]
    log: Option<String>,
}

#[derive(Debug, Args)]
struct Doctor {
    #[command(flatten)]
    data: Data,
    /// The configuration, instead of DIR/server.toml or that of the installed service
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to show what was found
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
enum Key {
    /// Makes an API key and prints it, once
    Create {
        #[command(flatten)]
        data: Data,
        /// Whose it is
        #[arg(long, value_parser = parse_name)]
        name: Name,
    },
    /// Lists the API keys, without their secrets
    Ls {
        #[command(flatten)]
        data: Data,
    },
    /// Takes an API key away
    Rm {
        #[command(flatten)]
        data: Data,
        /// Which
        #[arg(long, value_parser = parse_name)]
        name: Name,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether the server would take this file
    Check {
        /// The file
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse() {
        Cli::Init(arguments) => run_init(&arguments),
        Cli::Run(arguments) => run_server(arguments),
        Cli::Key(command) => run_key(command),
        Cli::Config(ConfigCommand::Check { file }) => check_config(&file),
        Cli::Doctor(arguments) => return run_doctor(arguments),
        Cli::Version => say(&[format!("linecamp-server {}", env!("CARGO_PKG_VERSION"))]),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// Why the process ends with another code than 0.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("failed to print")]
    Print(#[source] io::Error),
    #[error("failed to begin")]
    Begin(#[source] io::Error),
    #[error("`{filter}` is no log filter ({problem}); write error, warn, info, debug or trace")]
    Log { filter: String, problem: String },
}

fn report(failure: &Failure) -> ExitCode {
    let (code, advice) = match failure {
        Failure::Server(error) if error.needs_operator() => (EXIT_OPERATOR, error.advice()),
        Failure::Server(error) if error.blames_input() => (EXIT_USAGE, error.advice()),
        Failure::Server(error) => (EXIT_FAILED, error.advice()),
        Failure::Log { .. } => (EXIT_USAGE, None),
        Failure::Print(_) | Failure::Begin(_) => (EXIT_FAILED, None),
    };
    let mut stderr = io::stderr().lock();
    // Whoever closed it does not want to know.
    drop(writeln!(stderr, "linecamp-server: {}", describe(failure)));
    if let Some(advice) = advice {
        drop(writeln!(stderr, "  {advice}"));
    }
    code.into()
}

fn run_init(arguments: &Init) -> Result<(), Failure> {
    let layout = Layout::new(&arguments.data.dir);
    let made = init(&layout, &arguments.server_url, &arguments.names)?;
    say(&made.report(&layout, &arguments.server_url))
}

/// Exit code 1 if something fails: that is a finding, and no failure of ours.
fn run_doctor(arguments: Doctor) -> ExitCode {
    let place = doctor::Place { layout: Layout::new(arguments.data.dir), config: arguments.config };
    let is_terminal = io::stderr().is_terminal();
    let clear = |words: &str| {
        if is_terminal {
            // Always the same line, for whoever waits.
            drop(write!(io::stderr().lock(), "\r\x1b[K{words}"));
        }
    };
    let report = doctor::examine(&place, |progress| clear(&linecamp_doctor::progress_line(progress)));
    clear("");
    let text = match arguments.output {
        Format::Table => linecamp_doctor::table(&report),
        Format::Json => report.json(),
    };
    match say(&[text.trim_end().to_owned()]) {
        Ok(()) if !report.has_failed() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(failure) => self::report(&failure),
    }
}

fn run_key(command: Key) -> Result<(), Failure> {
    match command {
        Key::Create { data, name } => {
            let key = create_key(&Layout::new(data.dir), name.clone())?;
            say(&[format!("{name} key: {}", key.reveal())])
        }
        Key::Ls { data } => {
            let keys = keys(&Layout::new(data.dir))?;
            let lines: Vec<_> = keys.iter().map(|key| format!("{:<24}{}", key.name, key.created_at)).collect();
            say(&lines)
        }
        Key::Rm { data, name } => {
            remove_key(&Layout::new(data.dir), name.clone())?;
            say(&[format!("{name} is removed")])
        }
    }
}

fn check_config(file: &std::path::Path) -> Result<(), Failure> {
    let place = file.display().to_string();
    let written = ConfigFile::read(file)?;
    let config = Config::resolve(Layout::new("."), written, Overrides::default(), &place)?;
    parse_filter(&config.log)?;
    say(&[format!("{place} is fine")])
}

fn run_server(arguments: Run) -> Result<(), Failure> {
    let overrides = Overrides { https: arguments.https, quic: arguments.quic, log: arguments.log };
    let layout = Layout::new(arguments.data.dir);
    let config = Config::load(layout, arguments.config.as_deref(), overrides)?;
    tracing_subscriber::fmt()
        .with_env_filter(parse_filter(&config.log)?)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Begin)?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Begin)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Begin)?;
    let mut server = Server::start(config).await?;
    tracing::info!("https listening on {}", server.https_addr());
    tracing::info!("quic listening on {}", server.quic_addr());
    let mut manager = ServiceManager::of_environment();
    manager.ready();
    manager.status(&format!("https on {}, quic on {}", server.https_addr(), server.quic_addr()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = server.ended() => ended?,
    }
    server.stop().await?;
    Ok(())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, Failure> {
    filter.parse().map_err(|error| Failure::Log { filter: filter.to_owned(), problem: format!("{error}") })
}

fn say(lines: &[String]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let print = |line| writeln!(stdout, "{line}");
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
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_page() {
        linecamp_pages::write(&Cli::command());
    }
}
