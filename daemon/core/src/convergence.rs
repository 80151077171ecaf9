//! Convergence: whether a site has done all that its spec asks for. The site and the server answer alike, because both
//! use these functions.

use linecamp_model::{Generation, Incarnation, SiteStatus};

/// Returns a site's status, if it counts spec generations in `incarnation`.
pub(crate) fn status_in(status: Option<&SiteStatus>, incarnation: Incarnation) -> Option<&SiteStatus> {
    status.filter(|status| status.spec_incarnation == incarnation)
}

/// Returns the newest spec generation of `incarnation` that the site has converged to.
pub(crate) fn converged_in(status: Option<&SiteStatus>, incarnation: Incarnation) -> Generation {
    status_in(status, incarnation).map_or(Generation::ZERO, |status| status.converged)
}

/// Whether a site that has converged to `converged` has done everything that a spec at `spec` asks for.
pub(crate) fn is_converged(spec: Generation, converged: Generation) -> bool {
    spec <= converged
}
