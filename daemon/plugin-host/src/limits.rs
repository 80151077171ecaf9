//! Every limit on a plugin, and what happens when it is reached.

use std::time::Duration;

/// Concurrent calls. Each may hold its plugin's memory, so plugins together take at most this number times
/// [`Limits::memory_bytes`]; further calls wait.
pub(crate) const CALLS_AT_ONCE_MAX: usize = 4;

/// Calls waiting in the queue: twice the number of providers a site may have. A further call gets an immediate `Retry`
/// reply.
pub(crate) const CALLS_WAITING_MAX: usize = 32;

/// Events not yet received by the daemon. Past this limit, calls wait to deliver their replies, and then new calls
/// queue.
pub(crate) const EVENTS_MAX: usize = 64;

/// Plugins loaded at once, and files watched in the plugin directory. Past this limit, the least recently used plugin
/// is unloaded, and loaded again when it is needed; further files are not watched.
pub(crate) const PLUGINS_KNOWN_MAX: usize = 64;

/// Compiled artifacts in the cache. Past this limit, the oldest is deleted, and compiled again when it is needed.
pub(crate) const CACHED_MAX: usize = 64;

/// Time limit for the compiler. A plugin that bundles the Python interpreter takes 8 s. Past this limit, the child is
/// killed and the plugin rejected.
pub(crate) const COMPILE_LIMIT: Duration = Duration::from_secs(120);

/// Bytes kept of a plugin's stderr, which is where panic messages go. The rest is dropped.
pub(crate) const STDERR_BYTES_MAX: usize = 8 * 1024;

/// Random bytes returned to a plugin per request. Asking for more ends the call.
pub(crate) const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// How often a running plugin is interrupted, to let other calls run and to count its CPU time.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The fraction of a call's time reserved for the plugin to report that a service was too slow: one tenth.
pub(crate) const ERROR_REPORT_SHARE: u32 = 10;

/// Record sets that an observation may return. A listing with more is reduced to ownership TXT records; if the
/// requested names have more, the call fails.
pub(crate) const OBSERVED_SETS_MAX: usize = 10_000;

/// Values of one observed record set. A set with more exists but is unreadable: it is never overwritten.
pub(crate) const OBSERVED_VALUES_MAX: usize = 256;

/// Bytes of one observed value: a TXT record of 64 KiB, the most that DNS can carry, with every byte escaped. A set
/// with a longer value is unreadable.
pub(crate) const OBSERVED_VALUE_BYTES_MAX: usize = 4 * 64 * 1024;

/// The longest retry delay that a plugin can request. A longer one is reduced to this.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Bytes of plugin text sent to the server: the reason a call failed, and what an instance wrote to stderr. The rest is
/// cut. There is room for the host's own reason with its hint, which a plugin passes on, and little beyond that.
pub(crate) const PLUGIN_TEXT_BYTES_MAX: usize = 256;

/// Log lines that the calls of one provider may write at once: all of one call, and a note on those dropped. Further
/// lines are dropped, and their number is logged when there is room again.
pub(crate) const LOG_LINES_AT_ONCE: u32 = 120;

/// The time to regain room for one log line: ten lines a minute.
pub(crate) const LOG_LINE_INTERVAL: Duration = Duration::from_secs(6);

/// Providers whose log lines are counted. Past this limit, the one with the most room is forgotten.
pub(crate) const LOG_PROVIDERS_MAX: usize = 64;

/// The limits of one plugin call. Exceeding a limit ends the call with an error that names the limit; the plugin's
/// memory is freed with the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first instruction to the reply, including the time spent waiting for services.
    pub call_time: Duration,
    /// CPU time, counted in ticks of 10 ms. Parsing a large zone takes a tenth of it.
    pub cpu_time: Duration,
    /// Bytes of linear memory, summed over all memories of the instance. A plugin in Rust takes 1 MiB, one with a
    /// JavaScript engine 2 MiB, one with a Python interpreter 13 MiB.
    pub memory_bytes: usize,
    /// Table elements, summed over all tables. A plugin in Rust has a few hundred.
    pub table_elements: usize,
    /// Core instances of a component. A component in Rust has about ten.
    pub instances: usize,
    /// Resources (streams, pollables) held at once.
    pub resources: usize,
    /// Bytes that the plugin passes to the host in one host call, or in its return value.
    pub host_call_bytes: usize,
    /// HTTP requests and DNS exchanges.
    pub requests: u32,
    /// Total bytes of all requests.
    pub sent_bytes: u64,
    /// Bytes of one response from a service.
    pub response_bytes: u64,
    /// Total bytes of all responses.
    pub received_bytes: u64,
    /// Lines in the daemon's log. Further lines are dropped, and their number is logged. All calls of a provider
    /// together write at most 120 lines at once, and then ten a minute.
    pub log_lines: u32,
    /// Bytes of one log line. The rest of the line is cut.
    pub log_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_time: Duration::from_secs(30),
            cpu_time: Duration::from_secs(2),
            memory_bytes: 16 * 1024 * 1024,
            table_elements: 20_000,
            instances: 40,
            resources: 256,
            host_call_bytes: 8 * 1024 * 1024,
            requests: 64,
            sent_bytes: 1024 * 1024,
            response_bytes: 4 * 1024 * 1024,
            received_bytes: 16 * 1024 * 1024,
            log_lines: 100,
            log_line_bytes: 1024,
        }
    }
}
