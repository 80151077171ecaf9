//! The global options, and the context that every command runs in.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use linecamp_model::Name;
use linecamp_proto::api::query::NameQuery;
use linecamp_table::OutputFormat;

use crate::argument;
use crate::client::Client;
use crate::credentials::{Config, ConfigError, Env};
use crate::output::Output;

/// The environment used by default. Every server has it.
const ENVIRONMENT_DEFAULT: &str = "default";

/// The global options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// Output format of results and errors: table or json
    #[arg(short, long, global = true, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    #[arg(value_parser = PossibleValuesParser::new(OutputFormat::NAMES).try_map(|name| name.parse::<OutputFormat>()))]
    output: OutputFormat,
    /// Environment to use; required if a name exists in several environments
    #[arg(long, global = true, value_parser = argument::name, value_name = "NAME")]
    environment: Option<Name>,
    /// Time to wait for a response from the server
    #[arg(long, global = true, value_parser = argument::timeout, default_value = "30s", value_name = "DURATION")]
    timeout: Duration,
    /// Login to use, as `linecamp context ls` lists them [env: LINECAMP_CONTEXT]
    #[arg(long, global = true, value_parser = argument::name, value_name = "NAME")]
    context: Option<Name>,
    /// Trust the CA certificates in this PEM file instead of a pin [env: LINECAMP_CA]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// The context that every command runs in.
pub(crate) struct Context<'a> {
    /// Writes results and notes.
    pub(crate) out: Output,
    /// The process environment.
    pub(crate) env: &'a dyn Env,
    /// The time to wait for a response.
    pub(crate) timeout: Duration,
    /// The CA file given on the command line.
    pub(crate) ca: Option<PathBuf>,
    /// The login given on the command line.
    pub(crate) login: Option<Name>,
    /// The environment given on the command line.
    pub(crate) environment: Option<Name>,
}

impl<'a> Context<'a> {
    /// Creates a context from the global options.
    pub(crate) fn new(global: GlobalOptions, env: &'a dyn Env) -> Self {
        Self {
            out: Output::new(global.output, env),
            env,
            timeout: global.timeout,
            ca: global.ca,
            login: global.context,
            environment: global.environment,
        }
    }

    /// Returns a client for the server of the login. It connects on its first request.
    pub(crate) fn client(&self) -> Result<Client, ConfigError> {
        let config = Config::find(self.ca.as_deref(), self.login.as_ref(), self.env)?;
        Ok(Client::new(config, self.timeout))
    }

    /// Returns the environment given on the command line as an API parameter.
    pub(crate) fn environment_text(&self) -> Option<String> {
        self.environment.as_ref().map(ToString::to_string)
    }

    /// Returns the environment in which to create an object.
    pub(crate) fn environment_or_default(&self) -> String {
        self.environment_text().unwrap_or_else(|| ENVIRONMENT_DEFAULT.into())
    }

    /// Returns the query that disambiguates a name.
    pub(crate) fn name_query(&self) -> NameQuery {
        NameQuery { environment: self.environment_text() }
    }
}
