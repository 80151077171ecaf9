//! The spans that a program exports to a collector.

/// The target of all spans that are exported. The server's log does not show them, and its collector gets no others.
/// The daemon has no exporter, and its log ignores all spans.
pub const SPAN_TARGET: &str = "linecamp_server::trace";
