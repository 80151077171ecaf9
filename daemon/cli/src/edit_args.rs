//! The arguments of `linecamp site edit` and `linecamp host edit`.

use clap::ArgGroup;
use linecamp_model::{Name, Text};
use linecamp_proto::api::Edit;

use crate::argument;

/// The new values.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("edited").required(true).multiple(true).args(["new_name", "description"])))]
pub(crate) struct EditArgs {
    /// New name
    #[arg(long = "name", id = "new_name", value_name = "NEW_NAME", value_parser = argument::name)]
    pub(crate) new_name: Option<Name>,
    /// New description; empty removes it
    #[arg(long, value_name = "TEXT", value_parser = argument::text)]
    pub(crate) description: Option<Text>,
}

impl EditArgs {
    /// Returns the request body.
    pub(crate) fn edit(&self) -> Edit {
        Edit {
            name: self.new_name.as_ref().map(ToString::to_string),
            description: self.description.as_ref().map(ToString::to_string),
        }
    }
}
