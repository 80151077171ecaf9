//! What a site may report: only about itself and its own hosts, and within limits.

use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, REPORTED_RECORDS_BYTES_MAX};
use linecamp_model::{DocumentKey, LabelSet, Refusal, RefusalCode, StatusBody};

use super::site_record::SiteRecord;
use crate::dns::bytes_of;
use crate::sync::Documents;

/// Whether a site may report status under `key`.
pub(super) fn may_report(record: &SiteRecord, key: DocumentKey) -> bool {
    match key {
        DocumentKey::Site | DocumentKey::Provider(_) => true,
        DocumentKey::Host(host) => record.hosts.contains_key(&host),
    }
}

/// Checks that the status of one site stays within its limits, however many messages it came in.
///
/// # Errors
/// The refusal that names the limit.
pub(super) fn check_status(status: &Documents<StatusBody>) -> Result<(), Refusal> {
    let providers = status.live().filter(|(key, _)| matches!(key, DocumentKey::Provider(_))).count();
    let bytes: usize = status.live().map(|(_, body)| record_bytes(body)).sum();
    let text = if PROVIDERS_PER_SITE_MAX < providers {
        format!("status of {providers} providers; a site has at most {PROVIDERS_PER_SITE_MAX}")
    } else if REPORTED_RECORDS_BYTES_MAX < bytes {
        format!("status of {bytes} bytes of DNS records; a site reports at most {REPORTED_RECORDS_BYTES_MAX}")
    } else {
        return Ok(());
    };
    Err(Refusal::new(RefusalCode::Protocol, &text))
}

/// Returns the size of a document for the rate limit.
pub(super) fn status_bytes(body: &StatusBody) -> usize {
    match body {
        StatusBody::Site(status) => {
            let details = status.conditions.iter().map(|condition| condition.detail.as_str().len());
            label_bytes(&status.local) + details.sum::<usize>()
        }
        StatusBody::Host(status) => label_bytes(&status.local) + label_bytes(&status.reported),
        StatusBody::Provider(_) => record_bytes(body),
    }
}

/// Returns how many bytes of [`REPORTED_RECORDS_BYTES_MAX`] the record sets of a status use.
fn record_bytes(body: &StatusBody) -> usize {
    match body {
        StatusBody::Provider(status) => status.records().iter().map(bytes_of).sum(),
        StatusBody::Site(_) | StatusBody::Host(_) => 0,
    }
}

fn label_bytes(labels: &LabelSet) -> usize {
    labels.iter().map(|(key, held)| key.as_str().len() + held.value.as_str().len()).sum()
}
