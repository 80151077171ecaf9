//! How large the spec of a site and its hosts may be: providers, which are assigned later, always find room.

use linecamp_model::limits::{
    DOCUMENT_OVERHEAD_BYTES_MAX, DOCUMENTS_BYTES_MAX, PROVIDER_SPEC_BYTES_MAX, PROVIDERS_PER_SITE_MAX,
};
use linecamp_model::{DocumentKey, SpecBody};

use super::site_record::SiteRecord;

/// Maximum bytes of the spec of a site and its hosts: what the specs of all providers leave.
pub(super) const SITE_AND_HOSTS_BYTES_MAX: usize =
    DOCUMENTS_BYTES_MAX - PROVIDERS_PER_SITE_MAX * (PROVIDER_SPEC_BYTES_MAX + DOCUMENT_OVERHEAD_BYTES_MAX);

/// Returns the bytes of the spec of a site and its hosts with this document in it.
pub(super) fn spec_size(record: &SiteRecord, key: DocumentKey, after: &SpecBody) -> usize {
    let is_other = |(other, _): &(DocumentKey, &SpecBody)| *other != key && !matches!(other, DocumentKey::Provider(_));
    let others = record.spec.live().filter(is_other).map(|(_, body)| body);
    others.chain([after]).map(|body| DOCUMENT_OVERHEAD_BYTES_MAX + body.encoded_size_max()).sum()
}
