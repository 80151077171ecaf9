//! The API's operations, in one table ([`table`]).
//!
//! Everything that depends on which operations exist follows from the table: the server's routes, what a request must
//! carry, who may do what, what is audited, the OpenAPI document, the documentation, and the CLI's requests.
//!
//! An operation is a type that implements [`Operation`], so that a client cannot send the body of another one and a
//! server cannot answer with another shape. [`OperationSpec`] is what is known of it at run time.

mod body;
mod table;

use linecamp_model::Requirement;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use body::{
    Binary, Body, DebianPackage, DecodedBody, Empty, EncodedBody, EventStream, Json, MergePatch, PROBLEM_MEDIA,
    PlainText, ShellScript,
};
pub use table::*;

/// The operations under this path belong to version 1 of the API.
pub const API_PREFIX: &str = "/api/v1/";

/// An operation of the API: one method of one path.
pub trait Operation: 'static {
    /// Its query; [`NoQuery`](super::query::NoQuery) if it has none.
    type Query: Serialize + DeserializeOwned + Send + 'static;
    /// The body of its requests.
    type Request: Body;
    /// The body of its responses.
    type Response: Body;
    /// What is known of it at run time.
    const SPEC: OperationSpec;
}

/// The HTTP method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, or acts.
    Post,
    /// Changes some fields.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// Returns the name of the method in HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request with this method changes nothing.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Get)
    }
}

/// What is known of an operation at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationSpec {
    /// Its name: a noun and a verb, such as `site.show`. The audit log has it.
    pub name: &'static str,
    /// One sentence that says what it does.
    pub summary: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, with at most one parameter in braces.
    pub path: &'static str,
    /// The HTTP status of its success.
    pub status: u16,
    /// Who may perform it.
    pub requires: Requirement,
    /// Whether the audit log has every request that passed authorization, and every one that did not.
    pub is_audited: bool,
    /// Whether the response carries an `ETag`, or the request may carry `If-Match`.
    pub has_etag: bool,
    /// Whether the request may have an `Idempotency-Key`.
    pub is_keyed: bool,
    /// The media type of its requests; `None` without a body.
    pub request_media: Option<&'static str>,
    /// The media type of its responses; `None` without a body.
    pub response_media: Option<&'static str>,
}

impl OperationSpec {
    /// Describes the operation `O`: its name and summary, its method and path, its status, and who may perform it.
    const fn new<O: Operation>(
        (name, summary): (&'static str, &'static str),
        (method, path): (Method, &'static str),
        status: u16,
        requires: Requirement,
    ) -> Self {
        Self {
            name,
            summary: summary.trim_ascii(),
            method,
            path,
            status,
            requires,
            is_audited: false,
            has_etag: false,
            is_keyed: false,
            request_media: <O::Request as Body>::MEDIA,
            response_media: <O::Response as Body>::MEDIA,
        }
    }

    const fn audited(self) -> Self {
        Self { is_audited: true, ..self }
    }

    const fn etag(self) -> Self {
        Self { has_etag: true, ..self }
    }

    const fn keyed(self) -> Self {
        Self { is_keyed: true, ..self }
    }

    /// Returns the path with its parameter replaced by `value`: a name or an ID, neither of which needs escaping.
    pub fn path_of(&self, value: &impl std::fmt::Display) -> String {
        match (self.path.find('{'), self.path.find('}')) {
            (Some(open), Some(close)) => format!("{}{value}{}", &self.path[..open], &self.path[close + 1..]),
            (_, _) => self.path.into(),
        }
    }

    /// Returns the name of the path's parameter.
    pub fn parameter(&self) -> Option<&'static str> {
        let (_, rest) = self.path.split_once('{')?;
        rest.split_once('}').map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_is_inserted_into_a_path() {
        assert_eq!(PatchSiteLabels::SPEC.path_of(&"camp-042"), "/api/v1/sites/camp-042/labels");
        assert_eq!(RevokeToken::SPEC.path_of(&"07ff"), "/api/v1/tokens/07ff");
        assert_eq!(ListSites::SPEC.path_of(&"unused"), "/api/v1/sites");
        assert_eq!((ListSites::SPEC.parameter(), RevokeToken::SPEC.parameter()), (None, Some("id")));
    }

    #[test]
    fn operations_are_unique() {
        let names: BTreeSet<_> = ALL.iter().map(|spec| spec.name).collect();
        let routes: BTreeSet<_> = ALL.iter().map(|spec| (spec.path, spec.method)).collect();
        assert_eq!((names.len(), routes.len()), (ALL.len(), ALL.len()));
    }

    /// A number in a document is wrong after the next operation, unless something compares it.
    #[test]
    fn the_specification_has_the_number_of_operations() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../SPECIFICATION.md");
        let text = std::fs::read_to_string(path).expect("SPECIFICATION.md");
        let numbers: Vec<_> =
            text.lines().filter(|line| line.contains(" operations |") || line.contains(" operations, ")).collect();
        let number = format!(" {} operations", ALL.len());
        assert_eq!(numbers.len(), 2, "{numbers:#?}");
        assert!(numbers.iter().all(|line| line.contains(&number)), "there are{number}: {numbers:#?}");
    }

    #[test]
    fn a_read_is_no_change_and_a_change_is_audited() {
        for spec in ALL {
            let is_public = spec.requires == Requirement::Nothing;
            let is_login = spec.name.starts_with("session.");
            assert!(!is_public || !spec.is_audited || is_login, "{}: nobody to name in the audit log", spec.name);
            assert!(spec.method.is_read() || spec.is_audited || spec.name.ends_with(".preview"), "{}", spec.name);
            assert!(is_public || spec.path.starts_with(API_PREFIX) || spec.path == ShowMetrics::SPEC.path);
        }
    }
}
