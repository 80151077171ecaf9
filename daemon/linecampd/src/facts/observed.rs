//! The result of one observation.

/// The observed value, `None` if there is none, or why it was not observed.
pub(super) type Observed<T> = Result<Option<T>, String>;
