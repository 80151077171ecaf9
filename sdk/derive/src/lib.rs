//! `#[derive(Config)]`: the JSON Schema of a provider's config, as a constant.
//!
//! The schema is assembled at compile time, so it costs its own bytes and no code. The macro also reads serde's
//! attributes (`rename`, `rename_all`, `default`, `deny_unknown_fields`, `skip`), so the schema and deserialization
//! cannot differ. Whatever a schema cannot express is a compile error, not a wrong schema.
//!
//! What is *not* here: generics, tuples, enums with fields, `flatten`, `tag`. Configs are written by people.

mod attributes;
mod case;
mod json;
mod schema;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `linecamp_provider::Config`; the trait documents the supported types and attributes.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
