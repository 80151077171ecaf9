//! The options of lists of sites and hosts.

use linecamp_model::{ConditionKind, Phase};
use linecamp_proto::api::query::LinkFilter;
use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};

/// Filters sites or hosts, beside the selector.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only those in this state, such as active
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<Phase>,
    /// Only those whose link is connected, reconnecting, disconnected, or offline (not connected)
    #[arg(long, value_name = "LINK", value_parser = value::<LinkFilter>)]
    pub(crate) link: Option<LinkFilter>,
    /// Only those whose site has this condition, such as clock-skew
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    condition: Option<ConditionKind>,
    /// Only those with this text in the name or the description
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

impl FilterArgs {
    pub(crate) fn state(&self) -> Option<String> {
        self.state.map(|state| state.to_string())
    }

    pub(crate) fn condition(&self) -> Option<String> {
        self.condition.map(|kind| kind.to_string())
    }
}

/// Parses a value of a query as it is sent.
pub(crate) fn value<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<Error>::new(text)).map_err(|error| error.to_string())
}

fn state(text: &str) -> Result<Phase, String> {
    let all: Vec<_> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
    Phase::parse(text).ok_or_else(|| format!("expected one of {}", all.join(", ")))
}

fn condition(text: &str) -> Result<ConditionKind, String> {
    let all: Vec<_> = ConditionKind::ALL.iter().map(|kind| kind.as_str()).collect();
    ConditionKind::parse(text).ok_or_else(|| format!("expected one of {}", all.join(", ")))
}
