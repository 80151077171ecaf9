//! `#[derive(Config)]`: the JSON Schema of a provider's config, as a constant.
//!
//! The schema is put together while the component is compiled, so it costs its own bytes and no code. What serde is
//! told (`rename`, `rename_all`, `default`, `deny_unknown_fields`, `skip`) is read here too, so that schema and reading
//! cannot differ; what cannot be said in a schema is an error of compilation and not a schema that lies.
//!
//! What is *not* here: generics, tuples, enums with fields, `flatten`, `tag`. A config is filled in by people.

mod attributes;
mod case;
mod json;
mod schema;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `linecamp_provider::Config`; see there for what it takes.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
