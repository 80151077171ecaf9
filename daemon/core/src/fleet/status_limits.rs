//! What a site may report: only about itself, its gateway and the hosts that joined it, and no more DNS records than
//! its share.

use linecamp_model::limits::REPORTED_RECORDS_BYTES_MAX;
use linecamp_model::{RecordStatus, Refusal, RefusalCode, StatusBody};

use super::site_record::SiteRecord;
use crate::document_sync::Changed;

/// Checks the status of one site: each host is its gateway or reported with its membership, and the DNS records stay
/// within their share, however many messages they came in.
///
/// # Errors
/// The refusal that names what is wrong.
pub(super) fn check_status(record: &SiteRecord, status: &Changed<'_, StatusBody>) -> Result<(), Refusal> {
    let refuse = |text: &str| Err(Refusal::new(RefusalCode::Protocol, text));
    for (key, body) in status.live() {
        if let StatusBody::Host(host) = body {
            match (record.gateway() == Some(key), host.membership.is_some()) {
                (true, true) => return refuse("status of the gateway as a host that joined it"),
                (false, false) => return refuse("status of a host that does not belong to this site"),
                (true, false) | (false, true) => {}
            }
        }
    }
    let bytes: usize = status.live().map(|(_, body)| records_size(body)).sum();
    match bytes <= REPORTED_RECORDS_BYTES_MAX {
        true => Ok(()),
        false => refuse(&format!(
            "status of {bytes} bytes of DNS records; a site reports at most {REPORTED_RECORDS_BYTES_MAX}"
        )),
    }
}

/// Returns how many bytes of [`REPORTED_RECORDS_BYTES_MAX`] the record sets of a document use.
fn records_size(body: &StatusBody) -> usize {
    match body {
        StatusBody::Provider(status) => status.records().iter().map(RecordStatus::encoded_size_max).sum(),
        StatusBody::Site(_) | StatusBody::Host(_) => 0,
    }
}
