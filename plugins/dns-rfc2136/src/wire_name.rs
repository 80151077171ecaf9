//! Names in wire format.

use std::str::FromStr as _;

use domain::base::Name;
use linecamp_provider::prelude::*;

/// Returns a name in wire format; the empty name is the root.
pub(crate) fn wire_name(name: &str) -> Result<Name<Vec<u8>>, ProviderError> {
    let text = if name.is_empty() { "." } else { name };
    Name::from_str(text).map_err(|error| {
        ProviderError::invalid(format!("`{}` is not a DNS name: {error}", text.escape_debug())).name(name)
    })
}
