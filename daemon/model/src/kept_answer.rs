//! Answers that are kept, so that a request that is sent again gets the same one.

use crate::caller::CallerAccount;
use crate::digest::RequestDigest;
use crate::id::RequestId;
use crate::name::Text;
use crate::time::WallTime;

/// The answer to a request that had an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Who sent the request.
    pub account: CallerAccount,
    /// The name of the operation.
    pub operation: Text,
    /// The digest of what was asked for.
    pub digest: RequestDigest,
    /// The request.
    pub request: RequestId,
    /// When it was decided.
    pub at: WallTime,
    /// The answer in JSON, without secrets.
    pub answer: String,
}
