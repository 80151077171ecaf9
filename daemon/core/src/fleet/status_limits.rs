//! What a site may report: only about itself and its own hosts, and no more DNS records than its share.

use linecamp_model::limits::REPORTED_RECORDS_BYTES_MAX;
use linecamp_model::{DocumentKey, RecordStatus, Refusal, RefusalCode, StatusBody};

use super::site_record::SiteRecord;
use crate::document_sync::Changed;

/// Whether a site may report status under `key`.
pub(super) fn may_report(record: &SiteRecord, key: DocumentKey) -> bool {
    match key {
        DocumentKey::Site | DocumentKey::Provider(_) => true,
        DocumentKey::Host(host) => record.hosts.contains_key(&host),
    }
}

/// Checks that the DNS records in the status of one site stay within their share, however many messages they came in.
///
/// # Errors
/// The refusal that names the limit.
pub(super) fn check_status(status: &Changed<'_, StatusBody>) -> Result<(), Refusal> {
    let bytes: usize = status.live().map(|(_, body)| records_size(body)).sum();
    if REPORTED_RECORDS_BYTES_MAX < bytes {
        let text =
            format!("status of {bytes} bytes of DNS records; a site reports at most {REPORTED_RECORDS_BYTES_MAX}");
        return Err(Refusal::new(RefusalCode::Protocol, &text));
    }
    Ok(())
}

/// Returns how many bytes of [`REPORTED_RECORDS_BYTES_MAX`] the record sets of a document use.
fn records_size(body: &StatusBody) -> usize {
    match body {
        StatusBody::Provider(status) => status.records().iter().map(RecordStatus::encoded_size_max).sum(),
        StatusBody::Site(_) | StatusBody::Host(_) => 0,
    }
}
