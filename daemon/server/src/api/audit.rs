//! The audit log.

use linecamp_proto::api::operation::ListAudit;
use linecamp_proto::api::{AUDIT_PER_ANSWER_MAX, AuditEntry, AuditPage, ErrorCode};
use linecamp_transport::error_chain;

use super::call::Call;
use super::error::ApiError;
use super::parse;
use crate::audit_reader::AuditRange;

pub(super) async fn list(call: Call<ListAudit>) -> Result<AuditPage, ApiError> {
    let range = match (call.query.after, call.query.before) {
        (Some(_), Some(_)) => return Err(ApiError::invalid("before", &"cannot be combined with `after`", None)),
        (Some(after), None) => AuditRange::After(after),
        (None, before) => AuditRange::Before(before.unwrap_or(u64::MAX)),
    };
    let limit = parse::limit(call.query.limit, AUDIT_PER_ANSWER_MAX, AUDIT_PER_ANSWER_MAX)?;
    let reader = call.api.audit_reader();
    let read = tokio::task::spawn_blocking(move || reader.read(range, limit)).await;
    let read = read.map_err(|_| ApiError::internal())?.map_err(|error| {
        let text = error_chain(&error);
        tracing::error!(error = text, "cannot read the audit log");
        ApiError::new(ErrorCode::StoreFailed, text)
    })?;
    Ok(AuditPage {
        items: read.entries.iter().map(|(number, entry)| AuditEntry::new(*number, entry)).collect(),
        start: (&read.extent.start).into(),
        head: (&read.extent.head).into(),
        bytes: read.extent.bytes,
    })
}
