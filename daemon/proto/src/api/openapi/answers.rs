//! The statuses that an operation may answer with besides that of its success: they follow from its properties.

use std::collections::BTreeMap;

use linecamp_model::Requirement;

use super::schemas::OperationShapes;
use crate::api::ErrorCode;
use crate::api::operation::{ListRecords, Operation as _, ShowInstaller};

/// The parameters of a query that name an object.
const OBJECT_PARAMETERS: [&str; 3] = ["environment", "site", "provider"];

/// Returns the error codes that the operation may answer with, by status.
pub(super) fn answers(shapes: &OperationShapes) -> BTreeMap<u16, Vec<ErrorCode>> {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| may_answer(shapes, **code)) {
        by_status.entry(code.http_status()).or_default().push(*code);
    }
    by_status
}

/// Whether the operation may answer with the code.
fn may_answer(shapes: &OperationShapes, code: ErrorCode) -> bool {
    let spec = &shapes.spec;
    let is_public = spec.requires == Requirement::Nothing;
    let is_login = is_public && spec.name.starts_with("session.");
    // A browser begins and ends a login with GET.
    let is_change = !spec.method.is_read() || is_login;
    let names_object = shapes.query.iter().any(|(name, _, _)| OBJECT_PARAMETERS.contains(&name.as_str()));
    let has_body = shapes.request.is_some();
    match code {
        // An unknown parameter, a body where none belongs, or an invalid one; and what can happen to every request.
        ErrorCode::BadRequest | ErrorCode::TooLarge | ErrorCode::Internal | ErrorCode::Busy => true,
        ErrorCode::Unauthorized | ErrorCode::Forbidden => !is_public || is_login,
        ErrorCode::SetupRequired => !is_public,
        ErrorCode::NotFound => {
            spec.parameter().is_some() || names_object || has_body || spec.name == ShowInstaller::SPEC.name
        }
        ErrorCode::Ambiguous => names_object,
        ErrorCode::NameTaken | ErrorCode::NotPossible => is_change,
        ErrorCode::Limit => is_change || spec.name == ListRecords::SPEC.name,
        ErrorCode::Stale => spec.has_etag && is_change,
        ErrorCode::KeyReused => spec.is_keyed,
        ErrorCode::UnsupportedMediaType => has_body,
        ErrorCode::TooManyRequests => is_change,
        // `/readyz` reports it.
        ErrorCode::StoreFailed => is_change || is_public,
        // A path and a method are no operation's, and what is not known is not sent.
        ErrorCode::MethodNotAllowed | ErrorCode::Unknown => false,
    }
}
