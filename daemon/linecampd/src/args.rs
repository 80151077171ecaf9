//! The command line arguments, parsed by clap.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Parser, Subcommand};
use linecamp_table::OutputFormat;
use linecampd::DATA_DEFAULT;
use linecampd::config::{FILE_DEFAULT, SAMPLE};

/// Run and inspect the Linecamp daemon of this site
#[derive(Debug, Parser)]
#[command(
    name = "linecampd",
    after_help = "Exit codes: 0 done, 1 failed, 2 bad arguments or configuration, 3 needs an operator.\n\
                  With -o json, errors are JSON with a code."
)]
pub(crate) struct Args {
    /// Output format of results and errors: table or json
    #[arg(short, long, global = true, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    #[arg(value_parser = PossibleValuesParser::new(OutputFormat::NAMES).try_map(|name| name.parse::<OutputFormat>()))]
    pub(crate) output: OutputFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join a server as a new site, or a site as a new host
    Join(JoinArgs),
    /// Run the daemon in the foreground until SIGTERM or SIGINT
    Run(RunArgs),
    /// Show this site's status
    Status(AskArgs),
    /// Show what each part of the daemon is doing and waiting for
    Why(AskArgs),
    /// Show the daemon's metrics in Prometheus text format (also `GET /metrics` on the local socket)
    Metrics(AskArgs),
    /// List, set and remove local labels; works while the server is unreachable
    Label(LabelArgs),
    /// List the site's hosts, and remove those that joined this gateway
    Host(HostArgs),
    /// Create, list and revoke tokens that hosts of the LAN join this gateway with; works without the server
    Token(TokenArgs),
    /// Leave the site, on a host that joined its gateway or the server
    Leave(AskArgs),
    /// List, plan and adopt the site's DNS records; works while the server is unreachable
    Dns(DnsArgs),
    /// List the site's providers
    Provider(ProviderArgs),
    /// Inspect a plugin
    Plugin(PluginArgs),
    /// Delete this site's identity and database permanently; labels.d is kept
    Forget(ForgetArgs),
    /// Validate configuration files
    Config(ConfigArgs),
    /// Diagnose this site: servers, clock, disk, permissions, daemon; changes nothing
    ///
    /// Works with and without a running daemon, before and after the site has joined. Takes at most 12 seconds. Run it
    /// as root or as the daemon's user: some checks are skipped for other users.
    #[command(after_help = "Exit codes: 0 no check failed, 1 a check failed.")]
    Doctor(DoctorArgs),
    /// Write a redacted support bundle: doctor report, status, configuration, log
    SupportBundle(SupportArgs),
    /// Show the version
    Version,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// Join token and servers, as printed by `linecamp token create`: TOKEN@HOST:PORT[,HOST:PORT...]
    ///
    /// All users of this machine can see the arguments of its processes. To keep the token from them, pass `-` to read
    /// the whole argument from the first line of stdin, `-@HOST:PORT` to read only the token from there, or use
    /// --token-file. A token in the arguments is accepted with a warning.
    #[arg(value_name = "TOKEN@HOST:PORT")]
    pub(crate) target: Option<String>,
    /// Read TOKEN@HOST:PORT from a file; if HOST:PORT is given as the argument, the file contains only the token
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Data directory; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// Join as a host of a site: its gateway, with a token of that gateway (`linecampd token create`), or with --site
    /// the server, with a token of the server (`linecamp host add --custom`)
    #[arg(long)]
    pub(crate) host: bool,
    /// Site of a host that joins the server
    #[arg(long, value_name = "SITE", requires = "host")]
    pub(crate) site: Option<String>,
    /// Requested name of the site or host: a-z, 0-9 and hyphens; not needed if the machine has joined
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Label of the site, or of the host with --host; may be repeated, the last value of a key wins
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Label of the gateway host; may be repeated, the last value of a key wins
    #[arg(long = "host-label", value_name = "KEY=VALUE")]
    pub(crate) host_labels: Vec<String>,
    /// How long to keep trying, such as 90s or 5m
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    pub(crate) timeout: humantime::Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// Configuration file, with drop-ins in NAME.d next to it; `linecampd config check --help` lists all keys
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// Configuration file [default: that of the installed service, for its data directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SupportArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// Configuration file [default: that of the installed service, for its data directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Path of the bundle, which must not exist [default: linecamp-support-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    /// Data directory of the running daemon
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LabelArgs {
    #[command(subcommand)]
    pub(crate) command: LabelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand {
    /// List the gateway host's effective labels, including those of the site
    Ls(AskArgs),
    /// Set local labels of the site, which all hosts inherit; returns when they are durable
    Set {
        /// Labels to set
        #[arg(required = true, value_name = "KEY=VALUE")]
        labels: Vec<String>,
        /// Set labels of the gateway host instead of the site
        #[arg(long)]
        host: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Remove local labels
    Rm {
        /// Keys to remove; a missing key is not an error
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        /// Remove labels of the gateway host instead of the site
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
    /// List hosts
    Ls(AskArgs),
    /// Remove a host that joined this gateway: it is told, and never admitted again with its key
    Rm {
        /// Name of the host
        name: String,
        #[command(flatten)]
        ask: AskArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print the command that uses it
    #[command(after_help = "Example: linecampd token create --ttl 2h --uses 3")]
    Create {
        /// How long the token is valid, such as 2h or 7d
        #[arg(long, default_value = "24h", value_name = "DURATION")]
        ttl: humantime::Duration,
        /// How many hosts may join with it
        #[arg(long, default_value_t = 1, value_name = "NUMBER")]
        uses: u32,
        /// Print only TOKEN@HOST:PORT
        #[arg(short, long)]
        quiet: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// List the tokens, without their secrets
    #[command(after_help = "Example: linecampd token ls -o json")]
    Ls(AskArgs),
    /// Revoke a token that was created here: no further host joins with it; those that joined stay
    #[command(after_help = "Example: linecampd token revoke 4f1d2c3b5a697887")]
    Revoke {
        /// Token id, as shown by `linecampd token ls`
        id: String,
        #[command(flatten)]
        ask: AskArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct DnsArgs {
    #[command(subcommand)]
    pub(crate) command: DnsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// List the records and their states as of the last reconcile
    Ls(AskArgs),
    /// Query all zones and show the planned changes without applying them
    Plan(AskArgs),
    /// Take over a record that another owner manages, or that has no owner
    #[command(after_help = "Example: linecampd dns adopt --data /var/lib/linecamp --provider main-dns example.org \
                            gw.camp-042.retail.example.org A")]
    Adopt {
        /// Provider that will manage the record
        #[arg(long)]
        provider: String,
        /// Zone
        zone: String,
        /// Fully qualified name
        name: String,
        /// Record type, such as A
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
    /// List providers, with the endpoints that each may reach and its current error
    Ls(AskArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Load a plugin and show its description and requirements; `provider ls` shows what is granted
    #[command(after_help = "Example: linecampd plugin show plugins/dns-powerdns.wasm --config linecampd.toml")]
    Show {
        /// Plugin file (.wasm)
        file: PathBuf,
        /// Configuration file, for its table [plugins]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ForgetArgs {
    /// Data directory
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
    /// Validate the configuration and list the files and variables read
    #[command(after_long_help = SAMPLE, term_width = 0)]
    Check {
        /// Configuration file; drop-ins are read from NAME.d next to it
        #[arg(default_value = FILE_DEFAULT)]
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_prints_the_sample_configuration_as_it_is() {
        let mut args = Args::command();
        args.build();
        let config = args.find_subcommand_mut("config").expect("a command");
        let check = config.find_subcommand_mut("check").expect("a command");
        let help = check.render_long_help().to_string();
        let start = help.find(SAMPLE.trim_end()).expect("the sample, line by line");
        let pasted: toml::Table = toml::from_str(&help[start..]).expect("TOML");
        assert_eq!(pasted, toml::from_str(SAMPLE).expect("TOML"));
    }

    #[test]
    fn every_command_has_a_man_page() {
        linecamp_pages::write(&Args::command());
    }
}
