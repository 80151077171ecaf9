//! What every command takes, and what every command works with.

use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::Name;
use linecamp_proto::api::path::NameQuery;

use crate::argument;
use crate::client::Client;
use crate::config::{Config, ConfigError, Env};
use crate::output::{Format, Output};

/// Where things go when nobody says: the environment every server begins with.
const ENVIRONMENT_DEFAULT: &str = "default";

/// The options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// How to show what comes back: table or json
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    #[arg(hide_possible_values = true)]
    output: Format,
    /// The environment meant; needed where several have a site or host of the same name
    #[arg(long, global = true, value_parser = argument::name, value_name = "NAME")]
    environment: Option<Name>,
    /// How long to wait for the server's answer
    #[arg(long, global = true, value_parser = argument::timeout, default_value = "30s", value_name = "DURATION")]
    timeout: Duration,
    /// Trust the authorities in this PEM file instead of a pin [variable: LINECAMP_CA]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What every command works with.
pub(crate) struct Context<'a> {
    /// Where results and notes go.
    pub(crate) out: Output,
    /// The process environment.
    pub(crate) env: &'a dyn Env,
    /// How long to wait for an answer.
    pub(crate) timeout: Duration,
    /// The authorities given on the command line.
    pub(crate) ca: Option<PathBuf>,
    /// The environment given on the command line.
    pub(crate) environment: Option<Name>,
}

impl<'a> Context<'a> {
    /// Takes the options.
    pub(crate) fn new(global: Global, env: &'a dyn Env) -> Self {
        Self {
            out: Output::new(global.output, env),
            env,
            timeout: global.timeout,
            ca: global.ca,
            environment: global.environment,
        }
    }

    /// Returns a client for the server of the login. It dials when it is first asked for something.
    pub(crate) fn client(&self) -> Result<Client, ConfigError> {
        let config = Config::find(self.ca.as_deref(), self.env)?;
        Ok(Client::new(config, self.timeout))
    }

    /// Returns the environment given on the command line, as the API takes it.
    pub(crate) fn environment_text(&self) -> Option<String> {
        self.environment.as_ref().map(ToString::to_string)
    }

    /// Returns the environment in which something is to be made.
    pub(crate) fn environment_or_default(&self) -> String {
        self.environment_text().unwrap_or_else(|| ENVIRONMENT_DEFAULT.into())
    }

    /// Returns what tells apart things of one name.
    pub(crate) fn name_query(&self) -> NameQuery {
        NameQuery { environment: self.environment_text() }
    }
}
