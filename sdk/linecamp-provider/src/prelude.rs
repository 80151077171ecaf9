//! Common imports of a provider: `use linecamp_provider::prelude::*;`.

pub use crate::{
    Change, Config, Context, DnsProvider, Page, ProviderError, ProviderInfo, RecordSet, RequestBuilder, Response,
    Sigv4, Tsig, export_dns, names, per_record, remaining_changes, txt, url,
};
