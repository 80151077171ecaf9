//! `linecamp`: the operator's command line.
//!
//! A command goes through four stages. Its arguments are parsed to the end (`argument`), so that what is mistyped
//! never reaches the network. The login is resolved (`config`): where the server is, whom to trust, which key. One
//! connection is opened, when the first request needs it (`client`). What comes back is shown (`output`), as a
//! table for people or as the API's own JSON. There is one file per noun, and it holds the noun's clap definitions.
//!
//! Nothing is decided here that the server does not decide again, and nothing is kept but the login. Two commands need
//! no server: those for who writes a provider.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done; also: the reader of the output went away, or Ctrl-C ended a `tail` |
//! | 1 | failed: the server was not reached, or refused; a component does not keep the contract |
//! | 2 | bad arguments or config; nothing was asked of the server, or the server could not read it |
//! | 3 | needs an operator: the key is not accepted, or the server is not the one we trust |

#![forbid(unsafe_code)]

mod argument;
mod bulk;
mod client;
mod config;
mod dns;
mod environment;
mod event;
mod global;
mod host;
mod installer;
mod login;
mod output;
mod plugin;
mod provider;
mod site;
mod state;
mod support;
mod token;
mod version;

use std::process::ExitCode;

use clap::Parser;

use crate::argument::ArgumentError;
use crate::client::ClientError;
use crate::config::{ConfigError, ProcessEnv};
use crate::global::{Context, Global};
use crate::output::OutputError;

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_OPERATOR: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  linecamp login https://camp.example:8443 --pin sha256:… --key-file key.txt
  linecamp token create --ttl 24h --uses 50 --label region=eu
  linecamp site ls -l 'region=eu, tier!=lab'
  linecamp site show camp-042
  linecamp event tail

Exit codes: 0 done, 1 failed, 2 bad arguments or config, 3 needs an operator.";

/// Looks after a fleet of sites: asks a linecamp-server, and tells it
#[derive(Debug, Parser)]
#[command(name = "linecamp", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Login(login::Login),
    Logout(login::Logout),
    /// Join tokens: the secrets with which sites join
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Sites: list, label, take in and out of service, remove
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// Hosts: the machines at the sites
    #[command(subcommand)]
    Host(host::HostCommand),
    /// Environments: each with its own tokens, sites and rules
    #[command(subcommand)]
    Environment(environment::EnvironmentCommand),
    /// Providers: which sites keep which DNS records, and with which plugin
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Plugins: the components with which sites reach DNS services
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// DNS: the records that sites keep, and those they plan
    #[command(subcommand)]
    Dns(dns::DnsCommand),
    /// Events: what happened
    #[command(subcommand)]
    Event(event::EventCommand),
    SupportBundle(support::SupportBundle),
    Version(version::Version),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(cli.global, &ProcessEnv);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            context.out.note(&format!("linecamp: failed to begin: {error}"));
            return EXIT_FAILED.into();
        }
    };
    let result = runtime.block_on(run(cli.command, &context));
    // A name look-up that never ends must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, &context),
    }
}

async fn run(command: Command, context: &Context<'_>) -> anyhow::Result<()> {
    match command {
        Command::Login(login) => login.run(context).await,
        Command::Logout(logout) => logout.run(context),
        Command::Token(command) => command.run(context).await,
        Command::Site(command) => command.run(context).await,
        Command::Host(command) => command.run(context).await,
        Command::Environment(command) => command.run(context).await,
        Command::Provider(command) => command.run(context).await,
        Command::Plugin(command) => command.run(context).await,
        Command::Dns(command) => command.run(context).await,
        Command::Event(command) => command.run(context).await,
        Command::SupportBundle(support) => support.run(context).await,
        Command::Version(version) => version.run(context).await,
    }
}

/// Says what went wrong, once, with what to do about it; returns the exit code.
fn report(error: &anyhow::Error, context: &Context<'_>) -> ExitCode {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return ExitCode::SUCCESS;
    }
    context.out.note(&format!("linecamp: {error:#}"));
    if let Some(advice) = advice(error) {
        context.out.note(&format!("  {advice}"));
    }
    exit_code(error).into()
}

fn advice(error: &anyhow::Error) -> Option<String> {
    let client = error.downcast_ref().and_then(ClientError::advice);
    client.or_else(|| error.downcast_ref().and_then(ConfigError::advice))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ArgumentError>() || error.is::<ConfigError>() {
        return EXIT_USAGE;
    }
    match error.downcast_ref::<ClientError>() {
        Some(error) if error.needs_operator() => EXIT_OPERATOR,
        Some(error) if error.blames_request() => EXIT_USAGE,
        Some(_) | None => EXIT_FAILED,
    }
}

#[cfg(test)]
mod tests;
