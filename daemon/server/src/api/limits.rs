//! Limits of the API that do not depend on a route.

use std::time::Duration;

use linecamp_service::RateLimit;

/// Rate limit for changes per API key: a burst of ten for each site of a fleet of a thousand, then a hundred per
/// second, which covers an operator's scripts and is negligible for the disk. A bulk action is one change of each of
/// its sites. Beyond the limit a request is rejected with the time to wait.
pub(crate) const CHANGE_RATE: RateLimit = RateLimit { burst: 10_000, interval: Duration::from_millis(10) };

/// Maximum number of keys with their own rate limit. Further keys share one limit until others have made no changes for
/// a while.
pub(super) const RATED_KEYS_MAX: usize = 1024;

/// Maximum size of a request body in bytes. The largest ones, 64 labels and a provider at all its limits, need a fifth
/// of it; a larger body is rejected. Plugin uploads have their own limit (`plugins`).
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;

/// Timeout for reading a request's body. After that the request is rejected, so that a slow client does not hold a
/// connection.
pub(super) const BODY_LIMIT: Duration = Duration::from_secs(30);
