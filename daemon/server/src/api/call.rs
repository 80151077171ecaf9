//! A request to an operation, authorized and parsed.

use axum::http::request::Parts;
use linecamp_model::Name;
use linecamp_proto::api::operation::{Body, Operation};

use super::Api;
use super::error::ApiError;
use super::parse::parse_name;
use crate::fleet_access::FleetAccess;

/// A request to the operation `O`: its caller may perform it, and all of it is well-formed.
pub(super) struct Call<O: Operation> {
    /// The fleet, as the caller sees it.
    pub(super) fleet: FleetAccess,
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
}
