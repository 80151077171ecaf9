//! Common imports of a provider: `use linecamp_provider::prelude::*;`.

pub use crate::{
    About, Change, Config, Context, DnsProvider, Failure, Page, RecordSet, RequestBuilder, Response, Sigv4, Tsig,
    export_dns, names, pending, single, txt, url,
};
