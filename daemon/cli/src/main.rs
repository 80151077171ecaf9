//! `linecamp`: the operator command line.
//!
//! Each command runs in four stages:
//!
//! 1. Parse and validate all arguments (`argument`), before any network access.
//! 2. Resolve the login (`credentials`): server URL, trust anchor, and API key or session.
//! 3. Connect when the first request is sent (`client`).
//! 4. Print the response (`output`) as a table or as the API's JSON.
//!
//! Each noun has one file, which also holds its clap definitions.
//!
//! The server validates everything again; the only local state is the login. `plugin new` and `plugin check` need no
//! server.
//!
//! Errors become exit codes in `exit`.

#![forbid(unsafe_code)]

mod argument;
mod audit;
mod bulk_action;
mod ca;
mod client;
mod conditions;
mod context;
mod context_command;
mod credentials;
mod dns;
mod doctor;
mod edit_args;
mod environment;
mod event;
mod exit;
#[cfg(test)]
mod fixtures;
mod host;
mod host_add;
mod host_arg;
mod input_file;
mod installer;
mod key;
mod labels;
mod list_args;
mod login;
mod output;
mod paging;
mod password_prompt;
mod plugin;
mod preview;
mod provider;
mod restore;
mod role_args;
mod select;
mod session;
mod settings;
mod site;
mod site_state;
mod support_bundle;
mod text_style;
mod token;
mod user;
mod version;
mod whoami;

use std::process::ExitCode;

use clap::Parser;

use crate::context::{Context, GlobalOptions};
use crate::credentials::ProcessEnv;

const EXAMPLES: &str = "\
Examples:
  linecamp login https://camp.example:8443 --pin sha256:… --user anna
  linecamp token create --ttl 24h --uses 50 --label region=eu
  linecamp site ls -l 'region=eu, tier!=lab'
  linecamp site show camp-042
  linecamp event tail

Exit codes: 0 done, 1 failed, 2 bad arguments or configuration, 3 needs an operator.
With -o json, errors are JSON with a code.";

/// Manage a fleet of edge sites
#[derive(Debug, Parser)]
#[command(name = "linecamp", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Login(login::Login),
    Logout(login::Logout),
    Whoami(whoami::Whoami),
    /// Manage the logins to several servers
    #[command(subcommand)]
    Context(context_command::ContextCommand),
    /// Manage users and their roles
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Manage sessions of users
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Change the server's settings
    #[command(subcommand)]
    Settings(settings::SettingsCommand),
    /// Manage join tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Manage sites
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// List, show and wait for changes of many sites
    #[command(subcommand)]
    BulkAction(bulk_action::BulkActionCommand),
    /// Manage hosts, the machines at a site
    #[command(subcommand)]
    Host(host::HostCommand),
    Select(select::Select),
    /// Manage environments and their rules
    #[command(subcommand)]
    Environment(environment::EnvironmentCommand),
    /// Manage DNS providers
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Manage, create and check provider plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Show DNS records and planned changes
    #[command(subcommand)]
    Dns(dns::DnsCommand),
    /// Replace the server's certificate authority
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Show and verify the audit log: who did what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// List and follow events
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Diagnose the connection to the server
    #[command(subcommand)]
    Doctor(doctor::DoctorCommand),
    /// Accept or reject what is held since the server was restored from a backup
    #[command(subcommand)]
    Restore(restore::RestoreCommand),
    SupportBundle(support_bundle::SupportBundle),
    Version(version::Version),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::report_usage(&error),
    };
    let context = Context::new(cli.global, &ProcessEnv);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::report(&anyhow::Error::new(exit::CommandFailure::Runtime(error)), &context);
        }
    };
    let result = runtime.block_on(run(cli.command, &context));
    // A DNS lookup that hangs must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, &context),
    }
}

async fn run(command: Command, context: &Context<'_>) -> anyhow::Result<()> {
    match command {
        Command::Login(login) => login.run(context).await,
        Command::Logout(logout) => logout.run(context).await,
        Command::Whoami(whoami) => whoami.run(context).await,
        Command::Context(command) => command.run(context),
        Command::User(command) => command.run(context).await,
        Command::Key(command) => command.run(context).await,
        Command::Session(command) => command.run(context).await,
        Command::Settings(command) => command.run(context).await,
        Command::Token(command) => command.run(context).await,
        Command::Site(command) => command.run(context).await,
        Command::BulkAction(command) => command.run(context).await,
        Command::Host(command) => command.run(context).await,
        Command::Select(command) => command.run(context).await,
        Command::Environment(command) => command.run(context).await,
        Command::Provider(command) => command.run(context).await,
        Command::Plugin(command) => command.run(context).await,
        Command::Dns(command) => command.run(context).await,
        Command::Ca(command) => command.run(context).await,
        Command::Audit(command) => command.run(context).await,
        Command::Event(command) => command.run(context).await,
        Command::Doctor(command) => command.run(context).await,
        Command::Restore(command) => command.run(context).await,
        Command::SupportBundle(support) => support.run(context).await,
        Command::Version(version) => version.run(context).await,
    }
}

#[cfg(test)]
mod tests;
