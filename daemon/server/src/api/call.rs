//! A request to an operation, authorized and parsed.

use axum::http::request::Parts;
use linecamp_core::ApiCredential;
use linecamp_model::Name;
use linecamp_proto::api::operation::{Body, Operation};

use super::Api;
use super::authenticate::Presented;
use super::error::ApiError;
use super::parse::parse_name;
use crate::fleet_access::FleetAccess;

/// A request to the operation `O`: its caller may perform it, and all of it is well-formed.
pub(super) struct Call<O: Operation> {
    /// The fleet, as the caller sees it.
    pub(super) fleet: FleetAccess,
    /// The credentials; `None` if the operation requires none.
    pub(super) presented: Option<Presented>,
    /// The parts of the server beside the fleet.
    pub(super) api: Api,
    /// The parameter in the path; empty if the path has none.
    pub(super) parameter: String,
    /// The head of the request, as it arrived.
    pub(super) head: Parts,
    /// The query.
    pub(super) query: O::Query,
    /// The body.
    pub(super) body: <O::Request as Body>::Value,
}

impl<O: Operation> Call<O> {
    /// Parses the name in the path.
    pub(super) fn name(&self) -> Result<Name, ApiError> {
        parse_name("name", &self.parameter)
    }

    /// Charges further changes to the rate limit of the caller's key or session; each request is one already.
    pub(super) fn charge_changes(&self, count: usize) -> Result<(), ApiError> {
        let Some(Presented { credential, .. }) = self.presented else { return Ok(()) };
        let (ApiCredential::Key(secret) | ApiCredential::Session(secret)) = credential;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.api.charge_changes(secret, count).map_err(ApiError::too_many_requests)
    }
}
