//! The command line arguments, parsed by clap.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use linecampd::DATA_DEFAULT;
use linecampd::config::{FILE_DEFAULT, SAMPLE};

/// The Linecamp daemon of one site
#[derive(Debug, Parser)]
#[command(
    name = "linecampd",
    after_help = "Exit codes: 0 done, 1 failed, 2 bad arguments or configuration, 3 a person has to do something first."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make this machine a site of a server
    Join(JoinArgs),
    /// Run the daemon, until SIGTERM or SIGINT
    Run(RunArgs),
    /// Show how the site is
    Status(AskArgs),
    /// Show what each part of the daemon does, and what it waits for
    Why(AskArgs),
    /// Show the daemon's numbers, as Prometheus reads them; `GET /metrics` on the local socket says the same
    Metrics(AskArgs),
    /// Show and change labels, also while the server is away
    Label(LabelArgs),
    /// Show the site's hosts
    Host(HostArgs),
    /// Show the site's DNS records, plan them afresh, take a name over; also while the server is away
    Dns(DnsArgs),
    /// Show the site's providers
    Provider(ProviderArgs),
    /// Show what a plugin is and wants
    Plugin(PluginArgs),
    /// Forget which site this directory is, for good; labels.d stays
    Forget(ForgetArgs),
    /// Work on configuration files
    Config(ConfigArgs),
    /// Find out what is wrong here: servers, clock, disk, permissions, the daemon; changes nothing, disturbs nobody
    ///
    /// Works with and without a running daemon, before and after the site joined. Takes 12 seconds at most. Run it as
    /// root, or as the user who runs the daemon: others may not look at everything.
    #[command(after_help = "Exit codes: 0 nothing fails, 1 something fails.")]
    Doctor(DoctorArgs),
    /// Write a file for whoever helps you: the doctor's findings, status, configuration, log; without secrets
    SupportBundle(SupportArgs),
    /// Show the version
    Version,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// TOKEN@HOST:PORT[,HOST:PORT...], as `linecamp token create` prints it
    ///
    /// Every user of this machine can see the arguments of its processes. Where that matters, write `-` to read all
    /// of it from stdin, `-@HOST:PORT` to read the token alone from stdin, or use --token-file.
    #[arg(value_name = "TOKEN@HOST:PORT")]
    pub(crate) target: Option<String>,
    /// Read TOKEN@HOST:PORT from a file; with HOST:PORT as argument, the file holds the token alone
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The data directory; made if it is not there
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// The name the site would like: a-z, 0-9 and hyphens
    #[arg(long)]
    pub(crate) name: String,
    /// A label of the site; may be repeated, the last one of a key holds
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// A label of the gateway host, beside those in LINECAMP_HOST_LABELS (foo=bar&hello=world)
    #[arg(long = "host-label", value_name = "KEY=VALUE")]
    pub(crate) host_labels: Vec<String>,
    /// How long to try, such as 90s or 5m
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    pub(crate) timeout: humantime::Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// A configuration file, with drop-ins in NAME.d beside it; `linecampd config check --help` shows all keys
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// The configuration file; without, that of the installed service, if it is its data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How to show what was found
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SupportArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// The configuration file; without, that of the installed service, if it is its data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to write it, a .tar.gz that must not exist; without, linecamp-support-TIME.tar.gz here
    #[arg(long, alias = "output", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    /// The data directory of the running daemon
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// How to show the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LabelArgs {
    #[command(subcommand)]
    pub(crate) command: LabelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand {
    /// List the labels that hold for the gateway host, the site's included
    Ls(AskArgs),
    /// Set labels of the site, which every host inherits; done when they are on the disk
    Set {
        /// Labels to set
        #[arg(required = true, value_name = "KEY=VALUE")]
        labels: Vec<String>,
        /// Of the gateway host instead of the site
        #[arg(long)]
        host: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Take labels away that were set on the spot
    Rm {
        /// Keys to take away; one that is not there is no error
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        /// Of the gateway host instead of the site
        #[arg(long)]
        host: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct HostArgs {
    #[command(subcommand)]
    pub(crate) command: HostCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// List the hosts
    Ls(AskArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DnsArgs {
    #[command(subcommand)]
    pub(crate) command: DnsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// List the records as the last round left them
    Ls(AskArgs),
    /// Look at all zones afresh and show what would be done; nothing is changed by it
    Plan(AskArgs),
    /// Take a name over from whoever has it, with the record it holds
    #[command(after_help = "Example: linecampd dns adopt --data /var/lib/linecamp --provider main-dns example.org \
                            gw.camp-042.retail.example.org A")]
    Adopt {
        /// The provider that is to keep it
        #[arg(long)]
        provider: String,
        /// The zone
        zone: String,
        /// The name, whole
        name: String,
        /// The type, such as A
        #[arg(value_name = "TYPE")]
        rtype: String,
        #[command(flatten)]
        ask: AskArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProviderArgs {
    #[command(subcommand)]
    pub(crate) command: ProviderCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// List the providers, what each may reach, and what is wrong with it
    Ls(AskArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Load a component as the daemon would, and show what it is and wants; what it may have, `provider ls` shows
    #[command(after_help = "Example: linecampd plugin show plugins/dns-powerdns.wasm --config linecampd.toml")]
    Show {
        /// The component
        file: PathBuf,
        /// The configuration file, for its table [plugins]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ForgetArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a configuration can be used, and which files and variables have a part in it
    #[command(after_long_help = SAMPLE)]
    Check {
        /// The file; drop-ins are looked for in the folder beside it, NAME.d
        #[arg(default_value = FILE_DEFAULT)]
        file: PathBuf,
        /// How to show the answer
        #[arg(short, long, value_name = "FORMAT", default_value = "table")]
        output: OutputFormat,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_page() {
        linecamp_pages::write(&Args::command());
    }
}
